"""What the servers say, as far as it is read; names as in the lexicons app.bsky.* and com.atproto.*."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

POSTS = "app.bsky.feed.post"


class Profile(msgspec.Struct, frozen=True):
    """Somebody; the DID never changes, the handle may."""

    did: str
    handle: str
    displayName: str | None = None
    avatar: str | None = None


class Ref(msgspec.Struct, frozen=True):
    """A post in one of its forms (com.atproto.repo.strongRef)."""

    uri: str
    cid: str


class ReplyRef(msgspec.Struct, frozen=True):
    """Where a reply hangs."""

    root: Ref
    parent: Ref


class Slice(msgspec.Struct, frozen=True):
    """A part of a text, counted in bytes of UTF-8."""

    byteStart: int
    byteEnd: int


class Facet(msgspec.Struct, frozen=True):
    """What a part of a text is: a link, a mention, a tag."""

    index: Slice
    features: tuple[dict[str, Any], ...] = ()


class Record(msgspec.Struct, frozen=True):
    """A post as its author wrote it."""

    text: str
    createdAt: str = ""
    langs: tuple[str, ...] | None = None
    reply: ReplyRef | None = None
    facets: tuple[Facet, ...] | None = None
    labels: Any = None
    embed: Any = None


class Label(msgspec.Struct, frozen=True):
    """What a moderation service or the author says of a post."""

    val: str
    neg: bool = False


class Post(msgspec.Struct, frozen=True):
    """A post as a notification or a list of posts tells it. `indexedAt` is the time by which lists are sorted."""

    uri: str
    cid: str
    author: Profile
    record: Record
    indexedAt: datetime
    reason: str = ""
    labels: tuple[Label, ...] | None = None
    likeCount: int | None = None
    repostCount: int | None = None
    replyCount: int | None = None
    quoteCount: int | None = None


class Sign(msgspec.Struct, frozen=True):
    """What is needed of an element to walk through a list, when the rest cannot be read."""

    indexedAt: datetime


class Notifications(msgspec.Struct, frozen=True):
    """app.bsky.notification.listNotifications"""

    notifications: tuple[msgspec.Raw, ...]
    cursor: str | None = None


class Posts(msgspec.Struct, frozen=True):
    """app.bsky.feed.searchPosts and app.bsky.feed.getPosts"""

    posts: tuple[msgspec.Raw, ...]
    cursor: str | None = None


class SessionTold(msgspec.Struct, frozen=True):
    """com.atproto.server.createSession and refreshSession"""

    accessJwt: str
    refreshJwt: str


class Stored(msgspec.Struct, frozen=True):
    """com.atproto.repo.getRecord"""

    uri: str
    cid: str
    value: msgspec.Raw


class Written(msgspec.Struct, frozen=True):
    """com.atproto.repo.putRecord and deleteRecord. Without `commit` nothing had to be done."""

    uri: str = ""
    commit: Any = None
