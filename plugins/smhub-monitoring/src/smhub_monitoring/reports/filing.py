"""Reports that become files: made by a job, kept, and given away as they are. A file has at most 5 MB; an organisation keeps its newest 200."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import HubError, JobContext, Runtime, add_unless_there, failed, finished, still_ours
from smhub.sdk import Job
from smhub_monitoring.reports import browser_page, page_charts, pages, schemas, stage_one
from smhub_monitoring.reports.answering import EVERYWHERE, answered
from smhub_monitoring.reports.charts import chart
from smhub_monitoring.reports.models import ReportFile
from smhub_monitoring.reports.renderer import Task
from smhub_monitoring.reports.rendering import NotDrawn, rendered

KEPT = 200
MEDIA_TYPES = {"pdf": "application/pdf", "html": "text/html", "svg": "image/svg+xml", "png": "image/png"}


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was made."""

    name: str
    media_type: str
    content: bytes


class MakePicture(msgspec.Struct, frozen=True, kw_only=True):
    """Draw this, for this member."""

    asked: dict[str, Any]
    by: UUID | None


class MakeStageOne(msgspec.Struct, frozen=True, kw_only=True):
    """Make the report on stage 1, for this member."""

    asked: dict[str, Any]
    by: UUID | None


async def picture(runtime: Runtime, organisation_id: UUID, asked: schemas.MonitoringPictureQuestion) -> Made:
    """The first metric of a question as a picture."""
    question = asked.question
    async with runtime.database.read() as session:
        answer = await answered(session, runtime, organisation_id, EVERYWHERE, question, asked.language)
    spec = chart(answer, question.metrics[0], question.group_by, asked.language)
    files = await rendered(Task(charts={"chart": spec}, language=asked.language, format=asked.format))
    name = f"{question.metrics[0]}-{question.begins_at:%Y-%m-%d}.{asked.format}"
    return Made(name=name, media_type=MEDIA_TYPES[asked.format], content=files["chart"])


async def stage_one_report(runtime: Runtime, organisation_id: UUID, asked: schemas.MonitoringStageOne) -> Made:
    """The report on stage 1, as PDF or HTML."""
    async with runtime.database.read() as session:
        found = await stage_one.findings(session, runtime, organisation_id, asked)
    shown, charts = pages.page(found, asked), page_charts.charts(found, asked)
    if asked.format == "pdf":
        content = (await rendered(Task(charts=charts, language=asked.language, format="pdf", page=shown)))["page"]
    else:
        drawn = await rendered(Task(charts=charts, language=asked.language, format="svg"))
        content = browser_page.html(shown, drawn)
    name = f"stage-1-{found.made_at.astimezone(found.zone):%Y-%m-%d}.{asked.format}"
    return Made(name=name, media_type=MEDIA_TYPES[asked.format], content=content)


async def make_picture(context: JobContext, payload: MakePicture) -> None:
    assert context.organisation_id is not None
    asked = msgspec.convert(payload.asked, schemas.MonitoringPictureQuestion)
    try:
        made = await picture(context.runtime, context.organisation_id, asked)
    except (HubError, NotDrawn) as error:
        await failed(context, why(error))
        return
    await _keep(context, made, asked.question.department_id, payload.by)


async def make_stage_one(context: JobContext, payload: MakeStageOne) -> None:
    assert context.organisation_id is not None
    asked = msgspec.convert(payload.asked, schemas.MonitoringStageOne)
    try:
        made = await stage_one_report(context.runtime, context.organisation_id, asked)
    except (HubError, NotDrawn) as error:
        await failed(context, why(error))
        return
    await _keep(context, made, asked.department_id, payload.by)


def why(error: HubError | NotDrawn) -> dict[str, str]:
    """What stands in the operation."""
    return {"code": error.code, "detail": error.detail if isinstance(error, NotDrawn) else error.detail()}


async def _keep(context: JobContext, made: Made, department_id: UUID | None, by: UUID | None) -> None:
    """Its id is the job's: a job that runs twice leaves one file."""
    runtime, organisation_id = context.runtime, context.organisation_id
    assert organisation_id is not None
    row = {
        "organisation_id": organisation_id,
        "id": context.job_id,
        "department_id": department_id,
        "name": made.name,
        "media_type": made.media_type,
        "size": len(made.content),
        "content": made.content,
        "made_at": runtime.clock.now(),
        "made_by": by,
    }
    async with runtime.database.write() as session:
        await still_ours(session, context)
        await add_unless_there(session, ReportFile, row, ("organisation_id", "id"))
        await _forget_old(session, organisation_id)
    await finished(context, {"file_id": str(context.job_id)})


async def _forget_old(session: AsyncSession, organisation_id: UUID) -> None:
    newest = select(ReportFile.id).where(ReportFile.organisation_id == organisation_id).order_by(ReportFile.id.desc())
    oldest_kept = (await session.scalars(newest.offset(KEPT - 1).limit(1))).one_or_none()
    if oldest_kept is not None:
        gone = delete(ReportFile).where(ReportFile.organisation_id == organisation_id, ReportFile.id < oldest_kept)
        await session.execute(gone.execution_options(synchronize_session=False))


PICTURE = Job(name="monitoring.make_picture", handler=make_picture, payload=MakePicture, timeout=180.0, max_attempts=3)
STAGE_ONE = Job(name="monitoring.make_stage_one", handler=make_stage_one, payload=MakeStageOne, timeout=180.0, max_attempts=3)
