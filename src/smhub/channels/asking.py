"""What the routes of channels, listeners and intakes share: looking up within one's scope, and the verbs common to both sources."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit, secrets
from smhub.access.callers import Caller
from smhub.channels import actions, hook_schemas, hooks, listener_schemas, looking, schemas
from smhub.channels.models import Channel, Listener
from smhub.db.types import Id
from smhub.errors import Conflict, Invalid, NotFound
from smhub.events.log import record_deed
from smhub.hub.runtime import Runtime
from smhub.hub.web import (
    check_match,
    tagged,
)
from smhub.ids import new_id
from smhub.organisations.actions import found
from smhub.work.queue import start_operation

TAG = "channels"
Ended = Annotated[bool, QueryParameter(description="Also those that were disconnected.")]
NetworkFilter = Annotated[str | None, QueryParameter(max_length=100, description="Only those of this network.")]
IntakeFilter = Annotated[UUID | None, QueryParameter(description="Only those of this intake.")]
StateFilter = Annotated[str | None, QueryParameter(name="state", max_length=40, description="Only those in this state.")]
_DEPARTMENT = table("core_department", column("organisation_id", Id()), column("id", Id()))
Source = Channel | Listener


async def check_department(session: AsyncSession, caller: Caller, permission: str, id_: UUID | None) -> None:
    """A department that is named must exist and lie within one's scope."""
    if id_ is None:
        return
    there = select(_DEPARTMENT.c.id).where(_DEPARTMENT.c.organisation_id == caller.organisation_id, _DEPARTMENT.c.id == id_)
    if (await session.execute(there)).first() is None:
        raise NotFound(what="department")
    caller.need_for(permission, "department", id_, None)


async def the_channel(session: AsyncSession, caller: Caller, channel_id: UUID, permission: str, *, to_change: bool = False) -> Channel:
    row = await found(session, Channel, caller.organisation_id, channel_id, "channel", to_change=to_change)
    caller.need_for(permission, "channel", row.department_id, row.id)
    return row


async def the_listener(
    session: AsyncSession, caller: Caller, listener_id: UUID, permission: str, *, to_change: bool = False
) -> Listener:
    row = await found(session, Listener, caller.organisation_id, listener_id, "listener", to_change=to_change)
    caller.need_for(permission, "listener", row.department_id, None)
    return row


def still_on(row: Source) -> None:
    if row.ended_at is not None:
        raise Conflict("It was disconnected. Connect a new one.", "Die Verbindung wurde beendet. Eine neue anlegen.")


async def shown(session: AsyncSession, runtime: Runtime, caller: Caller, row: Any) -> Any:
    """A channel or listener as it goes over the wire. Its webhook's address only to those who may change it."""
    intake = await actions.intake_of(session, row)
    names = await secrets.names(session, actions.owner(row))
    if not isinstance(row, Channel):
        return listener_schemas.listener(row, intake, names)
    hook = await hooks.hook_of(session, row)
    here: str | None = None
    if hook is not None and caller.scope("channels:write").covers(row.department_id, row.id):
        here, _ = await hooks.addresses(session, runtime, hook)
    return schemas.channel(row, intake, names, hook_schemas.ChannelWebhook.of(hook, here) if hook is not None else None)


async def change_source(
    request: Request[Any, Any, Any],
    caller: Caller,
    session: AsyncSession,
    runtime: Runtime,
    row: Any,
    change: dict[str, Any],
    what: str,
) -> Response[Any]:
    check_match(request, row.version)
    still_on(row)
    if "department_id" in change:
        await check_department(session, caller, f"{what}s:write", change["department_id"])
    settings = change.pop("settings", None)
    if settings is not None:
        await actions.change_settings(session, runtime, row, settings)
    if isinstance(row, Listener):
        looking.aim(row, change)
    for name, value in change.items():
        if name not in looking.AIMED:
            setattr(row, name, value)
    row.changed()
    await session.flush()
    audit.note(session, what, row.id, fields=sorted(change) + (["settings"] if settings is not None else []))
    await record_deed(session, runtime, caller, f"{what}.changed", row.id)
    return tagged(await shown(session, runtime, caller, row), row.version)


async def save_listener(session: AsyncSession, runtime: Runtime, caller: Caller, data: listener_schemas.NewListener) -> Listener:
    """Let a listener listen from now on, as far as the caller may."""
    await check_department(session, caller, "listeners:write", data.department_id)
    if data.department_id is None:
        caller.need_everywhere("listeners:write")
    if data.query is None and data.words is None:
        raise Invalid.field("query", "say what to look for: a query, or words")
    row = Listener(
        organisation_id=caller.organisation_id,
        id=new_id(),
        network=data.network,
        name=data.name,
        query=None,
        words=[],
        languages=[],
        purpose=data.purpose,
        legal_basis=data.legal_basis,
        settings={},
        department_id=data.department_id,
        poll_seconds=data.poll_seconds,
        daily_budget=data.daily_budget,
        created_at=runtime.clock.now(),
        version=1,
    )
    looking.aim(row, {"query": data.query, "words": data.words, "languages": data.languages})
    await actions.set_up(session, runtime, row, data.settings)
    audit.note(session, "listener", row.id, network=row.network)
    await record_deed(session, runtime, caller, "listener.added", row.id)
    return row


async def verify_source(caller: Caller, session: AsyncSession, runtime: Runtime, row: Source, what: str) -> schemas.OperationStarted:
    still_on(row)
    operation = await start_operation(
        session,
        actions.VERIFY,
        actions.Verify(**{f"{what}_id": row.id}),
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type=what,
        subject_id=row.id,
        created_by=caller.member_id,
        key=f"verify:{row.id}",
    )
    audit.note(session, what, row.id)
    return schemas.OperationStarted(operation_id=operation.id, state=operation.state)


async def switch(caller: Caller, session: AsyncSession, runtime: Runtime, row: Source, *, on: bool) -> Response[Any]:
    still_on(row)
    intake = await actions.intake_of(session, row)
    what = "channel" if isinstance(row, Channel) else "listener"
    if intake is not None:
        if on:
            await actions.resume(session, runtime, intake, runtime.clock.now())
        else:
            await actions.pause(session, intake, runtime.clock.now())
    audit.note(session, what, row.id)
    await record_deed(session, runtime, caller, f"{what}.{'resumed' if on else 'paused'}", row.id)
    await session.flush()
    return tagged(await shown(session, runtime, caller, row), row.version)
