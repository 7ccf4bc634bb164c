"""Reports that people get regularly: each period once for each target, also when workers die. One that dies while it tells may tell twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    HubError,
    JobContext,
    NoticeFile,
    Organisation,
    Runtime,
    add_unless_there,
    get_secrets,
    later,
    new_id,
    still_ours,
    tell_people,
)
from smhub.sdk import Job, Secret
from smhub_monitoring.alerts.models import Target
from smhub_monitoring.alerts.telling import ADDRESS, owner
from smhub_monitoring.reports import filing, phrases, schedule_schemas, schemas
from smhub_monitoring.reports.answering import EVERYWHERE, answered
from smhub_monitoring.reports.asking import Period
from smhub_monitoring.reports.metrics import METRICS
from smhub_monitoring.reports.models import WAITING, ReportRun, ReportSchedule
from smhub_monitoring.reports.periods import following, latest, told_of
from smhub_monitoring.reports.rendering import NotDrawn
from smhub_monitoring.reports.tables import as_csv

log = structlog.get_logger("smhub.monitoring")

TRIES = 6
FIRST_WAIT = timedelta(seconds=60)
MOST_LINES = 40
UNIQUE = ("organisation_id", "schedule_id", "ends_at", "target_id")
WORDS = {
    "de": ("Bericht", "Zeitraum: {0} bis {1}", "Als Datei anbei."),
    "en": ("Report", "Period: {0} to {1}", "As a file with this message."),
}


class TellReport(msgspec.Struct, frozen=True, kw_only=True):
    """Which run is to be told."""

    run_id: UUID


async def look(context: JobContext, _: None) -> None:
    """Begin the runs of every schedule that is due."""
    runtime = context.runtime
    due = select(ReportSchedule.organisation_id, ReportSchedule.id).where(ReportSchedule.next_at <= runtime.clock.now()).limit(100)
    async with runtime.database.read() as session:
        rows = (await session.execute(due.order_by(ReportSchedule.next_at))).all()
    for organisation_id, schedule_id in rows:
        async with runtime.database.write() as session:
            await still_ours(session, context)
            row = await session.get(ReportSchedule, (organisation_id, schedule_id), with_for_update=True)
            if row is not None and row.next_at is not None and row.next_at <= runtime.clock.now():
                await _begin(session, runtime, row)


async def _begin(session: AsyncSession, runtime: Runtime, row: ReportSchedule) -> None:
    assert row.next_at is not None
    now = runtime.clock.now()
    zone = ZoneInfo((await session.get_one(Organisation, row.organisation_id)).time_zone)
    period = told_of(row, latest(row, row.next_at, now, zone), zone)
    wanted = [UUID(one) for one in row.target_ids]
    known = select(Target.id).where(Target.organisation_id == row.organisation_id, Target.id.in_(wanted)).order_by(Target.id)
    for target_id in (await session.scalars(known)).all():
        await _run(session, row, target_id, period, now)
    row.next_at = following(row, now, zone)


async def _run(session: AsyncSession, row: ReportSchedule, target_id: UUID, period: Period, now: datetime) -> None:
    run_id = new_id()
    values = {
        "organisation_id": row.organisation_id,
        "id": run_id,
        "schedule_id": row.id,
        "target_id": target_id,
        "begins_at": period.begins,
        "ends_at": period.ends,
        "state": WAITING,
        "attempts": 0,
    }
    if await add_unless_there(session, ReportRun, values, UNIQUE):
        await later(session, TELL, TellReport(run_id=run_id), now=now, organisation_id=row.organisation_id)


async def tell(context: JobContext, payload: TellReport) -> datetime | None:
    """Make the report and tell one target; a service that does not take it is asked again, later each time."""
    runtime, organisation_id = context.runtime, context.organisation_id
    assert organisation_id is not None
    async with runtime.database.write() as session:
        await still_ours(session, context)
        run = await session.get(ReportRun, (organisation_id, payload.run_id), with_for_update=True)
        if run is None or run.state != WAITING:
            return None
        run.attempts += 1
        attempts = run.attempts
        schedule = await session.get_one(ReportSchedule, (organisation_id, run.schedule_id))
        target = await session.get_one(Target, (organisation_id, run.target_id))
        address = (await get_secrets(session, runtime.keyring, owner(organisation_id, target.id)))[ADDRESS]
        zone = ZoneInfo((await session.get_one(Organisation, organisation_id)).time_zone)
        period, name, what, language = Period(run.begins_at, run.ends_at), schedule.name, schedule.what, target.language
        department_id = schedule.department_id
    try:
        body, files = await _made(runtime, organisation_id, what, department_id, period, zone, language)
    except (HubError, NotDrawn) as error:
        return await _settle(context, payload, filing.why(error)["detail"], None)
    title = f"{WORDS[language][0]}: {name}"
    problem, final = await _told(runtime, address, title, body, files)
    wait = None if final or attempts >= TRIES else FIRST_WAIT * 2 ** (attempts - 1)
    return await _settle(context, payload, problem, wait)


async def _told(runtime: Runtime, address: Secret, title: str, body: str, files: list[NoticeFile]) -> tuple[str | None, bool]:
    """Why it was not told, and whether trying again is of no use."""
    outcome = await tell_people(runtime.settings, address, title=title, body=body, files=files)
    return (None if outcome.ok else outcome.reason or outcome.code), outcome.code in ("unknown", "private")


async def _settle(context: JobContext, payload: TellReport, problem: str | None, wait: timedelta | None) -> datetime | None:
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        run = await session.get(ReportRun, (context.organisation_id, payload.run_id), with_for_update=True)
        if run is None:
            return None
        if problem is None:
            run.was_told(now)
        elif wait is None:
            run.was_not_told(problem)
            log.warning("report_not_told", run_id=str(run.id))
        else:
            run.reason = problem
            again: datetime = now + wait
            return again
    return None


async def _made(
    runtime: Runtime,
    organisation_id: UUID,
    stored: dict[str, Any],
    department_id: UUID | None,
    period: Period,
    zone: ZoneInfo,
    language: str,
) -> tuple[str, list[NoticeFile]]:
    """The message's body and its files."""
    what = msgspec.convert(stored, schedule_schemas.Scheduled)
    times = [phrases.day(at.astimezone(zone), language) for at in (period.begins, period.ends - timedelta(seconds=1))]
    lines = [WORDS[language][1].format(*times)]
    if isinstance(what, schedule_schemas.MonitoringScheduledStageOne):
        asked = what.asked(department_id, language)
        made = await filing.stage_one_report(runtime, organisation_id, asked)
        return "\n".join([*lines, WORDS[language][2]]), [NoticeFile(name=made.name, content=made.content)]
    question = what.question(department_id, period)
    async with runtime.database.read() as session:
        answer = await answered(session, runtime, organisation_id, EVERYWHERE, question, language)
    lines += ["", *_lines(answer, language)]
    name = f"report-{period.begins.astimezone(zone):%Y-%m-%d}.csv"
    return "\n".join(lines), [NoticeFile(name=name, content=as_csv(answer, question.group_by).encode())]


def _lines(answer: schemas.MonitoringFigures, language: str) -> list[str]:
    """The figures in words, as many as people read."""
    lines = []
    for row in answer.rows:
        group = ", ".join(row.titles.get(name) or value or phrases.NONE for name, value in row.group.items())
        for name, figure in row.figures.items():
            metric, before = METRICS[name], (row.before or {}).get(name)
            title = metric.title_de if language == "de" else metric.title_en
            words = phrases.change(figure, before, metric.unit, language) if before is not None else ""
            shown = f"{title}: {phrases.shown(figure, metric.unit, language)} (n = {phrases.number(figure.n, language)})"
            lines.append(f"{f'{group} – ' if group else ''}{shown}{f', {words}' if words else ''}")
    return lines[:MOST_LINES]


LOOK = Job(name="monitoring.report_schedules", handler=look, payload=None, timeout=120.0, max_attempts=1, every=60.0)
TELL = Job(name="monitoring.tell_report", handler=tell, payload=TellReport, timeout=240.0, max_attempts=10)
