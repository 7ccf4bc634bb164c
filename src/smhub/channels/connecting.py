"""From a channel or listener to its connector: settings validated, secrets opened, http made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import secrets
from smhub.access.keyring import Unreadable
from smhub.channels.models import Channel, Listener
from smhub.channels.sessions import KeptSession
from smhub.channels.tokens import ChannelToken
from smhub.errors import Conflict, FieldError, Invalid
from smhub.hub.runtime import Runtime
from smhub.net import ConnectorHttp, Credentials, Fence
from smhub.sdk import (
    ConfigInvalid,
    Connector,
    ConnectorContext,
    Secret,
    SignsIn,
    Subscription,
    Transient,
    capabilities,
    read_settings,
    secret_fields,
)

FIELD = re.compile(r"(?:missing required|contains unknown) field `([^`]+)`")
"""What is missing or too much stands in the words and not in the path."""

LEFT_TO_PUBLISHING = 0.2
"""The share of a network's budget that reading leaves to what we say."""


def connector_of(runtime: Runtime, network: str) -> type[Connector[Any]]:
    """The connector of a network; Conflict when no loaded plugin speaks it."""
    connector = runtime.hub.connectors.get(network)
    if connector is None:
        raise Conflict(
            f"No plugin that is loaded speaks {network}. GET /v1/networks lists those that are.",
            f"Kein geladenes Plugin spricht {network}. GET /v1/networks zeigt die vorhandenen.",
        )
    return connector


class PluginAway(Transient):
    """The plugin of a channel or listener is off, or did not load. It waits with a gap, and goes on when the plugin is there again."""

    kind = "plugin_away"

    def __init__(self, network: str) -> None:
        super().__init__(
            f"No plugin that is loaded speaks {network}. `smhub plugin doctor` says why; `smhub plugin enable` switches one on."
        )


def must_be_there(runtime: Runtime, network: str) -> None:
    """Raises PluginAway, for work that waits for a plugin; a person who asks gets the Conflict of `connector_of`."""
    if network not in runtime.hub.connectors:
        raise PluginAway(network)


def check_settings(connector: type[Connector[Any]], given: Mapping[str, Any], kept: frozenset[str] = frozenset()) -> None:
    """Validate settings as a person sent them; secrets in `kept` are stored already and may be left out. Raises Invalid."""
    whole = {**dict.fromkeys(kept - given.keys(), "kept"), **given}
    try:
        read_settings(connector.Config, whole)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = "settings" + path.rstrip("`")
        if named := FIELD.search(text):
            field += f".{named[1]}"
        raise Invalid(fields=[FieldError(field=field, code="invalid", detail=text)]) from error


def split_secrets(connector: type[Connector[Any]], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Secret]]:
    """What may be shown, and what must not."""
    hidden = secret_fields(connector.Config)
    plain = {name: value for name, value in given.items() if name not in hidden}
    return plain, {name: Secret(value) for name, value in given.items() if name in hidden and value is not None}


async def config_of(session: AsyncSession, runtime: Runtime, row: Channel | Listener) -> msgspec.Struct:
    """The connector's typed settings. Raises ConfigInvalid when they no longer fit or a secret cannot be opened."""
    connector = connector_of(runtime, row.network)
    owner = secrets.Owner(row.organisation_id, row.__tablename__, row.id)
    try:
        hidden = await secrets.get(session, runtime.keyring, owner) if secret_fields(connector.Config) else {}
    except Unreadable as error:
        raise ConfigInvalid(f"a stored secret cannot be opened: {error}") from error
    plain = row.settings
    if row.config_version < connector.config_version:
        plain = connector.migrate_config(dict(plain), row.config_version)
    try:
        return read_settings(connector.Config, {**plain, **hidden})
    except msgspec.ValidationError as error:
        raise ConfigInvalid(str(error)) from error


def connect(
    runtime: Runtime,
    row: Channel | Listener,
    config: msgspec.Struct,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    credentials: Credentials | None = None,
    told: bool = False,
    subscription: Subscription | None = None,
) -> Connector[Any]:
    """A connector to read with, for one call, with an http that holds its credentials and budgets. `credentials`: others than its own.
    `told`: the network delivers by itself. `subscription`: for calls that are about that."""
    kind = connector_of(runtime, row.network)
    seed = row.id.int & 0x7FFF_FFFF
    context = ConnectorContext(clock=runtime.clock, since=since, until=until, seed=seed, told=told, subscription=subscription)
    shown = credentials or _token(runtime, row, kind, config)
    return kind(config, runtime.net.http_for(kind, config, account=str(row.id), reserve=LEFT_TO_PUBLISHING, credentials=shown), context)


def connect_to_listen(runtime: Runtime, row: Channel | Listener, config: msgspec.Struct) -> tuple[Connector[Any], ConnectorHttp]:
    """A connector to listen with, and its http, which tells of every sign of life and has to be closed."""
    kind = connector_of(runtime, row.network)
    token = _token(runtime, row, kind, config)
    http = runtime.net.http_for(kind, config, account=str(row.id), reserve=LEFT_TO_PUBLISHING, credentials=token)
    return kind(config, http, ConnectorContext(clock=runtime.clock, seed=row.id.int & 0x7FFF_FFFF)), http


def connect_to_say(runtime: Runtime, row: Channel, config: msgspec.Struct, fence: Fence) -> tuple[Connector[Any], ConnectorHttp]:
    """A connector to say something with; `fence` is asked right before each request leaves. Also its http, which knows what went out."""
    kind = connector_of(runtime, row.network)
    token = _token(runtime, row, kind, config)
    http = runtime.net.http_for(kind, config, account=str(row.id), fence=fence, credentials=token)
    return kind(config, http, ConnectorContext(clock=runtime.clock, seed=row.id.int & 0x7FFF_FFFF)), http


def _token(runtime: Runtime, row: Channel | Listener, kind: type[Connector[Any]], config: msgspec.Struct) -> Credentials | None:
    """What a person allowed us on the network, or the session that their password gave; None where the settings hold what is shown."""
    if issubclass(kind, SignsIn):
        return KeptSession(runtime, row, kind, config)
    return ChannelToken(runtime, row, kind, config) if kind.auth is not None and isinstance(row, Channel) else None


def can(runtime: Runtime, network: str, capability: str) -> bool:
    """Whether the network's connector has the capability."""
    connector = runtime.hub.connectors.get(network)
    return connector is not None and capability in capabilities(connector)
