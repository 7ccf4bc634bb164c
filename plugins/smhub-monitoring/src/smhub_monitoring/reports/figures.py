"""Figures out of what was counted. What is empty is null and says why; it is never 0 and never 100 %."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from smhub.features import known

WHY = (
    "nothing_counted",
    "no_followers_known",
    "no_mood",
    "no_brand_named",
    "nothing_to_answer",
    "not_over_yet",
    "no_reply",
    "no_department",
)


class MonitoringFigure(msgspec.Struct, kw_only=True):
    """A figure, over how many it was measured, and which share of what it is about that is."""

    version: Annotated[int, Meta(description="Of the definition.")]
    value: Annotated[
        float | None, Meta(description="Null when there is nothing to measure; `why` tells the reason. A median, where p90 is set.")
    ]
    n: Annotated[int, Meta(description="Over how many it was measured.")]
    coverage: Annotated[float | None, Meta(description="Which share of what it is about could be measured, 0 to 1.")]
    p90: float | None = None
    mean: float | None = None
    why: Annotated[str | None, known(*WHY, example="no_mood")] = None


class Sums(msgspec.Struct):
    """What can be added up."""

    mentions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    complaints: int = 0
    with_intent: int = 0
    with_followers: int = 0
    followers: int = 0

    def add(self, other: Mapping[str, int]) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + int(other[name] or 0))


class Answers(msgspec.Struct):
    """Mentions that need an answer; those of them whose time is over; those of these that got it in time."""

    needing: int = 0
    decided: int = 0
    in_time: int = 0


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _figure(version: int, value: float | None, n: int, coverage: float | None, why: str) -> MonitoringFigure:
    if value is None:
        return MonitoringFigure(version=version, value=None, n=n, coverage=coverage, why=why)
    return MonitoringFigure(version=version, value=round(value, 4), n=n, coverage=coverage)


def summed(name: str, version: int, sums: Sums) -> MonitoringFigure:
    """A figure that needs nothing but sums."""
    whole = sums.mentions
    empty = "nothing_counted" if not whole else ""
    if name == "mentions":
        return _figure(version, whole or None, whole, 1.0 if whole else None, empty)
    if name == "potential_reach":
        return reach(version, sums.followers, sums.with_followers, whole)
    if name == "complaint_share":
        value = sums.complaints / sums.with_intent * 100 if sums.with_intent else None
        return _figure(version, value, sums.with_intent, _share(sums.with_intent, whole), empty or "no_intent")
    told = sums.positive + sums.negative + (sums.neutral if name == "net_sentiment" else 0)
    value = (sums.positive - sums.negative) / told * 100 if told else None
    return _figure(version, value, told, _share(told, whole), empty or "no_mood")


def reach(version: int, people: int, n: int, mentions: int) -> MonitoringFigure:
    why = "no_followers_known" if mentions else "nothing_counted"
    return _figure(version, people if n else None, n, _share(n, mentions), why)


def voice(version: int, mentions: int, of_all: int) -> MonitoringFigure:
    """The share of one brand."""
    return _figure(version, mentions / of_all * 100 if of_all else None, of_all, 1.0 if of_all else None, "no_brand_named")


def rate(version: int, answers: Answers) -> MonitoringFigure:
    value = answers.in_time / answers.decided * 100 if answers.decided else None
    why = "not_over_yet" if answers.needing else "nothing_to_answer"
    return _figure(version, value, answers.decided, _share(answers.decided, answers.needing), why)


def spread(version: int, counts: Mapping[int | None, int], why: str) -> MonitoringFigure:
    """Median, 90th percentile (the least value that nine of ten do not exceed) and mean. The count of None: could not be measured."""
    values = sorted((value, number) for value, number in counts.items() if value is not None)
    n, whole = sum(number for _, number in values), sum(counts.values())
    if not n:
        return _figure(version, None, 0, _share(0, whole), why if whole else "nothing_counted")
    middle = (_at(values, (n - 1) // 2) + _at(values, n // 2)) / 2
    mean = sum(value * number for value, number in values) / n
    tenth = _at(values, -(-n * 9 // 10) - 1)
    return MonitoringFigure(
        version=version, value=round(middle, 4), n=n, coverage=_share(n, whole), p90=float(tenth), mean=round(mean, 4)
    )


def _at(values: list[tuple[int, int]], place: int) -> int:
    """The value at a place, counted from 0, when each stands as often as it was counted."""
    for value, number in values:
        if place < number:
            return value
        place -= number
    raise IndexError(place)


Counts = Counter[int | None]
