"""The models that come with the package, each with a card that says what it was made of and how good it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from smhub_monitoring.analysis.linear import LinearModel

FOLDER = Path(__file__).parent / "shipped"


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How a model did on texts that it did not learn from."""

    n: int
    accuracy: float
    macro_f1: float


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known about a shipped model."""

    name: str
    task: str
    classes: list[str]
    made_at: str
    sha256: str
    bytes: int
    data_sha256: str
    trained_on: int
    sources: list[str]
    attribution: str
    scores: Scores | None
    always_the_commonest: Scores | None
    course: dict[str, Any]
    remarks: str


NAMES = ("mood-de", "mood-en", "offence-de")


@cache
def card(name: str) -> Card:
    """The card of a shipped model."""
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Card)


@cache
def linear(name: str) -> LinearModel:
    """A shipped linear model."""
    return LinearModel.read((FOLDER / f"{name}.npz").read_bytes())


def version(name: str) -> str:
    """What annotations call a shipped model: its name and the beginning of its hash."""
    return f"{name}@{card(name).sha256[:8]}"
