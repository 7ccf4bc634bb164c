"""What the server says, as far as it is read. Everything that some server leaves out has a default."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Profile(msgspec.Struct, frozen=True):
    """An account. `acct` is `name` for those of the server itself and `name@host` for the others."""

    id: str
    acct: str
    display_name: str | None = ""
    url: str | None = None
    avatar: str | None = None
    followers_count: int | None = None


class Attached(msgspec.Struct, frozen=True):
    """A file of a status. `url` is missing while the server still works on it."""

    id: str = ""
    type: str = "unknown"
    url: str | None = None
    remote_url: str | None = None
    description: str | None = None


class Person(msgspec.Struct, frozen=True):
    """Somebody who is mentioned."""

    id: str
    acct: str


class Status(msgspec.Struct, frozen=True):
    """A post in any of its forms."""

    id: str
    created_at: datetime
    account: Profile
    content: str | None = ""
    visibility: str = ""
    url: str | None = None
    uri: str | None = None
    spoiler_text: str | None = ""
    sensitive: bool | None = False
    language: str | None = None
    edited_at: datetime | None = None
    in_reply_to_id: str | None = None
    media_attachments: tuple[Attached, ...] = ()
    mentions: tuple[Person, ...] = ()
    poll: Any = None
    reblog: Any = None
    replies_count: int | None = None
    reblogs_count: int | None = None
    favourites_count: int | None = None
    quotes_count: int | None = None


class Notification(msgspec.Struct, frozen=True):
    """Something that happened to us; the status stays as it came until we know that it is a mention."""

    type: str = ""
    status: msgspec.Raw = msgspec.Raw(b"null")


class Found(msgspec.Struct, frozen=True):
    """The answer of the search."""

    statuses: tuple[msgspec.Raw, ...] = ()


class Context(msgspec.Struct, frozen=True):
    """What stands around a status."""

    descendants: tuple[msgspec.Raw, ...] = ()


class Source(msgspec.Struct, frozen=True):
    """What was written, before the server made HTML of it."""

    text: str = ""
    spoiler_text: str | None = ""
