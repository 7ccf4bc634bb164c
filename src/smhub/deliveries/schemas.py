"""Wire types: what is to be said, what became of it, and what is held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.deliveries.media_models import files_of
from smhub.deliveries.media_schemas import Choices, MediaOnDelivery
from smhub.deliveries.models import STATES, Attempt, Delivery, Figures, Hold
from smhub.hub.web import Moment, known, shaped

DAY = 86_400
DeliveryState = Annotated[str, known(*STATES, example="published")]
Words = Annotated[
    str, Meta(max_length=100_000, description="Never cut: what is too long is refused.", examples=["Danke, wir kümmern uns darum."])
]
Warning_ = Annotated[str, Meta(max_length=1000, description="A content warning, where the network has one.")]
Audience = Annotated[str, Meta(max_length=40, description="Who may see it; null: the network's usual.", examples=["public"])]
Tongue = Annotated[str, shaped("[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", max_length=16, examples=["de"])]
Lateness = Annotated[int, Meta(ge=0, le=30 * DAY, description="Seconds after `due_at` from which it is not sent any more.")]
Undo = Annotated[int, Meta(ge=0, le=3600, description="Seconds in which it can still be cancelled before it goes out.")]


class NewPost(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A post to write. With `draft` it waits until somebody queues it."""

    text: Words
    media: Choices = []
    visibility: Audience | None = None
    language: Tongue | None = None
    sensitive: Warning_ | None = None
    due_at: Annotated[Moment | None, Meta(description="When it goes out; null: now.")] = None
    undo_seconds: Undo = 0
    max_lateness_seconds: Lateness = DAY
    draft: bool = False


class NewReply(NewPost, kw_only=True, forbid_unknown_fields=True):
    """A reply to write."""

    channel_id: Annotated[UUID | None, Meta(description="The channel that answers; null: the one that brought the mention.")] = None
    after_reply_id: Annotated[
        UUID | None,
        Meta(description="The newest answer that you know of. If there is another, it is a conflict, and nobody answers twice."),
    ] = None


class PostToCheck(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Words to try, without saving them."""

    text: Words
    media: Choices = []
    visibility: Audience | None = None
    language: Tongue | None = None
    sensitive: Warning_ | None = None


class ReplyToCheck(PostToCheck, kw_only=True, forbid_unknown_fields=True):
    """An answer to try."""

    channel_id: UUID | None = None


class ViolationInfo(msgspec.Struct, kw_only=True):
    """Why it cannot go out like this."""

    field: Annotated[str, Meta(examples=["text"])]
    code: Annotated[
        str, known("too_long", "too_many_hashtags", "empty", "too_many_files", "type_not_taken", "file_too_large", "check_failed")
    ]
    detail: str
    limit: int | None = None
    actual: int | None = None


class CheckResult(msgspec.Struct, kw_only=True):
    """What stands against it, and how long it is as the network counts."""

    violations: list[ViolationInfo]
    length: int
    limit: int | None
    count: Annotated[str, known("code_points", "utf16", "graphemes", "bytes", "x_weight", "mastodon")]
    safety: Annotated[str, known("key", "container", "lookup", "none", description="How exactly-once is reached on this channel.")]


class DeliveryInfo(msgspec.Struct, kw_only=True):
    """One reply or post, going out through one channel."""

    id: UUID
    kind: Annotated[str, known("post", "reply")]
    state: DeliveryState
    reason_code: Annotated[
        str | None,
        known(
            "too_late", "content_rejected", "gone", "auth_expired", "worker_died", "timeout", "outcome_unknown", "restored", "person"
        ),
    ]
    reason: str | None
    channel_id: UUID
    network: Annotated[str, known("mastodon", "simulator", "webhook")]
    department_id: UUID | None
    mention_id: UUID | None
    text: str
    media: list[MediaOnDelivery]
    visibility: str | None
    language: str | None
    sensitive: str | None
    due_at: Moment | None
    max_lateness_seconds: int
    next_look_at: Annotated[
        Moment | None, Meta(description="When the hub itself looks at it next; null: it is at rest or waits for a person.")
    ]
    attempts: int
    digest: Annotated[str | None, Meta(description="SHA-256 of what goes to the network, frozen before the first byte.")]
    external_id: Annotated[str | None, Meta(description="What the network calls it.")]
    url: str | None
    published_at: Moment | None
    settled_by: Annotated[str | None, known("key", "container", "lookup", "person", description="What made an unclear outcome clear.")]
    created_by: UUID | None
    created_at: Moment
    updated_at: Moment
    version: int

    @classmethod
    def of(cls, row: Delivery) -> DeliveryInfo:
        return cls(
            id=row.id,
            kind=row.kind,
            state=row.state,
            reason_code=row.reason_code,
            reason=row.reason,
            channel_id=row.channel_id,
            network=row.network,
            department_id=row.department_id,
            mention_id=row.mention_id,
            text=row.text,
            media=[MediaOnDelivery.of(one) for one in files_of(row)],
            visibility=row.visibility,
            language=row.language,
            sensitive=row.sensitive,
            due_at=row.due_at,
            max_lateness_seconds=row.max_lateness,
            next_look_at=row.next_at,
            attempts=row.attempts,
            digest=row.digest,
            external_id=row.external_id,
            url=row.url,
            published_at=row.published_at,
            settled_by=row.settled_by,
            created_by=row.created_by,
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
        )


class Deliveries(msgspec.Struct, kw_only=True):
    """A page of deliveries, the newest first."""

    items: list[DeliveryInfo]
    next_cursor: str | None


class DeliveryChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Other words or another time, while nothing of it is out or on its way."""

    text: Words | UnsetType = UNSET
    media: Choices | UnsetType = UNSET
    visibility: Audience | UnsetType | None = UNSET
    language: Tongue | UnsetType | None = UNSET
    sensitive: Warning_ | UnsetType | None = UNSET
    due_at: Moment | UnsetType | None = UNSET
    max_lateness_seconds: Lateness | UnsetType = UNSET


class QueueDelivery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Let it go."""

    undo_seconds: Undo = 0


class EditOfPublished(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to stand there instead."""

    text: Words
    sensitive: Warning_ | None = None
    language: Tongue | None = None


class Confirmation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a person found it on the network."""

    external_id: Annotated[str, Meta(min_length=1, max_length=1000, examples=["113500000000000001"])]
    url: Annotated[str, shaped("https?://.{1,1990}", max_length=2000, examples=["https://social.example/@firma/1"])] | None = None


class AttemptInfo(msgspec.Struct, kw_only=True):
    """One try: the evidence of what was done and what came of it."""

    id: UUID
    number: int
    action: Annotated[str, known("publish", "check", "find", "edit", "delete")]
    state: Annotated[str, known("sending", "published", "pending", "refused", "unknown", "not_sent", "not_found", "done")]
    safety: Annotated[str, known("key", "container", "lookup", "none")]
    key: Annotated[str, Meta(description="The key under which the network was asked.")]
    digest: str
    connector_version: str
    acted: Annotated[bool, Meta(description="A write went out whole, so the network may have acted on it.")]
    started_at: Moment
    ended_at: Moment | None
    error_code: str | None
    error: str | None
    status: int | None
    external_id: str | None
    url: str | None

    @classmethod
    def of(cls, row: Attempt) -> AttemptInfo:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class Attempts(msgspec.Struct, kw_only=True):
    """Every try at a delivery, the first one first."""

    items: list[AttemptInfo]


class FiguresInfo(msgspec.Struct, kw_only=True):
    """What the network counted at one moment. null: it says nothing about that, which is not 0."""

    observed_at: Moment
    likes: int | None
    shares: int | None
    replies: int | None
    quotes: int | None
    views: int | None
    others: Annotated[dict[str, int], Meta(description="What else this network counts, by its connector's names.")]

    @classmethod
    def of(cls, row: Figures) -> FiguresInfo:
        known_ones = ("likes", "shares", "replies", "quotes", "views")
        others = {name: value for name, value in sorted(row.counts.items()) if name not in known_ones}
        return cls(observed_at=row.observed_at, others=others, **{name: row.counts.get(name) for name in known_ones})


class DeliveryMetrics(msgspec.Struct, kw_only=True):
    """What became of a delivery on its network. `newest` is null until the network has said something."""

    delivery_id: UUID
    newest: FiguresInfo | None
    history: Annotated[list[FiguresInfo], Meta(description="Every snapshot, the newest first.")]
    next_at: Annotated[Moment | None, Meta(description="When the network is asked next; null: no more.")]

    @classmethod
    def of(cls, row: Delivery, figures: Sequence[Figures]) -> DeliveryMetrics:
        history = [FiguresInfo.of(one) for one in figures]
        return cls(delivery_id=row.id, newest=history[0] if history else None, history=history, next_at=row.metrics_at)


class NewHold(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to hold back: a channel, a department with those below it, or (neither) everything of the organisation."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000, examples=["Shitstorm; nothing goes out until we know more."])]
    channel_id: UUID | None = None
    department_id: UUID | None = None
    kind: Annotated[str, shaped("(post|reply)", description="Hold only posts, or only replies.", examples=["post"])] | None = None


class HoldInfo(msgspec.Struct, kw_only=True):
    """What keeps deliveries back."""

    id: UUID
    cause: Annotated[str, known("person", "auth_expired", "config_invalid", "permission_missing", "connector_bug")]
    reason: str
    kind: Annotated[str | None, known("post", "reply", description="What alone is held; null: both.")]
    channel_id: UUID | None
    department_id: UUID | None
    created_by: UUID | None
    created_at: Moment
    released_by: UUID | None
    released_at: Moment | None
    probe_at: Annotated[Moment | None, Meta(description="When one delivery is let through to see whether it is over.")]

    @classmethod
    def of(cls, row: Hold) -> HoldInfo:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class Holds(msgspec.Struct, kw_only=True):
    """A page of holds, the newest first."""

    items: list[HoldInfo]
    next_cursor: str | None


class HoldReleased(msgspec.Struct, kw_only=True):
    """The hold, and how many deliveries are queued again."""

    hold: HoldInfo
    queued: int
