"""The apps that an organisation registered at networks, so that people can let the hub in there."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import secrets
from smhub.access.keyring import Unreadable
from smhub.channels import health, streaming
from smhub.channels.models import Channel, Intake
from smhub.channels.oauth_models import OAuthApp
from smhub.errors import AlreadyExists, Invalid
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.net import Endpoint, refuse_in_clear
from smhub.sdk import ConfigInvalid, OAuth2
from smhub.secret import Secret

SECRET = "client_secret"  # noqa: S105


def owner(row: OAuthApp) -> secrets.Owner:
    """Where an app's secret lies."""
    return secrets.Owner(row.organisation_id, OAuthApp.__tablename__, row.id)


def server_of(address: str) -> str:
    """The server that an address belongs to, as apps name it. Raises ConfigInvalid."""
    read = refuse_in_clear(address)
    return f"{read.scheme}://{read.authority}"


def checked_server(runtime: Runtime, network: str, server: str | None) -> str:
    """The server as it is kept. Raises Invalid for a network that needs no app, and for an address that is none."""
    connector = runtime.hub.connectors.get(network)
    if connector is None or connector.auth is None:
        raise Invalid.field("network", "no loaded plugin speaks this network with OAuth 2; see `oauth2` in GET /v1/networks")
    if not server:
        return ""
    try:
        return server_of(server)
    except ConfigInvalid as error:
        raise Invalid.field("server", error.message) from error


async def add(
    session: AsyncSession, runtime: Runtime, organisation_id: UUID, *, network: str, server: str, client_id: str, secret: str | None
) -> OAuthApp:
    """A new app; AlreadyExists when there is one for this network and server."""
    same = select(OAuthApp.id).where(
        OAuthApp.organisation_id == organisation_id, OAuthApp.network == network, OAuthApp.server == server
    )
    if (await session.execute(same)).first() is not None:
        raise AlreadyExists(what="app", field="network")
    now = runtime.clock.now()
    row = OAuthApp(
        organisation_id=organisation_id, id=new_id(), network=network, server=server, client_id=client_id, created_at=now, version=1
    )
    session.add(row)
    await session.flush()
    if secret is not None:
        await secrets.put(session, runtime.keyring, owner(row), {SECRET: Secret(secret)})
    return row


async def change(session: AsyncSession, runtime: Runtime, row: OAuthApp, given: dict[str, Any]) -> None:
    """What is given; what stood still because the app was not accepted tries again."""
    if "client_id" in given:
        row.client_id = given["client_id"]
    if "client_secret" in given:
        await secrets.forget(session, owner(row))
        if given["client_secret"] is not None:
            await secrets.put(session, runtime.keyring, owner(row), {SECRET: Secret(given["client_secret"])})
    row.changed()
    await session.flush()
    await _try_again(session, row, runtime.clock.now())


async def remove(session: AsyncSession, row: OAuthApp) -> None:
    """The app is gone with its secret; what it let in stays in until its tokens end."""
    await secrets.forget(session, owner(row))
    await session.delete(row)
    await session.flush()


async def app_for(session: AsyncSession, organisation_id: UUID, network: str, server: str) -> OAuthApp | None:
    """The app for a server of a network: its own, else the one for all of them."""
    found = select(OAuthApp).where(
        OAuthApp.organisation_id == organisation_id, OAuthApp.network == network, OAuthApp.server.in_((server, ""))
    )
    return (await session.scalars(found.order_by(OAuthApp.server.desc()).limit(1))).first()


async def endpoint_of(session: AsyncSession, runtime: Runtime, app: OAuthApp, auth: OAuth2, url: str) -> Endpoint:
    """A token endpoint, with what proves that it is this app that asks. Raises ConfigInvalid when its secret cannot be opened."""
    try:
        kept = await secrets.get(session, runtime.keyring, owner(app))
    except Unreadable as error:
        raise ConfigInvalid(f"the app's secret cannot be opened: {error}") from error
    return Endpoint(url=url, client_id=app.client_id, client_secret=kept.get(SECRET), how=auth.token_endpoint_auth)


async def _try_again(session: AsyncSession, row: OAuthApp, now: datetime) -> None:
    """Intakes of this network that a wrong app stopped look again, and deliveries that it held back go on."""
    of = (Channel.organisation_id == row.organisation_id, Channel.network == row.network, Channel.ended_at.is_(None))
    for channel in await session.scalars(select(Channel).where(*of).with_for_update()):
        channel.changed()
        mine = (Intake.organisation_id == row.organisation_id, Intake.channel_id == channel.id)
        for intake in await session.scalars(select(Intake).where(*mine, Intake.state == health.CONFIG_ERROR)):
            health.tried_again(intake, now)
            streaming.wanted(intake, now)
