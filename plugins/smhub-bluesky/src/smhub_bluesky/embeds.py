"""What hangs on a post: the pictures and the video of others by their addresses, and the post that ours quotes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from smhub.sdk import Attachment, Gone, Http
from smhub_bluesky.entities import POSTS, Stored
from smhub_bluesky.xrpc import path

PICTURES = "https://cdn.bsky.app/img/feed_fullsize/plain"
VIDEOS = "https://video.bsky.app/watch"
"""Where the AppView of Bluesky shows blobs; the records name them by repository and hash alone."""

PLAIN = re.compile(r"[A-Za-z0-9:._-]+")
QUOTED = re.compile(r"https://bsky\.app/profile/([A-Za-z0-9:._-]+)/post/([A-Za-z0-9_~:-]+)(?![\w/])")


class _Blob(msgspec.Struct, frozen=True):
    ref: dict[str, Any]
    mimeType: str | None = None
    size: int | None = None


class _Image(msgspec.Struct, frozen=True):
    image: _Blob
    alt: str = ""


class _Embed(msgspec.Struct, frozen=True):
    """app.bsky.embed.images, .video and .recordWithMedia, whose `media` is one of the others."""

    images: tuple[_Image, ...] = ()
    video: _Blob | None = None
    alt: str | None = None
    media: Any = None


def attachments(did: str, embed: Any) -> tuple[Attachment, ...]:
    """The pictures or the video of a post, with their alternative texts. What cannot be read is left out."""
    found = _read(embed)
    if found is not None and found.media is not None:
        found = _read(found.media)
    if found is None or not PLAIN.fullmatch(did):
        return ()
    told = [_attachment(f"{PICTURES}/{did}/{{}}@jpeg", "image", one.image, one.alt) for one in found.images]
    if found.video is not None:
        told.append(_attachment(f"{VIDEOS}/{did}/{{}}/playlist.m3u8", "video", found.video, found.alt or ""))
    return tuple(one for one in told if one is not None)


def _read(embed: Any) -> _Embed | None:
    try:
        return msgspec.convert(embed, _Embed) if isinstance(embed, dict) else None
    except msgspec.ValidationError:
        return None


def _attachment(address: str, kind: str, blob: _Blob, alt: str) -> Attachment | None:
    link = blob.ref.get("$link")
    if not isinstance(link, str) or not PLAIN.fullmatch(link):
        return None
    return Attachment(url=address.format(link), kind=kind, media_type=blob.mimeType, alt_text=alt or None, bytes=blob.size)


async def quoted(http: Http, text: str, did_of: Callable[[str], Awaitable[str | None]]) -> dict[str, str] | None:
    """The post whose address stands last in the text, in its form of now; None when there is none, or it is gone."""
    links = QUOTED.findall(text)
    if not links:
        return None
    who, key = links[-1]
    did = who if who.startswith("did:") else await did_of(who.lower())
    if did is None:
        return None
    try:
        found = await http.get(path("com.atproto.repo.getRecord"), Stored, params={"repo": did, "collection": POSTS, "rkey": key})
    except Gone:
        return None
    return {"uri": found.uri, "cid": found.cid}


def embed(quote: dict[str, str] | None, pictures: dict[str, Any] | None) -> dict[str, Any] | None:
    """What hangs on our post."""
    if quote is None:
        return pictures
    record = {"$type": "app.bsky.embed.record", "record": quote}
    return record if pictures is None else {"$type": "app.bsky.embed.recordWithMedia", "record": record, "media": pictures}
