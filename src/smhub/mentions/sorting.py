"""Which items of a page can be stored: ids that an index takes, times that a database knows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from smhub.mentions.source import Key
from smhub.sdk import BadItem, Item, Tombstone
from smhub.sdk import Mention as MentionItem
from smhub.text import clean_text

MAX_ID = 1000
YEARS = range(1000, 9999)


def sort_out(items: Iterable[Item]) -> tuple[list[tuple[Key, Item]], list[BadItem]]:
    """What can be stored, each under its key, and what cannot."""
    good: list[tuple[Key, Item]] = []
    bad: list[BadItem] = []
    for item in items:
        if isinstance(item, BadItem):
            bad.append(item)
            continue
        external_id, scope = clean_text(item.external_id), clean_text(item.scope)
        if (reason := _wrong_ids(external_id, scope, item) or _wrong_times(item)) is not None:
            bad.append(BadItem(raw=external_id[:200].encode(), error=reason))
        else:
            good.append(((scope, external_id), _with_clean_ids(item)))
    return good, bad


def _wrong_ids(external_id: str, scope: str, item: Item) -> str | None:
    """Why the ids cannot be stored: the indexes of PostgreSQL take no longer ones."""
    if not external_id or _bytes(external_id) > MAX_ID or _bytes(scope) > MAX_ID:
        return f"the external id must have 1 to {MAX_ID} bytes, the scope at most as many"
    if isinstance(item, MentionItem):
        for name, value in (("reply_to", item.reply_to), ("root", item.root), ("author", item.author and item.author.external_id)):
            if value and _bytes(value) > MAX_ID:
                return f"the id in {name} has more than {MAX_ID} bytes"
    return None


def _bytes(value: str) -> int:
    return len(value.encode(errors="replace"))


def _wrong_times(item: Item) -> str | None:
    times = {"published_at": item.published_at, "edited_at": item.edited_at} if isinstance(item, MentionItem) else {}
    if isinstance(item, Tombstone):
        times = {"at": item.at}
    for name, value in times.items():
        if value is not None and value.tzinfo is None:
            return f"{name} has no time zone"
        if value is not None and value.year not in YEARS:
            return f"{name} lies in the year {value.year}"
    return None


def _with_clean_ids(item: Item) -> Item:
    if not isinstance(item, MentionItem) or not (item.reply_to or item.root):
        return item
    clean = {name: clean_text(value) or None for name in ("reply_to", "root") if (value := getattr(item, name))}
    return msgspec.structs.replace(item, **clean)
