"""Wire types: apps at networks, and how a channel is authorised."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.channels.oauth_models import OAuthApp, OAuthToken
from smhub.channels.schemas import Network
from smhub.hub.web import Moment, known
from smhub.sdk import OAuth2

ClientId = Annotated[str, Meta(min_length=1, max_length=500, description="As the network gave it out.", examples=["smhub-4711"])]
ClientSecret = Annotated[
    str, Meta(min_length=1, max_length=2000, description="Taken and never given back. Left out: the app is a public client.")
]
Server = Annotated[
    str,
    Meta(
        max_length=500,
        description="The server that the app is registered at, where a network has many; left out: all of them.",
        examples=["https://social.example"],
    ),
]


class OAuthAppInfo(msgspec.Struct, kw_only=True):
    """The organisation's app at a network, without its secret."""

    id: UUID
    network: Network
    server: Annotated[str | None, Meta(description="null: all servers of the network.")]
    client_id: str
    has_secret: bool
    redirect_url: Annotated[str, Meta(description="To be registered with the app at the network.")]
    created_at: Moment
    version: int

    @classmethod
    def of(cls, row: OAuthApp, redirect_url: str, *, has_secret: bool) -> OAuthAppInfo:
        return cls(
            id=row.id,
            network=row.network,
            server=row.server or None,
            client_id=row.client_id,
            has_secret=has_secret,
            redirect_url=redirect_url,
            created_at=row.created_at,
            version=row.version,
        )


class OAuthApps(msgspec.Struct, kw_only=True):
    """A page of apps."""

    items: list[OAuthAppInfo]
    next_cursor: str | None


class NewOAuthApp(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An app that was registered at a network."""

    network: Network
    client_id: ClientId
    client_secret: ClientSecret | None = None
    server: Server | None = None


class OAuthAppChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. `client_secret` null: it has none any more."""

    client_id: ClientId | UnsetType = UNSET
    client_secret: ClientSecret | UnsetType | None = UNSET


class AuthorizationBegun(msgspec.Struct, kw_only=True):
    """Where a person lets the hub in. Show them this address; it works once."""

    authorize_url: Annotated[str, Meta(examples=["https://social.example/oauth/authorize?response_type=code"])]
    redirect_url: Annotated[str, Meta(description="Where the network sends them back to; the app has to know it.")]
    expires_at: Moment


class ChannelAuthorization(msgspec.Struct, kw_only=True):
    """What a person allowed the hub to do through a channel."""

    state: Annotated[
        str,
        known(
            "authorized",
            "required",
            "lost",
            description="`required`: nobody has allowed it yet. `lost`: the network takes it no more; authorise again.",
        ),
    ]
    checking: Annotated[bool, Meta(description="Somebody has just come back from the network; whose account it is is looked at.")]
    reason: Annotated[str | None, Meta(description="Why it was lost.")]
    scopes: list[str]
    missing_scopes: Annotated[list[str], Meta(description="What the connector asks for and was not given.")]
    member_id: Annotated[UUID | None, Meta(description="Who authorised it.")]
    authorized_at: Annotated[Moment | None, Meta(description="When the present token was given or last renewed.")]
    expires_at: Annotated[Moment | None, Meta(description="When the present token ends; it is renewed before. null: not known.")]

    @classmethod
    def of(cls, row: OAuthToken | None, auth: OAuth2, *, checking: bool) -> ChannelAuthorization:
        scopes = list(row.scopes) if row else []
        return cls(
            state="required" if row is None else "authorized" if row.state == "active" else "lost",
            checking=checking,
            reason=row.reason if row else None,
            scopes=scopes,
            missing_scopes=[one for one in auth.scopes if one not in scopes] if row else [],
            member_id=row.member_id if row else None,
            authorized_at=row.obtained_at if row else None,
            expires_at=row.expires_at if row else None,
        )
