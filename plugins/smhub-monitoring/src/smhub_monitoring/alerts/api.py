"""How one asks about rules and alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Asking,
    Body,
    Caller,
    Conflict,
    Cursor,
    Department,
    Invalid,
    Limit,
    NotFound,
    Organisation,
    PathId,
    Process,
    Runtime,
    Session,
    Stale,
    changes,
    check_match,
    creates,
    does,
    fields_of,
    found,
    given_fields,
    new_id,
    note,
    own_page,
    parse,
    reads,
    removes,
    tagged,
)
from smhub_monitoring.alerts import schemas, targets_api, watching
from smhub_monitoring.alerts.measuring import Look
from smhub_monitoring.alerts.models import Alert, AlertRule, Notice, Target
from smhub_monitoring.alerts.targets_api import ID, READ, TAG, WRITE

InState = Annotated[
    str | None, QueryParameter(name="state", max_length=40, description="Only those in this state: raised, acknowledged or cleared.")
]
OfRule = Annotated[UUID | None, QueryParameter(description="Only those of this rule.")]


async def _check(session: AsyncSession, runtime: Runtime, caller: Caller, row: AlertRule) -> None:
    """Raise what is wrong with a rule, before it is kept."""
    parse(row.query, fields_of(runtime.hub))
    if row.department_id is not None and row.condition["kind"] == "intake_ill":
        raise Invalid.field("condition", "intakes belong to the whole organisation; leave the department out")
    if (row.quiet_from is None) != (row.quiet_until is None) or (row.quiet_from is not None and row.quiet_from == row.quiet_until):
        raise Invalid.field("quiet_until", "quiet hours have a beginning and another end; null for both: there are none")
    after = [step["after_minutes"] for step in row.steps]
    if after != sorted(after):
        raise Invalid.field("steps", "in the order of after_minutes")
    wanted = {UUID(one) for step in row.steps for one in step["target_ids"]}
    there = set(await session.scalars(select(Target.id).where(Target.organisation_id == caller.organisation_id, Target.id.in_(wanted))))
    if wanted - there:
        raise NotFound(what="target")


async def _may(session: AsyncSession, caller: Caller, permission: str, department_id: UUID | None) -> None:
    """A rule of the whole organisation needs the right everywhere, one of a department there."""
    if department_id is None:
        caller.need_everywhere(permission)
        return
    await found(session, Department, caller.organisation_id, department_id, "department")
    caller.need_for(permission, "department", department_id, None)


async def _the_rule(session: AsyncSession, caller: Caller, id_: UUID, permission: str, *, to_change: bool = False) -> AlertRule:
    row = await found(session, AlertRule, caller.organisation_id, id_, "alert rule", to_change=to_change)
    caller.need_for(permission, "alert rule", row.department_id, None)
    return row


async def _the_alert(session: AsyncSession, caller: Caller, id_: UUID, permission: str, *, to_change: bool = False) -> Alert:
    row = await found(session, Alert, caller.organisation_id, id_, "alert", to_change=to_change)
    caller.need_for(permission, "alert", row.department_id, None)
    return row


def _built(caller: Caller, data: schemas.MonitoringNewAlertRule, now: datetime) -> AlertRule:
    return AlertRule(
        organisation_id=caller.organisation_id,
        id=new_id(),
        name=data.name,
        condition=msgspec.to_builtins(data.condition),
        query=data.query,
        department_id=data.department_id,
        severity=data.severity,
        steps=msgspec.to_builtins(data.steps),
        quiet_from=data.quiet_from,
        quiet_until=data.quiet_until,
        cooldown_minutes=data.cooldown_minutes,
        enabled=data.enabled,
        next_at=now if data.enabled else None,
        created_at=now,
        version=1,
    )


async def _shown(session: AsyncSession, *rows: AlertRule) -> list[schemas.MonitoringAlertRule]:
    open_ = select(Alert.rule_id, Alert.id).where(Alert.rule_id.in_([row.id for row in rows]), Alert.cleared_at.is_(None))
    alerts: dict[UUID, UUID] = {one[0]: one[1] for one in await session.execute(open_)}
    return [schemas.rule(row, alerts.get(row.id)) for row in rows]


def _shown_alert(row: Alert) -> Response[schemas.MonitoringAlert]:
    return tagged(schemas.MonitoringAlert.of(row), row.version)


@reads("/alert-rules", READ, tag=TAG, plugin=ID)
async def monitoring_list_alert_rules(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schemas.MonitoringAlertRules:
    """Rules, the newest first."""
    statement = select(AlertRule)
    if (where := caller.scope(READ).where(AlertRule.department_id, None)) is not None:
        statement = statement.where(where)
    rows, more = await own_page(session, runtime, caller, AlertRule, statement, cursor, limit)
    return schemas.MonitoringAlertRules(items=await _shown(session, *rows), next_cursor=more)


@creates("/alert-rules", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_add_alert_rule(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringNewAlertRule]
) -> Response[schemas.MonitoringAlertRule]:
    """Watch from now on. Try it first: `POST /v1/monitoring/alert-rules/try`."""
    await _may(session, caller, WRITE, data.department_id)
    row = _built(caller, data, runtime.clock.now())
    await _check(session, runtime, caller, row)
    session.add(row)
    await session.flush()
    note(session, "monitoring_alert_rule", row.id, condition=row.condition["kind"])
    return tagged((await _shown(session, row))[0], row.version)


@does("/alert-rules/try", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_try_alert_rule(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringNewAlertRule]
) -> schemas.MonitoringMeasured:
    """What a rule would say now. Nothing is stored, nobody is told."""
    await _may(session, caller, READ, data.department_id)
    row = _built(caller, data, runtime.clock.now())
    await _check(session, runtime, caller, row)
    zone = ZoneInfo((await session.get_one(Organisation, caller.organisation_id)).time_zone)
    finding = await Look(session, fields_of(runtime.hub), row, zone, runtime.clock.now()).measure()
    return schemas.MonitoringMeasured(true=finding.true, figures=finding.figures, mention_ids=finding.mention_ids)


@reads("/alert-rules/{alert_rule_id:uuid}", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_alert_rule(caller: Asking, session: Session, alert_rule_id: PathId) -> Response[schemas.MonitoringAlertRule]:
    """One rule."""
    row = await _the_rule(session, caller, alert_rule_id, READ)
    return tagged((await _shown(session, row))[0], row.version)


@changes("/alert-rules/{alert_rule_id:uuid}", WRITE, NotFound, Stale, tag=TAG, plugin=ID)
async def monitoring_change_alert_rule(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    alert_rule_id: PathId,
    data: Body[schemas.MonitoringAlertRuleChange],
) -> Response[schemas.MonitoringAlertRule]:
    """Change a rule; it is looked at anew at once. One that is switched off clears its alert."""
    row = await _the_rule(session, caller, alert_rule_id, WRITE, to_change=True)
    check_match(request, row.version)
    change = given_fields(data)
    for name, value in change.items():
        setattr(row, name, msgspec.to_builtins(value))
    await _check(session, runtime, caller, row)
    row.next_at, row.problem = (runtime.clock.now() if row.enabled else None), None
    row.changed()
    await session.flush()
    if not row.enabled and (alert := await watching.open_alert(session, row)) is not None:
        await watching.clear(session, runtime, alert, runtime.clock.now())
    note(session, "monitoring_alert_rule", row.id, fields=sorted(change))
    return tagged((await _shown(session, row))[0], row.version)


@removes("/alert-rules/{alert_rule_id:uuid}", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_remove_alert_rule(caller: Asking, session: Session, alert_rule_id: PathId) -> None:
    """Forget a rule with its alerts. To keep them, switch it off: `enabled`."""
    row = await _the_rule(session, caller, alert_rule_id, WRITE, to_change=True)
    await session.delete(row)
    note(session, "monitoring_alert_rule", row.id)


@reads("/alerts", READ, tag=TAG, plugin=ID)
async def monitoring_list_alerts(
    caller: Asking,
    session: Session,
    runtime: Process,
    in_state: InState = None,
    rule_id: OfRule = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.MonitoringAlerts:
    """Alerts, the newest first."""
    statement = select(Alert)
    if (where := caller.scope(READ).where(Alert.department_id, None)) is not None:
        statement = statement.where(where)
    if in_state is not None:
        statement = statement.where(Alert.state == in_state)
    if rule_id is not None:
        statement = statement.where(Alert.rule_id == rule_id)
    rows, more = await own_page(session, runtime, caller, Alert, statement, cursor, limit)
    return schemas.MonitoringAlerts(items=[schemas.MonitoringAlert.of(row) for row in rows], next_cursor=more)


@reads("/alerts/{alert_id:uuid}", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_alert(caller: Asking, session: Session, alert_id: PathId) -> Response[schemas.MonitoringAlert]:
    """One alert."""
    return _shown_alert(await _the_alert(session, caller, alert_id, READ))


@reads("/alerts/{alert_id:uuid}/notices", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_list_notices(caller: Asking, session: Session, alert_id: PathId) -> schemas.MonitoringNotices:
    """Who was told of an alert, and who could not be."""
    alert = await _the_alert(session, caller, alert_id, READ)
    rows = await session.scalars(
        select(Notice).where(Notice.organisation_id == caller.organisation_id, Notice.alert_id == alert.id).order_by(Notice.id)
    )
    return schemas.MonitoringNotices(items=[msgspec.convert(row, schemas.MonitoringNotice, from_attributes=True) for row in rows])


@does("/alerts/{alert_id:uuid}/acknowledge", WRITE, NotFound, Conflict, tag=TAG, plugin=ID)
async def monitoring_acknowledge_alert(
    caller: Asking, session: Session, runtime: Process, alert_id: PathId
) -> Response[schemas.MonitoringAlert]:
    """Take care of it: nobody else is told. It clears by itself."""
    row = await _the_alert(session, caller, alert_id, WRITE, to_change=True)
    row.acknowledged(caller.member_id, runtime.clock.now())
    await session.flush()
    note(session, "monitoring_alert", row.id)
    await watching.tell_log(session, row, "monitoring.alert_acknowledged", runtime.clock.now(), caller.member_id)
    return _shown_alert(row)


ROUTES = [
    *targets_api.ROUTES,
    monitoring_list_alert_rules,
    monitoring_add_alert_rule,
    monitoring_try_alert_rule,
    monitoring_get_alert_rule,
    monitoring_change_alert_rule,
    monitoring_remove_alert_rule,
    monitoring_list_alerts,
    monitoring_get_alert,
    monitoring_list_notices,
    monitoring_acknowledge_alert,
]
