"""A feed as it was read: plain Structs, spoken between the child process that parses and us. Times are seconds since 1970."""

from __future__ import annotations

import msgspec

MAX_BYTES = 5 * 1024 * 1024
MAX_ENTRIES = 2_000


class Person(msgspec.Struct, frozen=True):
    """Who wrote it, as far as the feed tells."""

    name: str = ""
    email: str = ""
    href: str = ""


class Enclosure(msgspec.Struct, frozen=True):
    """A file that belongs to an entry."""

    href: str
    media_type: str = ""
    bytes: int | None = None
    title: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `html` or `text` holds the body; `id` is the feed's own, or empty."""

    id: str = ""
    link: str = ""
    title: str = ""
    text: str = ""
    html: str | None = None
    published: int | None = None
    updated: int | None = None
    author: Person | None = None
    language: str = ""
    tags: tuple[str, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()


class Unread(msgspec.Struct, frozen=True):
    """An entry that could not be converted, and why."""

    raw: bytes
    error: str


class Document(msgspec.Struct, frozen=True, kw_only=True, tag="document"):
    """A feed with its newest entries, in the document's order; `total` is how many there were. `hubs` tell of what is new in it, and know it
    by its `own` address (WebSub)."""

    id: str = ""
    title: str = ""
    link: str = ""
    language: str = ""
    author: Person | None = None
    updated: int | None = None
    entries: tuple[Entry, ...] = ()
    unread: tuple[Unread, ...] = ()
    total: int = 0
    hubs: tuple[str, ...] = ()
    own: str = ""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The document was not read. `code`: not_a_feed, dtd, nesting, size, memory, time, died, unreadable."""

    code: str
    reason: str


class Task(msgspec.Struct, frozen=True):
    """What the child is asked to read: the body, and the headers that say how (content-type, -language, -location)."""

    body: bytes
    headers: dict[str, str]
