"""How one asks for figures."""

from __future__ import annotations

from uuid import UUID

import msgspec
from litestar import Response
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Asking,
    Body,
    Caller,
    Department,
    Invalid,
    NotFound,
    OperationStarted,
    Process,
    Runtime,
    Session,
    does,
    found,
    note,
    reads,
    start_operation,
    starts,
)
from smhub_monitoring.reports import asking, schemas
from smhub_monitoring.reports.answering import answered
from smhub_monitoring.reports.charts import chart
from smhub_monitoring.reports.metrics import METRICS
from smhub_monitoring.reports.recounting import RECOUNT, Recount
from smhub_monitoring.reports.tables import as_csv

ID = TAG = "monitoring"
READ, WRITE = "monitoring:reports_read", "monitoring:reports_write"
CSV = "text/csv"


async def may(session: AsyncSession, caller: Caller, permission: str, department_id: UUID | None) -> None:
    """What tells of the whole organisation needs the right everywhere, what tells of a department there."""
    if department_id is None:
        caller.need_everywhere(permission)
        return
    await found(session, Department, caller.organisation_id, department_id, "department")
    caller.need_for(permission, "department", department_id, None)


async def _answer(
    caller: Caller, session: AsyncSession, runtime: Runtime, question: asking.MonitoringQuestion, language: str = "en"
) -> schemas.MonitoringFigures:
    """What is outside one's scope is left out."""
    if question.department_id is not None:
        await may(session, caller, READ, question.department_id)
    return await answered(session, runtime, caller.organisation_id, caller.scope(READ), question, language)


@reads("/metrics", READ, tag=TAG, plugin=ID)
async def monitoring_list_metrics() -> schemas.MonitoringMetrics:
    """Every figure that can be measured, with its definition."""
    return schemas.MonitoringMetrics(
        items=[msgspec.convert(msgspec.to_builtins(one), schemas.MonitoringMetric) for one in METRICS.values()]
    )


@does("/reports/run", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_run_report(
    caller: Asking, session: Session, runtime: Process, data: Body[asking.MonitoringQuestion]
) -> schemas.MonitoringFigures:
    """Measure now. Every figure comes with its n and coverage; what is empty is null and says why."""
    return await _answer(caller, session, runtime, data)


@does("/reports/table", READ, NotFound, tag=TAG, plugin=ID, media_type=CSV)
async def monitoring_run_report_as_table(
    caller: Asking, session: Session, runtime: Process, data: Body[asking.MonitoringQuestion]
) -> Response[str]:
    """The same as CSV, a line for each group and metric. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    content = as_csv(await _answer(caller, session, runtime, data), data.group_by)
    return Response(content, media_type=CSV, headers={"Content-Disposition": 'attachment; filename="report.csv"'})


@does("/reports/chart", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_draw_chart(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringChartQuestion]
) -> schemas.MonitoringChart:
    """The first metric as a Vega-Lite specification, for those who draw it themselves."""
    answer = await _answer(caller, session, runtime, data.question, data.language)
    return schemas.MonitoringChart(spec=chart(answer, data.question.metrics[0], data.question.group_by, data.language))


@starts("/reports/recount", WRITE, tag=TAG, plugin=ID)
async def monitoring_recount(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringRecount]
) -> OperationStarted:
    """Count a period anew from its mentions. The operation's result tells how many were counted otherwise; they are put right."""
    caller.need_everywhere(WRITE)
    if data.begins_at >= data.ends_at:
        raise Invalid.field("to", "it must lie after from")
    if data.ends_at - data.begins_at > asking.LONGEST:
        raise Invalid.field("to", f"at most {asking.LONGEST.days} days")
    operation = await start_operation(
        session,
        RECOUNT,
        Recount(begins_at=data.begins_at, ends_at=data.ends_at),
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type="organisation",
        subject_id=caller.organisation_id,
        created_by=caller.member_id,
        key=f"monitoring.recount:{caller.organisation_id}",
    )
    note(session, "organisation", caller.organisation_id)
    return OperationStarted(operation_id=operation.id, state=operation.state)


ROUTES = [monitoring_list_metrics, monitoring_run_report, monitoring_run_report_as_table, monitoring_draw_chart, monitoring_recount]
