"""Reading a newest-first list forwards, so that a crash between two pages loses nothing.

Ids are opaque (numbers, flakes, ULIDs): they are handed back to the server and never compared.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from smhub.sdk import PayloadMalformed, Response

BEFORE_ALL = "0"
"""Sorts before every id: numbers, flakes and ULIDs."""

LINK = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?(\w+)"?')


class Spot(msgspec.Struct, frozen=True, array_like=True):
    """A place in one list: everything up to `after` is stored. Before that is known, the way back has come down to `below`."""

    after: str = ""
    below: str = ""


class Row(NamedTuple):
    """An element of a list; `at` is None when it cannot be read."""

    id: str
    at: datetime | None
    raw: bytes


class Listing(NamedTuple):
    """One answer, the newest first. `newest` and `oldest` are where its neighbours begin."""

    rows: Sequence[Row]
    newest: str
    oldest: str


class _Element(msgspec.Struct):
    id: str
    created_at: datetime | None = None


class _Id(msgspec.Struct):
    id: str


def elements(response: Response) -> list[bytes]:
    """The elements of a JSON list, each as it came, so that a bad one spoils no other."""
    try:
        return [bytes(raw) for raw in msgspec.json.decode(response.body, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PayloadMalformed("Mastodon answered in an unexpected form: no list.", status=response.status) from None


def listing(response: Response) -> Listing:
    """An answer with the ids before and after it: told by the header Link, else by the elements. Of Link only the ids are believed."""
    rows = [_row(raw) for raw in elements(response)]
    ids = [row.id for row in rows if row.id]
    links = {rel: parse_qs(urlsplit(url).query) for url, rel in LINK.findall(response.headers.get("link", ""))}
    newer, older = links.get("prev", {}), links.get("next", {})
    newest = [*newer.get("min_id", []), *newer.get("since_id", []), *ids[:1], ""][0]
    oldest = [*older.get("max_id", []), *ids[-1:], ""][0]
    if rows and not newest:
        raise PayloadMalformed("Mastodon answered in an unexpected form: nothing in the list has an id.", status=response.status)
    return Listing(rows, newest, oldest)


def _row(raw: bytes) -> Row:
    for form in (_Element, _Id):
        try:
            found = msgspec.json.decode(raw, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        at = getattr(found, "created_at", None)
        return Row(getattr(found, "id", ""), at if at is not None and at.tzinfo else None, raw)
    return Row("", None, raw)


Ask = Callable[[Mapping[str, str | int]], Awaitable[Listing]]


async def forwards(ask: Ask, spot: Spot, since: datetime, now: datetime, late: timedelta) -> AsyncIterator[tuple[Sequence[Row], Spot]]:
    """Rows, the oldest first, with the spot that follows them. Without a spot it goes back to `since` first, one row beyond it.

    What is not older than `late` is read again next time: something may still come in between, because ids follow the time of
    writing and not the time of arrival.
    """
    while not spot.after:
        found = await ask({"max_id": spot.below} if spot.below else {})
        older = [row for row in found.rows if row.id and row.at is not None and row.at < since]
        if len(older) > 1:
            spot = Spot(after=older[1].id)
        elif not found.oldest or found.oldest == spot.below:
            spot = Spot(after=BEFORE_ALL)
        else:
            spot = Spot(below=found.oldest)
        yield [], spot
    at = settled = spot.after
    recent: deque[tuple[datetime, str]] = deque()
    while True:
        found = await ask({"min_id": at})
        if not found.newest or found.newest == at:
            return
        at = found.newest
        rows = list(reversed(found.rows))
        recent.extend((row.at, row.id) for row in rows if row.id and row.at is not None)
        newest = max((moment for moment, _ in recent), default=now)
        while recent and recent[0][0] <= max(newest, now) - late:
            settled = recent.popleft()[1]
        yield rows, Spot(after=settled)
