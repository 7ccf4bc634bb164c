"""How an intake's stream fares. It is beside the polls: a stream that broke is a delay, and an intake is no worse for it.

Where there are no polls the stream speaks for the intake, and its health is the stream's.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels import health
from smhub.channels.models import Channel, Intake, Listener
from smhub.hub.runtime import Runtime
from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    Connector,
    ConnectorError,
    CursorExpired,
    FetchesMentions,
    Gone,
    PermissionMissing,
    Searches,
    Streams,
    StreamsSearches,
    Unsupported,
)
from smhub.text import clean_text

CONNECTING, OPEN, WAITING, REFUSED = "connecting", "open", "waiting", "refused"
STATES = (CONNECTING, OPEN, WAITING, REFUSED)
FIRST_WAIT, LONGEST_WAIT, JUDGED_WAIT = 2.0, 600.0, 60.0
UNTIL_REFUSED_AGAIN = timedelta(days=1)
UNTIL_PROBE = timedelta(hours=1)


def is_heard(connector: type[Connector[Any]], row: Channel | Listener) -> bool:
    """Whether the network tells such a source by a stream."""
    return issubclass(connector, Streams if isinstance(row, Channel) else StreamsSearches)


def is_asked(connector: type[Connector[Any]], intake: Intake) -> bool:
    """Whether it is polled as well."""
    return issubclass(connector, FetchesMentions if intake.channel_id is not None else Searches)


def poll_seconds(runtime: Runtime, intake: Intake, usual: float) -> float:
    """How often it is polled: rarely while the stream is well."""
    return max(usual, float(runtime.settings.stream_poll_seconds)) if intake.stream_state == OPEN else usual


def wanted(intake: Intake, now: datetime) -> None:
    """It is opened at once, and with a clean slate: it is new, or somebody mended what was wrong."""
    if intake.stream_state is not None:
        if intake.stream_state != OPEN:
            intake.stream_becomes(CONNECTING, now)
        intake.stream_failures, intake.stream_next_at = 0, now


def unwanted(intake: Intake, now: datetime) -> None:
    """Nobody listens any more; whoever does notices it by the intake's state."""
    if intake.stream_state is not None:
        intake.stream_becomes(CONNECTING, now)
        intake.stream_next_at = None


async def heard(session: AsyncSession, runtime: Runtime, intake: Intake, asked: bool, now: datetime, *, anew: bool = False) -> None:
    """The network was heard. When the stream was only just opened (`anew`), what happened before that is asked for at once."""
    anew = anew or intake.stream_state != OPEN
    intake.stream_becomes(OPEN, now)
    intake.stream_heard_at = now
    if not anew:
        return
    if not asked:
        await _speaks(session, runtime, intake, now)
    elif intake.next_poll_at is not None and not intake.back_off:
        intake.next_poll_at = min(intake.next_poll_at, now)


async def _speaks(session: AsyncSession, runtime: Runtime, intake: Intake, now: datetime) -> None:
    """Without polls the stream speaks for the intake. A gap is only proven to be filled where the network continues from a place."""
    if intake.stream_cursor is None:
        for gap in await health.open_gaps(session, intake):
            if gap.to_at is None:
                gap.ended(now)
            await health.gap_closed(session, gap, now, reason="the network tells nothing of what passed while its stream was closed")
    await health.succeeded(session, intake, now)
    intake.next_poll_at = None


async def closed(
    session: AsyncSession, runtime: Runtime, intake: Intake, error: BaseException, asked: bool, steady: bool, now: datetime
) -> None:
    """It ended or failed: when it is opened again, and what follows for the intake. `steady`: it had been well for a while."""
    intake.stream_failures = 1 if steady else intake.stream_failures + 1
    code, words = _words(error)
    if isinstance(error, PermissionMissing | Unsupported | ConfigInvalid | Gone):
        intake.stream_becomes(REFUSED, now, code, clean_text(words, health.LONGEST_REASON))
        intake.stream_next_at = now + UNTIL_REFUSED_AGAIN * (1 + 0.1 * runtime.chance.random())
    else:
        intake.stream_becomes(WAITING, now, code, clean_text(words, health.LONGEST_REASON))
        intake.stream_next_at = now + _wait(intake, error, runtime.chance)
    if isinstance(error, CursorExpired):
        intake.stream_cursor = None
    if not asked:
        if isinstance(error, CursorExpired):
            since = intake.last_success_at or intake.created_at
            await health.open_gap(session, intake, "missed", since, now, to_at=now, reason="the network forgot our place in its stream")
        await health.failed(session, intake, error, now, runtime.chance)
        intake.next_poll_at = None
        return
    # From here on the polls are all there is, and they judge whether credentials are still good: some networks call it by the same name when
    # a token may read but not listen.
    if intake.next_poll_at is not None and not intake.back_off:
        at_once = isinstance(error, AuthExpired | CursorExpired)
        usual = float(runtime.settings.poll_seconds)
        intake.next_poll_at = min(intake.next_poll_at, now if at_once else now + timedelta(seconds=usual * runtime.chance.random()))


def killed(intake: Intake, code: str, words: str, now: datetime) -> None:
    """The connector, when it listened alone, ended its worker."""
    intake.stream_failures += 1
    intake.stream_becomes(WAITING, now, code, clean_text(words, health.LONGEST_REASON))
    intake.stream_next_at = now + min(UNTIL_PROBE * 2 ** min(intake.stream_failures - 1, 5), timedelta(days=1))


def _wait(intake: Intake, error: BaseException, chance: random.Random) -> timedelta:
    """What the network asked for, else doubling from two seconds to ten minutes, with so much jitter that not all come back at once."""
    asked = error.retry_after if isinstance(error, ConnectorError) else None
    least = JUDGED_WAIT if isinstance(error, AuthExpired) else FIRST_WAIT
    seconds = (
        min(max(asked, 1.0), health.LONGEST_WAIT)
        if asked is not None
        else min(least * 2 ** min(intake.stream_failures - 1, 12), LONGEST_WAIT)
    )
    return timedelta(seconds=seconds * (1 + 0.5 * chance.random()))


def _words(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ConnectorError):
        return error.kind, error.message
    return "connector_bug", f"the connector failed: {type(error).__name__}"
