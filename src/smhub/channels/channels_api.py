"""How one asks about channels."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from sqlalchemy import select

from smhub.access import audit
from smhub.channels import actions, schemas
from smhub.channels.asking import (
    TAG,
    Ended,
    NetworkFilter,
    change_source,
    check_department,
    shown,
    still_on,
    switch,
    the_channel,
    verify_source,
)
from smhub.channels.models import Channel
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
from smhub.ids import new_id


@reads("/v1/channels", "channels:read", tag=TAG)
async def list_channels(
    caller: Asking,
    session: Session,
    runtime: Process,
    network: NetworkFilter = None,
    ended: Ended = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Channels:
    """Channels with their health, the newest first."""
    statement = select(Channel)
    if (where := caller.scope("channels:read").where(Channel.department_id, Channel.id)) is not None:
        statement = statement.where(where)
    if network is not None:
        statement = statement.where(Channel.network == network)
    if not ended:
        statement = statement.where(Channel.ended_at.is_(None))
    rows, more = await own_page(session, runtime, caller, Channel, statement, cursor, limit)
    return schemas.Channels(items=[await shown(session, runtime, caller, row) for row in rows], next_cursor=more)


@creates("/v1/channels", "channels:write", NotFound, Conflict, tag=TAG)
async def connect_channel(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewChannel]
) -> Response[schemas.ChannelInfo]:
    """Connect a presence on a network. Its settings are validated at once; whether they work, `verify_channel` finds out."""
    await check_department(session, caller, "channels:write", data.department_id)
    if data.department_id is None:
        caller.need_everywhere("channels:write")
    row = Channel(
        organisation_id=caller.organisation_id,
        id=new_id(),
        network=data.network,
        name=data.name,
        settings={},
        department_id=data.department_id,
        poll_seconds=data.poll_seconds,
        created_at=runtime.clock.now(),
        version=1,
    )
    await actions.set_up(session, runtime, row, data.settings)
    audit.note(session, "channel", row.id, network=row.network)
    await record_deed(session, runtime, caller, "channel.connected", row.id)
    return tagged(await shown(session, runtime, caller, row), row.version)


@reads("/v1/channels/{channel_id:uuid}", "channels:read", NotFound, tag=TAG)
async def get_channel(caller: Asking, session: Session, runtime: Process, channel_id: PathId) -> Response[schemas.ChannelInfo]:
    """One channel with its health."""
    row = await the_channel(session, caller, channel_id, "channels:read")
    return tagged(await shown(session, runtime, caller, row), row.version)


@changes("/v1/channels/{channel_id:uuid}", "channels:write", NotFound, Conflict, Stale, tag=TAG)
async def change_channel(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    channel_id: PathId,
    data: Body[schemas.ChannelChange],
) -> Response[schemas.ChannelInfo]:
    """Change a channel; new settings are tried at once."""
    row = await the_channel(session, caller, channel_id, "channels:write", to_change=True)
    return await change_source(request, caller, session, runtime, row, given_fields(data), "channel")


@removes("/v1/channels/{channel_id:uuid}", "channels:write", NotFound, Conflict, tag=TAG)
async def disconnect_channel(caller: Asking, session: Session, runtime: Process, channel_id: PathId) -> None:
    """Disconnect a channel: its secrets are deleted and polling ends; what it brought stays."""
    row = await the_channel(session, caller, channel_id, "channels:write", to_change=True)
    still_on(row)
    await actions.end(session, runtime, row)
    audit.note(session, "channel", row.id)
    await record_deed(session, runtime, caller, "channel.disconnected", row.id)


@starts("/v1/channels/{channel_id:uuid}/verify", "channels:verify", NotFound, Conflict, tag=TAG)
async def verify_channel(caller: Asking, session: Session, runtime: Process, channel_id: PathId) -> schemas.OperationStarted:
    """Ask the network whether the settings work and who we are there.

    Answers at once with an operation; its result holds the account, its error the code of the network's refusal."""
    return await verify_source(caller, session, runtime, await the_channel(session, caller, channel_id, "channels:verify"), "channel")


@does("/v1/channels/{channel_id:uuid}/pause", "channels:write", NotFound, Conflict, tag=TAG)
async def pause_channel(caller: Asking, session: Session, runtime: Process, channel_id: PathId) -> Response[schemas.ChannelInfo]:
    """Stop taking in. What happens meanwhile is kept as a gap, which is filled when the channel goes on."""
    return await switch(
        caller, session, runtime, await the_channel(session, caller, channel_id, "channels:write", to_change=True), on=False
    )


@does("/v1/channels/{channel_id:uuid}/resume", "channels:write", NotFound, Conflict, tag=TAG)
async def resume_channel(caller: Asking, session: Session, runtime: Process, channel_id: PathId) -> Response[schemas.ChannelInfo]:
    """Take in again, also after an error that needed a person."""
    return await switch(
        caller, session, runtime, await the_channel(session, caller, channel_id, "channels:write", to_change=True), on=True
    )


ROUTES = [
    list_channels,
    connect_channel,
    get_channel,
    change_channel,
    disconnect_channel,
    verify_channel,
    pause_channel,
    resume_channel,
]
