"""Wire types: channels, listeners, intakes, gaps, what could not be read."""

from __future__ import annotations

import base64
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.channels import streaming
from smhub.channels.health import STATES, advice
from smhub.channels.hook_schemas import ChannelWebhook
from smhub.channels.models import BadItem, Channel, Gap, Intake
from smhub.hub.web import Moment, Name, known
from smhub.sdk import Limits

Network = Annotated[str, Meta(min_length=1, max_length=100, description="One of GET /v1/networks.", examples=["feeds"])]
Values = Annotated[
    dict[str, Any], Meta(max_length=100, description="As the network's `settings_schema` says; secrets are taken and never given back.")
]
PollSeconds = Annotated[int, Meta(ge=1, le=86_400, description="How often to look; null: as the connector or the hub says.")]
IntakeState = Annotated[str, known(*STATES)]
ReasonCode = Annotated[
    str | None,
    known(
        "auth_expired",
        "not_authorized",
        "config_invalid",
        "transient",
        "rate_limited",
        "gone",
        "connector_bug",
        "connector_crashed",
        "connector_hung",
        "connector_memory",
        "budget_spent",
    ),
]
Since = Annotated[Moment | None, Meta(description="From when on it has been in this state; null: since it was made.")]
NextPoll = Annotated[Moment | None, Meta(description="When it looks again by itself; null: it waits for a person.")]
Source = Annotated[
    str,
    known(
        "polling",
        "webhook",
        "stream",
        description="webhook: its network delivers, and is polled rarely or not at all; stream: it is only heard.",
    ),
]
LastDelivery = Annotated[Moment | None, Meta(description="When its network last delivered by webhook something that was taken in.")]
Advice = Annotated[str | None, Meta(description="What a person can do about it, in English; null: nothing is to be done.")]


class StreamHealth(msgspec.Struct, kw_only=True):
    """How the intake's stream fares, by which the network tells at once what polls find later."""

    state: Annotated[str, known(*streaming.STATES, description="waiting: it broke; refused: not to be had, tried again rarely.")]
    since: Moment | None
    reason_code: ReasonCode
    reason: str | None
    failures: Annotated[int, Meta(ge=0, description="How often it failed since it was last well for a minute.")]
    last_heard_at: Annotated[Moment | None, Meta(description="The last sign of life, to the half minute.")]
    next_try_at: Annotated[Moment | None, Meta(description="When it is opened again; null: it is open, or not wanted.")]

    @classmethod
    def of(cls, row: Intake) -> StreamHealth | None:
        if row.stream_state is None:
            return None
        return cls(
            state=row.stream_state,
            since=row.stream_since,
            reason_code=row.stream_reason_code,
            reason=row.stream_reason,
            failures=row.stream_failures,
            last_heard_at=row.stream_heard_at,
            next_try_at=row.stream_next_at if row.stream_state in (streaming.WAITING, streaming.REFUSED) else None,
        )


class IntakeHealth(msgspec.Struct, kw_only=True):
    """How the intake fares. `reason` says in words why it is not active, `advice` what to do."""

    intake_id: UUID
    state: IntakeState
    since: Since
    reason_code: ReasonCode
    reason: str | None
    advice: Advice
    source: Source
    last_delivery_at: LastDelivery
    last_success_at: Moment | None
    next_poll_at: NextPoll
    stream: Annotated[StreamHealth | None, Meta(description="null: the network tells nothing by a stream.")]


class Account(msgspec.Struct, kw_only=True):
    """Who we are on the network, as `verify` found out."""

    external_id: str
    handle: str
    name: str = ""
    url: str | None = None
    scopes: list[str] = []
    expires_at: Moment | None = None
    limits: Annotated[Limits | None, Meta(description="What this server takes, where servers differ.")] = None
    safety: Annotated[str, known("key", "container", "lookup", "none")] | None = None


class ChannelInfo(msgspec.Struct, kw_only=True):
    """An owned presence on a network."""

    id: UUID
    network: Annotated[str, known("feeds", "mastodon", "simulator", "webhook")]
    name: Name
    settings: Annotated[dict[str, Any], Meta(description="Without its secrets.")]
    secrets: Annotated[list[str], Meta(description="The secrets that are stored, by name.")]
    department_id: UUID | None
    poll_seconds: int | None
    account: Account | None
    health: IntakeHealth | None
    webhook: Annotated[ChannelWebhook | None, Meta(description="null: the network does not deliver by itself.")]
    created_at: Moment
    ended_at: Annotated[Moment | None, Meta(description="When it was disconnected; what it brought stays.")]
    version: int


class Channels(msgspec.Struct, kw_only=True):
    """A page of channels."""

    items: list[ChannelInfo]
    next_cursor: str | None


class NewChannel(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A presence to connect."""

    network: Network
    name: Name
    settings: Values
    department_id: UUID | None = None
    poll_seconds: PollSeconds | None = None


class ChannelChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. `settings` replaces what is not secret; secrets that are left out stay."""

    name: Name | UnsetType = UNSET
    settings: Values | UnsetType = UNSET
    department_id: UUID | UnsetType | None = UNSET
    poll_seconds: PollSeconds | UnsetType | None = UNSET


class IntakeInfo(msgspec.Struct, kw_only=True):
    """What brings mentions in from one channel or listener."""

    id: UUID
    channel_id: UUID | None
    listener_id: UUID | None
    network: str
    state: IntakeState
    since: Since
    reason_code: ReasonCode
    reason: str | None
    advice: Advice
    failures: Annotated[int, Meta(description="In a row.")]
    mentions: Annotated[int, Meta(description="How many it was the first to bring.")]
    bad_items: int
    source: Source
    last_delivery_at: LastDelivery
    next_poll_at: NextPoll
    stream: Annotated[StreamHealth | None, Meta(description="null: the network tells nothing by a stream.")]
    last_success_at: Moment | None
    last_failure_at: Moment | None
    created_at: Moment

    @classmethod
    def of(cls, row: Intake) -> IntakeInfo:
        own = {name: getattr(row, name) for name in cls.__struct_fields__ if name not in ("advice", "stream")}
        return cls(**own, advice=advice(row), stream=StreamHealth.of(row))


class Intakes(msgspec.Struct, kw_only=True):
    """A page of intakes."""

    items: list[IntakeInfo]
    next_cursor: str | None


class GapInfo(msgspec.Struct, kw_only=True):
    """A time in which an intake may have missed something."""

    id: UUID
    intake_id: UUID
    state: Annotated[str, known("open", "filling", "closed", "closed_partial")]
    cause: Annotated[str, known("degraded", "auth_required", "config_error", "blocked", "quarantined", "paused", "missed")]
    from_at: Moment
    to_at: Moment | None
    reason: Annotated[str | None, Meta(description="Why we cannot know that nothing is missing.")]
    proof: Annotated[str | None, Meta(description="Why we know that nothing is missing.")]
    found: Annotated[int, Meta(description="What the back-fill found.")]
    opened_at: Moment
    closed_at: Moment | None

    @classmethod
    def of(cls, row: Gap) -> GapInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Gaps(msgspec.Struct, kw_only=True):
    """A page of gaps."""

    items: list[GapInfo]
    next_cursor: str | None


class GapClosing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a gap is closed by hand."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000, examples=["Looked at the page by hand; nothing is missing."])]


class BackFill(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Read again what the network shows of a time."""

    from_at: Moment
    to_at: Moment | None = None


class BadItemInfo(msgspec.Struct, kw_only=True):
    """An element that could not be read, with the reason and its bytes (base64)."""

    id: UUID
    intake_id: UUID
    error: str
    raw: str
    seen_at: Moment
    retryable: Annotated[bool, Meta(description="It is a webhook's delivery that can be read once more.")]

    @classmethod
    def of(cls, row: BadItem) -> BadItemInfo:
        return cls(
            id=row.id,
            intake_id=row.intake_id,
            error=row.error,
            raw=base64.b64encode(row.raw).decode(),
            seen_at=row.seen_at,
            retryable=row.delivery_id is not None,
        )


class BadItems(msgspec.Struct, kw_only=True):
    """A page of elements that could not be read."""

    items: list[BadItemInfo]
    next_cursor: str | None


def channel(row: Channel, intake: Intake | None, secrets: frozenset[str], webhook: ChannelWebhook | None) -> ChannelInfo:
    """A channel with its health."""
    return ChannelInfo(
        id=row.id,
        network=row.network,
        name=row.name,
        settings=row.settings,
        secrets=sorted(secrets),
        department_id=row.department_id,
        poll_seconds=row.poll_seconds,
        account=msgspec.convert(row.account, Account) if row.account else None,
        health=health(intake),
        webhook=webhook,
        created_at=row.created_at,
        ended_at=row.ended_at,
        version=row.version,
    )


def health(intake: Intake | None) -> IntakeHealth | None:
    if intake is None:
        return None
    return IntakeHealth(
        intake_id=intake.id,
        state=intake.state,
        since=intake.since,
        reason_code=intake.reason_code,
        reason=intake.reason,
        advice=advice(intake),
        source=intake.source,
        last_delivery_at=intake.last_delivery_at,
        last_success_at=intake.last_success_at,
        next_poll_at=intake.next_poll_at,
        stream=StreamHealth.of(intake),
    )


class OperationStarted(msgspec.Struct, kw_only=True):
    """Long work to follow at GET /v1/operations/{operation_id}."""

    operation_id: UUID
    state: Annotated[str, known("queued", "running", "done", "failed", "cancelled")]
