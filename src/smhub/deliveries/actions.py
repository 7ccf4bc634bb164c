"""What people do with deliveries: write, check, queue, change, cancel, and decide what nobody else can."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.callers import Caller
from smhub.channels.connecting import config_of
from smhub.channels.models import Channel
from smhub.deliveries import media, models, schemas
from smhub.deliveries.checking import Judge, by_network, can_say, counted, view_of
from smhub.deliveries.envelope import Presence, presence_of
from smhub.deliveries.media_schemas import wanted
from smhub.deliveries.models import Attempt, Delivery
from smhub.deliveries.telling import send_later, tell
from smhub.errors import Conflict, FieldError, Invalid, NotFound, Unspeakable
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.mentions.models import Mention
from smhub.sdk import ConfigInvalid, Draft, DraftView, Violation

READ, WRITE, SETTLE = "deliveries:read", "deliveries:write", "deliveries:settle"
REPLY, POST = "replies:write", "posts:write"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found, and how the network counts."""

    violations: list[Violation]
    length: int
    presence: Presence
    network: str


def permission_for(kind: str) -> str:
    """Who may say it."""
    return REPLY if kind == "reply" else POST


async def channel_to_say(session: AsyncSession, runtime: Runtime, caller: Caller, channel_id: UUID, kind: str) -> Channel:
    """The channel, when one may say this kind of thing through it and its network can."""
    row = await session.get(Channel, (caller.organisation_id, channel_id))
    if row is None:
        raise NotFound(what="channel")
    if row.ended_at is not None:
        raise Conflict("The channel was disconnected.", "Der Kanal wurde getrennt.")
    if not can_say(runtime, row.network, kind):
        raise Conflict(
            f"The connector of {row.network} cannot {'answer' if kind == 'reply' else 'post'}; GET /v1/networks lists what each can.",
            f"Der Konnektor von {row.network} kann das nicht; GET /v1/networks zeigt, was jeder kann.",
        )
    return row


async def mention_to_answer(session: AsyncSession, caller: Caller, mention_id: UUID, *, lock: bool = True) -> Mention:
    """The mention, ours until the transaction ends: two people at once are one after the other."""
    statement = select(Mention).where(Mention.organisation_id == caller.organisation_id, Mention.id == mention_id)
    row = (await session.scalars(statement.with_for_update() if lock else statement)).one_or_none()
    if row is None:
        raise NotFound(what="mention")
    caller.need_for(REPLY, "mention", row.department_id, row.channel_id)
    if row.content_state == "deleted":
        raise Conflict("The mention was deleted; there is nothing to answer.", "Die Erwähnung wurde gelöscht.")
    return row


async def nobody_else_answers(session: AsyncSession, mention: Mention, known: UUID | None) -> None:
    """Raise Conflict with what the other is doing, unless the newest answer is the one that the writer knows."""
    if known is not None:
        that = select(Delivery.id).where(
            Delivery.organisation_id == mention.organisation_id, Delivery.mention_id == mention.id, Delivery.id == known
        )
        if (await session.execute(that)).first() is None:
            raise NotFound(what="delivery")
    quiet = (models.CANCELLED, models.REFUSED, models.EXPIRED, models.ABANDONED, models.DELETED)
    of = (Delivery.organisation_id == mention.organisation_id, Delivery.mention_id == mention.id, Delivery.state.not_in(quiet))
    newest = (await session.scalars(select(Delivery).where(*of).order_by(Delivery.id.desc()).limit(1))).first()
    if newest is None or newest.id == known:
        return
    other = {"id": newest.id, "state": newest.state, "created_by": newest.created_by, "created_at": newest.created_at}
    raise Conflict(
        f"Somebody else answers this mention: the answer is {newest.state}. To answer as well, send its id as after_reply_id.",
        f"Jemand anders antwortet schon: Die Antwort ist im Zustand {newest.state}. Trotzdem antworten: ihre Kennung als after_reply_id.",
        extra={"in_the_way": other},
    )


class ToCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is needed to check a draft, read from the database."""

    channel: Channel
    config: msgspec.Struct
    draft: Draft
    judge: Judge
    view: DraftView


async def settings_of(session: AsyncSession, runtime: Runtime, channel: Channel) -> msgspec.Struct:
    """The channel's settings; Conflict when they are not complete."""
    try:
        return await config_of(session, runtime, channel)
    except ConfigInvalid as error:
        raise Conflict(
            f"The channel's settings are not complete: {error}", f"Die Einstellungen des Kanals sind nicht vollständig: {error}"
        ) from error


async def to_check(
    session: AsyncSession, runtime: Runtime, caller: Caller, channel: Channel, draft: Draft, mention_id: UUID | None
) -> ToCheck:
    """Read what a check needs."""
    config = await settings_of(session, runtime, channel)
    judge = await Judge.of(session, runtime, caller.organisation_id)
    view = await view_of(session, channel, draft, mention_id=mention_id, member_id=caller.member_id)
    return ToCheck(channel=channel, config=config, draft=draft, judge=judge, view=view)


async def check(runtime: Runtime, asked: ToCheck) -> Checked:
    """Everything that stands against a draft, and how long the network says it is. Plugins are asked, so no session is open."""
    presence = presence_of(runtime, asked.channel)
    found = by_network(runtime, asked.channel, asked.config, asked.draft)
    found += await asked.judge.check(asked.view)
    return Checked(violations=found, length=counted(presence, asked.draft), presence=presence, network=asked.channel.network)


def refuse(found: Checked) -> None:
    """Raise Unspeakable with everything that stands against it."""
    refuse_all(found.violations, found.network)


def refuse_all(violations: list[Violation], network: str) -> None:
    """As refuse, for a part of the checks."""
    if violations:
        fields = [FieldError(field=one.field or "text", code=one.code, detail=one.detail) for one in violations]
        raise Unspeakable(fields=fields, network=network)


async def write(
    session: AsyncSession,
    runtime: Runtime,
    caller: Caller,
    channel: Channel,
    said: schemas.NewPost | schemas.NewReply,
    mention: Mention | None,
) -> Delivery:
    """A new delivery: a draft, or queued. What stands against it was asked before."""
    now = runtime.clock.now()
    row = Delivery(
        organisation_id=caller.organisation_id,
        id=new_id(),
        kind="post" if mention is None else "reply",
        channel_id=channel.id,
        network=channel.network,
        department_id=channel.department_id if mention is None else mention.department_id,
        mention_id=None if mention is None else mention.id,
        text=said.text,
        media=[],
        visibility=said.visibility,
        language=said.language,
        sensitive=said.sensitive,
        state=models.DRAFT,
        due_at=said.due_at,
        max_lateness=said.max_lateness_seconds,
        attempts=0,
        tries=0,
        created_by=caller.member_id,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    if said.media:
        await media.attach(session, row, await media.chosen(session, caller.organisation_id, wanted(said.media)))
    await session.flush()
    await tell(session, row, "delivery.written", now, caller.member_id)
    if not said.draft:
        await queue(session, runtime, caller, row, said.undo_seconds)
    return row


async def queue(session: AsyncSession, runtime: Runtime, caller: Caller, row: Delivery, undo_seconds: int) -> None:
    """It goes out when it is due; until then it can be cancelled."""
    now = runtime.clock.now()
    if row.state not in (models.DRAFT, models.REFUSED, models.EXPIRED):
        raise Conflict(f"The delivery is {row.state}.", f"Die Auslieferung ist im Zustand {row.state}.", extra={"state": row.state})
    row.becomes(models.QUEUED, now)
    row.due_at = max(row.due_at or now, now + timedelta(seconds=undo_seconds))
    row.tries = 0
    row.thaw()
    await tell(session, row, "delivery.queued", now, caller.member_id)
    await send_later(session, runtime, row, row.due_at)


async def the_delivery(
    session: AsyncSession, caller: Caller, delivery_id: UUID, permission: str, *, to_change: bool = False
) -> Delivery:
    """A delivery in the scope of the permission; NotFound otherwise."""
    of = (Delivery.organisation_id == caller.organisation_id, Delivery.id == delivery_id)
    statement = select(Delivery).where(*of)
    row = (await session.scalars(statement.with_for_update() if to_change else statement)).one_or_none()
    if row is None:
        raise NotFound(what="delivery")
    caller.need_for(permission, "delivery", row.department_id, row.channel_id)
    return row


async def to_write(session: AsyncSession, caller: Caller, delivery_id: UUID) -> Delivery:
    """A delivery that one may write: beside the right to change, a reply and a post ask for different permissions."""
    row = await the_delivery(session, caller, delivery_id, WRITE, to_change=True)
    permission = permission_for(row.kind)
    caller.need(permission)
    caller.need_for(permission, "delivery", row.department_id, row.channel_id)
    return row


async def change(session: AsyncSession, row: Delivery, given: dict[str, Any], now: datetime) -> None:
    """Other words or another time, while nothing of it is out or on its way."""
    if row.state not in models.CHANGEABLE:
        raise Conflict(
            f"The delivery is {row.state}; nothing of it can be changed any more.",
            f"Die Auslieferung ist im Zustand {row.state}; sie kann nicht mehr geändert werden.",
            extra={"state": row.state},
        )
    if (choices := given.get("media")) is not None:
        await media.attach(session, row, await media.chosen(session, row.organisation_id, wanted(choices)))
    for name, value in given.items():
        if name == "media":
            continue
        setattr(row, "max_lateness" if name == "max_lateness_seconds" else name, value)
    if given.keys() & {"text", "media", "visibility", "language", "sensitive"}:
        row.thaw()
    row.updated_at = now
    row.changed()


async def cancel(session: AsyncSession, runtime: Runtime, caller: Caller, row: Delivery) -> None:
    """Take it back before it goes out. Conflict when it is on its way: then it is sent, never both."""
    if row.state in (models.REFUSED, models.EXPIRED, models.UNKNOWN):
        raise Conflict(f"The delivery is {row.state}: abandon it instead.", f"Die Auslieferung ist {row.state}: stattdessen verwerfen.")
    row.becomes(models.CANCELLED, runtime.clock.now())
    await tell(session, row, "delivery.cancelled", row.updated_at, caller.member_id)


async def reconcile(session: AsyncSession, runtime: Runtime, row: Delivery) -> None:
    """Look now whether it is out, but not before the network has had its time."""
    if row.state != models.UNKNOWN:
        raise Conflict(
            f"The delivery is {row.state}: there is nothing unclear.", f"Die Auslieferung ist {row.state}: nichts ist unklar."
        )
    channel = await session.get_one(Channel, (row.organisation_id, row.channel_id))
    attempt = await session.get(Attempt, (row.organisation_id, row.attempt_id))
    settle = timedelta(seconds=presence_of(runtime, channel).settle_seconds)
    earliest = (attempt.ended_at or attempt.started_at) + settle if attempt else runtime.clock.now()
    if row.restored_from is not None:
        # The hub that was there before may have sent it until then.
        earliest = max(earliest, row.updated_at + settle)
    await send_later(session, runtime, row, max(runtime.clock.now(), earliest))


async def resend(session: AsyncSession, runtime: Runtime, caller: Caller, row: Delivery) -> None:
    """A person says that it is not out: it is sent again."""
    now = runtime.clock.now()
    if row.state not in (models.UNKNOWN, models.REFUSED, models.EXPIRED):
        raise Conflict(f"The delivery is {row.state}.", f"Die Auslieferung ist im Zustand {row.state}.", extra={"state": row.state})
    was_unclear = row.state == models.UNKNOWN
    row.becomes(models.QUEUED, now)
    # What was restored may be unclear before its time.
    row.due_at = max(now, row.due_at or now) if was_unclear else now
    row.tries, row.pending = 0, None
    row.settled_by = "person" if was_unclear else row.settled_by
    await tell(session, row, "delivery.queued", now, caller.member_id)
    await send_later(session, runtime, row, row.due_at)


async def abandon(session: AsyncSession, runtime: Runtime, caller: Caller, row: Delivery) -> None:
    """A person lets it be: nothing more is tried."""
    row.becomes(models.ABANDONED, runtime.clock.now())
    await tell(session, row, "delivery.abandoned", row.updated_at, caller.member_id)


async def confirm(session: AsyncSession, runtime: Runtime, caller: Caller, row: Delivery, external_id: str, url: str | None) -> None:
    """A person found it on the network: it is out."""
    if row.state != models.UNKNOWN:
        raise Conflict(
            f"The delivery is {row.state}: there is nothing unclear.", f"Die Auslieferung ist {row.state}: nichts ist unklar."
        )
    now = runtime.clock.now()
    row.becomes(models.PUBLISHED, now)
    row.external_id, row.url, row.published_at, row.settled_by = external_id, url, now, "person"
    await tell(session, row, "delivery.reconciled", now, caller.member_id)
    await tell(session, row, "delivery.published", now, caller.member_id)


def not_in_the_past(due_at: datetime | None, now: datetime) -> None:
    """A time that is over is a slip of the pen, not a wish."""
    if due_at is not None and due_at < now - timedelta(minutes=1):
        raise Invalid.field("due_at", "it lies in the past; leave it out to send at once")
