"""How one asks about listeners."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from sqlalchemy import select

from smhub.access import audit
from smhub.channels import actions, asking, listener_schemas, schemas
from smhub.channels.asking import (
    TAG,
    Ended,
    NetworkFilter,
    change_source,
    shown,
    still_on,
    switch,
    the_listener,
    verify_source,
)
from smhub.channels.models import Listener
from smhub.errors import Conflict, NotFound, Stale
from smhub.events.log import record_deed
from smhub.hub.web import (
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    changes,
    creates,
    does,
    given_fields,
    own_page,
    reads,
    removes,
    starts,
    tagged,
)


@reads("/v1/listeners", "listeners:read", tag=TAG)
async def list_listeners(
    caller: Asking,
    session: Session,
    runtime: Process,
    network: NetworkFilter = None,
    ended: Ended = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> listener_schemas.Listeners:
    """Listeners with their health, the newest first."""
    statement = select(Listener)
    if (where := caller.scope("listeners:read").where(Listener.department_id, None)) is not None:
        statement = statement.where(where)
    if network is not None:
        statement = statement.where(Listener.network == network)
    if not ended:
        statement = statement.where(Listener.ended_at.is_(None))
    rows, more = await own_page(session, runtime, caller, Listener, statement, cursor, limit)
    return listener_schemas.Listeners(items=[await shown(session, runtime, caller, row) for row in rows], next_cursor=more)


@creates("/v1/listeners", "listeners:write", NotFound, Conflict, tag=TAG)
async def add_listener(
    caller: Asking, session: Session, runtime: Process, data: Body[listener_schemas.NewListener]
) -> Response[listener_schemas.ListenerInfo]:
    """Save a search. Without a purpose and a legal basis nobody is listened to."""
    row = await asking.save_listener(session, runtime, caller, data)
    return tagged(await shown(session, runtime, caller, row), row.version)


@reads("/v1/listeners/{listener_id:uuid}", "listeners:read", NotFound, tag=TAG)
async def get_listener(
    caller: Asking, session: Session, runtime: Process, listener_id: PathId
) -> Response[listener_schemas.ListenerInfo]:
    """One listener with its health."""
    row = await the_listener(session, caller, listener_id, "listeners:read")
    return tagged(await shown(session, runtime, caller, row), row.version)


@changes("/v1/listeners/{listener_id:uuid}", "listeners:write", NotFound, Conflict, Stale, tag=TAG)
async def change_listener(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    listener_id: PathId,
    data: Body[listener_schemas.ListenerChange],
) -> Response[listener_schemas.ListenerInfo]:
    """Change a listener; it looks for the new words from now on."""
    row = await the_listener(session, caller, listener_id, "listeners:write", to_change=True)
    return await change_source(request, caller, session, runtime, row, given_fields(data), "listener")


@removes("/v1/listeners/{listener_id:uuid}", "listeners:write", NotFound, Conflict, tag=TAG)
async def end_listener(caller: Asking, session: Session, runtime: Process, listener_id: PathId) -> None:
    """End a listener; what it found stays."""
    row = await the_listener(session, caller, listener_id, "listeners:write", to_change=True)
    still_on(row)
    await actions.end(session, runtime, row)
    audit.note(session, "listener", row.id)
    await record_deed(session, runtime, caller, "listener.ended", row.id)


@starts("/v1/listeners/{listener_id:uuid}/verify", "listeners:write", NotFound, Conflict, tag=TAG)
async def verify_listener(caller: Asking, session: Session, runtime: Process, listener_id: PathId) -> schemas.OperationStarted:
    """Ask the network whether the listener's settings work."""
    return await verify_source(
        caller, session, runtime, await the_listener(session, caller, listener_id, "listeners:write", to_change=True), "listener"
    )


@does("/v1/listeners/{listener_id:uuid}/pause", "listeners:write", NotFound, Conflict, tag=TAG)
async def pause_listener(
    caller: Asking, session: Session, runtime: Process, listener_id: PathId
) -> Response[listener_schemas.ListenerInfo]:
    """Stop listening for a while."""
    return await switch(
        caller, session, runtime, await the_listener(session, caller, listener_id, "listeners:write", to_change=True), on=False
    )


@does("/v1/listeners/{listener_id:uuid}/resume", "listeners:write", NotFound, Conflict, tag=TAG)
async def resume_listener(
    caller: Asking, session: Session, runtime: Process, listener_id: PathId
) -> Response[listener_schemas.ListenerInfo]:
    """Listen again."""
    return await switch(
        caller, session, runtime, await the_listener(session, caller, listener_id, "listeners:write", to_change=True), on=True
    )


ROUTES = [
    list_listeners,
    add_listener,
    get_listener,
    change_listener,
    end_listener,
    verify_listener,
    pause_listener,
    resume_listener,
]
