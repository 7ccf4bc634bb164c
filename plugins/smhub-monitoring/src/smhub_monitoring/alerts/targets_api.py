"""How one asks about targets: where people look when something happens."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from sqlalchemy import select

from smhub.features import (
    Asking,
    Body,
    Conflict,
    Cursor,
    JobContext,
    Limit,
    NotFound,
    OperationStarted,
    PathId,
    Process,
    Session,
    Stale,
    changes,
    check_match,
    creates,
    failed,
    finished,
    forget_secrets,
    found,
    get_secrets,
    given_fields,
    new_id,
    note,
    own_page,
    put_secrets,
    reads,
    removes,
    start_operation,
    starts,
    tagged,
    tell_people,
)
from smhub.sdk import Job, Secret
from smhub_monitoring.alerts import schemas, telling
from smhub_monitoring.alerts.models import AlertRule, Target
from smhub_monitoring.reports.models import ReportSchedule

ID = TAG = "monitoring"
READ, WRITE = "monitoring:alerts_read", "monitoring:alerts_write"
TEST = {
    "de": ("smhub: Probe", "Diese Nachricht ist eine Probe. Hier kommen Alarme an."),
    "en": ("smhub: test", "This message is a test. Alerts arrive here."),
}


@reads("/targets", READ, tag=TAG, plugin=ID)
async def monitoring_list_targets(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schemas.MonitoringTargets:
    """Where people are told, the newest first."""
    rows, more = await own_page(session, runtime, caller, Target, select(Target), cursor, limit)
    return schemas.MonitoringTargets(items=[schemas.target(row) for row in rows], next_cursor=more)


@creates("/targets", WRITE, tag=TAG, plugin=ID)
async def monitoring_add_target(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringNewTarget]
) -> Response[schemas.MonitoringTarget]:
    """Name a place to tell people at. Try it with a test message afterwards."""
    caller.need_everywhere(WRITE)
    row = Target(
        organisation_id=caller.organisation_id,
        id=new_id(),
        name=data.name,
        service=_service(data.address),
        language=data.language,
        created_at=runtime.clock.now(),
        version=1,
    )
    session.add(row)
    await session.flush()
    await put_secrets(session, runtime.keyring, telling.owner(row.organisation_id, row.id), {telling.ADDRESS: Secret(data.address)})
    note(session, "monitoring_target", row.id, service=row.service)
    return tagged(schemas.target(row), row.version)


@reads("/targets/{target_id:uuid}", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_target(caller: Asking, session: Session, target_id: PathId) -> Response[schemas.MonitoringTarget]:
    """One target."""
    row = await found(session, Target, caller.organisation_id, target_id, "target")
    return tagged(schemas.target(row), row.version)


@changes("/targets/{target_id:uuid}", WRITE, NotFound, Stale, tag=TAG, plugin=ID)
async def monitoring_change_target(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    target_id: PathId,
    data: Body[schemas.MonitoringTargetChange],
) -> Response[schemas.MonitoringTarget]:
    """Change a target."""
    caller.need_everywhere(WRITE)
    row = await found(session, Target, caller.organisation_id, target_id, "target", to_change=True)
    check_match(request, row.version)
    change = given_fields(data)
    if (address := change.pop("address", None)) is not None:
        row.service = _service(address)
        await put_secrets(session, runtime.keyring, telling.owner(row.organisation_id, row.id), {telling.ADDRESS: Secret(address)})
    for name, value in change.items():
        setattr(row, name, value)
    row.changed()
    await session.flush()
    note(session, "monitoring_target", row.id, fields=sorted(given_fields(data)))
    return tagged(schemas.target(row), row.version)


@removes("/targets/{target_id:uuid}", WRITE, NotFound, Conflict, tag=TAG, plugin=ID)
async def monitoring_remove_target(caller: Asking, session: Session, target_id: PathId) -> None:
    """Forget a target. One that a rule or a schedule tells is kept: change that first."""
    caller.need_everywhere(WRITE)
    row = await found(session, Target, caller.organisation_id, target_id, "target", to_change=True)
    for rule in await session.scalars(select(AlertRule).where(AlertRule.organisation_id == caller.organisation_id)):
        if any(str(row.id) in step["target_ids"] for step in rule.steps):
            raise Conflict(f"The rule {rule.name} tells this target.", f"Die Regel {rule.name} benachrichtigt dieses Ziel.")
    for schedule in await session.scalars(select(ReportSchedule).where(ReportSchedule.organisation_id == caller.organisation_id)):
        if str(row.id) in schedule.target_ids:
            raise Conflict(
                f"The schedule {schedule.name} tells this target.", f"Der Zeitplan {schedule.name} benachrichtigt dieses Ziel."
            )
    await forget_secrets(session, telling.owner(row.organisation_id, row.id))
    await session.delete(row)
    note(session, "monitoring_target", row.id)


@starts("/targets/{target_id:uuid}/test", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_test_target(caller: Asking, session: Session, runtime: Process, target_id: PathId) -> OperationStarted:
    """Send a test message. The operation says whether the service took it, and if not, why."""
    caller.need_everywhere(WRITE)
    row = await found(session, Target, caller.organisation_id, target_id, "target")
    operation = await start_operation(
        session,
        TEST_TARGET,
        TestTarget(target_id=row.id),
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type="monitoring_target",
        subject_id=row.id,
        created_by=caller.member_id,
    )
    note(session, "monitoring_target", row.id)
    return OperationStarted(operation_id=operation.id, state=operation.state)


class TestTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Which target is to be tried."""

    target_id: UUID


async def test_target(context: JobContext, payload: TestTarget) -> None:
    runtime, organisation_id = context.runtime, context.organisation_id
    assert organisation_id is not None
    async with runtime.database.read() as session:
        row = await session.get(Target, (organisation_id, payload.target_id))
        if row is None:
            return
        secrets = await get_secrets(session, runtime.keyring, telling.owner(organisation_id, row.id))
    title, body = TEST[row.language]
    outcome = await tell_people(runtime.settings, secrets[telling.ADDRESS], title=title, body=body)
    if outcome.ok:
        await finished(context, {})
    else:
        await failed(context, {"code": f"target_{outcome.code}", "detail": outcome.reason})


def _service(address: str) -> str:
    return address.partition(":")[0].lower()[:40]


TEST_TARGET = Job(name="monitoring.test_target", handler=test_target, payload=TestTarget, timeout=90.0, max_attempts=1)
ROUTES = [
    monitoring_list_targets,
    monitoring_add_target,
    monitoring_get_target,
    monitoring_change_target,
    monitoring_remove_target,
    monitoring_test_target,
]
