"""Updates, by asking for them. A queue that forgets: what is asked for beyond is gone over there, so a page is stored before the next is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from smhub.sdk import ConnectorContext, Http, Item, Page, PayloadMalformed
from smhub_telegram.api import Hooked
from smhub_telegram.entities import Sign, Updates
from smhub_telegram.mentions import read
from smhub_telegram.settings import Place, Settings

KINDS = ("message", "edited_message", "channel_post", "edited_channel_post")
PAGE = 100
WAIT = 1
"""Seconds that Telegram waits when there is nothing. It asks for more than none; the hub comes again by itself."""

KEPT = 24 * 3600
"""Updates "will not be kept longer than 24 hours"."""

COUNTED = 6 * 24 * 3600
"""After a week without any, updates are numbered anew, and to ask for an old number could confirm new ones unread. Before that the queue is
asked for what it has: everything in it is newer than what we confirmed."""


async def updates(http: Http, settings: Settings, context: ConnectorContext, cursor: Place | None) -> AsyncIterator[Page]:
    """What happened, page by page. A page's cursor is the number to ask for next, which confirms it."""
    place, now = cursor or Place(), int(context.clock.now().timestamp())
    if context.until is not None:
        # Nobody can be asked for the past; and whoever reads the queue to fill a gap takes it from the poll.
        yield Page(items=[], cursor=place)
        return
    missed = "Telegram keeps updates for 24 hours, and was not asked for longer" if place.seen and now - place.seen > KEPT else None
    offset = place.next if now - place.moved < COUNTED else 0
    while True:
        try:
            raws = await _asked(http, offset)
        except Hooked:
            if not context.told:
                raise
            # It delivers to us, and what it cannot deliver it keeps and tries again: nothing is to be asked for.
            raws, missed = [], None
        place = msgspec.structs.replace(place, seen=now)
        if raws:
            place = msgspec.structs.replace(place, next=_last(raws) + 1, moved=now)
            items: list[Item] = [item for raw in raws for item in read(settings, bytes(raw))]
            yield Page(items=items, cursor=place, missed=missed)
        elif place != cursor:
            yield Page(items=[], cursor=place, missed=missed)
        if len(raws) < PAGE:
            return
        cursor, offset, missed = place, place.next, None


async def _asked(http: Http, offset: int) -> list[msgspec.Raw]:
    kinds = msgspec.json.encode(KINDS).decode()
    params: dict[str, str | int] = {"limit": PAGE, "timeout": WAIT, "allowed_updates": kinds, **({"offset": offset} if offset else {})}
    return (await http.get("/getUpdates", Updates, params=params)).result


def _last(raws: list[msgspec.Raw]) -> int:
    """The highest number among them."""
    found = []
    for raw in raws:
        try:
            found.append(msgspec.json.decode(raw, type=Sign).update_id)
        except msgspec.DecodeError:
            continue
    if not found:
        raise PayloadMalformed("Telegram told of updates without a number.")
    return max(found)
