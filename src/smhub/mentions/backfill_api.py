"""Reading again what a network shows of a time: asked for through an intake, done by the worker."""

from __future__ import annotations

from smhub.access import audit
from smhub.channels import health
from smhub.channels.asking import TAG
from smhub.channels.intakes_api import the_intake
from smhub.channels.schemas import BackFill, OperationStarted
from smhub.errors import Conflict, Invalid, NotFound
from smhub.hub.web import Asking, Body, PathId, Process, Session, starts
from smhub.mentions.filling import FILL
from smhub.mentions.gaps import FillGap, fill_key
from smhub.work.queue import start_operation


@starts("/v1/intakes/{intake_id:uuid}/back-fill", "intakes:write", NotFound, Conflict, tag=TAG)
async def back_fill_intake(
    caller: Asking, session: Session, runtime: Process, intake_id: PathId, data: Body[BackFill]
) -> OperationStarted:
    """Read again what the network shows of a time. What is known already is not taken in twice."""
    row = await the_intake(session, caller, intake_id, "intakes:write")
    now = runtime.clock.now()
    if row.state not in health.POLLED:
        raise Conflict(f"The intake is {row.state}.", f"Der Eingang ist {row.state}.")
    to_at = data.to_at or now
    if data.from_at.tzinfo is None or to_at.tzinfo is None:
        raise Invalid.field("from_at", "a time needs a zone, for example 2026-11-02T09:00:00Z")
    if not data.from_at < to_at <= now:
        raise Invalid.field("from_at", "from_at must lie before to_at, and to_at not in the future")
    gap = await health.open_gap(session, row, "missed", data.from_at, now, to_at=to_at, reason="asked for by a member")
    operation = await start_operation(
        session,
        FILL,
        FillGap(gap_id=gap.id),
        now=now,
        organisation_id=caller.organisation_id,
        subject_type="intake",
        subject_id=row.id,
        created_by=caller.member_id,
        key=fill_key(row.id),
    )
    audit.note(session, "intake", row.id)
    return OperationStarted(operation_id=operation.id, state=operation.state)


ROUTES = [back_fill_intake]
