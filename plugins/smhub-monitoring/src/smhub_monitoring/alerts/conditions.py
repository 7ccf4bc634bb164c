"""When a rule is true: one Struct for each kind, with its figures. What each means exactly is told by `measuring`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Minutes = Annotated[int, Meta(ge=5, le=10_080, description="The time that is looked at, up to now.")]
Factor = Annotated[float, Meta(ge=1, le=100)]


class MonitoringThreshold(msgspec.Struct, tag="threshold", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """So many mentions were published within so many minutes."""

    at_least: Count
    minutes: Minutes = 60


class MonitoringSpike(msgspec.Struct, tag="spike", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """More were published than usual: more than the median of the same time of the same weekday in the last four weeks, plus `factor` times
    the spread (the median absolute deviation, at least the root of the median and at least 1), and at least `at_least`."""

    factor: Factor = 5.0
    at_least: Count = 10
    minutes: Minutes = 60


class MonitoringMoodDrop(msgspec.Struct, tag="mood_drop", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """Net sentiment, (positive - negative) / all with a mood x 100, is lower than that of the four weeks before by so many points. Only when
    at least `at_least` mentions have a mood, now and before."""

    points: Annotated[float, Meta(ge=1, le=200)] = 25.0
    at_least: Count = 20
    minutes: Minutes = 180


class MonitoringInfluentialAuthor(msgspec.Struct, tag="influential_author", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """Somebody with so many followers said something, published within the last day. It stays true for so many minutes."""

    followers: Count = 10_000
    minutes: Minutes = 240


class MonitoringNewWord(msgspec.Struct, tag="new_word", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """So many authors used a word that stands in no mention of the organisation from before. Only when there are mentions that are
    older than a week."""

    authors: Count = 5
    minutes: Minutes = 360


class MonitoringSilence(msgspec.Struct, tag="silence", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """Nothing that fits came in for so many minutes (query `intake:…` for one intake). A rule that is younger waits as long."""

    minutes: Minutes = 1440


class MonitoringIntakeIll(msgspec.Struct, tag="intake_ill", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """An intake has not been well for so many minutes: refused, wrongly set, quarantined, degraded, or its budget is spent. One that somebody
    paused is left out. The query plays no part."""

    minutes: Annotated[int, Meta(ge=0, le=10_080)] = 15


Condition = (
    MonitoringThreshold
    | MonitoringSpike
    | MonitoringMoodDrop
    | MonitoringInfluentialAuthor
    | MonitoringNewWord
    | MonitoringSilence
    | MonitoringIntakeIll
)
KINDS = ("threshold", "spike", "mood_drop", "influential_author", "new_word", "silence", "intake_ill")


def read(stored: Any) -> Condition:
    """A condition as a row holds it."""
    return msgspec.convert(stored, Condition)  # type: ignore[no-any-return]
