"""How one asks about reports that people get regularly."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Asking,
    Body,
    Caller,
    Cursor,
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
    fields_of,
    found,
    given_fields,
    new_id,
    note,
    page,
    reads,
    removes,
    tagged,
)
from smhub_monitoring.alerts.models import Target
from smhub_monitoring.reports import asking, schedule_schemas
from smhub_monitoring.reports.api import ID, READ, TAG, WRITE, may
from smhub_monitoring.reports.asking import Period
from smhub_monitoring.reports.models import ReportRun, ReportSchedule
from smhub_monitoring.reports.periods import following


async def _the_schedule(
    session: AsyncSession, caller: Caller, id_: UUID, permission: str, *, to_change: bool = False
) -> ReportSchedule:
    row = await found(session, ReportSchedule, caller.organisation_id, id_, "report schedule", to_change=to_change)
    caller.need_for(permission, "report schedule", row.department_id, None)
    return row


async def _settle(session: AsyncSession, runtime: Runtime, row: ReportSchedule) -> None:
    """Raise what is wrong with it, before it is kept; and look up when it is due."""
    if (row.every == "week") != (row.weekday is not None) or (row.every == "month") != (row.day is not None):
        raise Invalid.field("every", "a week has a weekday and no day, a month has a day and no weekday")
    wanted = {UUID(one) for one in row.target_ids}
    of = select(Target.id).where(Target.organisation_id == row.organisation_id, Target.id.in_(wanted))
    if wanted - set(await session.scalars(of)):
        raise NotFound(what="target")
    now = runtime.clock.now()
    what = msgspec.convert(row.what, schedule_schemas.Scheduled)
    if isinstance(what, schedule_schemas.MonitoringScheduledFigures):
        week = Period(now - timedelta(days=7), now)
        await asking.understood(session, fields_of(runtime.hub), row.organisation_id, what.question(None, week))
    elif what.brand_set_id is not None:
        await asking.the_brand_set(session, row.organisation_id, what.brand_set_id)
    zone = ZoneInfo((await session.get_one(Organisation, row.organisation_id)).time_zone)
    row.next_at = following(row, now, zone) if row.enabled else None


@reads("/report-schedules", READ, tag=TAG, plugin=ID)
async def monitoring_list_report_schedules(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schedule_schemas.MonitoringReportSchedules:
    """Schedules, the newest first."""
    statement = select(ReportSchedule).where(ReportSchedule.organisation_id == caller.organisation_id)
    if (where := caller.scope(READ).where(ReportSchedule.department_id, None)) is not None:
        statement = statement.where(where)
    rows, more = await page(
        session,
        statement,
        cursors=runtime.cursors,
        purpose=ReportSchedule.__tablename__,
        organisation_id=caller.organisation_id,
        order=[ReportSchedule.id],
        cursor=cursor,
        limit=limit,
    )
    items = [schedule_schemas.MonitoringReportSchedule.of(row) for row in rows]
    return schedule_schemas.MonitoringReportSchedules(items=items, next_cursor=more)


@creates("/report-schedules", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_add_report_schedule(
    caller: Asking, session: Session, runtime: Process, data: Body[schedule_schemas.MonitoringNewReportSchedule]
) -> Response[schedule_schemas.MonitoringReportSchedule]:
    """Send a report regularly. Each period is told once to each target."""
    await may(session, caller, WRITE, data.department_id)
    given = {name: msgspec.to_builtins(getattr(data, name)) for name in ("name", "what", "target_ids", "every", "hour", "enabled")}
    weekday = 0 if data.every == "week" and data.weekday is None else data.weekday
    row = ReportSchedule(
        organisation_id=caller.organisation_id,
        id=new_id(),
        department_id=data.department_id,
        weekday=weekday,
        day=1 if data.every == "month" and data.day is None else data.day,
        created_at=runtime.clock.now(),
        version=1,
        **given,
    )
    await _settle(session, runtime, row)
    session.add(row)
    await session.flush()
    note(session, "monitoring_report_schedule", row.id)
    return tagged(schedule_schemas.MonitoringReportSchedule.of(row), row.version)


@reads("/report-schedules/{report_schedule_id:uuid}", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_report_schedule(
    caller: Asking, session: Session, report_schedule_id: PathId
) -> Response[schedule_schemas.MonitoringReportSchedule]:
    """One schedule."""
    row = await _the_schedule(session, caller, report_schedule_id, READ)
    return tagged(schedule_schemas.MonitoringReportSchedule.of(row), row.version)


@changes("/report-schedules/{report_schedule_id:uuid}", WRITE, NotFound, Stale, tag=TAG, plugin=ID)
async def monitoring_change_report_schedule(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    report_schedule_id: PathId,
    data: Body[schedule_schemas.MonitoringReportScheduleChange],
) -> Response[schedule_schemas.MonitoringReportSchedule]:
    """Change a schedule; what was told already is not told again."""
    row = await _the_schedule(session, caller, report_schedule_id, WRITE, to_change=True)
    check_match(request, row.version)
    change = given_fields(data)
    for name, value in change.items():
        setattr(row, name, msgspec.to_builtins(value))
    await _settle(session, runtime, row)
    row.changed()
    await session.flush()
    note(session, "monitoring_report_schedule", row.id, fields=sorted(change))
    return tagged(schedule_schemas.MonitoringReportSchedule.of(row), row.version)


@removes("/report-schedules/{report_schedule_id:uuid}", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_remove_report_schedule(caller: Asking, session: Session, report_schedule_id: PathId) -> None:
    """Forget a schedule with its runs. To keep them, switch it off: `enabled`."""
    row = await _the_schedule(session, caller, report_schedule_id, WRITE, to_change=True)
    await session.delete(row)
    note(session, "monitoring_report_schedule", row.id)


@reads("/report-schedules/{report_schedule_id:uuid}/runs", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_list_report_runs(
    caller: Asking, session: Session, runtime: Process, report_schedule_id: PathId, limit: Limit = 50, cursor: Cursor = None
) -> schedule_schemas.MonitoringReportRuns:
    """Which periods were told to whom, and which could not be; the newest first."""
    row = await _the_schedule(session, caller, report_schedule_id, READ)
    rows, more = await page(
        session,
        select(ReportRun).where(ReportRun.organisation_id == caller.organisation_id, ReportRun.schedule_id == row.id),
        cursors=runtime.cursors,
        purpose=f"{ReportRun.__tablename__} {row.id}",
        organisation_id=caller.organisation_id,
        order=[ReportRun.id],
        cursor=cursor,
        limit=limit,
    )
    items = [schedule_schemas.MonitoringReportRun.of(one) for one in rows]
    return schedule_schemas.MonitoringReportRuns(items=items, next_cursor=more)


ROUTES = [
    monitoring_list_report_schedules,
    monitoring_add_report_schedule,
    monitoring_get_report_schedule,
    monitoring_change_report_schedule,
    monitoring_remove_report_schedule,
    monitoring_list_report_runs,
]
