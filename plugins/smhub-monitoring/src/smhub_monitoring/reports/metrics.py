"""What is measured: each figure with its definition, in words and with a version. A definition that changes gets another version."""

from __future__ import annotations

import msgspec

GROUPS = (
    "network",
    "visibility",
    "language",
    "mood",
    "intent",
    "topic",
    "department",
    "channel",
    "listener",
    "day",
    "week",
    "month",
    "hour_of_week",
)
"""By what figures can be told apart. `week`: its Monday; `month`: its first day. `hour_of_week`: 0 is Monday from 0 to 1 o'clock."""
TIMES = ("day", "week", "month", "hour_of_week")
NEEDS_AN_ANSWER = ("question", "complaint", "request")
"""The intents of mentions that need an answer."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One definition. `from_rows`: it cannot be summed up and is measured over what was counted of each mention."""

    name: str
    version: int
    title_de: str
    title_en: str
    formula: str
    unit: str
    groups: tuple[str, ...] = GROUPS
    from_rows: bool = False


_NO_MOOD = tuple(one for one in GROUPS if one != "mood")
_ANSWERS = "that can be read by all and whose intent is question, complaint or request"

METRICS = {
    one.name: one
    for one in (
        Metric(
            name="mentions",
            version=1,
            title_de="Erwähnungen",
            title_en="Mentions",
            formula="Distinct mentions published in the period, each once however many intakes saw it; those that were deleted since then count.",
            unit="mentions",
        ),
        Metric(
            name="potential_reach",
            version=1,
            title_de="Mögliche Reichweite",
            title_en="Potential reach",
            formula="Sum over the mentions of their authors' followers when the mention was counted. Mentions whose author's followers are"
            " not known are left out; coverage is the share of mentions whose author's are.",
            unit="people",
        ),
        Metric(
            name="unique_reach",
            version=1,
            title_de="Eindeutige Reichweite",
            title_en="Unique reach",
            formula="As potential_reach, but each author once in the period, with the most followers that they had in it.",
            unit="people",
            from_rows=True,
        ),
        Metric(
            name="net_sentiment",
            version=1,
            title_de="Stimmungssaldo",
            title_en="Net sentiment",
            formula="(positive - negative) / (positive + negative + neutral) x 100. Mentions without a mood are left out; coverage is the"
            " share of mentions that have one.",
            unit="points",
            groups=_NO_MOOD,
        ),
        Metric(
            name="net_sentiment_without_neutral",
            version=1,
            title_de="Stimmungssaldo ohne Neutrale",
            title_en="Net sentiment without neutral",
            formula="(positive - negative) / (positive + negative) x 100. Coverage is the share of mentions that are positive or negative.",
            unit="points",
            groups=_NO_MOOD,
        ),
        Metric(
            name="complaint_share",
            version=1,
            title_de="Anteil der Beschwerden",
            title_en="Share of complaints",
            formula="Mentions whose intent is complaint / mentions with an intent x 100. Coverage is the share of mentions that have one.",
            unit="percent",
            groups=tuple(one for one in GROUPS if one != "intent"),
        ),
        Metric(
            name="share_of_voice",
            version=1,
            title_de="Gesprächsanteil",
            title_en="Share of voice",
            formula="Mentions of a brand / sum over the brands of the set of their mentions x 100, each found by the brand's query among the"
            " same mentions; one that names two brands counts for both. n is that sum.",
            unit="percent",
            from_rows=True,
        ),
        Metric(
            name="detection_delay",
            version=1,
            title_de="Zeit bis zum Erkennen (Median)",
            title_en="Detection delay (median)",
            formula="Whole seconds from publication until the hub first saw the mention: median (value), 90th percentile and mean.",
            unit="seconds",
            from_rows=True,
        ),
        Metric(
            name="response_rate",
            version=1,
            title_de="Antwortquote",
            title_en="Response rate",
            formula=f"Mentions {_ANSWERS}, with a public reply written by a person within window_minutes / all such mentions x 100. Those"
            " whose window is not over are left out, answered or not; coverage is the share of the others.",
            unit="percent",
            from_rows=True,
        ),
        Metric(
            name="first_response_time",
            version=1,
            title_de="Zeit bis zur ersten Antwort (Median)",
            title_en="First response time (median)",
            formula="Seconds on the clock from publication until the first reply, public or private, that a person wrote was out: median"
            " (value), 90th percentile and mean, over the mentions that have one; coverage is their share of all mentions.",
            unit="seconds",
            from_rows=True,
        ),
        Metric(
            name="first_response_time_open",
            version=1,
            title_de="Zeit bis zur ersten Antwort in Öffnungszeiten (Median)",
            title_en="First response time within opening hours (median)",
            formula="As first_response_time, counting only the opening hours of the mention's department, public holidays left out; coverage is"
            " the share of the replied mentions that belong to a department.",
            unit="seconds",
            from_rows=True,
        ),
        Metric(
            name="answered_within_goal",
            version=1,
            title_de="Öffentlich beantwortet im Ziel",
            title_en="Answered publicly within the goal",
            formula=f"Mentions {_ANSWERS}, with a public reply written by a person within goal_minutes on the clock / all such mentions x 100."
            " Those whose goal is not over are left out, answered or not; coverage is the share of the others.",
            unit="percent",
            from_rows=True,
        ),
    )
}
