"""What incidents look like on the wire."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.features import Moment, Name, known
from smhub_monitoring.incidents import models

StormQuery = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="Which mentions belong to it, in the query language.",
        examples=["nordwind (brand OR feuer)"],
    ),
]
Answer = Annotated[
    str, Meta(min_length=1, max_length=10_000, description="What may be said until more is known.", examples=["Wir klären das gerade."])
]
Review = Annotated[
    str, Meta(min_length=1, max_length=20_000, description="What happened, what was done, what is to be done otherwise.")
]
State = Annotated[str, known(*models.STATES)]


class MonitoringIncident(msgspec.Struct, kw_only=True):
    """One storm."""

    id: UUID
    name: Name
    query: StormQuery
    department_id: UUID | None
    state: State
    holding_answer: Answer | None
    review: Review | None
    alert_id: UUID | None
    hold_id: Annotated[UUID | None, Meta(description="What keeps posts back now.")]
    since: Annotated[Moment, Meta(description="What was published before does not belong to it.")]
    mentions: Annotated[int, Meta(description="How many were gathered; find them by `monitoring.incident:<id>`.")]
    opened_at: Moment
    opened_by: UUID | None
    active_at: Moment | None
    calm_at: Moment | None
    closed_at: Moment | None
    version: int

    @classmethod
    def of(cls, row: models.Incident) -> MonitoringIncident:
        return msgspec.convert(row, cls, from_attributes=True)


class MonitoringIncidents(msgspec.Struct, kw_only=True):
    """A page of incidents."""

    items: list[MonitoringIncident]
    next_cursor: str | None


class MonitoringNewIncident(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to gather, from when on. With an `alert_id` the department and, unless they are told, query and since are those of the alert's rule."""

    name: Name
    query: StormQuery | None = None
    department_id: UUID | None = None
    alert_id: UUID | None = None
    since: Moment | None = None
    holding_answer: Answer | None = None


class MonitoringIncidentChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. Another query gathers anew; what was gathered stays."""

    name: Name | UnsetType = UNSET
    query: StormQuery | UnsetType = UNSET
    holding_answer: Answer | UnsetType | None = UNSET
    review: Review | UnsetType | None = UNSET


class MonitoringEscalation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether posts are held meanwhile. Replies never are."""

    hold: bool = True


class MonitoringClosing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What was learned, unless it is written already."""

    review: Review | None = None


class MonitoringNewEntry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A line for the timeline."""

    text: Annotated[str, Meta(min_length=1, max_length=5_000, examples=["Presse angerufen, Rückruf um 15 Uhr."])]


class MonitoringEntry(msgspec.Struct, kw_only=True):
    """A line of the timeline."""

    id: UUID
    at: Moment
    what: Annotated[str, known("opened", "escalated", "calmed", "closed", "changed", "note")]
    text: str
    data: dict[str, Any]
    member_id: UUID | None

    @classmethod
    def of(cls, row: models.IncidentEntry) -> MonitoringEntry:
        return msgspec.convert(row, cls, from_attributes=True)


class MonitoringTimeline(msgspec.Struct, kw_only=True):
    """A page of an incident's timeline, the oldest first."""

    items: list[MonitoringEntry]
    next_cursor: str | None
