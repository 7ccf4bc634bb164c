"""Saying something once: a post lies at an address that follows from the delivery's key, and is only ever created there."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec

from smhub.sdk import ContentRejected, Draft, Gone, Http, MentionRef, OutcomeUnknown, PayloadMalformed, Published, Violation
from smhub_bluesky import pictures
from smhub_bluesky.embeds import embed, quoted
from smhub_bluesky.entities import POSTS, Stored, Written
from smhub_bluesky.mentions import Kept, parts_of, web_address
from smhub_bluesky.text import facets_of
from smhub_bluesky.xrpc import Taken, path

ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
WARNINGS = ("sexual", "nudity", "porn", "graphic-media")
"""The labels that authors may give their own posts (https://docs.bsky.app/docs/advanced-guides/moderation, "Self-labels")."""


class _Did(msgspec.Struct, frozen=True):
    did: str


class _Said(msgspec.Struct, frozen=True):
    text: str = ""
    reply: Any = None


def tid(key: str) -> str:
    """The record key for a delivery's key (https://atproto.com/specs/tid). It depends on nothing else, so that a hub that was restored
    says the same at the same address. Its time lies between 2005 and 2023: no app that makes keys by its clock comes upon one."""
    number = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
    microseconds, clock = (1 << 50) + (number >> 15), number & 0x3FF
    whole, text = microseconds << 10 | clock, ""
    for _ in range(13):
        whole, rest = divmod(whole, 32)
        text = ALPHABET[rest] + text
    return text


def violations(draft: Draft) -> list[Violation]:
    """What the limits cannot say."""
    found = []
    if not draft.text.strip() and not draft.media:
        found.append(Violation(field="text", code="empty", detail="a post without pictures needs a text"))
    if draft.visibility not in (None, "public"):
        found.append(Violation(field="visibility", code="unknown_visibility", detail="on Bluesky everything is public"))
    if draft.sensitive and draft.sensitive not in WARNINGS:
        found.append(Violation(field="sensitive", code="unknown_warning", detail=f"one of {', '.join(WARNINGS)}"))
    return found + pictures.violations(draft)


async def say(http: Http, me: str, draft: Draft, key: str, to: MentionRef | None, now: datetime) -> Published:
    """Create the post. Lies it there already, that is what we said before under this key."""
    if found := violations(draft):
        raise ContentRejected("Bluesky does not take this.", violations=[one.detail for one in found])
    record: dict[str, Any] = {"$type": POSTS, "text": draft.text, "createdAt": _stamp(now)}
    if draft.language:
        record["langs"] = [draft.language]
    if draft.sensitive:
        record["labels"] = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": draft.sensitive}]}
    if to is not None:
        record["reply"] = await _place(http, to)

    async def did_of(handle: str) -> str | None:
        return await _did(http, handle)

    if facets := await facets_of(draft.text, did_of):
        record["facets"] = facets
    quote = await quoted(http, draft.text, did_of)
    if hangs := embed(quote, await pictures.embedded(http, draft.media) if draft.media else None):
        record["embed"] = hangs
    place = {"repo": me, "collection": POSTS, "rkey": tid(key)}
    # swapRecord null: only where nothing lies yet. Another try has another time in it and must not write over what is out.
    words = {**place, "record": record, "swapRecord": None}
    try:
        uri = (await http.post(path("com.atproto.repo.putRecord"), Written, json=words, key=key)).uri
    except Taken:
        uri = await _found(http, place, record)
    if not uri:
        raise PayloadMalformed("Bluesky does not say where the post is.")
    return Published(external_id=uri, url=web_address(uri))


async def take_back(http: Http, uri: str) -> None:
    """Delete our own post; Gone when it is not there."""
    who, collection, key = parts_of(uri)
    if collection != POSTS:
        raise Gone("This is no address of a post.")
    words = {"repo": who, "collection": collection, "rkey": key}
    done = await http.post(path("com.atproto.repo.deleteRecord"), Written, json=words, key=f"delete {key}")
    if done.commit is None:
        raise Gone("The post is not there any more.")


async def _found(http: Http, place: dict[str, str], record: dict[str, Any]) -> str:
    """What lies at the address is ours when it says the same in answer to the same."""
    stored = await http.get(path("com.atproto.repo.getRecord"), Stored, params=place)
    said = msgspec.json.decode(stored.value, type=_Said)
    if said.text != record["text"] or _parent(said.reply) != _parent(record.get("reply")):
        raise OutcomeUnknown("Other words of ours lie at the address of this post.")
    return stored.uri


def _parent(reply: Any) -> Any:
    return reply["parent"].get("uri") if isinstance(reply, dict) and isinstance(reply.get("parent"), dict) else None


async def _place(http: Http, to: MentionRef) -> dict[str, Any]:
    """Where the answer hangs: the post it answers as it is now, and the thread's first one. Gone when it was deleted."""
    who, collection, key = parts_of(to.external_id)
    params = {"repo": who, "collection": collection, "rkey": key}
    now = await http.get(path("com.atproto.repo.getRecord"), Stored, params=params)
    kept, parent = _kept(to), {"uri": to.external_id, "cid": now.cid}
    reply = msgspec.json.decode(now.value, type=_Said).reply
    root = reply.get("root") if isinstance(reply, dict) else None
    if kept is not None and kept.root is not None:
        root = msgspec.to_builtins(kept.root)
    return {"root": root or parent, "parent": parent}


def _kept(to: MentionRef) -> Kept | None:
    """What was stored with the mention, if it was."""
    try:
        return msgspec.json.decode(to.raw, type=Kept) if to.raw else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


async def _did(http: Http, handle: str) -> str | None:
    """Whose handle it is; None when it is nobody's."""
    response = await http.request("GET", path("com.atproto.identity.resolveHandle"), params={"handle": handle}, accept=(400, 404))
    try:
        return msgspec.json.decode(response.body, type=_Did).did if response.status == 200 else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
