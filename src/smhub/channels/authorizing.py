"""A person lets us in: they are sent to the network, come back once, and what they brought is taken when it is for the right account.

No transaction is open while the network is asked. `begin` writes down who asked for which channel. `finish` answers the browser that comes
back: it uses the state up, asks the network for a token, and keeps that as a candidate (`candidates.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as random
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller, caller_again
from smhub.access.keyring import Unreadable
from smhub.channels import apps, tokens
from smhub.channels.candidates import TAKE, Take
from smhub.channels.connecting import config_of, connector_of
from smhub.channels.models import Channel
from smhub.channels.oauth_models import CANDIDATE, OAuthState, OAuthToken
from smhub.errors import AuthorizationInvalid, AuthorizationRefused, Conflict, NetworkFailed, NotFound
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.net import Endpoint, Grant, GrantRefused, refuse_in_clear
from smhub.net.urls import with_params
from smhub.sdk import ConfigInvalid, ConnectorError, OAuth2, Secret
from smhub.text import clean_text
from smhub.work.queue import start_operation

CALLBACK = "/v1/oauth/callback"
PERMISSION = "channels:write"
LASTING = timedelta(minutes=10)
LONGEST_WORDS = 300
_VERIFIER = {"table": OAuthState.__tablename__, "column": "verifier"}


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person is to go, and until when."""

    authorize_url: str
    redirect_url: str
    expires_at: datetime


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """Who came back, and for what; from here on the state is used up."""

    organisation_id: UUID
    channel_id: UUID
    member_id: UUID
    api_key_id: UUID
    client_id: str
    redirect_url: str
    verifier: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to ask the network for a token."""

    channel: Channel
    caller: Caller
    auth: OAuth2
    endpoint: Endpoint
    server: str
    home: str
    revoke_url: str | None


def redirect_url(runtime: Runtime) -> str:
    """Where networks send people back to; it comes from the settings, never from a request."""
    return runtime.settings.base_url + CALLBACK


async def begin(session: AsyncSession, runtime: Runtime, caller: Caller, channel: Channel) -> Sent:
    """The address at which a person lets us in. What they began before for this channel is void."""
    auth = connector_of(runtime, channel.network).auth
    if auth is None:
        raise Conflict(
            f"{channel.network} needs no authorisation; its credentials are settings.",
            f"{channel.network} braucht keine Freigabe; die Zugangsdaten stehen in den Einstellungen.",
        )
    try:
        config = await config_of(session, runtime, channel)
        address = auth.address(auth.authorize_url, config)
        server = apps.server_of(address)
        refuse_in_clear(auth.address(auth.token_url, config))
    except ConfigInvalid as error:
        raise Conflict(error.message) from error
    app = await apps.app_for(session, channel.organisation_id, channel.network, server)
    if app is None:
        raise Conflict(
            f"There is no app for {channel.network} at {server}. Register one there and store it with POST /v1/oauth-apps.",
            f"Es gibt keine App für {channel.network} bei {server}. Dort eine anlegen und mit POST /v1/oauth-apps eintragen.",
        )
    now = runtime.clock.now()
    mine = (OAuthState.channel_id == channel.id, OAuthState.member_id == caller.member_id)
    await session.execute(delete(OAuthState).where(OAuthState.organisation_id == channel.organisation_id, *mine))
    await session.execute(delete(OAuthState).where(OAuthState.expires_at < now - LASTING))
    state_id, verifier = new_id(), random.token_urlsafe(64)
    state = state_id.hex + random.token_urlsafe(32)
    key_id, sealed = runtime.keyring.seal(Secret(verifier), organisation_id=channel.organisation_id, row_id=state_id, **_VERIFIER)
    row = OAuthState(
        organisation_id=channel.organisation_id,
        id=state_id,
        channel_id=channel.id,
        member_id=caller.member_id,
        api_key_id=caller.key_id,
        state_hash=_hash(state),
        client_id=app.client_id,
        redirect_url=redirect_url(runtime),
        key_id=key_id,
        sealed=sealed,
        created_at=now,
        expires_at=now + LASTING,
    )
    session.add(row)
    await session.flush()
    asked = {"response_type": "code", "client_id": app.client_id, "redirect_uri": row.redirect_url, "state": state}
    if auth.scopes:
        asked["scope"] = auth.scope_separator.join(auth.scopes)
    if auth.pkce:
        asked |= {"code_challenge": _challenge(verifier), "code_challenge_method": "S256"}
    address = with_params(address, auth.authorize_parameters | asked)
    return Sent(authorize_url=address, redirect_url=row.redirect_url, expires_at=row.expires_at)


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def finish(
    runtime: Runtime, *, state: str, code: str | None, error: str | None, words: str | None, request_id: str | None
) -> Channel:
    """Answer a browser that came back: the channel whose candidate is looked at now."""
    async with runtime.database.write() as session:
        back = await _use_up(session, runtime, state)
    asked = await _who_and_what(runtime, back)
    network = asked.channel.network
    if error is not None or not code:
        reason = ": ".join(clean_text(one, LONGEST_WORDS) for one in (error, words) if one) or "it sent no code"
        raise AuthorizationRefused(network=network, reason=reason)
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": back.redirect_url, **asked.auth.token_parameters}
    if asked.auth.pkce:
        fields["code_verifier"] = back.verifier
    try:
        grant = await runtime.net.grant(asked.endpoint, fields)
    except GrantRefused as refusal:
        raise AuthorizationRefused(network=network, reason=refusal.code) from None
    except ConnectorError as failure:
        raise NetworkFailed(network=network, reason=failure.message) from None
    async with runtime.database.write() as session:
        return await _keep(session, runtime, back, asked, grant, request_id)


async def _use_up(session: AsyncSession, runtime: Runtime, state: str) -> Back:
    """The state, once. Whatever becomes of it then, it is not taken a second time."""
    now = runtime.clock.now()
    try:
        state_id = UUID(state[:32])
    except ValueError:
        raise AuthorizationInvalid from None
    row = (await session.scalars(select(OAuthState).where(OAuthState.id == state_id).with_for_update())).one_or_none()
    # The id finds the row; only the rest is secret, and it is compared in constant time.
    if not hmac.compare_digest(row.state_hash if row is not None else "", _hash(state)) or row is None:
        raise AuthorizationInvalid
    if row.used_at is not None or row.expires_at <= now:
        raise AuthorizationInvalid
    try:
        verifier = runtime.keyring.open(row.key_id, row.sealed, organisation_id=row.organisation_id, row_id=row.id, **_VERIFIER)
    except Unreadable:
        raise AuthorizationInvalid from None
    row.used_at = now
    return Back(
        organisation_id=row.organisation_id,
        channel_id=row.channel_id,
        member_id=row.member_id,
        api_key_id=row.api_key_id,
        client_id=row.client_id,
        redirect_url=row.redirect_url,
        verifier=verifier.reveal(),
    )


async def _who_and_what(runtime: Runtime, back: Back) -> Asked:
    """May the person who began still do it, and does everything stand as it stood then?"""
    caller = await caller_again(
        back.api_key_id, reader=runtime.database.reader, permissions=runtime.permissions, now=runtime.clock.now()
    )
    async with runtime.database.read() as session:
        channel = await session.get(Channel, (back.organisation_id, back.channel_id))
        if caller is None or channel is None or channel.ended_at is not None or caller.member_id != back.member_id:
            raise AuthorizationInvalid
        try:
            caller.need_for(PERMISSION, "channel", channel.department_id, channel.id)
            kind = connector_of(runtime, channel.network)
            config = await config_of(session, runtime, channel)
        except (NotFound, Conflict, ConfigInvalid):
            raise AuthorizationInvalid from None
        auth = kind.auth
        if auth is None:
            raise AuthorizationInvalid
        server = apps.server_of(auth.address(auth.authorize_url, config))
        app = await apps.app_for(session, channel.organisation_id, channel.network, server)
        if app is None or app.client_id != back.client_id:
            raise AuthorizationInvalid
        endpoint = await apps.endpoint_of(session, runtime, app, auth, auth.address(auth.token_url, config))
    revoke_url = auth.address(auth.revoke_url, config) if auth.revoke_url else None
    home = kind.base_url(config)
    return Asked(channel=channel, caller=caller, auth=auth, endpoint=endpoint, server=server, home=home, revoke_url=revoke_url)


async def _keep(session: AsyncSession, runtime: Runtime, back: Back, asked: Asked, grant: Grant, request_id: str | None) -> Channel:
    """The candidate, and the job that looks whose account it is."""
    channel = await session.get(Channel, (back.organisation_id, back.channel_id), with_for_update=True)
    if channel is None or channel.ended_at is not None:
        raise AuthorizationInvalid
    now = runtime.clock.now()
    row = OAuthToken(
        organisation_id=back.organisation_id,
        id=new_id(),
        channel_id=back.channel_id,
        member_id=back.member_id,
        state=CANDIDATE,
        client_id=asked.endpoint.client_id,
        server=asked.server,
        token_url=asked.endpoint.url,
        revoke_url=asked.revoke_url,
        home=asked.home,
        scopes=list(asked.auth.scopes),
        generation=0,
        obtained_at=now,
        unclear=False,
        on_trial=False,
    )
    session.add(row)
    await session.flush()
    await tokens.keep(session, runtime, row, grant)
    await start_operation(
        session,
        TAKE,
        Take(token_id=row.id),
        now=now,
        organisation_id=back.organisation_id,
        subject_type="channel",
        subject_id=back.channel_id,
        created_by=back.member_id,
        key=f"verify:{back.channel_id}",
    )
    audit.enter(
        session,
        organisation_id=back.organisation_id,
        at=now,
        action="finish_authorization",
        about=audit.Note("channel", back.channel_id, {"scopes": row.scopes}),
        member_id=back.member_id,
        key_id=asked.caller.key_id,
        request_id=request_id,
    )
    return channel


async def standing(session: AsyncSession, channel: Channel) -> tuple[OAuthToken | None, bool]:
    """The token of a channel, and whether a newer one is being looked at."""
    of = (OAuthToken.organisation_id == channel.organisation_id, OAuthToken.channel_id == channel.id)
    waiting = (await session.execute(select(OAuthToken.id).where(*of, OAuthToken.state == CANDIDATE).limit(1))).first()
    return await tokens.current(session, channel), waiting is not None
