"""How one asks about intakes, their gaps, and what could not be read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.channels import actions, health, schemas
from smhub.channels.asking import (
    TAG,
    IntakeFilter,
    StateFilter,
)
from smhub.channels.models import BadItem, Channel, Gap, Intake, Listener, WebhookDelivery
from smhub.errors import Conflict, NotFound
from smhub.hub.web import (
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    does,
    own_page,
    reads,
)
from smhub.organisations.actions import found


def of_visible(caller: Caller, permission: str, intake_id: Any) -> Any:
    """The condition that an intake's channel or listener lies within one's scope; None when everything does."""
    scope = caller.scope(permission)
    if scope.everywhere:
        return None
    channels = select(Channel.id).where(
        Channel.organisation_id == caller.organisation_id, scope.inside(Channel.department_id, Channel.id)
    )
    listeners = select(Listener.id).where(
        Listener.organisation_id == caller.organisation_id, scope.inside(Listener.department_id, None)
    )
    visible = select(Intake.id).where(
        Intake.organisation_id == caller.organisation_id, or_(Intake.channel_id.in_(channels), Intake.listener_id.in_(listeners))
    )
    return intake_id.in_(visible)


@reads("/v1/intakes", "intakes:read", tag=TAG)
async def list_intakes(
    caller: Asking, session: Session, runtime: Process, in_state: StateFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Intakes:
    """What brings mentions in, and how it fares."""
    statement = select(Intake)
    if (where := of_visible(caller, "intakes:read", Intake.id)) is not None:
        statement = statement.where(where)
    if in_state is not None:
        statement = statement.where(Intake.state == in_state)
    rows, more = await own_page(session, runtime, caller, Intake, statement, cursor, limit)
    return schemas.Intakes(items=[schemas.IntakeInfo.of(row) for row in rows], next_cursor=more)


async def the_intake(session: AsyncSession, caller: Caller, intake_id: UUID, permission: str) -> Intake:
    row = await found(session, Intake, caller.organisation_id, intake_id, "intake")
    source: Channel | Listener
    if row.channel_id is not None:
        source = await session.get_one(Channel, (row.organisation_id, row.channel_id))
        caller.need_for(permission, "intake", source.department_id, source.id)
    else:
        source = await session.get_one(Listener, (row.organisation_id, row.listener_id))
        caller.need_for(permission, "intake", source.department_id, None)
    return row


@reads("/v1/intakes/{intake_id:uuid}", "intakes:read", NotFound, tag=TAG)
async def get_intake(caller: Asking, session: Session, intake_id: PathId) -> schemas.IntakeInfo:
    """One intake and how it fares."""
    return schemas.IntakeInfo.of(await the_intake(session, caller, intake_id, "intakes:read"))


@does("/v1/intakes/{intake_id:uuid}/poll", "intakes:write", NotFound, Conflict, tag=TAG)
async def poll_intake(caller: Asking, session: Session, runtime: Process, intake_id: PathId) -> schemas.IntakeInfo:
    """Look now instead of at the next time."""
    row = await the_intake(session, caller, intake_id, "intakes:write")
    await actions.poll_now(session, runtime, row, runtime.clock.now())
    audit.note(session, "intake", row.id)
    return schemas.IntakeInfo.of(row)


@reads("/v1/gaps", "intakes:read", tag=TAG)
async def list_gaps(
    caller: Asking,
    session: Session,
    runtime: Process,
    intake_id: IntakeFilter = None,
    in_state: StateFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Gaps:
    """The ledger of gaps: when an intake may have missed something, and how that ended."""
    statement = select(Gap)
    if (where := of_visible(caller, "intakes:read", Gap.intake_id)) is not None:
        statement = statement.where(where)
    if intake_id is not None:
        statement = statement.where(Gap.intake_id == intake_id)
    if in_state is not None:
        statement = statement.where(Gap.state == in_state)
    rows, more = await own_page(session, runtime, caller, Gap, statement, cursor, limit)
    return schemas.Gaps(items=[schemas.GapInfo.of(row) for row in rows], next_cursor=more)


@reads("/v1/gaps/{gap_id:uuid}", "intakes:read", NotFound, tag=TAG)
async def get_gap(caller: Asking, session: Session, gap_id: PathId) -> schemas.GapInfo:
    """One gap."""
    row = await found(session, Gap, caller.organisation_id, gap_id, "gap")
    await the_intake(session, caller, row.intake_id, "intakes:read")
    return schemas.GapInfo.of(row)


@does("/v1/gaps/{gap_id:uuid}/close", "intakes:write", NotFound, Conflict, tag=TAG)
async def close_gap(
    caller: Asking, session: Session, runtime: Process, gap_id: PathId, data: Body[schemas.GapClosing]
) -> schemas.GapInfo:
    """Close a gap by hand, with the reason why nothing more will come."""
    row = await found(session, Gap, caller.organisation_id, gap_id, "gap")
    await the_intake(session, caller, row.intake_id, "intakes:write")
    if row.state in ("closed", "closed_partial"):
        raise Conflict("The gap is closed already.", "Die Lücke ist bereits geschlossen.")
    now = runtime.clock.now()
    row.ended(now)
    await health.gap_closed(session, row, now, reason=data.reason)
    audit.note(session, "gap", row.id)
    return schemas.GapInfo.of(row)


@reads("/v1/bad-items", "intakes:read", tag=TAG)
async def list_bad_items(
    caller: Asking, session: Session, runtime: Process, intake_id: IntakeFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> schemas.BadItems:
    """What connectors could not read, with the reason."""
    statement = select(BadItem)
    if (where := of_visible(caller, "intakes:read", BadItem.intake_id)) is not None:
        statement = statement.where(where)
    if intake_id is not None:
        statement = statement.where(BadItem.intake_id == intake_id)
    rows, more = await own_page(session, runtime, caller, BadItem, statement, cursor, limit)
    return schemas.BadItems(items=[schemas.BadItemInfo.of(row) for row in rows], next_cursor=more)


@does("/v1/bad-items/{bad_item_id:uuid}/retry", "intakes:write", NotFound, Conflict, tag=TAG)
async def retry_bad_item(caller: Asking, session: Session, runtime: Process, bad_item_id: PathId) -> schemas.BadItemInfo:
    """Read a webhook's delivery once more: after its connector was mended, say. It goes from the list when that succeeds."""
    row = await found(session, BadItem, caller.organisation_id, bad_item_id, "bad item")
    await the_intake(session, caller, row.intake_id, "intakes:write")
    delivery = await session.get(WebhookDelivery, (row.organisation_id, row.delivery_id), with_for_update=True)
    if delivery is None or delivery.state != "bad":
        raise Conflict(
            "Only a delivery of a webhook that was given up can be read again.",
            "Nur eine aufgegebene Lieferung eines Webhooks kann noch einmal gelesen werden.",
        )
    delivery.try_again(runtime.clock.now())
    audit.note(session, "bad item", row.id)
    return schemas.BadItemInfo.of(row)


ROUTES = [list_intakes, get_intake, poll_intake, list_gaps, get_gap, close_gap, list_bad_items, retry_bad_item]
