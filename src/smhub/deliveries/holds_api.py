"""How one holds back what is to be said, and lets it go."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter
from sqlalchemy import select

from smhub.access import audit
from smhub.channels.asking import check_department, the_channel
from smhub.deliveries import holds, schemas
from smhub.deliveries.models import Hold
from smhub.errors import Conflict, Invalid, NotFound
from smhub.hub.web import Asking, Body, Cursor, Limit, PathId, Process, Session, creates, does, own_page, reads

TAG = "deliveries"
READ, WRITE = "holds:read", "holds:write"
Released = Annotated[bool, QueryParameter(description="Also those that are over.")]


@reads("/v1/holds", READ, tag=TAG)
async def list_holds(
    caller: Asking, session: Session, runtime: Process, released: Released = False, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Holds:
    """What is held back and why, the newest first. Holds of the whole organisation concern everybody."""
    statement = select(Hold)
    scope = caller.scope(READ)
    if not scope.everywhere:
        everything = Hold.channel_id.is_(None) & Hold.department_id.is_(None)
        statement = statement.where(everything | scope.inside(Hold.department_id, Hold.channel_id))
    if not released:
        statement = statement.where(Hold.released_at.is_(None))
    rows, more = await own_page(session, runtime, caller, Hold, statement, cursor, limit)
    return schemas.Holds(items=[schemas.HoldInfo.of(row) for row in rows], next_cursor=more)


@creates("/v1/holds", WRITE, NotFound, tag=TAG)
async def place_hold(caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewHold]) -> schemas.HoldInfo:
    """Hold back from now on. What is on its way is not stopped; what is due afterwards waits."""
    if data.channel_id is not None and data.department_id is not None:
        raise Invalid.field("department_id", "hold a channel or a department, not both")
    if data.channel_id is not None:
        await the_channel(session, caller, data.channel_id, WRITE)
    elif data.department_id is not None:
        await check_department(session, caller, WRITE, data.department_id)
    else:
        caller.need_everywhere(WRITE)
    row = await holds.place(
        session,
        caller.organisation_id,
        runtime.clock.now(),
        cause=holds.PERSON,
        reason=data.reason,
        channel_id=data.channel_id,
        department_id=data.department_id,
        kind=data.kind,
        by=caller.member_id,
    )
    audit.note(session, "hold", row.id)
    return schemas.HoldInfo.of(row)


@does("/v1/holds/{hold_id:uuid}/release", WRITE, NotFound, Conflict, tag=TAG)
async def release_hold(caller: Asking, session: Session, runtime: Process, hold_id: PathId) -> schemas.HoldReleased:
    """Let go. What waited is queued again, in the order in which it was due; what is too late expires."""
    row = (
        await session.scalars(select(Hold).where(Hold.organisation_id == caller.organisation_id, Hold.id == hold_id).with_for_update())
    ).one_or_none()
    if row is None:
        raise NotFound(what="hold")
    if row.channel_id is None and row.department_id is None:
        caller.need_everywhere(WRITE)
    caller.need_for(WRITE, "hold", row.department_id, row.channel_id)
    if row.released_at is not None:
        raise Conflict("The hold is over already.", "Die Sperre ist schon aufgehoben.")
    queued = await holds.release(session, runtime, row, caller.member_id)
    audit.note(session, "hold", row.id)
    return schemas.HoldReleased(hold=schemas.HoldInfo.of(row), queued=queued)


ROUTES = [list_holds, place_hold, release_hold]
