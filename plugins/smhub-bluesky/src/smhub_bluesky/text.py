"""Texts and their facets: links, mentions and tags, counted in bytes of UTF-8 (app.bsky.richtext.facet)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from smhub_bluesky.entities import Facet

LINK = re.compile(r"(?<![\w@/])https?://[^\s<>\"]+", re.IGNORECASE)
MENTION = re.compile(r"(?<![\w@/.])@((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)", re.IGNORECASE)
"""A handle is a domain name (https://atproto.com/specs/handle)."""

TAG = re.compile(r"(?<![^\s(\[{])[#＃]([^\s#＃]+)")
PUNCTUATION = ".,:;!?'\"“”‘’»«…)]}>"
LONGEST_TAG = 64
RESOLVED = 20
"""How many handles of one text are looked up."""

FEATURE = "app.bsky.richtext.facet#"
Find = Callable[[str], Awaitable[str | None]]


async def facets_of(text: str, did_of: Find) -> list[dict[str, Any]]:
    """The facets of a text that we write. `did_of` knows whose handle it is; who cannot be found stays plain text."""
    found: list[tuple[int, int, dict[str, str]]] = []
    for link in LINK.finditer(text):
        uri = _trimmed(link[0])
        found.append((link.start(), link.start() + len(uri), {"$type": f"{FEATURE}link", "uri": uri}))
    taken = [(begin, end) for begin, end, _ in found]

    def free(at: int) -> bool:
        return not any(begin <= at < end for begin, end in taken)

    people: dict[str, str | None] = {}
    for person in MENTION.finditer(text):
        handle = person[1].lower()
        if free(person.start()) and (handle in people or len(people) < RESOLVED):
            if handle not in people:
                people[handle] = await did_of(handle)
            if did := people[handle]:
                found.append((person.start(), person.end(), {"$type": f"{FEATURE}mention", "did": did}))
    for tag in TAG.finditer(text):
        word = tag[1].rstrip(PUNCTUATION)
        if free(tag.start()) and 0 < len(word) <= LONGEST_TAG and not word.isdigit():
            found.append((tag.start(), tag.start() + 1 + len(word), {"$type": f"{FEATURE}tag", "tag": word}))
    return [
        {"index": {"byteStart": _bytes(text[:begin]), "byteEnd": _bytes(text[:end])}, "features": [feature]}
        for begin, end, feature in sorted(found, key=lambda one: one[:2])
    ]


def whole(text: str, facets: Sequence[Facet]) -> str:
    """A text with the links whole that the author's app cut for display."""
    data = text.encode()
    for facet in sorted(facets, key=lambda one: one.index.byteStart, reverse=True):
        begin, end = facet.index.byteStart, facet.index.byteEnd
        uri = next((one.get("uri") for one in facet.features if one.get("$type") == f"{FEATURE}link"), None)
        if isinstance(uri, str) and 0 <= begin < end <= len(data) and data[begin:end].endswith((b"...", "…".encode())):
            data = data[:begin] + uri.encode() + data[end:]
    return data.decode("utf-8", "replace")


def _trimmed(link: str) -> str:
    """A link without the punctuation of the sentence around it; a bracket that it opened itself stays."""
    short = link.rstrip(PUNCTUATION)
    return short + ")" if short.count("(") > short.count(")") and link[len(short) :].startswith(")") else short


def _bytes(text: str) -> int:
    return len(text.encode())
