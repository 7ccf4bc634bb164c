"""A post as a mention."""

from __future__ import annotations

from datetime import datetime

import msgspec

from smhub.sdk import Author, BadItem, Mention
from smhub_bluesky.embeds import attachments
from smhub_bluesky.entities import POSTS, Post, Ref
from smhub_bluesky.settings import Known
from smhub_bluesky.text import whole

APP = "https://bsky.app"
MARK = 8


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an answer needs to know of the mention, stored with it as `raw`: its form, and the thread's first post."""

    cid: str
    root: Ref | None = None


def read_post(raw: bytes) -> Post | BadItem:
    """A post, or why it cannot be read, without a word of its content."""
    try:
        found = msgspec.json.decode(raw, type=Post)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _, _, where = str(error).partition(" - at ")
        return BadItem(raw=raw, error=f"not a post{': ' + where if where else ''}")
    if found.indexedAt.tzinfo is None or not found.uri.startswith("at://"):
        return BadItem(raw=raw, error="not a post: its address or its time cannot be read")
    return found


def parts_of(uri: str) -> tuple[str, str, str]:
    """Whose record it is, its collection and its key; empty where the address is none."""
    parts = uri.removeprefix("at://").split("/")
    return (parts[0], parts[1], parts[2]) if uri.startswith("at://") and len(parts) == 3 else ("", "", "")


def web_address(uri: str) -> str | None:
    """Where people read it."""
    who, collection, key = parts_of(uri)
    return f"{APP}/profile/{who}/post/{key}" if collection == POSTS else None


def mark(post: Post) -> Known:
    """How the post is now."""
    who, _, key = parts_of(post.uri)
    return Known(f"{who}/{key}", post.cid[-MARK:])


def mention(post: Post, edited_at: datetime | None = None) -> Mention:
    """An edit has no time of its own on this network: `edited_at` is when it was seen."""
    record, reply = post.record, post.record.reply
    own = record.labels.get("values") if isinstance(record.labels, dict) else None
    values = [one.get("val") for one in own if isinstance(one, dict)] if isinstance(own, list) else []
    told = [one.val for one in post.labels or () if not one.neg]
    return Mention(
        external_id=post.uri,
        kind="reply" if reply else "post",
        author=Author(
            external_id=post.author.did,
            handle=post.author.handle,
            name=post.author.displayName or "",
            url=f"{APP}/profile/{post.author.did}",
            avatar_url=post.author.avatar,
        ),
        published_at=_written(record.createdAt, post.indexedAt),
        edited_at=edited_at,
        text=whole(record.text, record.facets or ()),
        url=web_address(post.uri),
        reply_to=reply.parent.uri if reply else None,
        root=reply.root.uri if reply else None,
        language=record.langs[0] if record.langs else None,
        attachments=attachments(post.author.did, record.embed),
        labels=tuple(sorted({one for one in (*values, *told) if isinstance(one, str) and one}))[:50],
        raw=msgspec.json.encode(Kept(cid=post.cid, root=reply.root if reply else None)),
    )


def _written(told: str, seen: datetime) -> datetime:
    """When the author says it was written; their clock may be anywhere, so never after it was seen."""
    try:
        at = msgspec.convert(told, datetime)
    except msgspec.ValidationError:
        return seen
    return at if at.tzinfo is not None and at <= seen else seen
