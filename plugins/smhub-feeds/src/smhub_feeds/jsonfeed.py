"""JSON Feed 1.0 and 1.1, read element by element: one bad item never costs the others."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urljoin

import msgspec

from smhub.sdk import PayloadMalformed
from smhub_feeds.document import MAX_BYTES, MAX_ENTRIES, Document, Enclosure, Entry, Person, Unread
from smhub_feeds.reader import NotAFeed


class _Author(msgspec.Struct):
    name: str | None = None
    url: str | None = None


class _Attachment(msgspec.Struct):
    url: str
    mime_type: str | None = None
    title: str | None = None
    size_in_bytes: int | float | None = None


class _Item(msgspec.Struct):
    id: str | int | float
    url: str | None = None
    external_url: str | None = None
    title: str | None = None
    content_html: str | None = None
    content_text: str | None = None
    summary: str | None = None
    date_published: str | None = None
    date_modified: str | None = None
    author: _Author | None = None
    authors: list[_Author] | None = None
    tags: list[str] | None = None
    language: str | None = None
    attachments: list[_Attachment] | None = None


class _Hub(msgspec.Struct):
    type: str = ""
    url: str = ""


class _Feed(msgspec.Struct):
    version: str
    items: list[msgspec.Raw]
    title: str | None = None
    home_page_url: str | None = None
    feed_url: str | None = None
    author: _Author | None = None
    authors: list[_Author] | None = None
    language: str | None = None
    hubs: list[_Hub] | None = None


def is_json(body: bytes) -> bool:
    """Whether this looks like JSON and not like markup."""
    return body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def read_json(body: bytes, address: str) -> Document:
    """Read a JSON Feed that came from `address`. Raises PayloadMalformed."""
    if len(body) > MAX_BYTES:
        raise PayloadMalformed(f"the feed has {len(body)} bytes, {MAX_BYTES} are allowed")
    try:
        feed = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=_Feed)
    except msgspec.ValidationError as error:
        raise NotAFeed(f"this is JSON, but no JSON Feed: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise PayloadMalformed(f"the JSON cannot be read: {type(error).__name__}") from None
    if not feed.version.startswith(("https://jsonfeed.org/version/", "http://jsonfeed.org/version/")):
        raise NotAFeed("this is JSON, but no JSON Feed: its version is another")
    entries, unread = [], []
    for raw in feed.items[:MAX_ENTRIES]:
        try:
            entries.append(_entry(msgspec.json.decode(raw, type=_Item), address))
        except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError) as error:
            unread.append(Unread(bytes(raw), str(error)))
    return Document(
        id=feed.feed_url or "",
        title=feed.title or "",
        link=_join(address, feed.home_page_url),
        language=feed.language or "",
        author=_person(feed.authors, feed.author),
        entries=tuple(entries),
        unread=tuple(unread),
        total=len(feed.items),
        hubs=tuple(_join(address, hub.url) for hub in feed.hubs or () if hub.type.lower() == "websub"),
        own=_join(address, feed.feed_url),
    )


def _entry(item: _Item, address: str) -> Entry:
    text = item.content_text or ("" if item.content_html else item.summary) or ""
    return Entry(
        id=_identity(item.id),
        link=_join(address, item.url or item.external_url),
        title=item.title or "",
        text="" if item.content_html else text,
        html=item.content_html or None,
        published=_seconds(item.date_published),
        updated=_seconds(item.date_modified),
        author=_person(item.authors, item.author),
        language=item.language or "",
        tags=tuple(dict.fromkeys(tag for tag in item.tags or () if tag)),
        enclosures=tuple(
            Enclosure(_join(address, one.url), one.mime_type or "", int(one.size_in_bytes or 0) or None, one.title or "")
            for one in item.attachments or ()
        ),
    )


def _identity(value: str | int | float) -> str:
    # The specification: a number is taken as its text.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _join(address: str, url: str | None) -> str:
    try:
        return urljoin(address, url.strip()) if url else ""
    except ValueError:
        return ""


def _seconds(value: str | None) -> int | None:
    """A date that cannot be read is no date: the entry is worth more than its time."""
    try:
        at = datetime.fromisoformat(value.strip()) if value else None
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) if at else None
    except (OverflowError, ValueError):
        return None


def _person(many: list[_Author] | None, one: _Author | None) -> Person | None:
    author = next((each for each in [*(many or ()), one] if each and (each.name or each.url)), None)
    return Person(author.name or "", "", author.url or "") if author else None
