"""How one follows deliveries, changes them while there is time, and decides what nobody else can."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.channels.models import Channel
from smhub.channels.schemas import OperationStarted
from smhub.deliveries import actions, changing, holds_api, media_api, metrics, models, schemas, writing_api
from smhub.deliveries.checking import by_network
from smhub.deliveries.envelope import draft_of
from smhub.deliveries.models import Attempt, Delivery
from smhub.deliveries.telling import send_later
from smhub.errors import Conflict, NotFound, Stale, Unspeakable
from smhub.events.log import record_deed
from smhub.hub.runtime import Runtime
from smhub.hub.web import (
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    changes,
    check_match,
    does,
    given_fields,
    own_page,
    reads,
    starts,
    tagged,
)
from smhub.sdk import Deletes, Edits, Job
from smhub.work.queue import start_operation

TAG = "deliveries"
InState = Annotated[
    str | None, QueryParameter(name="state", max_length=20, description="Only those in this state, for example unknown.")
]
OfChannel = Annotated[UUID | None, QueryParameter(description="Only through this channel.")]
OfMention = Annotated[UUID | None, QueryParameter(description="Only answers to this mention.")]
Answer = Response[schemas.DeliveryInfo]


def _answer(session: AsyncSession, row: Delivery) -> Answer:
    audit.note(session, "delivery", row.id)
    return tagged(schemas.DeliveryInfo.of(row), row.version)


@reads("/v1/deliveries", actions.READ, tag=TAG)
async def list_deliveries(
    caller: Asking,
    session: Session,
    runtime: Process,
    in_state: InState = None,
    channel_id: OfChannel = None,
    mention_id: OfMention = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Deliveries:
    """What is said, the newest first. `state=unknown` is what waits for a look or a person."""
    statement = select(Delivery)
    if (where := caller.scope(actions.READ).where(Delivery.department_id, Delivery.channel_id)) is not None:
        statement = statement.where(where)
    for column, value in ((Delivery.state, in_state), (Delivery.channel_id, channel_id), (Delivery.mention_id, mention_id)):
        if value is not None:
            statement = statement.where(column == value)
    rows, more = await own_page(session, runtime, caller, Delivery, statement, cursor, limit)
    return schemas.Deliveries(items=[schemas.DeliveryInfo.of(row) for row in rows], next_cursor=more)


@reads("/v1/deliveries/{delivery_id:uuid}", actions.READ, NotFound, tag=TAG)
async def get_delivery(caller: Asking, session: Session, delivery_id: PathId) -> Answer:
    """One delivery."""
    row = await actions.the_delivery(session, caller, delivery_id, actions.READ)
    return tagged(schemas.DeliveryInfo.of(row), row.version)


@reads("/v1/deliveries/{delivery_id:uuid}/attempts", actions.READ, NotFound, tag=TAG)
async def list_attempts(caller: Asking, session: Session, delivery_id: PathId) -> schemas.Attempts:
    """Every try at it: the evidence for whoever has to decide."""
    row = await actions.the_delivery(session, caller, delivery_id, actions.READ)
    of = (Attempt.organisation_id == row.organisation_id, Attempt.delivery_id == row.id)
    found = (await session.scalars(select(Attempt).where(*of).order_by(Attempt.number))).all()
    return schemas.Attempts(items=[schemas.AttemptInfo.of(one) for one in found])


@reads("/v1/deliveries/{delivery_id:uuid}/metrics", actions.READ, NotFound, tag=TAG)
async def get_delivery_metrics(caller: Asking, session: Session, delivery_id: PathId) -> schemas.DeliveryMetrics:
    """What the network counts for it, the newest first. Asked after 15 minutes, an hour, six hours, a day, then daily for 30 days."""
    row = await actions.the_delivery(session, caller, delivery_id, actions.READ)
    return schemas.DeliveryMetrics.of(row, await metrics.history(session, row))


@changes("/v1/deliveries/{delivery_id:uuid}", actions.WRITE, NotFound, Conflict, Stale, Unspeakable, tag=TAG)
async def change_delivery(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    delivery_id: PathId,
    data: Body[schemas.DeliveryChange],
) -> Answer:
    """Other words or another time, while nothing of it is out or on its way."""
    row = await actions.to_write(session, caller, delivery_id)
    check_match(request, row.version)
    given = given_fields(data)
    now = runtime.clock.now()
    actions.not_in_the_past(given.get("due_at"), now)
    await actions.change(session, row, given, now)
    if row.state in (models.QUEUED, models.HELD):
        await _still_fits(session, runtime, row)
        row.due_at = row.due_at or now
        if row.state == models.QUEUED:
            await send_later(session, runtime, row, row.due_at)
    await record_deed(session, runtime, caller, "delivery.changed", row.id, fields=sorted(given))
    return _answer(session, row)


async def _still_fits(session: AsyncSession, runtime: Runtime, row: Delivery) -> None:
    """The network's own limits; the interceptors are asked once more right before it goes out."""
    channel = await session.get_one(Channel, (row.organisation_id, row.channel_id))
    config = await actions.settings_of(session, runtime, channel)
    actions.refuse_all(by_network(runtime, channel, config, draft_of(row)), channel.network)


@does("/v1/deliveries/{delivery_id:uuid}/queue", actions.WRITE, NotFound, Conflict, Stale, Unspeakable, tag=TAG)
async def queue_delivery(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    delivery_id: PathId,
    data: Body[schemas.QueueDelivery],
) -> Answer:
    """Let a draft go, or one that was refused or too late, after it was checked."""
    checked = await _check_stored(runtime, caller, delivery_id)
    row = await actions.to_write(session, caller, delivery_id)
    check_match(request, row.version)
    if row.version != checked:
        raise Stale
    await actions.queue(session, runtime, caller, row, data.undo_seconds)
    return _answer(session, row)


async def _check_stored(runtime: Runtime, caller: Caller, delivery_id: UUID) -> int:
    """Ask about the words as they are stored, before anything is locked; returns their version."""
    async with runtime.database.read() as session:
        row = await actions.the_delivery(session, caller, delivery_id, actions.READ)
        channel = await actions.channel_to_say(session, runtime, caller, row.channel_id, row.kind)
        asked = await actions.to_check(session, runtime, caller, channel, draft_of(row), row.mention_id)
    actions.refuse(await actions.check(runtime, asked))
    return row.version


@does("/v1/deliveries/{delivery_id:uuid}/cancel", actions.WRITE, NotFound, Conflict, tag=TAG)
async def cancel_delivery(caller: Asking, session: Session, runtime: Process, delivery_id: PathId) -> Answer:
    """Stop it before it goes out. When it is on its way it is a conflict: it is sent, or it is cancelled, never both."""
    row = await actions.to_write(session, caller, delivery_id)
    await actions.cancel(session, runtime, caller, row)
    return _answer(session, row)


@starts("/v1/deliveries/{delivery_id:uuid}/edit", actions.WRITE, NotFound, Conflict, Unspeakable, tag=TAG)
async def edit_published(
    caller: Asking, session: Session, runtime: Process, delivery_id: PathId, data: Body[schemas.EditOfPublished]
) -> OperationStarted:
    """Replace the words of what is out, where the network can."""
    row = await actions.to_write(session, caller, delivery_id)
    channel = await _out_and_able(session, runtime, caller, row, Edits, "edit")
    config = await actions.settings_of(session, runtime, channel)
    draft = msgspec.structs.replace(draft_of(row), text=data.text, language=data.language or row.language, sensitive=data.sensitive)
    actions.refuse_all(by_network(runtime, channel, config, draft), channel.network)
    payload = changing.EditPublished(delivery_id=row.id, text=data.text, sensitive=data.sensitive, language=data.language)
    return await _start(session, runtime, caller, row, changing.EDIT, payload)


@starts("/v1/deliveries/{delivery_id:uuid}/take-back", actions.WRITE, NotFound, Conflict, tag=TAG)
async def take_back_delivery(caller: Asking, session: Session, runtime: Process, delivery_id: PathId) -> OperationStarted:
    """Delete what is out, where the network can."""
    row = await actions.to_write(session, caller, delivery_id)
    await _out_and_able(session, runtime, caller, row, Deletes, "delete")
    return await _start(session, runtime, caller, row, changing.TAKE_BACK, changing.TakeBack(delivery_id=row.id))


async def _out_and_able(session: AsyncSession, runtime: Runtime, caller: Caller, row: Delivery, ability: type, verb: str) -> Channel:
    if row.state != models.PUBLISHED:
        raise Conflict(
            f"The delivery is {row.state}; only what is out can be changed this way.",
            f"Die Auslieferung ist im Zustand {row.state}; nur was veröffentlicht ist, kann so geändert werden.",
            extra={"state": row.state},
        )
    channel = await actions.channel_to_say(session, runtime, caller, row.channel_id, row.kind)
    if not issubclass(runtime.hub.connectors[row.network], ability):
        raise Conflict(f"The connector of {row.network} cannot {verb}.", f"Der Konnektor von {row.network} kann das nicht.")
    return channel


async def _start(session: AsyncSession, runtime: Runtime, caller: Caller, row: Delivery, kind: Job, payload: Any) -> OperationStarted:
    operation = await start_operation(
        session,
        kind,
        payload,
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type="delivery",
        subject_id=row.id,
        created_by=caller.member_id,
        key=f"deliver:{row.channel_id}",
    )
    audit.note(session, "delivery", row.id)
    return OperationStarted(operation_id=operation.id, state=operation.state)


@does("/v1/deliveries/{delivery_id:uuid}/reconcile", actions.SETTLE, NotFound, Conflict, tag=TAG)
async def reconcile_delivery(caller: Asking, session: Session, runtime: Process, delivery_id: PathId) -> Answer:
    """Look whether an unclear delivery is out, as soon as the network has had its time."""
    row = await actions.the_delivery(session, caller, delivery_id, actions.SETTLE, to_change=True)
    await actions.reconcile(session, runtime, row)
    return _answer(session, row)


@does("/v1/deliveries/{delivery_id:uuid}/resend", actions.SETTLE, NotFound, Conflict, tag=TAG)
async def resend_delivery(caller: Asking, session: Session, runtime: Process, delivery_id: PathId) -> Answer:
    """You have looked, and it is not out: send it again. One that came out of a backup before it was due goes out when it is."""
    row = await actions.the_delivery(session, caller, delivery_id, actions.SETTLE, to_change=True)
    await actions.resend(session, runtime, caller, row)
    return _answer(session, row)


@does("/v1/deliveries/{delivery_id:uuid}/confirm", actions.SETTLE, NotFound, Conflict, tag=TAG)
async def confirm_delivery(
    caller: Asking, session: Session, runtime: Process, delivery_id: PathId, data: Body[schemas.Confirmation]
) -> Answer:
    """You have looked, and it is out: this is it."""
    row = await actions.the_delivery(session, caller, delivery_id, actions.SETTLE, to_change=True)
    await actions.confirm(session, runtime, caller, row, data.external_id, data.url)
    return _answer(session, row)


@does("/v1/deliveries/{delivery_id:uuid}/abandon", actions.SETTLE, NotFound, Conflict, tag=TAG)
async def abandon_delivery(caller: Asking, session: Session, runtime: Process, delivery_id: PathId) -> Answer:
    """Let it be: nothing more is tried."""
    row = await actions.the_delivery(session, caller, delivery_id, actions.SETTLE, to_change=True)
    await actions.abandon(session, runtime, caller, row)
    return _answer(session, row)


ROUTES = [
    *writing_api.ROUTES,
    list_deliveries,
    get_delivery,
    list_attempts,
    get_delivery_metrics,
    change_delivery,
    queue_delivery,
    cancel_delivery,
    edit_published,
    take_back_delivery,
    reconcile_delivery,
    resend_delivery,
    confirm_delivery,
    abandon_delivery,
    *media_api.ROUTES,
    *holds_api.ROUTES,
]
