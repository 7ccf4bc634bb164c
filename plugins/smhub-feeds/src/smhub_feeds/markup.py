"""RSS and Atom, read with feedparser. Runs in the child process only, under its limits."""

from __future__ import annotations

import calendar
import io
import re
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any
from xml.parsers import expat

import feedparser

from smhub_feeds.document import MAX_ENTRIES, Document, Enclosure, Entry, Person, Refused, Unread

MAX_DEPTH = 100
MAX_LIST = 100
_ROOT = re.compile(rb"<\w")
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
MAX_TITLE = 10_000
_TAG = re.compile(r"(?is)<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[!?/a-z][^<>]*>")
_REFERENCE = re.compile(rb"&#([xX][0-9a-fA-F]{1,8}|[0-9]{1,8});")
_HTML = ("text/html", "application/xhtml+xml")

# An id is a name, compared letter by letter. Resolved against the feed's address it would change whenever the feed moves.
feedparser.mixin._FeedParserMixin.can_be_relative_uri.discard("id")


class _Stop(Exception):
    def __init__(self, code: str, reason: str) -> None:
        self.refused = Refused(code=code, reason=reason)


def read(body: bytes, headers: Mapping[str, str]) -> Document | Refused:
    """Read a feed; the headers are content-type, content-language and content-location (an absolute address)."""
    try:
        _check(feedparser.encodings.convert_to_utf8(dict(headers), body, {}))
    except _Stop as stop:
        return stop.refused
    try:
        result = _parse(body, headers)
    except UnicodeEncodeError:  # references to half a character, which feedparser's loose parser does not survive
        result = _parse(_REFERENCE.sub(_whole, body), headers)
    feed, entries = result["feed"], result["entries"]
    if not entries and not result.get("version"):
        return Refused(code="not_a_feed", reason="this is neither RSS nor Atom nor JSON Feed")
    read_entries, unread = [], []
    for entry in _newest(entries):
        try:
            read_entries.append(_entry(entry, headers.get("content-location", "")))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            unread.append(Unread(_text(entry.get("link")).encode(), f"{type(error).__name__}: {error}"))
    return Document(
        id=_text(feed.get("id")),
        title=_plain(feed, "title"),
        link=_text(feed.get("link")),
        language=_text(feed.get("language")) or _text(feed.get("title_detail", {}).get("language")),
        author=_person(feed),
        updated=_seconds(feed, "updated_parsed", "published_parsed"),
        entries=tuple(read_entries),
        unread=tuple(unread),
        total=len(entries),
        hubs=tuple(_links(feed, "hub")),
        own=next(iter(_links(feed, "self")), ""),
    )


def _links(feed: Any, relation: str) -> list[str]:
    found = [link for link in feed.get("links", ())[:MAX_LIST] if isinstance(link, Mapping) and link.get("rel") == relation]
    return [_text(link.get("href")) for link in found if link.get("href")]


def _parse(body: bytes, headers: Mapping[str, str]) -> Any:
    # Bytes or text handed over directly could be taken for a file's name or an address; a stream cannot.
    return feedparser.parse(io.BytesIO(body), response_headers=dict(headers), sanitize_html=False, resolve_relative_uris=True)


def _whole(reference: re.Match[bytes]) -> bytes:
    digits = reference[1]
    number = int(digits[1:], 16) if digits[:1] in b"xX" else int(digits)
    return b"&#65533;" if 0xD800 <= number <= 0xDFFF else reference[0]


def _check(data: bytes) -> None:
    """Look at exactly the bytes that feedparser's parsers will see, with a parser that builds nothing."""
    root = _ROOT.search(data)
    # feedparser takes entities from here even out of comments; a harmless one is refused too, for none is needed.
    if _ENTITY.search(data, 0, root.start() if root else len(data)):
        raise _Stop("dtd", "the feed declares entities, and those are not read")
    depth = 0

    def opened(name: str, attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _Stop("nesting", f"the feed is nested deeper than {MAX_DEPTH} elements")

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(name: str, system: str | None, public: str | None, subset: int) -> None:
        if subset:
            raise _Stop("dtd", "the feed brings a document type of its own, and those are not read")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = opened, closed, doctype
    try:
        parser.Parse(feedparser.sanitizer.replace_doctype(data)[1], True)
    except expat.ExpatError:
        return  # ill-formed from here on: feedparser's loose parser knows neither declarations nor recursion


def _newest(entries: list[Any]) -> list[Any]:
    if len(entries) <= MAX_ENTRIES:
        return entries
    dated = sorted(range(len(entries)), key=lambda at: (-(_seconds(entries[at], "published_parsed", "updated_parsed") or 0), at))
    return [entries[at] for at in sorted(dated[:MAX_ENTRIES])]


def _entry(entry: Any, address: str) -> Entry:
    body = next((one for one in entry.get("content") or () if one.get("value")), None) or entry.get("summary_detail") or {}
    value, html = _text(body.get("value")), body.get("type") in _HTML
    return Entry(
        id=_text(entry.get("id")),
        link=feedparser.urls.make_safe_absolute_uri(address, _text(entry.get("link"))) if entry.get("link") else "",
        title=_plain(entry, "title"),
        text="" if html else value,
        html=value if html else None,
        published=_seconds(entry, "published_parsed"),
        updated=_seconds(entry, "updated_parsed"),
        author=_person(entry),
        language=_text(body.get("language")) or _text(entry.get("title_detail", {}).get("language")),
        tags=_distinct(tag.get("term") or tag.get("label") for tag in entry.get("tags") or ()),
        enclosures=tuple(_enclosures(entry))[:MAX_LIST],
    )


def _plain(source: Any, key: str) -> str:
    value = _text(source.get(key))
    if source.get(f"{key}_detail", {}).get("type") in _HTML:
        return unescape(_TAG.sub("", value[:MAX_TITLE])).strip()
    return value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _seconds(source: Any, *keys: str) -> int | None:
    for key in keys:
        # dict.get: feedparser's own get answers with `published` where `updated` is asked for
        if at := dict.get(source, key):
            try:
                return calendar.timegm(at)
            except (OverflowError, TypeError, ValueError):
                continue
    return None


def _person(source: Any) -> Person | None:
    detail = source.get("author_detail") or {}
    person = Person(_text(detail.get("name")) or _text(source.get("author")), _text(detail.get("email")), _text(detail.get("href")))
    return person if person.name or person.email or person.href else None


def _enclosures(entry: Any) -> Iterable[Enclosure]:
    for link in entry.get("links") or ():
        if link.get("rel") == "enclosure" and link.get("href"):
            size = _text(link.get("length"))
            bytes_ = int(size) if size.isascii() and size.isdecimal() and len(size) < 16 else None
            yield Enclosure(_text(link.get("href")), _text(link.get("type")), bytes_, _text(link.get("title")))


def _distinct(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for value in values if (text := _text(value).strip())))[:MAX_LIST]
