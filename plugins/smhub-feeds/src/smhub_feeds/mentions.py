"""Entries become mentions."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from smhub.sdk import Attachment, Author, Mention
from smhub_feeds.document import Document, Enclosure, Entry, Person

MAX_ID = 500
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}")
_KINDS = ("image", "video", "audio")


def identity(entry: Entry) -> str:
    """What the feed calls the entry, else its address, else a fingerprint of what it says."""
    named = _CONTROL.sub("", entry.id or entry.link).strip()
    if named:
        return named if len(named) <= MAX_ID else _fingerprint(named)
    return _fingerprint(entry.title, entry.text if entry.html is None else entry.html, str(entry.published or ""))


def published(entry: Entry, fallback: datetime) -> datetime:
    """The time that the entry gives; `fallback` when it gives none."""
    return _time(entry.published) or _time(entry.updated) or fallback


def feed_time(document: Document) -> datetime | None:
    """The time that the feed as a whole gives."""
    return _time(document.updated)


def mention(entry: Entry, document: Document, scope: str, at: datetime) -> Mention:
    """The entry as the hub knows it. Links other than http are dropped: nobody shall click on them."""
    updated = _time(entry.updated)
    return Mention(
        external_id=identity(entry),
        scope=scope,
        kind="article",
        author=_author(entry.author or document.author or Person(name=document.title), scope),
        published_at=at,
        edited_at=updated if updated and updated > at else None,
        title=entry.title or None,
        text=entry.text,
        html=entry.html,
        url=_address(entry.link),
        language=_language(entry.language) or _language(document.language),
        attachments=tuple(_attachment(one) for one in entry.enclosures if _address(one.href)),
        labels=entry.tags,
    )


def _author(person: Person, scope: str) -> Author | None:
    handle = person.name or person.email or person.href
    if not handle:
        return None
    # A name alone means somebody in this feed only; an address or a page means the same everywhere.
    identity = (person.href or person.email) and (person.href, person.email)
    return Author(
        external_id=_fingerprint(*(identity or (scope, person.name))),
        handle=handle,
        name=person.name,
        url=_address(person.href),
    )


def _attachment(enclosure: Enclosure) -> Attachment:
    family = enclosure.media_type.partition("/")[0].lower()
    return Attachment(
        url=_address(enclosure.href) or "",
        kind=family if family in _KINDS else "file",
        media_type=enclosure.media_type or None,
        alt_text=enclosure.title or None,
        bytes=enclosure.bytes,
    )


def _time(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OSError, OverflowError, ValueError):
        return None


def _language(value: str) -> str | None:
    return value if _LANGUAGE.fullmatch(value) else None


def _address(value: str) -> str | None:
    try:
        parts = urlsplit(_CONTROL.sub("", value))
    except ValueError:
        return None
    return parts.geturl() if parts.scheme in ("http", "https") and parts.netloc else None


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
