"""What a connector hands over: mentions, tombstones, items it could not read, and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from smhub.sdk.limits import Limits

Safety = Literal["key", "container", "lookup", "none"]
KINDS = ("post", "comment", "reply", "direct_message", "review", "article")
VISIBILITIES = ("public", "unlisted", "followers", "private")


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """A profile on the network. `external_id` never changes; `handle` is what people see and may change."""

    external_id: str
    handle: str
    name: str = ""
    url: str | None = None
    avatar_url: str | None = None
    followers: int | None = None


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, video, sound or file of a mention, by its address (https, or `mid:` for a part of a mail). `kind`: image, video, audio, file."""

    url: str
    kind: str = "file"
    media_type: str | None = None
    alt_text: str | None = None
    bytes: int | None = None


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """One external object as the network tells it now.

    `external_id` is stable and unique within `scope` (empty for most networks; the feed's address, the mailbox …).
    Times are aware. Give `html` when the network speaks HTML (the hub makes the text from it, and a sanitised form), else `text`.
    `reply_to` is the external id of the direct parent, `root` the id of the thread's first object, each where the network tells it.
    """

    external_id: str
    author: Author | None
    published_at: datetime
    text: str = ""
    html: str | None = None
    title: str | None = None
    url: str | None = None
    kind: str = "post"
    scope: str = ""
    visibility: str = "public"
    edited_at: datetime | None = None
    reply_to: str | None = None
    root: str | None = None
    language: str | None = None
    attachments: tuple[Attachment, ...] = ()
    labels: tuple[str, ...] = ()
    raw: bytes | None = None


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """The object was deleted or hidden by its author or the network; its text is wiped here."""

    external_id: str
    scope: str = ""
    at: datetime | None = None


class BadItem(msgspec.Struct, frozen=True, kw_only=True):
    """One element that could not be read. It is kept with its reason; the rest of the page goes on."""

    raw: bytes
    error: str


Item = Mention | Tombstone | BadItem


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Items, oldest first, and the cursor contract: with this page stored, continue from `cursor`.

    `missed` is the reason why something between the last page and this one may be missing (a feed that dropped entries, an expired
    cursor); the hub then opens a gap. An empty page with a new cursor is allowed.
    """

    items: Sequence[Item]
    cursor: Any
    missed: str | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are on the network, as `verify` finds out. `expires_at`: when the credentials end, if known.

    `limits` and `safety` where servers of one network differ; they then hold for this channel instead of the connector's own.
    """

    external_id: str
    handle: str
    name: str = ""
    url: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    limits: Limits | None = None
    safety: Safety | None = None


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a listener looks for: any of these words and phrases, in these languages. Where the network can leave out what has one of
    `excluded`, ask it to; the hub looks at everything else that the listener's query says."""

    words: tuple[str, ...]
    languages: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def finds(self, text: str) -> bool:
        """Whether the hub would keep what has this text: one of the words stands at the beginning of a word. For networks that tell
        everything, so that the rest need not be handed over."""
        from smhub.text import beginning_with, fold

        return beginning_with(self.words).search(fold(text)) is not None


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a draft. `content` is the whole file when the draft is published, looked for or edited, and empty while it is only
    checked (`validate`): there `size` (bytes), `width` and `height` (pixels, of images) say what is to be known. `digest`: SHA-256, in hex.
    """

    media_type: str
    content: bytes
    alt_text: str = ""
    size: int = 0
    width: int | None = None
    height: int | None = None
    digest: str = ""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said. `visibility`, `language`, `sensitive` (a content warning's text) where the network knows them."""

    text: str
    media: tuple[Media, ...] = ()
    visibility: str | None = None
    language: str | None = None
    sensitive: str | None = None


class MentionRef(msgspec.Struct, frozen=True, kw_only=True):
    """The mention that a reply answers; `raw` is what the connector stored with it."""

    external_id: str
    scope: str = ""
    url: str | None = None
    root: str | None = None
    author_handle: str = ""
    visibility: str = "public"
    raw: bytes | None = None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """It is out, and this is what the network calls it."""

    external_id: str
    url: str | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """The network works on it (a container, a video). `state` is handed back to `check_publish` after `check_after` seconds."""

    state: Any
    check_after: float = 5.0


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Absolute counts of one object at one moment, never differences."""

    external_id: str
    observed_at: datetime
    values: dict[str, int]
