"""What a linear model sees of a text: hashed words, pairs of words, and runs of letters. No vocabulary is kept."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BITS = 16
SIZE = 1 << BITS
RUNS = (3, 4, 5)
_FACTORS = (np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917), np.uint32(668265263), np.uint32(374761393))
_SHIFT = np.uint32(32 - BITS)

Indices = NDArray[np.intp]


@lru_cache(maxsize=50_000)
def _of_word(word: str) -> int:
    return crc32(word.encode())


def features(prepared_text: str, words: list[str]) -> Indices:
    """The numbers of the features of a text, below SIZE; what stands in it twice counts twice."""
    hashes = [_of_word(word) for word in words]
    pairs = [(one * 31 + two) & 0xFFFFFFFF for one, two in pairwise(hashes)]
    whole = np.array(hashes + pairs, dtype=np.uint32) * _FACTORS[0]
    found = np.concatenate([whole, *_runs(f" {prepared_text} ")])
    return (found >> _SHIFT).astype(np.intp)


def _runs(text: str) -> list[NDArray[np.uint32]]:
    """Hashes of all runs of letters, blanks included: they tell where words begin and end."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    made = []
    rolling = codes * _FACTORS[1]
    for length in range(2, max(RUNS) + 1):
        if len(codes) < length:
            break
        rolling = (rolling[:-1] ^ (rolling[:-1] >> np.uint32(15))) * _FACTORS[2] + codes[length - 1 :] * _FACTORS[3]
        if length in RUNS:
            made.append((rolling ^ np.uint32(length)) * _FACTORS[4])
    return made
