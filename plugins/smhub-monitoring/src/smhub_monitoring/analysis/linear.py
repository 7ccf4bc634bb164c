"""A linear model as it is kept: weights of one byte, read with numpy alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from smhub_monitoring.analysis.features import Indices
from smhub_monitoring.analysis.training import Fitted, Matrix, softmax


class LinearModel(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities of classes. `dense` weighs further figures, such as what other models say."""

    classes: tuple[str, ...]
    weights: NDArray[np.int8]
    scale: Matrix
    dense: Matrix
    bias: Matrix

    @classmethod
    def of(cls, fitted: Fitted, classes: Sequence[str]) -> LinearModel:
        """A fitted model, its weights rounded to 255 steps."""
        scale = np.maximum(np.abs(fitted.weights).max(axis=0), 1e-9) / 127
        rounded = np.rint(fitted.weights / scale).astype(np.int8)
        return cls(classes=tuple(classes), weights=rounded, scale=scale.astype(np.float32), dense=fitted.dense, bias=fitted.bias)

    @classmethod
    def read(cls, stored: bytes) -> LinearModel:
        """The model that was written."""
        with np.load(io.BytesIO(stored), allow_pickle=False) as file:
            classes = tuple(str(one) for one in file["classes"])
            return cls(classes=classes, weights=file["weights"], scale=file["scale"], dense=file["dense"], bias=file["bias"])

    def written(self) -> bytes:
        """The model as bytes, compressed; the same model gives the same bytes."""
        out = io.BytesIO()
        parts: dict[str, NDArray[Any]] = {"weights": self.weights, "scale": self.scale, "dense": self.dense, "bias": self.bias}
        np.savez_compressed(out, allow_pickle=False, classes=np.array(self.classes), **parts)
        return out.getvalue()

    def probabilities(self, found: Indices, dense: Sequence[float] = ()) -> dict[str, float]:
        """How probable each class is, most of all by the features of the text."""
        total = self.weights[found].sum(axis=0, dtype=np.float32) * self.scale
        scores = total / np.float32(max(1, len(found)) ** 0.5) + self.bias
        if self.dense.shape[0]:
            scores = scores + np.asarray(dense, dtype=np.float32) @ self.dense
        return dict(zip(self.classes, softmax(scores).tolist(), strict=True))
