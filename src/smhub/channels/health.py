"""How an intake fares: each error of a network has one reaction, and every time that it is not well is a gap."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels.models import Gap, Intake
from smhub.events.log import Fact, record
from smhub.ids import new_id
from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    Gone,
    PermissionMissing,
    RateLimited,
    Unsupported,
)
from smhub.text import clean_text

CONNECTING, ACTIVE, DEGRADED, PAUSED = "connecting", "active", "degraded", "paused"
AUTH_REQUIRED, CONFIG_ERROR, BLOCKED, QUARANTINED = "auth_required", "config_error", "blocked", "quarantined"
STATES = (CONNECTING, ACTIVE, DEGRADED, AUTH_REQUIRED, CONFIG_ERROR, BLOCKED, QUARANTINED, PAUSED)
POLLED = (CONNECTING, ACTIVE, DEGRADED, QUARANTINED)
"""A quarantined one rarely, to see whether it is well again."""
WHY = {"crashed": "connector_crashed", "hung": "connector_hung", "memory": "connector_memory"}
ALONE = frozenset(WHY.values())
"""Why a poll of a quarantined intake runs alone."""

FAILURES_UNTIL_DEGRADED = 3
BUGS_UNTIL_QUARANTINE = 5
LONGEST_WAIT = 3600.0
PROBE = timedelta(minutes=10)
LONGEST_PROBE = timedelta(days=1)
LONGEST_REASON = 1000


def wait_after(failures: int, chance: random.Random, asked: float | None = None) -> timedelta:
    """How long to leave a network in peace: what it asked for, else doubling from 15 s to an hour, with jitter."""
    seconds = max(asked, 1.0) if asked is not None else min(15.0 * 2 ** min(failures - 1, 12), LONGEST_WAIT)
    return timedelta(seconds=min(seconds, LONGEST_WAIT) * (1 + 0.2 * chance.random()))


def until_probe(failures: int, chance: random.Random) -> timedelta:
    """How long a quarantined intake is left alone before one poll sees whether it is well: from 10 minutes, doubling to a day."""
    times = min(max(failures - BUGS_UNTIL_QUARANTINE, 0), 12)
    wait: timedelta = min(PROBE * 2**times, LONGEST_PROBE)
    return wait * (1 + 0.2 * chance.random())


async def succeeded(session: AsyncSession, intake: Intake, now: datetime) -> None:
    """A page was stored: the intake is well."""
    was = intake.state
    cursor_from = intake.last_success_at
    intake.becomes(ACTIVE, now)
    intake.failures, intake.reason, intake.reason_code, intake.back_off = 0, None, None, False
    intake.last_success_at = now
    if was == ACTIVE:
        return
    await _event(session, intake, "intake.connected" if was == CONNECTING else "intake.restored", now)
    for gap in await open_gaps(session, intake):
        if gap.to_at is None and gap.cause != "missed":
            gap.ended(now)
            gap.closed(
                now, f"the network continued from the cursor stored at {cursor_from.isoformat() if cursor_from else 'the start'}"
            )
            await _gap_event(session, gap, "gap.filled", now)


async def delivered(session: AsyncSession, intake: Intake, now: datetime) -> None:
    """An intake that is never polled got a delivery, or goes on after a pause: what came meanwhile was kept, and is taken in."""
    was = intake.state
    if was == PAUSED and intake.reason_code == "ended":
        return
    intake.becomes(ACTIVE if intake.last_delivery_at else CONNECTING, now)
    intake.failures, intake.reason, intake.reason_code, intake.back_off = 0, None, None, False
    if intake.state == was:
        return
    if intake.state == ACTIVE:
        await _event(session, intake, "intake.connected" if was == CONNECTING else "intake.restored", now)
    for gap in await open_gaps(session, intake):
        if gap.to_at is None and gap.cause != "missed":
            gap.ended(now)
            gap.closed(now, "what was delivered meanwhile was kept, and is taken in")
            await _gap_event(session, gap, "gap.filled", now)


async def failed(session: AsyncSession, intake: Intake, error: BaseException, now: datetime, chance: random.Random) -> None:
    """The network or the connector failed: note it, decide when to try again, open a gap."""
    intake.failures += 1
    intake.last_failure_at = now
    state, code, words = _verdict(intake, error)
    if intake.state == state == QUARANTINED and code not in ALONE and intake.reason_code in ALONE:
        # A probe that failed in another way: what it did before still holds.
        code, words = intake.reason_code, intake.reason or words
    asked = error.retry_after if isinstance(error, ConnectorError) else None
    wait = until_probe(intake.failures, chance) if state == QUARANTINED else wait_after(intake.failures, chance, asked)
    await _is_unwell(session, intake, state, code, words, now, now + wait if state in POLLED else None)


def tried_again(intake: Intake, now: datetime) -> None:
    """It is polled at once; it is not well until a page came, for a success closes the gap."""
    if intake.state not in (CONNECTING, ACTIVE):
        intake.becomes(DEGRADED if intake.last_success_at else CONNECTING, now)
    intake.failures, intake.next_poll_at = 0, now
    intake.reason_code = intake.reason = None


async def quarantined(session: AsyncSession, intake: Intake, why: str, words: str, now: datetime, chance: random.Random) -> None:
    """The connector, when it polled this intake alone, ended its worker: it is left alone for a while. `why` is a key of WHY."""
    intake.failures = max(intake.failures + 1, BUGS_UNTIL_QUARANTINE)
    intake.last_failure_at = now
    await _is_unwell(session, intake, QUARANTINED, WHY[why], words, now, now + until_probe(intake.failures, chance))


async def _is_unwell(
    session: AsyncSession, intake: Intake, state: str, code: str, words: str, now: datetime, next_poll_at: datetime | None
) -> None:
    was = intake.state
    intake.becomes(state, now)
    intake.reason_code, intake.reason, intake.back_off = code, clean_text(words, LONGEST_REASON), True
    intake.next_poll_at = next_poll_at
    if state not in (CONNECTING, ACTIVE) and was != state:
        await _event(session, intake, f"intake.{state}", now)
        if not any(gap.to_at is None for gap in await open_gaps(session, intake)):
            await open_gap(session, intake, state, intake.last_success_at or intake.created_at, now)


def _verdict(intake: Intake, error: BaseException) -> tuple[str, str, str]:
    """The state that follows, and why, in a code and in words."""
    if isinstance(error, ConnectorError):
        words = error.message
        if isinstance(error, AuthExpired):
            return AUTH_REQUIRED, error.kind, words
        if isinstance(error, ConfigInvalid):
            return CONFIG_ERROR, error.kind, f"{error.field}: {words}" if error.field else words
        if isinstance(error, Gone):
            return CONFIG_ERROR, error.kind, words
        if isinstance(error, PermissionMissing | Unsupported):
            return BLOCKED, error.kind, words
        if isinstance(error, RateLimited):
            return intake.state, error.kind, words
        known = intake.state in (DEGRADED, QUARANTINED) or intake.failures < FAILURES_UNTIL_DEGRADED
        state = intake.state if known else DEGRADED
        return state, error.kind, words
    words = f"the connector failed: {type(error).__name__}"
    return (QUARANTINED if intake.failures >= BUGS_UNTIL_QUARANTINE else DEGRADED), "connector_bug", words


_ADVICE = {
    CONNECTING: "Wait: it has not been read yet.",
    DEGRADED: "Nothing: it is tried again by itself. When it lasts, look whether the network is up and reachable from here.",
    AUTH_REQUIRED: "Authorise its channel again where the network has an authorisation, else give new credentials in the settings of its "
    "channel or listener; then it is tried at once.",
    CONFIG_ERROR: "Mend the settings of its channel or listener; then it is tried at once.",
    BLOCKED: "Give the account the permissions that it lacks on the network, then resume the channel or listener.",
    QUARANTINED: "Update or mend the plugin that speaks this network and restart the hub. It is tried again by itself, at `next_poll_at`; "
    "to try it at once, resume the channel or listener.",
    PAUSED: "Resume the channel or listener when it is wanted again.",
}


def advice(intake: Intake) -> str | None:
    """What a person can do about the state; None when nothing needs to be done."""
    if intake.reason_code == "budget_spent":
        return "It goes on by itself at `next_poll_at`. To go on today resume the listener; to hear less narrow its query, else raise its budget."
    return None if intake.reason_code == "ended" else _ADVICE.get(intake.state)


async def open_gaps(session: AsyncSession, intake: Intake) -> list[Gap]:
    """The intake's gaps that are not closed."""
    statement = select(Gap).where(
        Gap.organisation_id == intake.organisation_id, Gap.intake_id == intake.id, Gap.state.in_(("open", "filling"))
    )
    return list((await session.scalars(statement)).all())


async def open_gap(
    session: AsyncSession,
    intake: Intake,
    cause: str,
    from_at: datetime,
    now: datetime,
    *,
    to_at: datetime | None = None,
    reason: str | None = None,
) -> Gap:
    """Something may be missing from `from_at` on."""
    gap = Gap(
        organisation_id=intake.organisation_id,
        id=new_id(),
        intake_id=intake.id,
        state="open",
        cause=cause,
        from_at=from_at,
        to_at=to_at,
        reason=clean_text(reason, LONGEST_REASON) if reason else None,
        found=0,
        opened_at=now,
    )
    session.add(gap)
    await session.flush()
    await _gap_event(session, gap, "gap.opened", now)
    return gap


async def gap_closed(session: AsyncSession, gap: Gap, now: datetime, *, proof: str | None = None, reason: str | None = None) -> None:
    """Close a gap: with a proof that nothing is missing, or with the reason why we cannot know."""
    if proof is not None:
        gap.closed(now, proof)
    else:
        gap.closed_in_part(now, reason or "")
    await _gap_event(session, gap, "gap.filled", now)


async def _event(session: AsyncSession, intake: Intake, type_: str, now: datetime) -> None:
    data: dict[str, Any] = {
        "network": intake.network,
        "channel_id": str(intake.channel_id) if intake.channel_id else None,
        "listener_id": str(intake.listener_id) if intake.listener_id else None,
        "reason_code": intake.reason_code,
    }
    await record(
        session,
        Fact(organisation_id=intake.organisation_id, type=type_, subject_type="intake", subject_id=intake.id, at=now, data=data),
    )


async def _gap_event(session: AsyncSession, gap: Gap, type_: str, now: datetime) -> None:
    data = {"intake_id": str(gap.intake_id), "state": gap.state}
    await record(
        session, Fact(organisation_id=gap.organisation_id, type=type_, subject_type="gap", subject_id=gap.id, at=now, data=data)
    )
