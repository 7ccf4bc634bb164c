"""Looking at the rules, some of them every few seconds: what comes true is raised once, what is not true any more clears."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Fact, HubError, JobContext, Organisation, Runtime, fields_of, new_id, record, still_ours
from smhub.sdk import Job
from smhub_monitoring.alerts import conditions, telling
from smhub_monitoring.alerts.measuring import Finding, Look
from smhub_monitoring.alerts.models import ACKNOWLEDGED, CLEARED, RAISED, Alert, AlertRule

log = structlog.get_logger("smhub.monitoring")

EVERY = {"new_word": timedelta(minutes=5), "silence": timedelta(minutes=5)}
USUALLY = timedelta(seconds=30)
UNTIL_CLEAR = timedelta(minutes=10)
AT_ONCE = 100


async def watch(context: JobContext, _: None) -> None:
    """Look at every rule that is due, the longest waiting first, and take the steps that are due."""
    runtime = context.runtime
    now = runtime.clock.now()
    due = select(AlertRule.organisation_id, AlertRule.id).where(AlertRule.next_at <= now).order_by(AlertRule.next_at).limit(AT_ONCE)
    async with runtime.database.read() as session:
        rules = (await session.execute(due)).all()
    for organisation_id, rule_id in rules:
        await _look_at(context, organisation_id, rule_id)
    await telling.take_steps(context)


async def _look_at(context: JobContext, organisation_id: UUID, rule_id: UUID) -> None:
    runtime = context.runtime
    now = runtime.clock.now()
    problem, finding = None, None
    async with runtime.database.read() as session:
        rule = await session.get(AlertRule, (organisation_id, rule_id))
        if rule is None:
            return
        zone = ZoneInfo((await session.get_one(Organisation, organisation_id)).time_zone)
        seen = rule.version
        try:
            finding = await Look(session, fields_of(runtime.hub), rule, zone, now).measure()
        except HubError as error:
            # A field that its query names belonged to a plugin that is off now.
            problem = error.detail()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        rule = await session.get(AlertRule, (organisation_id, rule_id), with_for_update=True)
        if rule is None or rule.version != seen or rule.next_at is None:
            return
        rule.looked_at, rule.problem = now, problem
        rule.next_at = now + EVERY.get(rule.condition["kind"], USUALLY)
        if finding is not None:
            await _judge(session, runtime, rule, finding, now)


async def _judge(session: AsyncSession, runtime: Runtime, rule: AlertRule, finding: Finding, now: datetime) -> None:
    alert = await open_alert(session, rule)
    if alert is None and finding.true and await _is_news(session, rule, now):
        await raise_alert(session, rule, finding, now)
    elif alert is not None and finding.true:
        alert.still_true(now)
    elif alert is not None and now - alert.true_at >= _until_clear(rule):
        await clear(session, runtime, alert, now)


def _until_clear(rule: AlertRule) -> timedelta:
    """What happens once is true at one look only; it stays for the time that the rule says."""
    condition = conditions.read(rule.condition)
    if isinstance(condition, conditions.MonitoringInfluentialAuthor):
        return timedelta(minutes=condition.minutes)
    return UNTIL_CLEAR


async def open_alert(session: AsyncSession, rule: AlertRule) -> Alert | None:
    """The rule's alert that is not cleared."""
    of = select(Alert).where(Alert.organisation_id == rule.organisation_id, Alert.rule_id == rule.id, Alert.cleared_at.is_(None))
    return (await session.scalars(of.with_for_update())).first()


async def _is_news(session: AsyncSession, rule: AlertRule, now: datetime) -> bool:
    """Whether the rule has been quiet for its cooldown."""
    since = now - timedelta(minutes=rule.cooldown_minutes)
    of = (Alert.organisation_id == rule.organisation_id, Alert.rule_id == rule.id, Alert.cleared_at > since)
    return (await session.execute(select(Alert.id).where(*of).limit(1))).first() is None


async def raise_alert(session: AsyncSession, rule: AlertRule, finding: Finding, now: datetime) -> Alert:
    """Raise it, once; the first step is due at once."""
    alert = Alert(
        organisation_id=rule.organisation_id,
        id=new_id(),
        rule_id=rule.id,
        department_id=rule.department_id,
        state=RAISED,
        severity=rule.severity,
        figures=finding.figures,
        mention_ids=[str(one) for one in finding.mention_ids],
        raised_at=now,
        true_at=now,
        steps_done=0,
        next_step_at=telling.first_step(rule, now),
        version=1,
    )
    session.add(alert)
    await session.flush()
    await tell_log(session, alert, "monitoring.alert_raised", now)
    return alert


async def clear(session: AsyncSession, runtime: Runtime, alert: Alert, now: datetime) -> None:
    """It is over; whoever was told that it began is told that too."""
    alert.cleared(now)
    await tell_log(session, alert, "monitoring.alert_cleared", now)
    await telling.tell_that_it_is_over(session, runtime, alert, now)


async def tell_log(session: AsyncSession, alert: Alert, type_: str, now: datetime, by: UUID | None = None) -> None:
    """An event of the alert."""
    data: dict[str, Any] = {
        "rule_id": str(alert.rule_id),
        "department_id": str(alert.department_id) if alert.department_id else None,
        "severity": alert.severity,
        "mention_ids": alert.mention_ids,
    }
    fact = Fact(
        organisation_id=alert.organisation_id,
        type=type_,
        subject_type="monitoring_alert",
        subject_id=alert.id,
        at=now,
        actor_id=by,
        data=data,
    )
    await record(session, fact)


class MonitoringAlertData(msgspec.Struct, kw_only=True):
    """What an event of an alert tells."""

    rule_id: UUID
    department_id: UUID | None
    severity: str
    mention_ids: list[UUID]


WATCH = Job(name="monitoring.watch", handler=watch, payload=None, timeout=120.0, max_attempts=1, every=10.0)
OPEN = (RAISED, ACKNOWLEDGED)
__all__ = ["CLEARED", "OPEN", "WATCH", "MonitoringAlertData", "clear", "open_alert", "raise_alert", "tell_log", "watch"]
