"""How one stores apps, authorises channels, and comes back from a network."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import MediaType, Request, Response
from litestar.params import QueryParameter
from sqlalchemy import select

from smhub.access import audit, secrets
from smhub.channels import apps, authorizing, oauth_schemas
from smhub.channels.asking import TAG, NetworkFilter, still_on, the_channel
from smhub.channels.connecting import connector_of
from smhub.channels.oauth_models import OAuthApp
from smhub.errors import AlreadyExists, AuthorizationInvalid, AuthorizationRefused, Conflict, NetworkFailed, NotFound, Stale
from smhub.events.log import record_deed
from smhub.hub.web import (
    PUBLIC,
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    changes,
    check_match,
    creates,
    does,
    given_fields,
    own_page,
    reads,
    removes,
    tagged,
)
from smhub.organisations.actions import found

State = Annotated[str | None, QueryParameter(name="state", max_length=200, description="As the hub gave it out.")]
Code = Annotated[str | None, QueryParameter(max_length=6000, description="What the hub gets a token for.")]
Refusal = Annotated[str | None, QueryParameter(name="error", max_length=200, description="Why the network does not allow it.")]
Words = Annotated[str | None, QueryParameter(max_length=4000, description="The same in words.")]


async def _shown(session: Any, runtime: Any, row: OAuthApp) -> oauth_schemas.OAuthAppInfo:
    names = await secrets.names(session, apps.owner(row))
    return oauth_schemas.OAuthAppInfo.of(row, authorizing.redirect_url(runtime), has_secret=apps.SECRET in names)


@reads("/v1/oauth-apps", "oauth_apps:read", tag=TAG)
async def list_oauth_apps(
    caller: Asking, session: Session, runtime: Process, network: NetworkFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> oauth_schemas.OAuthApps:
    """The organisation's apps at networks, without their secrets."""
    caller.need_everywhere("oauth_apps:read")
    statement = select(OAuthApp)
    if network is not None:
        statement = statement.where(OAuthApp.network == network)
    rows, more = await own_page(session, runtime, caller, OAuthApp, statement, cursor, limit)
    return oauth_schemas.OAuthApps(items=[await _shown(session, runtime, row) for row in rows], next_cursor=more)


@creates("/v1/oauth-apps", "oauth_apps:write", AlreadyExists, tag=TAG)
async def add_oauth_app(
    caller: Asking, session: Session, runtime: Process, data: Body[oauth_schemas.NewOAuthApp]
) -> Response[oauth_schemas.OAuthAppInfo]:
    """Store an app that was registered at a network, so that people can authorise channels there."""
    caller.need_everywhere("oauth_apps:write")
    server = apps.checked_server(runtime, data.network, data.server)
    row = await apps.add(
        session,
        runtime,
        caller.organisation_id,
        network=data.network,
        server=server,
        client_id=data.client_id,
        secret=data.client_secret,
    )
    audit.note(session, "oauth_app", row.id, network=row.network)
    await record_deed(session, runtime, caller, "oauth_app.added", row.id)
    return tagged(await _shown(session, runtime, row), row.version)


@reads("/v1/oauth-apps/{oauth_app_id:uuid}", "oauth_apps:read", NotFound, tag=TAG)
async def get_oauth_app(
    caller: Asking, session: Session, runtime: Process, oauth_app_id: PathId
) -> Response[oauth_schemas.OAuthAppInfo]:
    """One app without its secret."""
    caller.need_everywhere("oauth_apps:read")
    row = await found(session, OAuthApp, caller.organisation_id, oauth_app_id, "app")
    return tagged(await _shown(session, runtime, row), row.version)


@changes("/v1/oauth-apps/{oauth_app_id:uuid}", "oauth_apps:write", NotFound, Stale, tag=TAG)
async def change_oauth_app(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    oauth_app_id: PathId,
    data: Body[oauth_schemas.OAuthAppChange],
) -> Response[oauth_schemas.OAuthAppInfo]:
    """Change an app. With a new secret, channels that the old one stopped go on; with another client id they are to be authorised again."""
    caller.need_everywhere("oauth_apps:write")
    row = await found(session, OAuthApp, caller.organisation_id, oauth_app_id, "app", to_change=True)
    check_match(request, row.version)
    given = given_fields(data)
    await apps.change(session, runtime, row, given)
    audit.note(session, "oauth_app", row.id, fields=sorted(given))
    await record_deed(session, runtime, caller, "oauth_app.changed", row.id)
    return tagged(await _shown(session, runtime, row), row.version)


@removes("/v1/oauth-apps/{oauth_app_id:uuid}", "oauth_apps:write", NotFound, tag=TAG)
async def remove_oauth_app(caller: Asking, session: Session, runtime: Process, oauth_app_id: PathId) -> None:
    """Forget an app and its secret. Channels that were authorised with it go on until their tokens end."""
    caller.need_everywhere("oauth_apps:write")
    row = await found(session, OAuthApp, caller.organisation_id, oauth_app_id, "app", to_change=True)
    await apps.remove(session, row)
    audit.note(session, "oauth_app", row.id)
    await record_deed(session, runtime, caller, "oauth_app.removed", row.id)


@does("/v1/channels/{channel_id:uuid}/authorize", authorizing.PERMISSION, NotFound, Conflict, tag=TAG)
async def authorize_channel(caller: Asking, session: Session, runtime: Process, channel_id: PathId) -> oauth_schemas.AuthorizationBegun:
    """Begin to authorise a channel: the address at which a person lets the hub in, good for ten minutes and once.

    Afterwards an operation of the kind channel.authorize (GET /v1/operations?subject_id=…) tells whether it was taken; it is refused for
    another account than the channel had before."""
    row = await the_channel(session, caller, channel_id, authorizing.PERMISSION, to_change=True)
    still_on(row)
    sent = await authorizing.begin(session, runtime, caller, row)
    audit.note(session, "channel", row.id)
    return oauth_schemas.AuthorizationBegun(
        authorize_url=sent.authorize_url, redirect_url=sent.redirect_url, expires_at=sent.expires_at
    )


@reads("/v1/channels/{channel_id:uuid}/authorization", "channels:read", NotFound, Conflict, tag=TAG)
async def get_channel_authorization(
    caller: Asking, session: Session, runtime: Process, channel_id: PathId
) -> oauth_schemas.ChannelAuthorization:
    """What a person allowed the hub to do through a channel, and whether the network still takes it."""
    row = await the_channel(session, caller, channel_id, "channels:read")
    auth = connector_of(runtime, row.network).auth
    if auth is None:
        raise Conflict(f"{row.network} needs no authorisation.", f"{row.network} braucht keine Freigabe.")
    token, checking = await authorizing.standing(session, row)
    return oauth_schemas.ChannelAuthorization.of(token, auth, checking=checking)


@reads(
    authorizing.CALLBACK,
    PUBLIC,
    AuthorizationInvalid,
    AuthorizationRefused,
    NetworkFailed,
    tag=TAG,
    foreign=True,
    media_type=MediaType.TEXT,
)
async def finish_authorization(
    request: Request[Any, Any, Any],
    runtime: Process,
    given: State = None,
    code: Code = None,
    refusal: Refusal = None,
    error_description: Words = None,
) -> str:
    """Where networks send people back to. Not for programs.

    It works once for each address that POST /v1/channels/{channel_id}/authorize gave."""
    channel = await authorizing.finish(
        runtime,
        state=given or "",
        code=code,
        error=refusal,
        words=error_description,
        request_id=request.scope.get("state", {}).get("request_id"),
    )
    return (
        f"{channel.name}: {channel.network} let the hub in. You can close this window.\n"
        f"{channel.name}: {channel.network} hat den Hub eingelassen. Dieses Fenster kann geschlossen werden.\n"
    )


ROUTES = [
    list_oauth_apps,
    add_oauth_app,
    get_oauth_app,
    change_oauth_app,
    remove_oauth_app,
    authorize_channel,
    get_channel_authorization,
    finish_authorization,
]
