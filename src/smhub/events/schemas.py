"""Wire types: events, and what their kinds carry."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from smhub.events.models import Event
from smhub.hub.web import Moment, known

Seq = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Rises with every event; never given twice.")]
TypeName = Annotated[
    str,
    known(
        "mention.discovered",
        "mention.content_changed",
        "mention.deleted",
        "mention.routed",
        "intake.degraded",
        "gap.opened",
        description="GET /v1/event-types lists all.",
    ),
]


class EventInfo(msgspec.Struct, kw_only=True):
    """A fact. It names what changed; ask for the thing itself to see how it stands now."""

    seq: Seq
    type: TypeName
    at: Moment
    subject_type: Annotated[str, known("mention", "intake", "gap", "channel", "listener", "department", "member", "grant", "key")]
    subject_id: UUID
    actor_id: Annotated[UUID | None, Meta(description="The member who did it; null: the hub or a network.")]
    data: Annotated[dict[str, Any], Meta(description="As GET /v1/event-types describes it for the type.")]

    @classmethod
    def of(cls, row: Event) -> EventInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Events(msgspec.Struct, kw_only=True):
    """Events in order."""

    items: list[EventInfo]
    last_seq: Annotated[Seq, Meta(description="The next `after`, also when there are no items.")]


class EventTypeInfo(msgspec.Struct, kw_only=True):
    """A kind of event."""

    name: TypeName
    description: str
    plugin: Annotated[str | None, Meta(description="The plugin that writes it; null: the hub itself.")]
    data_schema: Annotated[dict[str, Any], Meta(description="JSON Schema (2020-12) of its data.")]


class EventTypes(msgspec.Struct, kw_only=True):
    """Every kind of event that this hub may write."""

    items: list[EventTypeInfo]


class NoData(msgspec.Struct, kw_only=True):
    """The subject says it all."""


class SeenData(msgspec.Struct, kw_only=True):
    """Where it was seen."""

    network: str
    intake_id: UUID
    channel_id: UUID | None = None
    listener_id: UUID | None = None


class AnnotatedData(msgspec.Struct, kw_only=True):
    """Which keys something was said about."""

    keys: list[str]


class RoutedData(msgspec.Struct, kw_only=True):
    """Who has it now."""

    department_id: UUID | None = None


class ChangedData(msgspec.Struct, kw_only=True):
    """Which fields were changed; absent where that is not said."""

    fields: list[str] = []


class RestoredData(msgspec.Struct, kw_only=True):
    """Which epoch began, and how old the backup is."""

    epoch: int
    backup_at: Moment


class WhoData(msgspec.Struct, kw_only=True):
    """About whom."""

    member_id: UUID


class IntakeData(msgspec.Struct, kw_only=True):
    """Which source, and why it is not well."""

    network: str
    channel_id: UUID | None = None
    listener_id: UUID | None = None
    reason_code: str | None = None


class GapData(msgspec.Struct, kw_only=True):
    """Where the gap is, and how it stands."""

    intake_id: UUID
    state: str


class DeliveryData(msgspec.Struct, kw_only=True):
    """Which delivery, and how it stands. Its words are read at /v1/deliveries."""

    kind: str
    state: str
    channel_id: UUID
    mention_id: UUID | None = None
    reason_code: str | None = None
    external_id: str | None = None
    settled_by: str | None = None


class HoldData(msgspec.Struct, kw_only=True):
    """What is held back: a channel, a department, or (both null) the organisation."""

    cause: str
    channel_id: UUID | None = None
    department_id: UUID | None = None
