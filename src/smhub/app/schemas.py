"""The hub's own wire types: who am I, errors, networks, plugins, health."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from smhub.hub.web import Moment, known
from smhub.sdk import CAPABILITIES, Limits


class HeldRole(msgspec.Struct, kw_only=True):
    """Rights and where they hold: one department with those below it, one channel, or (both null) the whole organisation."""

    permissions: list[str]
    department_id: UUID | None = None
    channel_id: UUID | None = None


class Me(msgspec.Struct, kw_only=True):
    """Who the key belongs to, and what it may do."""

    organisation_id: UUID
    organisation_name: Annotated[str, Meta(examples=["Nordwind Versand"])]
    stage: Annotated[int, Meta(ge=1, le=3)]
    member_id: UUID
    member_name: Annotated[str, Meta(examples=["Service desk"])]
    member_kind: Annotated[str, known("person", "service_account")]
    key_id: UUID
    key_scopes: Annotated[list[str] | None, Meta(description="What the key is narrowed to; null: everything that the member may.")]
    key_expires_at: Moment | None
    roles: list[str]
    permissions: Annotated[list[str], Meta(description="Everything that holds somewhere.", examples=[["mentions:read"]])]
    holdings: list[HeldRole]


class ErrorCode(msgspec.Struct, kw_only=True):
    """One code of the contract."""

    code: Annotated[str, Meta(examples=["not_found"])]
    status: int
    title: str
    help: Annotated[str, Meta(description="What to do about it.")]
    doc_url: str


class ErrorCodes(msgspec.Struct, kw_only=True):
    """Every error that the API can give."""

    items: list[ErrorCode]


class NetworkOAuth2(msgspec.Struct, kw_only=True):
    """The network is entered by OAuth 2: an app has to be registered there, and each channel to be authorised by a person."""

    scopes: Annotated[list[str], Meta(description="What the connector asks for.")]
    redirect_url: Annotated[str, Meta(description="To be registered with the app.")]
    many_servers: Annotated[bool, Meta(description="An app belongs to one server; channels name theirs in their settings.")]


class Network(msgspec.Struct, kw_only=True):
    """A network that this hub speaks: what it can do there, what settings it needs, what it accepts."""

    network: Annotated[str, Meta(examples=["feeds"])]
    title: str
    plugin: str
    capabilities: Annotated[list[Annotated[str, known(*CAPABILITIES)]], Meta(description="What the connector implements.")]
    settings_schema: Annotated[dict[str, Any], Meta(description="JSON Schema (2020-12) of the settings, for a form.")]
    limits: Limits
    oauth2: Annotated[NetworkOAuth2 | None, Meta(description="null: the credentials are settings.")]
    checked_against: Annotated[str, Meta(description="What the connector was tried with; empty: nothing but its own tests.")]


class Networks(msgspec.Struct, kw_only=True):
    """All networks, by name."""

    items: list[Network]


class Conformance(msgspec.Struct, kw_only=True):
    """How well a connector keeps the contract, as its package says: what `smhub plugin check --badge` found when it was built."""

    network: Annotated[str, Meta(examples=["feeds"])]
    level: Annotated[Annotated[str, known("bronze", "silver", "gold", "platinum")] | None, Meta(description="Null: not even bronze.")]
    kit: Annotated[str, Meta(description="The version of smhub whose kit it was.", examples=["0.1.0"])]
    checked_at: Moment


class PluginInfo(msgspec.Struct, kw_only=True):
    """A plugin that was found, and what became of it."""

    id: Annotated[str, Meta(examples=["feeds"])]
    title: str
    state: Annotated[str, known("loaded", "disabled", "discovered", "incompatible", "load_failed", "quarantined")]
    reason: Annotated[str | None, Meta(description="Why it is not loaded, and the way out.")]
    version: str | None
    distribution: str | None
    stage: Annotated[int, Meta(description="1 to 3; 0 for connectors.")]
    bundled: bool
    requires: list[str]
    networks: list[str]
    conformance: Annotated[list[Conformance], Meta(description="The levels of its connectors; one that says nothing is left out.")]


class Plugins(msgspec.Struct, kw_only=True):
    """All plugins that were found."""

    items: list[PluginInfo]


class Check(msgspec.Struct, kw_only=True):
    """One thing that was looked at."""

    name: Annotated[str, known("database", "schema", "worker")]
    ok: bool
    detail: str


class Health(msgspec.Struct, kw_only=True):
    """Whether the hub can serve."""

    ok: bool
    checks: list[Check]
