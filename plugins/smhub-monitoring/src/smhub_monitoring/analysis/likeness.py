"""How alike two texts are: MinHash over runs of letters. 64 figures for a text, and 16 keys under which likely copies are found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS, BANDS, ROWS = 64, 16, 4
RUN = 4
LEAST = 0.5
FEWEST = 12
"""Letters below which a text is not compared: two that say thanks are no copies of one another."""

Signature = NDArray[np.uint32]

_chance = np.random.default_rng(20_261_127)
_FACTORS = (_chance.integers(1, 1 << 32, PERMUTATIONS, dtype=np.uint32) | np.uint32(1))[:, None]
_PLUS = _chance.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint32)[:, None]
_MIX = np.uint32(2654435761)
_BAND = _chance.integers(1, 1 << 63, (BANDS, ROWS), dtype=np.uint64) | np.uint64(1)
_NUMBER = _chance.integers(1, 1 << 63, BANDS, dtype=np.uint64)


def signature_of(bare_text: str) -> Signature | None:
    """The figures of a text of words only; None when it is too short to be compared."""
    if len(bare_text) < FEWEST:
        return None
    codes = np.frombuffer(bare_text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    runs = codes[: len(codes) - RUN + 1] * _MIX
    for place in range(1, RUN):
        runs = (runs ^ (runs >> np.uint32(13))) * _MIX + codes[place : len(codes) - RUN + 1 + place]
    runs ^= runs >> np.uint32(16)
    mixed = runs[None, :] * _FACTORS + _PLUS
    mixed ^= mixed >> np.uint32(15)
    mixed *= _MIX
    return mixed.min(axis=1)  # type: ignore[no-any-return]


def keys_of(signature: Signature) -> list[int]:
    """The keys of the bands; texts that are alike share one or more. Each fits into 63 bits, and no band meets another's."""
    bands = (signature.reshape(BANDS, ROWS).astype(np.uint64) * _BAND).sum(axis=1) + _NUMBER
    bands ^= bands >> np.uint64(29)
    bands *= np.uint64(0xBF58476D1CE4E5B9)
    return [int(one) for one in bands >> np.uint64(1)]


def likeness(one: Signature, other: Signature) -> float:
    """The share of runs that both have, from 0 to 1, within about 0.06."""
    return float((one == other).mean())
