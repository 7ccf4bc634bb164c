"""Chance that is none: the same numbers for the same seed and position, on every machine."""

from __future__ import annotations

_MASK = (1 << 64) - 1


def draw(seed: int, position: int, salt: int = 0) -> int:
    """A number of 64 bits that looks random (splitmix64)."""
    value = (seed + (position + 1) * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
