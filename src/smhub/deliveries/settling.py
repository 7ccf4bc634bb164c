"""What follows on an outcome, and how the unclear becomes clear: by the key, the container, our own look, or a person. Never by guessing.

An unclear delivery is left alone for the time that the network may still work on the lost request (`settle_seconds`). Then:
key        the same is said again under the same key, while the network remembers it; later we look, if we can
container  the container is asked how far it is; without one a new container harms nobody
lookup     we look twice; found: it is out; twice surely not there: it is sent again
none       we look twice, if we can; found: it is out; not found proves nothing: a person decides

What came out of a backup may have gone out since (`restored_from`). Then nothing is said again but under a key that the network still
remembers, and only while it may be said: not before it is due and not too late. A new container may be a second one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.deliveries import holds, models
from smhub.deliveries.envelope import Presence
from smhub.deliveries.models import Attempt, Delivery
from smhub.deliveries.outcomes import BUG, Outcome
from smhub.deliveries.telling import tell
from smhub.hub.runtime import Runtime
from smhub.sdk import Publishes

KEY_MARGIN = timedelta(seconds=60)
LOOKS = 2
BUGS = 5
PENDING_AT_MOST = timedelta(hours=1)
LATER = timedelta(hours=1)
NO_PROOF = "it was looked for and not found, which proves nothing on this network; a person decides"
SETTLED_BY = {"publish": "key", "check": "container", "find": "lookup"}


def next_step(runtime: Runtime, delivery: Delivery, presence: Presence | None, now: datetime) -> str | None:
    """What the hub itself can do next for a pending or unclear delivery; None: a person decides."""
    if presence is None:
        return None
    if delivery.pending is not None:
        return "check"
    restored = delivery.restored_from is not None
    if presence.safety == "key" and _key_is_remembered(delivery, presence, now) and not (restored and not _in_time(delivery, now)):
        return "publish"
    if presence.safety == "container" and not restored:
        return "publish"
    connector = runtime.hub.connectors[delivery.network]
    can_look = getattr(connector, "find_published", Publishes.find_published) is not Publishes.find_published
    return "find" if can_look and not (presence.safety == "none" and _looked_enough(delivery)) else None


def _looked_enough(delivery: Delivery) -> bool:
    return delivery.reason == NO_PROOF


def _key_is_remembered(delivery: Delivery, presence: Presence, now: datetime) -> bool:
    if presence.key_seconds == 0 or delivery.first_sent_at is None:
        return True
    return now + KEY_MARGIN < delivery.first_sent_at + timedelta(seconds=presence.key_seconds)


def _in_time(delivery: Delivery, now: datetime) -> bool:
    """Whether it might be said for the first time now."""
    due = delivery.due_at or now
    return due <= now <= due + timedelta(seconds=delivery.max_lateness)


def next_look(runtime: Runtime, delivery: Delivery, presence: Presence | None, now: datetime) -> datetime | None:
    """When the hub itself does something about a pending or unclear delivery; None: a person decides."""
    if presence is None:
        return now + LATER
    soon = now + timedelta(seconds=presence.settle_seconds)
    times = [soon]
    if delivery.restored_from is not None and delivery.due_at is not None and delivery.due_at > soon:
        times.append(delivery.due_at)
    return next((at for at in times if next_step(runtime, delivery, presence, at) is not None), None)


async def abandoned_by_its_worker(
    session: AsyncSession, runtime: Runtime, delivery: Delivery, presence: Presence | None, now: datetime
) -> datetime | None:
    """Its row says that it is being sent, and nobody sends it: what came of it is unclear."""
    attempt = await session.get(Attempt, (delivery.organisation_id, delivery.attempt_id))
    if attempt is not None and attempt.state == "sending":
        attempt.state, attempt.ended_at, attempt.error_code = "unknown", now, "worker_died"
        attempt.error = "the worker ended while it was being sent"
    outcome = Outcome(kind="unknown", code="worker_died", reason="the worker ended while it was being sent")
    return await _unclear(session, runtime, delivery, presence, outcome, now)


async def settle(
    session: AsyncSession,
    runtime: Runtime,
    delivery: Delivery,
    presence: Presence,
    action: str,
    outcome: Outcome,
    now: datetime,
    *,
    unclear: bool,
) -> datetime | None:
    """Bring the delivery to the state that the outcome means; returns when to look again. `unclear`: an earlier try may be out, so
    a no to this one proves nothing."""
    if outcome.code == BUG:
        await _count_bugs(session, delivery, now)
    match outcome.kind:
        case "published":
            await _out(session, delivery, action, outcome, now, unclear=unclear)
            return None
        case "pending":
            # An earlier container may hang there unpublished; only this one is looked after from now on.
            delivery.settled_by = "container" if unclear else delivery.settled_by
            return await _pending(session, delivery, outcome, now)
        case "unknown" if action == "find":
            return _stays(delivery, outcome, None)
        case "unknown":
            return await _unclear(session, runtime, delivery, presence, outcome, now)
        case "not_found":
            return await _not_found(session, runtime, delivery, presence, now)
        case "held":
            await _hold(session, delivery, outcome, now)
    checked = action == "check"
    if (unclear or checked) and not (checked and outcome.kind == "refused"):
        if delivery.state == models.SENDING:
            delivery.becomes(models.UNKNOWN, now)
        return _stays(delivery, outcome, None if outcome.kind == "refused" else _wait(runtime, delivery, outcome, now))
    if outcome.kind == "again":
        delivery.becomes(models.QUEUED, now, code=outcome.code, reason=outcome.reason)
        delivery.next_at = _wait(runtime, delivery, outcome, now)
        return delivery.next_at
    delivery.becomes(models.HELD if outcome.kind == "held" else models.REFUSED, now, code=outcome.code, reason=outcome.reason)
    await tell(session, delivery, f"delivery.{delivery.state}", now)
    return None


async def _out(session: AsyncSession, delivery: Delivery, action: str, outcome: Outcome, now: datetime, *, unclear: bool) -> None:
    delivery.becomes(models.PUBLISHED, now)
    delivery.external_id, delivery.url, delivery.published_at = outcome.external_id, outcome.url, now
    delivery.pending, delivery.tries = None, 0
    if unclear or delivery.settled_by == "container":
        delivery.settled_by = SETTLED_BY[action]
        await tell(session, delivery, "delivery.reconciled", now)
    await tell(session, delivery, "delivery.published", now)


async def _pending(session: AsyncSession, delivery: Delivery, outcome: Outcome, now: datetime) -> datetime | None:
    delivery.pending = outcome.state
    of = (Attempt.organisation_id == delivery.organisation_id, Attempt.delivery_id == delivery.id, Attempt.action == "publish")
    began: datetime | None = (await session.execute(select(func.max(Attempt.started_at)).where(*of))).scalar_one()
    if began is not None and now - began > PENDING_AT_MOST:
        if delivery.state != models.UNKNOWN:
            delivery.becomes(models.UNKNOWN, now)
        delivery.reason_code, delivery.reason = "pending_too_long", "the network has not finished it within an hour"
        delivery.next_at = None
        await tell(session, delivery, "delivery.unknown", now)
        return None
    if delivery.state != models.PENDING:
        delivery.becomes(models.PENDING, now)
        await tell(session, delivery, "delivery.pending", now)
    delivery.next_at = now + timedelta(seconds=max(outcome.after or 0.0, 0.1))
    return delivery.next_at


async def _unclear(
    session: AsyncSession, runtime: Runtime, delivery: Delivery, presence: Presence | None, outcome: Outcome, now: datetime
) -> datetime | None:
    if delivery.state != models.UNKNOWN:
        delivery.becomes(models.UNKNOWN, now, code=outcome.code, reason=outcome.reason)
        delivery.tries = 0
        await tell(session, delivery, "delivery.unknown", now)
    delivery.next_at = next_look(runtime, delivery, presence, now)
    return delivery.next_at


async def _not_found(session: AsyncSession, runtime: Runtime, delivery: Delivery, presence: Presence, now: datetime) -> datetime | None:
    if await _looks(session, delivery) < LOOKS:
        delivery.next_at = now + timedelta(seconds=presence.settle_seconds)
        return delivery.next_at
    if presence.safety == "none":
        return _stays(delivery, Outcome(kind="unknown", code="not_found", reason=NO_PROOF), None)
    delivery.becomes(models.QUEUED, now, code="not_found", reason="the network does not have it; it is sent again")
    # One that was restored may have been looked for before its time.
    delivery.tries, delivery.next_at = 0, max(now, delivery.due_at or now)
    await tell(session, delivery, "delivery.queued", now)
    return delivery.next_at


async def _looks(session: AsyncSession, delivery: Delivery) -> int:
    """How often it was surely not there since it became unclear; a look that failed is none."""
    of = (Attempt.organisation_id == delivery.organisation_id, Attempt.delivery_id == delivery.id)
    in_vain = (Attempt.action == "find", Attempt.state == "not_found", Attempt.started_at >= delivery.updated_at)
    return int((await session.execute(select(func.count()).where(*of, *in_vain))).scalar_one())


def _stays(delivery: Delivery, outcome: Outcome, next_at: datetime | None) -> datetime | None:
    """Nothing new is known: the state stays, the last word about it is kept."""
    delivery.reason_code, delivery.reason, delivery.next_at = outcome.code, outcome.reason, next_at
    return next_at


def _wait(runtime: Runtime, delivery: Delivery, outcome: Outcome, now: datetime) -> datetime:
    """When to try again: as the network asked, else doubling from 5 s to ten minutes, with jitter."""
    delivery.tries += 1
    seconds = outcome.after if outcome.after is not None else min(5.0 * 2 ** min(delivery.tries - 1, 10), 600.0)
    return now + timedelta(seconds=max(seconds, 0.1) * (1 + 0.2 * runtime.chance.random()))


async def _hold(session: AsyncSession, delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    reason = outcome.reason or "the network asks for other credentials or settings"
    await holds.place(
        session, delivery.organisation_id, now, cause=outcome.code or "held", reason=reason, channel_id=delivery.channel_id
    )


async def _count_bugs(session: AsyncSession, delivery: Delivery, now: datetime) -> None:
    """A connector that fails by its own fault again and again is left alone, and probed now and then."""
    of = (Attempt.organisation_id == delivery.organisation_id, Attempt.channel_id == delivery.channel_id)
    last = (await session.scalars(select(Attempt.error_code).where(*of).order_by(Attempt.id.desc()).limit(BUGS))).all()
    if len(last) == BUGS and set(last) == {BUG}:
        reason = f"the connector failed {BUGS} times in a row by its own fault; release the hold to try at once"
        await holds.place(session, delivery.organisation_id, now, cause=BUG, reason=reason, channel_id=delivery.channel_id)
