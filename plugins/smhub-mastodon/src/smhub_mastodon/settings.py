"""What is to be known of one account, and where its cursor has come to."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from smhub.sdk import Secret
from smhub_mastodon.walking import Spot


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one account."""

    base_url: Annotated[
        str,
        Meta(
            title="Address of the server",
            description="Where you sign in, as https://… Only this machine itself may be named with http://.",
            pattern=r"^(https://[^\s/@?#\\]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)/?$",
            max_length=500,
            examples=["https://mastodon.example"],
        ),
    ]
    token: Annotated[
        Secret,
        Meta(
            title="Access token",
            description="Of an application with the scopes read:accounts, read:notifications, read:statuses, read:search, "
            "write:statuses and write:media. An account that only listens needs no write scope.",
        ),
    ]
    first_days: Annotated[int, Meta(title="Days at the first visit", description="How far back to go at first.", ge=0, le=3650)] = 30

    @property
    def address(self) -> str:
        """The server's address without the slash at its end."""
        return self.base_url.rstrip("/")

    @property
    def scope(self) -> str:
        """Status ids are only unique on their server: its host, with the port where one is named."""
        return urlsplit(self.base_url).netloc.lower()


class Known(msgspec.Struct, frozen=True, array_like=True):
    """A status that was handed over, and a mark of how it was then."""

    id: str
    mark: str


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far reading has come. `known` are the newest statuses, the newest last: they are looked at again for edits and deletions.

    `turn` counts the visits, so that each looks at others, and `page` the pages of a visit, so that no two cursors are the same.
    `domain` and `me` are the server's name in handles and our account's id.
    """

    mentions: Spot = Spot()
    tags: dict[str, Spot] = msgspec.field(default_factory=dict)
    known: tuple[Known, ...] = ()
    turn: int = 0
    page: int = 0
    domain: str = ""
    me: str = ""
