"""Help for networks that list the newest first. `known` never moves until the hole below `top` is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

T = TypeVar("T")


class NewestFirst(msgspec.Struct, frozen=True, kw_only=True):
    """Everything up to `known` is stored. While a hole is being closed: it lies between `known` and `below`, its top was `top`."""

    known: str = ""
    top: str = ""
    below: str = ""


async def newest_first(
    fetch: Callable[[str], Awaitable[Sequence[T]]],
    cursor: NewestFirst | None,
    id_of: Callable[[T], str],
    newer: Callable[[str, str], bool],
) -> AsyncIterator[tuple[list[T], NewestFirst]]:
    """Walk a newest-first list down to what is known, and yield rows with the cursor that follows them.

    `fetch(below)` gives the rows older than `below`, newest first ("" begins at the top). `newer(a, b)` compares two ids. A crash
    between two pages repeats one page and loses nothing.
    """
    at = cursor or NewestFirst()
    while True:
        resumed = bool(at.below)
        rows = await fetch(at.below)
        fresh = [row for row in rows if not at.known or newer(id_of(row), at.known)]
        top = at.top or (id_of(rows[0]) if rows else at.known)
        closed = len(fresh) < len(rows) or not rows
        at = NewestFirst(known=top or at.known) if closed else NewestFirst(known=at.known, top=top, below=id_of(rows[-1]))
        if fresh or closed:
            yield fresh, at
        if closed and not resumed:
            return
