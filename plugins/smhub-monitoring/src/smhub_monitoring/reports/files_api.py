"""How one has reports made as files, and gets them."""

from __future__ import annotations

from uuid import UUID

import msgspec
from litestar import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from smhub.features import (
    Asking,
    Body,
    Caller,
    Conflict,
    Cursor,
    Limit,
    NotFound,
    OperationStarted,
    PathId,
    Process,
    Session,
    fields_of,
    found,
    note,
    page,
    reads,
    removes,
    start_operation,
    starts,
)
from smhub_monitoring.reports import asking, schemas
from smhub_monitoring.reports.api import ID, READ, TAG, WRITE, may
from smhub_monitoring.reports.filing import PICTURE, STAGE_ONE, MakePicture, MakeStageOne
from smhub_monitoring.reports.models import ReportFile
from smhub_monitoring.reports.stage_one import start_of

BYTES = "application/octet-stream"
KEPT_TO_ITSELF = {
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


async def _the_file(session: AsyncSession, caller: Caller, id_: UUID) -> ReportFile:
    row = await found(session, ReportFile, caller.organisation_id, id_, "report file")
    caller.need_for(READ, "report file", row.department_id, None)
    return row


@starts("/reports/pictures", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_make_picture(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringPictureQuestion]
) -> OperationStarted:
    """Draw the first metric. The operation's result names the file. Without a department it needs the right everywhere."""
    await may(session, caller, READ, data.question.department_id)
    await asking.understood(session, fields_of(runtime.hub), caller.organisation_id, data.question)
    operation = await start_operation(
        session,
        PICTURE,
        MakePicture(asked=msgspec.to_builtins(data), by=caller.member_id),
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type="organisation",
        subject_id=caller.organisation_id,
        created_by=caller.member_id,
        key="monitoring.draw",
    )
    return OperationStarted(operation_id=operation.id, state=operation.state)


@starts("/reports/stage-one", READ, NotFound, Conflict, tag=TAG, plugin=ID)
async def monitoring_make_stage_one(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringStageOne]
) -> OperationStarted:
    """One page on awareness, image, reputation and response, before and after the start. The operation's result names the file."""
    await may(session, caller, READ, data.department_id)
    await start_of(session, caller.organisation_id, data, runtime.clock.now())
    if data.brand_set_id is not None:
        await asking.the_brand_set(session, caller.organisation_id, data.brand_set_id)
    operation = await start_operation(
        session,
        STAGE_ONE,
        MakeStageOne(asked=msgspec.to_builtins(data), by=caller.member_id),
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type="organisation",
        subject_id=caller.organisation_id,
        created_by=caller.member_id,
        key="monitoring.draw",
    )
    return OperationStarted(operation_id=operation.id, state=operation.state)


@reads("/reports/files", READ, tag=TAG, plugin=ID)
async def monitoring_list_report_files(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schemas.MonitoringReportFiles:
    """Reports that were made, the newest first."""
    statement = select(ReportFile).options(defer(ReportFile.content)).where(ReportFile.organisation_id == caller.organisation_id)
    if (where := caller.scope(READ).where(ReportFile.department_id, None)) is not None:
        statement = statement.where(where)
    rows, more = await page(
        session,
        statement,
        cursors=runtime.cursors,
        purpose=ReportFile.__tablename__,
        organisation_id=caller.organisation_id,
        order=[ReportFile.id],
        cursor=cursor,
        limit=limit,
    )
    return schemas.MonitoringReportFiles(items=[schemas.MonitoringReportFile.of(row) for row in rows], next_cursor=more)


@reads("/reports/files/{report_file_id:uuid}", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_report_file(caller: Asking, session: Session, report_file_id: PathId) -> schemas.MonitoringReportFile:
    """One file, without its bytes."""
    return schemas.MonitoringReportFile.of(await _the_file(session, caller, report_file_id))


@reads("/reports/files/{report_file_id:uuid}/content", READ, NotFound, tag=TAG, plugin=ID, media_type=BYTES)
async def monitoring_get_report_content(caller: Asking, session: Session, report_file_id: PathId) -> Response[bytes]:
    """The bytes. `media_type` of the file says what they are."""
    row = await _the_file(session, caller, report_file_id)
    return Response(row.content, media_type=BYTES, headers=KEPT_TO_ITSELF)


@removes("/reports/files/{report_file_id:uuid}", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_remove_report_file(caller: Asking, session: Session, report_file_id: PathId) -> None:
    """Forget a file."""
    row = await found(session, ReportFile, caller.organisation_id, report_file_id, "report file", to_change=True)
    caller.need_for(WRITE, "report file", row.department_id, None)
    await session.delete(row)
    note(session, "monitoring_report_file", row.id)


ROUTES = [
    monitoring_make_picture,
    monitoring_make_stage_one,
    monitoring_list_report_files,
    monitoring_get_report_file,
    monitoring_get_report_content,
    monitoring_remove_report_file,
]
