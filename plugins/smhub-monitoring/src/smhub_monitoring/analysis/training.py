"""Fitting a linear model: softmax regression by AdaGrad, in small batches, with a fixed seed. The same for shipped and own models."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from smhub_monitoring.analysis.features import Indices

Matrix = NDArray[np.float32]


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is fitted."""

    rounds: int = 8
    batch: int = 32
    rate: float = 0.25
    decay: float = 2e-5
    balance: float = 0.5
    """0: every text counts the same; 1: every class does."""
    seed: int = 1


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """Weights by feature, then by dense input, and the bias; classes across."""

    weights: Matrix
    dense: Matrix
    bias: Matrix


def fit(found: Sequence[Indices], dense: Matrix, classes: NDArray[np.intp], width: int, size: int, course: Course) -> Fitted:
    """Weights that tell the classes apart. `found` are features of each text, `dense` further figures of each (may have no column)."""
    chance = np.random.default_rng(course.seed)
    weights, bias = np.zeros((size, width), np.float32), np.zeros(width, np.float32)
    further = np.zeros((dense.shape[1], width), np.float32)
    seen, seen_further, seen_bias = np.full((size, width), 1e-2, np.float32), np.full_like(further, 1e-2), np.full_like(bias, 1e-2)
    share = np.bincount(classes, minlength=width).clip(1)
    worth = (share.mean() / share) ** course.balance
    scale = np.array([1 / np.sqrt(max(1, len(one))) for one in found], np.float32)
    for _ in range(course.rounds):
        order = chance.permutation(len(found))
        for start in range(0, len(order), course.batch):
            chosen = order[start : start + course.batch]
            where = np.concatenate([found[n] for n in chosen])
            lengths = np.array([len(found[n]) for n in chosen])
            whose = np.repeat(np.arange(len(chosen)), lengths)
            scores = np.zeros((len(chosen), width), np.float32)
            np.add.at(scores, whose, weights[where])
            scores = scores * scale[chosen, None] + dense[chosen] @ further + bias
            error = softmax(scores)
            error[np.arange(len(chosen)), classes[chosen]] -= 1
            error *= worth[classes[chosen], None].astype(np.float32) / len(chosen)
            slope = (error * scale[chosen, None])[whose]
            touched, place = np.unique(where, return_inverse=True)
            total = np.zeros((len(touched), width), np.float32)
            np.add.at(total, place, slope)
            total += course.decay * weights[touched]
            seen[touched] += total**2
            weights[touched] -= course.rate * total / np.sqrt(seen[touched])
            total = dense[chosen].T @ error + course.decay * further
            seen_further += total**2
            further -= course.rate * total / np.sqrt(seen_further)
            total = error.sum(axis=0)
            seen_bias += total**2
            bias -= course.rate * total / np.sqrt(seen_bias)
    return Fitted(weights=weights, dense=further, bias=bias)


def softmax(scores: Matrix) -> Matrix:
    """Scores as probabilities, row by row."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """How well answers fit the truth."""

    n: int
    accuracy: float
    macro_f1: float


def judged(truth: Sequence[str], said: Sequence[str | None]) -> Judgement:
    """Accuracy, and the mean of the classes' F1. No answer is a wrong one."""
    pairs = list(zip(truth, said, strict=True))
    scores = []
    for one in sorted(set(truth)):
        hits = sum(real == one == given for real, given in pairs)
        both = sum(real == one for real, _ in pairs) + sum(given == one for _, given in pairs)
        scores.append(2 * hits / both if both else 0.0)
    right = sum(real == given for real, given in pairs)
    return Judgement(n=len(pairs), accuracy=right / max(1, len(pairs)), macro_f1=sum(scores) / max(1, len(scores)))
