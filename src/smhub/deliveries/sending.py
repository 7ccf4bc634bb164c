"""The one job that holds a delivery: it takes it, sends it, and writes down what came of it.

Taking is a transaction of its own: lease, holds, lateness, the frozen envelope and the row of this try are committed before the first
byte leaves. Right before that byte, and before the last, the lease is looked at once more (`Fence`). Writing down is a second
transaction, refused to whoever lost the lease. What lies between is unclear to everybody who comes later, and `settling` clears it up.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import faults
from smhub.channels.connecting import config_of, connect_to_say
from smhub.channels.models import Channel
from smhub.db.engine import is_unavailable
from smhub.db.types import Id
from smhub.deliveries import holds, media, models, settling
from smhub.deliveries.checking import Judge, by_network, view_of
from smhub.deliveries.envelope import Envelope, Presence, attempt_of, draft_of, freeze, presence_of, reference_to
from smhub.deliveries.models import Attempt, Delivery
from smhub.deliveries.outcomes import Outcome, of_answer, of_error
from smhub.deliveries.telling import ADVANCE, Advance, tell
from smhub.errors import Conflict
from smhub.mentions.models import Author, Mention
from smhub.sdk import ConfigInvalid, Draft, DraftView, Job, MentionRef, Pending, Violation
from smhub.work.leases import LeaseLost, renew
from smhub.work.models import Job as JobRow
from smhub.work.queue import JobContext

log = structlog.get_logger("smhub.deliveries")
PUBLISH_SECONDS = 120.0
FRESH = 5.0
"""Seconds after which a confirmed lease is confirmed again before a byte leaves; far below the lease."""
ELSEWHERE = timedelta(seconds=5)
HELD_BACK = timedelta(seconds=60)
RECORD_TRIES = 240


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What was read and asked before the delivery is taken; it holds for this version of the delivery only."""

    id: UUID
    version: int
    channel: Channel
    presence: Presence | None = None
    config: msgspec.Struct | None = None
    to: MentionRef | None = None
    held: tuple[str, str] | None = None
    refused: tuple[str, str] | None = None


class Unjudged(msgspec.Struct, frozen=True):
    """What is ready but for the word of the limits and of the interceptors, who are asked when no session is open."""

    ready: Ready
    config: msgspec.Struct
    draft: Draft
    judge: Judge
    view: DraftView


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A try that is ours: its row is committed. `unclear`: an earlier try may be out. `probe`: it was let through a hold."""

    attempt_id: UUID
    action: str
    envelope: Envelope
    key: str
    since: datetime
    pending: Any = None
    unclear: bool = False
    probe: bool = False


class Changed(msgspec.Struct, frozen=True):
    """Somebody changed the delivery while we made ready."""


class Fence:
    """Asked right before the first byte of each request leaves, and again before its last piece: may we still? A process that slept
    through its lease may not.

    Who sleeps after the last look sends nevertheless, when it wakes: from there to the socket it is a turn of the event loop.
    """

    def __init__(self, context: JobContext, confirmed: float) -> None:
        self._context = context
        self._confirmed = confirmed

    async def __call__(self, last: bool) -> None:
        runtime = self._context.runtime
        # Again, when the look itself took long: one may sleep between the database's answer and the turn that reads it.
        while runtime.clock.monotonic() - self._confirmed > FRESH:
            began = runtime.clock.monotonic()
            await runtime.database.together(lambda session: renew(session, self._context))
            self._confirmed = began
            faults.point("deliver.renewed")
        if last:
            faults.point("deliver.last_byte")
        else:
            faults.point("deliver.first_byte")


async def advance(context: JobContext, payload: Advance) -> datetime | None:
    """Bring a delivery one step further; returns when to look again, None when it is at rest or waits for a person."""
    runtime = context.runtime
    while True:
        ready = await _make_ready(context, payload.delivery_id)
        if not isinstance(ready, Ready):
            return ready
        began = runtime.clock.monotonic()
        taken = await runtime.database.together(lambda session, ready=ready: _take(session, context, ready))  # type: ignore[misc]
        if isinstance(taken, Changed):
            continue
        if not isinstance(taken, Work):
            return taken
        faults.point("deliver.taken")
        outcome = await _carry_out(context, ready, taken, Fence(context, began))
        faults.point("deliver.answered")
        next_at = await _written_down(context, ready, taken, outcome)
        faults.point("deliver.settled")
        return next_at


async def _make_ready(context: JobContext, delivery_id: UUID) -> Ready | datetime | None:
    """Everything that needs no lock; None or a time when there is nothing to do yet."""
    found = await context.runtime.database.read_together(lambda session: _found(session, context, delivery_id))
    if not isinstance(found, Unjudged):
        return found
    ready = found.ready
    said = by_network(context.runtime, ready.channel, found.config, found.draft)
    no = said[0] if said else await found.judge.veto(found.view)
    return msgspec.structs.replace(ready, refused=_words(no) if no else None)


async def _found(session: AsyncSession, context: JobContext, delivery_id: UUID) -> Unjudged | Ready | datetime | None:
    runtime, organisation_id = context.runtime, context.organisation_id
    now = runtime.clock.now()
    values = {"organisation_id": organisation_id, "delivery_id": delivery_id}
    found = (await session.execute(_WITH_CHANNEL, values)).one_or_none()
    if found is None or found[0].state not in (models.QUEUED, models.SENDING, models.PENDING, models.UNKNOWN):
        return None
    delivery, channel = found
    due = delivery.due_at if delivery.state == models.QUEUED and delivery.next_at is None else delivery.next_at
    if delivery.state != models.SENDING and (due is None or due > now):
        return due
    ready = Ready(id=delivery.id, version=delivery.version, channel=channel)
    if channel.ended_at is not None:
        return msgspec.structs.replace(ready, refused=("channel_ended", "the channel was disconnected"))
    try:
        config = await config_of(session, runtime, channel)
        ready = msgspec.structs.replace(ready, presence=presence_of(runtime, channel), config=config)
    except (ConfigInvalid, Conflict) as error:
        return msgspec.structs.replace(ready, held=("config_invalid", str(error)))
    if delivery.mention_id is not None:
        to, gone = await _mention(session, delivery)
        ready = msgspec.structs.replace(ready, to=to, refused=("gone", "the mention was deleted") if gone else None)
    may_be_new = delivery.state == models.QUEUED or delivery.restored_from is not None
    if not may_be_new or ready.refused is not None:
        return ready
    judge = await Judge.of(session, runtime, organisation_id)
    draft = draft_of(delivery)
    more = {"department_id": delivery.department_id, "member_id": delivery.created_by, "due_at": delivery.due_at}
    view = await view_of(session, channel, draft, mention_id=delivery.mention_id, delivery_id=delivery.id, **more)
    return Unjudged(ready, config, draft, judge, view)


async def _mention(session: AsyncSession, delivery: Delivery) -> tuple[MentionRef, bool]:
    mention = await session.get_one(Mention, (delivery.organisation_id, delivery.mention_id))
    author = await session.get(Author, (delivery.organisation_id, mention.author_id)) if mention.author_id else None
    return reference_to(mention, author), mention.content_state == "deleted"


def _words(violation: Violation) -> tuple[str, str]:
    return violation.code, f"{violation.field}: {violation.detail}" if violation.field else violation.detail


_THAT = (Delivery.organisation_id == bindparam("organisation_id", type_=Id()), Delivery.id == bindparam("delivery_id", type_=Id()))
_LOCKED = select(Delivery).where(*_THAT).with_for_update().execution_options(populate_existing=True)
_WITH_CHANNEL = (
    select(Delivery, Channel)
    .join(Channel, and_(Channel.organisation_id == Delivery.organisation_id, Channel.id == Delivery.channel_id))
    .where(*_THAT)
)


async def locked(session: AsyncSession, organisation_id: UUID | None, delivery_id: UUID) -> Delivery:
    """The delivery, as it stands now, ours until the transaction ends."""
    return (await session.scalars(_LOCKED, {"organisation_id": organisation_id, "delivery_id": delivery_id})).one()


async def _take(session: AsyncSession, context: JobContext, ready: Ready) -> Work | Changed | datetime | None:
    await renew(session, context)
    delivery = await locked(session, context.organisation_id, ready.id)
    if delivery.version != ready.version:
        return Changed()
    now = context.runtime.clock.now()
    if delivery.state == models.SENDING:
        if await _is_alive_elsewhere(session, context, delivery, now):
            return now + ELSEWHERE
        return await settling.abandoned_by_its_worker(session, context.runtime, delivery, ready.presence, now)
    if delivery.state == models.QUEUED:
        return await _take_queued(session, context, delivery, ready, now)
    action = settling.next_step(context.runtime, delivery, ready.presence, now)
    if ready.config is None or action is None:
        presence = ready.presence if ready.config is not None else None
        delivery.next_at = settling.next_look(context.runtime, delivery, presence, now)
        return delivery.next_at
    if action == "publish" and delivery.restored_from is not None and await _is_kept_back(session, delivery, ready, now):
        return delivery.next_at
    work = await _begin(session, context, delivery, ready, action, now, unclear=delivery.state == models.UNKNOWN)
    if action == "publish":
        delivery.becomes(models.SENDING, now, code=delivery.reason_code, reason=delivery.reason)
    return work


async def _take_queued(
    session: AsyncSession, context: JobContext, delivery: Delivery, ready: Ready, now: datetime
) -> Work | datetime | None:
    if delivery.due_at is not None and now > delivery.due_at + timedelta(seconds=delivery.max_lateness):
        late = now - delivery.due_at
        delivery.becomes(models.EXPIRED, now, code="too_late", reason=f"it was due {late.total_seconds():.0f} s ago")
        await tell(session, delivery, "delivery.expired", now)
        return None
    if ready.held is not None:
        cause, reason = ready.held
        await holds.place(session, delivery.organisation_id, now, cause=cause, reason=reason, channel_id=delivery.channel_id)
    hold, probe = await holds.in_the_way(session, delivery, now)
    if hold is not None:
        delivery.becomes(models.HELD, now, code=hold.cause, reason=hold.reason)
        if hold.probe_at is not None:
            delivery.next_at = hold.probe_at
        await tell(session, delivery, "delivery.held", now)
        return None
    if ready.refused is not None:
        code, reason = ready.refused
        delivery.becomes(models.REFUSED, now, code=code, reason=reason)
        await tell(session, delivery, "delivery.refused", now)
        return None
    work = await _begin(session, context, delivery, ready, "publish", now, unclear=False)
    delivery.becomes(models.SENDING, now)
    return msgspec.structs.replace(work, probe=probe)


async def _is_kept_back(session: AsyncSession, delivery: Delivery, ready: Ready, now: datetime) -> bool:
    """What came out of a backup may never have been said: what keeps a new one back keeps it too. It stays unclear."""
    if ready.refused is not None:
        (delivery.reason_code, delivery.reason), delivery.next_at = ready.refused, None
        return True
    hold, _ = await holds.in_the_way(session, delivery, now)
    if hold is not None:
        delivery.reason_code, delivery.reason, delivery.next_at = hold.cause, hold.reason, now + HELD_BACK
    return hold is not None


async def _begin(
    session: AsyncSession, context: JobContext, delivery: Delivery, ready: Ready, action: str, now: datetime, *, unclear: bool
) -> Work:
    """The row of this try, and the envelope, before anything leaves."""
    assert ready.presence is not None
    envelope = freeze(delivery, ready.to, ready.presence.version, now)
    attempt = attempt_of(delivery, ready.presence, action, context.job_id, now)
    session.add(attempt)
    delivery.attempt_id = attempt.id
    faults.point("deliver.before_taken")
    return Work(
        attempt_id=attempt.id,
        action=action,
        envelope=envelope,
        key=delivery.key or "",
        since=delivery.first_sent_at or now,
        pending=delivery.pending,
        unclear=unclear,
    )


async def _is_alive_elsewhere(session: AsyncSession, context: JobContext, delivery: Delivery, now: datetime) -> bool:
    """Whether another job holds the delivery under a lease that lasts."""
    statement = select(JobRow.id).join(Attempt, Attempt.job_id == JobRow.id)
    alive = statement.where(
        Attempt.id == delivery.attempt_id, JobRow.id != context.job_id, JobRow.state == "running", JobRow.lease_until >= now
    )
    return (await session.execute(alive)).first() is not None


async def _carry_out(context: JobContext, ready: Ready, work: Work, fence: Fence) -> Outcome:
    """One call of the connector. Whatever happens in it becomes an outcome; only a lost lease and our own end do not."""
    assert ready.config is not None
    connector, http = connect_to_say(context.runtime, ready.channel, ready.config, fence)
    try:
        work = await _with_files(context, ready, work)
        async with asyncio.timeout(PUBLISH_SECONDS):
            answer = await _call(connector, work)
        if work.action == "find" and answer is None:
            return Outcome(kind="not_found")
        return of_answer(answer, acted=http.acted)
    except LeaseLost:
        raise
    except media.FileGone:
        return Outcome(kind="refused", code="file_gone", reason="a file of it was removed")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or (isinstance(error, asyncio.CancelledError) and _we_are_ending()):
            raise
        if not isinstance(error, Exception) or not hasattr(error, "kind"):
            log.exception("delivery_failed", network=ready.channel.network, error=type(error).__name__)
        return of_error(error, acted=http.acted)


async def _with_files(context: JobContext, ready: Ready, work: Work) -> Work:
    """The bytes of its files, read when everything else is ready: they are held no longer than the call."""
    if not work.envelope.draft.media or work.action == "check":
        return work
    async with context.runtime.database.read() as session:
        draft = await media.with_content(session, ready.channel.organisation_id, work.envelope.draft)
    return msgspec.structs.replace(work, envelope=msgspec.structs.replace(work.envelope, draft=draft))


def _we_are_ending() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _call(connector: Any, work: Work) -> object:
    envelope = work.envelope
    match work.action:
        case "check":
            return await connector.check_publish(Pending(state=work.pending))
        case "find":
            return await connector.find_published(envelope.draft, work.key, work.since, envelope.to)
        case _ if envelope.to is not None:
            return await connector.reply(envelope.to, envelope.draft, work.key)
        case _:
            return await connector.publish(envelope.draft, work.key)


async def _written_down(context: JobContext, ready: Ready, work: Work, outcome: Outcome) -> datetime | None:
    """Write down what came of it. The network has spoken: a database that is away for a while must not make that unclear."""
    for number in range(RECORD_TRIES):
        try:
            return await context.runtime.database.together(lambda session: _write_down(session, context, ready, work, outcome))
        except (SQLAlchemyError, OSError) as error:
            if number == RECORD_TRIES - 1 or not is_unavailable(error):
                raise
            log.warning("outcome_not_recorded_yet", delivery_id=str(ready.id), error=type(error).__name__)
            await asyncio.sleep(min(0.1 * 2**number, 5.0))
    raise AssertionError("unreachable")


async def _write_down(session: AsyncSession, context: JobContext, ready: Ready, work: Work, outcome: Outcome) -> datetime | None:
    delivery = await locked(session, context.organisation_id, ready.id)
    now = context.runtime.clock.now()
    ended = await session.execute(
        _END_ATTEMPT,
        {
            "of_organisation": delivery.organisation_id,
            "of_attempt": work.attempt_id,
            "state": {"again": "not_sent", "held": "refused"}.get(outcome.kind, outcome.kind),
            "ended_at": now,
            "acted": outcome.acted,
            "status": outcome.status,
            "error_code": outcome.code,
            "error": outcome.reason,
            "external_id": outcome.external_id,
            "url": outcome.url,
        },
    )
    if ended.rowcount != 1 or delivery.attempt_id != work.attempt_id:  # type: ignore[attr-defined]
        # Whoever came later has called this try unclear already; our late word is not taken.
        raise LeaseLost(f"delivery {ready.id} is no longer ours")
    assert ready.presence is not None
    next_at = await settling.settle(session, context.runtime, delivery, ready.presence, work.action, outcome, now, unclear=work.unclear)
    if (work.probe or work.unclear) and delivery.state == models.PUBLISHED:
        await holds.lift(session, context.runtime, delivery.organisation_id, delivery.channel_id)
    faults.point("deliver.before_settled")
    return next_at


_END_ATTEMPT = (
    update(Attempt)
    .where(
        Attempt.organisation_id == bindparam("of_organisation", type_=Id()),
        Attempt.id == bindparam("of_attempt", type_=Id()),
        Attempt.state == "sending",
    )
    .values({name: bindparam(name) for name in ("state", "ended_at", "acted", "status", "error_code", "error", "external_id", "url")})
    .execution_options(synchronize_session=False)
)
SEND = Job(name=ADVANCE, handler=advance, payload=Advance, timeout=600.0, max_attempts=100)
