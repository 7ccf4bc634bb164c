"""What becomes of a mention when the network tells about it again: pure, and the same in whatever order the pieces arrive.

The newest text by the network's own time wins; each other text is an earlier version, with the last time at which it was told. What
one telling leaves open another may fill in. A deletion wins for ever, and wipes.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from smhub.sdk import KINDS, VISIBILITIES, Attachment, Item, Mention, Tombstone
from smhub.text import clean_text, safe_html, text_of_html
from smhub.time import to_utc

LIVE, EDITED, DELETED = "live", "edited", "deleted"
WIPED = "wiped"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A text and when it was valid from, on the network's clock."""

    at: datetime
    digest: str
    title: str | None
    text: str


class Content(msgspec.Struct, kw_only=True):
    """A mention's state in memory: as loaded, or empty for a new one."""

    scope: str
    external_id: str
    id: UUID | None = None
    kind: str = "post"
    visibility: str = "public"
    title: str | None = None
    text: str = ""
    html: str | None = None
    language: str | None = None
    url: str | None = None
    author: str | None = None
    has_author: bool = False
    root: str = ""
    reply_to: str | None = None
    labels: list[str] = msgspec.field(default_factory=list)
    attachments: list[Any] = msgspec.field(default_factory=list)
    published_at: datetime | None = None
    edited_at: datetime | None = None
    version_at: datetime | None = None
    digest: str = ""
    content_state: str = LIVE
    deleted_at: datetime | None = None
    raw: bytes | None = None
    older: dict[str, Version] = msgspec.field(default_factory=dict)
    text_changed: bool = False
    deleted_now: bool = False
    touched: bool = False

    @property
    def told(self) -> bool:
        """Whether the network ever told more than that it is gone."""
        return self.digest != ""


def merge(into: Content, item: Item, now: datetime) -> None:
    """Take one item into the content."""
    if isinstance(item, Tombstone):
        _delete(into, to_utc(item.at) if item.at else now)
    elif isinstance(item, Mention):
        _tell(into, item)


def _delete(into: Content, at: datetime) -> None:
    if into.content_state == DELETED:
        if into.deleted_at is not None and at < into.deleted_at:
            into.deleted_at = into.version_at = at
            into.touched = True
            if not into.told:
                into.published_at = at
        return
    into.content_state, into.deleted_at = DELETED, at
    into.title, into.text, into.html, into.raw, into.language = None, "", None, None, None
    into.attachments, into.labels, into.older = [], [], {}
    into.edited_at = None
    into.published_at = into.published_at or at
    into.version_at = at
    into.digest = WIPED if into.told else ""
    into.deleted_now = into.touched = True


def _tell(into: Content, item: Mention) -> None:
    published = to_utc(item.published_at)
    at = max(to_utc(item.edited_at), published) if item.edited_at else published
    title, text, html = _texts(item)
    digest = _digest(title, text, html)
    if not into.told:
        _frame(into, item, published)
    else:
        _fill_in(into, item, published)
    if into.content_state == DELETED:
        into.digest = WIPED
        return
    version = Version(at=at, digest=digest, title=title, text=text)
    if into.told and digest == into.digest:
        _same_text(into, at, edited=item.edited_at is not None)
    elif into.told and into.version_at is not None and (at, digest) < (into.version_at, into.digest):
        known = into.older.get(digest)
        if known is None or known.at < at:
            into.older[digest] = version
            into.content_state, into.edited_at, into.touched = EDITED, into.version_at, True
    else:
        if into.told and into.version_at is not None:
            before = Version(at=into.version_at, digest=into.digest, title=into.title, text=into.text)
            into.older[before.digest] = before
            into.content_state = EDITED
        into.older.pop(digest, None)
        _replace(into, item, title, text, html)
        into.digest, into.version_at = digest, at
        if item.edited_at is not None:
            into.edited_at, into.content_state = at, EDITED
        elif into.content_state == EDITED:
            into.edited_at = at


def _same_text(into: Content, at: datetime, *, edited: bool) -> None:
    """The same words again, perhaps with a later time of change: only the time moves on."""
    if into.version_at is None or at <= into.version_at or not edited:
        return
    into.version_at, into.edited_at, into.content_state, into.touched = at, at, EDITED, True


def _frame(into: Content, item: Mention, published: datetime) -> None:
    """What does not change with the text: who, where, when."""
    into.kind = item.kind if item.kind in KINDS else "post"
    into.visibility = item.visibility if item.visibility in VISIBILITIES else "public"
    into.url = _url(item.url)
    into.author = author_key(item)
    into.reply_to = item.reply_to
    into.published_at = published
    into.touched = True


def _fill_in(into: Content, item: Mention, published: datetime) -> None:
    """What an earlier telling left open."""
    if into.published_at is None or published < into.published_at:
        into.published_at, into.touched = published, True
    if into.reply_to is None and item.reply_to:
        into.reply_to, into.touched = item.reply_to, True
    if into.url is None and (url := _url(item.url)):
        into.url, into.touched = url, True
    if into.author is None and not into.has_author and (author := author_key(item)):
        into.author, into.touched = author, True


def author_key(item: Mention) -> str | None:
    """The author's id on the network, as it is stored."""
    return clean_text(item.author.external_id) or None if item.author else None


def _replace(into: Content, item: Mention, title: str | None, text: str, html: str | None) -> None:
    into.title, into.text, into.html = title, text, html
    into.language = clean_text(item.language, 16).lower() or None if item.language else None
    into.labels = [clean_text(label, 200) for label in item.labels[:50] if label.strip()]
    into.attachments = [_attachment(one) for one in item.attachments[:50] if _url(one.url)]
    into.raw = item.raw
    into.text_changed = into.touched = True


def _attachment(one: Attachment) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(one)
    return {name: clean_text(value, 2000) if isinstance(value, str) else value for name, value in fields.items()}


def _texts(item: Mention) -> tuple[str | None, str, str | None]:
    title = clean_text(item.title, 1000).strip() if item.title else None
    if item.html is None:
        return title or None, clean_text(item.text), None
    return title or None, clean_text(item.text) if item.text else text_of_html(item.html), safe_html(item.html)


def _digest(title: str | None, text: str, html: str | None) -> str:
    return blake2b("\0".join((title or "", text, html or "")).encode(), digest_size=16).hexdigest()


SCHEMES = ("http://", "https://", "mailto:", "mid:")
"""Addresses that are kept. `mid:` names a part of a mail (RFC 2392) and leads nowhere by itself."""


def _url(value: str | None) -> str | None:
    """Only addresses that are safe to show as a link."""
    return clean_text(value, 2000) if value and value.lower().startswith(SCHEMES) else None
