"""Who is told when: the steps of a rule, quiet hours, and one notice for each target. A notice may come twice when a worker dies while it
tells, and is never left out."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    JobContext,
    Mention,
    Organisation,
    Runtime,
    SecretOwner,
    add_unless_there,
    get_secrets,
    later,
    new_id,
    still_ours,
    tell_people,
)
from smhub.sdk import Job, Secret
from smhub_monitoring.alerts import wording
from smhub_monitoring.alerts.models import FAILED, TOLD, WAITING, Alert, AlertRule, Notice, Target

log = structlog.get_logger("smhub.monitoring")

ADDRESS = "address"
TRIES = 6
FIRST_WAIT = timedelta(seconds=30)
EXAMPLES = 5


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Which notice is to be told."""

    notice_id: UUID


def owner(organisation_id: UUID, target_id: UUID) -> SecretOwner:
    """Where a target's address lies."""
    return SecretOwner(organisation_id, Target.__tablename__, target_id)


def first_step(rule: AlertRule, now: datetime) -> datetime | None:
    """When the first of a rule's steps is due, quiet hours aside; None when nobody is to be told."""
    return now + timedelta(minutes=rule.steps[0]["after_minutes"]) if rule.steps else None


def after_quiet(rule: AlertRule, zone: ZoneInfo, at: datetime) -> datetime:
    """The first moment from `at` on that is not in the rule's quiet hours. What is critical knows none."""
    if rule.quiet_from is None or rule.quiet_until is None or rule.severity == "critical":
        return at
    begins, ends = time.fromisoformat(rule.quiet_from), time.fromisoformat(rule.quiet_until)
    local = at.astimezone(zone)
    wall = local.time().replace(tzinfo=None)
    over_night = begins > ends
    if not (wall >= begins or wall < ends if over_night else begins <= wall < ends):
        return at
    day = local.date() + timedelta(days=1 if over_night and wall >= begins else 0)
    return datetime.combine(day, ends, zone).astimezone(at.tzinfo)


async def take_steps(context: JobContext) -> None:
    """Take the steps that are due, each once."""
    runtime = context.runtime
    now = runtime.clock.now()
    due = select(Alert.organisation_id, Alert.id).where(Alert.next_step_at <= now).order_by(Alert.next_step_at).limit(100)
    async with runtime.database.read() as session:
        alerts = (await session.execute(due)).all()
    for organisation_id, alert_id in alerts:
        async with runtime.database.write() as session:
            await still_ours(session, context)
            alert = await session.get(Alert, (organisation_id, alert_id), with_for_update=True)
            if alert is not None and alert.next_step_at is not None and alert.next_step_at <= now:
                await _take_step(session, runtime, alert, now)


async def _take_step(session: AsyncSession, runtime: Runtime, alert: Alert, now: datetime) -> None:
    rule = await session.get_one(AlertRule, (alert.organisation_id, alert.rule_id))
    zone = ZoneInfo((await session.get_one(Organisation, alert.organisation_id)).time_zone)
    if (loud := after_quiet(rule, zone, now)) > now:
        alert.next_step_at = loud
        return
    number = alert.steps_done
    alert.next_step_at = None
    if number < len(rule.steps):
        known = select(Target.id).where(Target.organisation_id == alert.organisation_id, Target.id.in_(_targets(rule.steps[number])))
        for target_id in (await session.scalars(known.order_by(Target.id))).all():
            await _notice(session, alert, target_id, "raised", number, now)
        alert.steps_done = number + 1
    if alert.steps_done < len(rule.steps):
        alert.next_step_at = max(now, alert.raised_at + timedelta(minutes=rule.steps[alert.steps_done]["after_minutes"]))


def _targets(step: dict[str, list[str]]) -> list[UUID]:
    return [UUID(one) for one in step["target_ids"]]


async def tell_that_it_is_over(session: AsyncSession, runtime: Runtime, alert: Alert, now: datetime) -> None:
    """Whoever was told that it began."""
    told = select(Notice.target_id).where(
        Notice.organisation_id == alert.organisation_id, Notice.alert_id == alert.id, Notice.what == "raised", Notice.state == TOLD
    )
    for target_id in (await session.scalars(told.distinct().order_by(Notice.target_id))).all():
        await _notice(session, alert, target_id, "cleared", 0, now)


async def _notice(session: AsyncSession, alert: Alert, target_id: UUID, what: str, step: int, now: datetime) -> None:
    row = {
        "organisation_id": alert.organisation_id,
        "id": new_id(),
        "alert_id": alert.id,
        "target_id": target_id,
        "what": what,
        "step": step,
        "state": WAITING,
        "attempts": 0,
        "due_at": now,
    }
    if await add_unless_there(session, Notice, row, ("organisation_id", "alert_id", "what", "step", "target_id")):
        payload = Notify(notice_id=row["id"])  # type: ignore[arg-type]
        await later(session, NOTIFY, payload, now=now, organisation_id=alert.organisation_id, priority=10)


async def notify(context: JobContext, payload: Notify) -> datetime | None:
    """Tell one target; a service that does not take it is asked again, later each time."""
    runtime, organisation_id = context.runtime, context.organisation_id
    assert organisation_id is not None
    async with runtime.database.write() as session:
        await still_ours(session, context)
        notice = await session.get(Notice, (organisation_id, payload.notice_id), with_for_update=True)
        if notice is None or notice.state != WAITING:
            return None
        target = await session.get_one(Target, (organisation_id, notice.target_id))
        address = (await get_secrets(session, runtime.keyring, owner(organisation_id, target.id)))[ADDRESS]
        title, body = await _words(session, runtime, notice, target)
        notice.attempts += 1
    return await _told(context, payload, address, title, body)


async def _told(context: JobContext, payload: Notify, address: Secret, title: str, body: str) -> datetime | None:
    runtime = context.runtime
    outcome = await tell_people(runtime.settings, address, title=title, body=body)
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        notice = await session.get(Notice, (context.organisation_id, payload.notice_id), with_for_update=True)
        if notice is None:
            return None
        if outcome.ok:
            notice.was_told(now)
        elif notice.attempts >= TRIES or outcome.code in ("unknown", "private"):
            notice.was_not_told(outcome.reason or outcome.code)
            log.warning("notice_failed", notice_id=str(notice.id), code=outcome.code)
        else:
            notice.reason = outcome.reason
            again: datetime = now + FIRST_WAIT * 2 ** (notice.attempts - 1)
            return again
    return None


async def _words(session: AsyncSession, runtime: Runtime, notice: Notice, target: Target) -> tuple[str, str]:
    alert = await session.get_one(Alert, (notice.organisation_id, notice.alert_id))
    rule = await session.get_one(AlertRule, (notice.organisation_id, alert.rule_id))
    zone = ZoneInfo((await session.get_one(Organisation, notice.organisation_id)).time_zone)
    ids = [UUID(one) for one in alert.mention_ids[:EXAMPLES]]
    shown = select(Mention.network, Mention.url, Mention.published_at).where(
        Mention.organisation_id == notice.organisation_id, Mention.id.in_(ids)
    )
    examples = [
        (network, url, at)
        for network, url, at in (await session.execute(shown.order_by(Mention.published_at.desc(), Mention.id))).all()
    ]
    return wording.words(
        target.language,
        what=notice.what,
        name=rule.name,
        severity=alert.severity,
        kind=rule.condition["kind"],
        figures=alert.figures,
        raised_at=alert.raised_at.astimezone(zone),
        cleared_at=alert.cleared_at.astimezone(zone) if alert.cleared_at else None,
        examples=examples,
        address=f"{runtime.settings.base_url}/v1/monitoring/alerts/{alert.id}",
    )


NOTIFY = Job(name="monitoring.notify", handler=notify, payload=Notify, timeout=90.0, max_attempts=10)
__all__ = ["FAILED", "NOTIFY", "Notify", "after_quiet", "first_step", "notify", "owner", "take_steps", "tell_that_it_is_over"]
