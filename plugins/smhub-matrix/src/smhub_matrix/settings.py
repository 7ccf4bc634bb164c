"""What is to be known of one room, and where its cursor has come to."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from smhub.sdk import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one room."""

    base_url: Annotated[
        str,
        Meta(
            title="Address of the homeserver",
            description="Where its API answers, as https://… (in Element under Help & About). "
            "Only this machine itself may be named with http://.",
            pattern=r"^(https://[^\s/@?#\\]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)/?$",
            max_length=500,
            examples=["https://matrix.example"],
        ),
    ]
    token: Annotated[
        Secret,
        Meta(
            title="Access token",
            description="Of an account that is in the room. Sign in with it only for the hub: signing out anywhere ends that token.",
        ),
    ]
    room: Annotated[
        str,
        Meta(
            title="Room",
            description="Its id (!…) or one of its addresses (#room:server). Without encryption.",
            pattern=r"^[!#][^\s/?#\\]+$",
            max_length=255,
            examples=["#service:matrix.example"],
        ),
    ]
    first_days: Annotated[int, Meta(title="Days at the first visit", description="How far back to go at first.", ge=0, le=3650)] = 30

    @property
    def address(self) -> str:
        """The homeserver's address without the slash at its end."""
        return self.base_url.rstrip("/")


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far reading has come. Everything up to the sync token `since` is stored.

    While a hole is being closed: it lies between `since` and the place `below` in the room's history, and what is above it, up to the
    sync token `top`, is stored. `me` is our own id and `room` the room's, found for the setting `named`; `public`: anybody may join.
    """

    since: str = ""
    below: str = ""
    top: str = ""
    me: str = ""
    named: str = ""
    room: str = ""
    public: bool = False
