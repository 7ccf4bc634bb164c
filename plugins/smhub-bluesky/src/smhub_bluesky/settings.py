"""What is to be known of one account, and where its cursor has come to."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from smhub.sdk import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one account."""

    identifier: Annotated[
        str,
        Meta(title="Handle", description="As name.bsky.social or your own domain, without @; a DID too.", min_length=1, max_length=300),
    ]
    app_password: Annotated[
        Secret,
        Meta(
            title="App password", description="From Settings → Privacy and security → App passwords. Never the account's own password."
        ),
    ]
    base_url: Annotated[
        str,
        Meta(
            title="Address of the server",
            description="Where the account lives (its PDS), as https://… Only this machine itself may be named with http://.",
            pattern=r"^(https://[^\s/@?#\\]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)/?$",
            max_length=500,
        ),
    ] = "https://bsky.social"
    jetstream: Annotated[
        str,
        Meta(
            title="Address of the Jetstream",
            description="Tells listeners at once what anybody says. Public: jetstream1 and jetstream2, each .us-east or .us-west, "
            "under bsky.network. Empty: they are asked for by searches alone.",
            pattern=r"^((wss|https)://[^\s/@?#\\]+|(ws|http)://(127\.0\.0\.1|localhost)(:[0-9]+)?)?/?$",
            max_length=500,
        ),
    ] = "wss://jetstream2.us-east.bsky.network"
    first_days: Annotated[int, Meta(title="Days at the first visit", description="How far back to go at first.", ge=0, le=3650)] = 30

    @property
    def address(self) -> str:
        """The server's address without the slash at its end."""
        return self.base_url.rstrip("/")


class Known(msgspec.Struct, frozen=True, array_like=True):
    """A post that was handed over: `did/key` of its address, and the end of its cid, which changes with its words."""

    post: str
    mark: str


class Spot(msgspec.Struct, frozen=True, array_like=True):
    """A place in one list that tells the newest first: everything up to `known` (a time) is stored. While a hole below `top` is being
    closed, the list goes on at the network's own cursor `below`."""

    known: str = ""
    top: str = ""
    below: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far reading has come. `known` are the newest posts, the newest last: they are looked at again for edits and deletions.

    `page` counts the pages, so that no two cursors are the same; `turn` counts the visits. `me` is our DID.
    """

    mentions: Spot = Spot()
    words: dict[str, Spot] = msgspec.field(default_factory=dict)
    known: tuple[Known, ...] = ()
    turn: int = 0
    page: int = 0
    me: str = ""


class Heard(msgspec.Struct, frozen=True):
    """The place in a Jetstream: the time of the last message that was heard, in microseconds. It is the same on all of them."""

    time_us: int
