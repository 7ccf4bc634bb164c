"""What was said in the room: by /sync, and where that leaves something out, back through the room's history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from smhub.sdk import (
    BadItem,
    ConfigInvalid,
    ConnectorContext,
    CursorExpired,
    Gone,
    Http,
    Item,
    Page,
    PayloadMalformed,
    PermissionMissing,
    Tombstone,
)
from smhub_matrix.api import ENCRYPTED, MEMBERSHIP, is_public, member, of_room, path, room_of, who_we_are
from smhub_matrix.entities import Event, Joined, Messages, Sync
from smhub_matrix.mentions import MESSAGE, People, mention, moment, read_event
from smhub_matrix.settings import Place, Settings

PAGE = 40
NOTHING = {"not_types": ["*"]}
MEMBERS = {"lazy_load_members": True, "include_redundant_members": True}
"""The names of those who speak come along, each time: a cursor remembers nobody."""

READ = {"types": [MESSAGE, "m.room.redaction", "m.room.encrypted", "m.room.member"], "limit": PAGE, **MEMBERS}
"""m.room.member, because Synapse tells that we were thrown out only to those who read it."""


class Reader:
    """One visit. `place` moves on with every page."""

    def __init__(self, http: Http, config: Settings, context: ConnectorContext, cursor: Place | None) -> None:
        self.http, self.config, self.context = http, config, context
        self.place = cursor if cursor is not None and cursor.named == config.room else Place(named=config.room)
        self.begin = context.since or context.clock.now() - timedelta(days=config.first_days)
        self.people = People()

    async def mentions(self) -> AsyncIterator[Page]:
        """Everything that others said since the cursor, edits and redactions among it."""
        if not self.place.room:
            room, me = await room_of(self.http, self.config), await who_we_are(self.http)
            await member(self.http, room, me)
            public = await is_public(self.http, room)
            self.place = msgspec.structs.replace(self.place, room=room, me=me, public=public)
            # What was found out is kept, should the network ask for a pause right now.
            yield Page(items=[], cursor=self.place)
        if self.context.until is not None:
            async for page in self._back(""):
                yield page
            return
        if self.place.below:
            async for page in self._back(self.place.since):
                yield page
        more = True
        while more:
            before = self.place
            page, more = await self._newest()
            if page.items or self.place != before:
                yield page
            if more:
                async for page in self._back(self.place.since):
                    yield page

    async def _newest(self) -> tuple[Page, bool]:
        """The newest since the cursor, and whether there is a hole below that has to be closed."""
        since = self.place.since
        members = {"types": ["m.room.member"], **MEMBERS}
        room = {"rooms": [self.place.room], "timeline": READ, "state": members, "ephemeral": NOTHING, "account_data": NOTHING}
        shown_only = _json({"room": room, "presence": NOTHING, "account_data": NOTHING})
        params: dict[str, str | int] = {"filter": shown_only, "timeout": 0, **({"since": since} if since else {})}
        told = await self._asked(path("sync"), Sync, params, since)
        if self.place.room in told.rooms.leave:
            raise PermissionMissing("The account is no longer in the room. Invite it and let it join.", scopes=(MEMBERSHIP,))
        joined = told.rooms.join.get(self.place.room, Joined())
        self.people.learn(joined.state.events)
        below = joined.timeline.prev_batch if joined.timeline.limited else None
        items, oldest = await self._items(joined.timeline.events)
        hole = bool(below) and (bool(since) or oldest is None or oldest >= self.begin)
        moved = {"below": below, "top": told.next_batch} if hole else {"since": told.next_batch, "below": "", "top": ""}
        self.place = msgspec.structs.replace(self.place, **moved)
        return Page(items=items, cursor=self.place), hole

    async def _back(self, until: str) -> AsyncIterator[Page]:
        """Down the history from `place.below`, to the token `until` or the first day. `since` never moves before the hole is closed, so
        a crash between two pages loses nothing."""
        closed = False
        while not closed:
            below = self.place.below
            places = {**({"from": below} if below else {}), **({"to": until} if until else {})}
            params: dict[str, str | int] = {"dir": "b", "limit": PAGE, "filter": _json(READ), **places}
            told = await self._asked(of_room(self.place.room, "messages"), Messages, params, below)
            self.people.learn(told.state)
            items, oldest = await self._items(told.chunk[::-1], first=not until)
            # An empty chunk is not the end, a missing `end` is; one that stays where it was was seen, too.
            closed = not told.end or told.end == below or (not until and oldest is not None and oldest < self.begin)
            moved = {"since": self.place.top, "below": "", "top": ""} if closed else {"below": told.end}
            self.place = msgspec.structs.replace(self.place, **moved)
            yield Page(items=items, cursor=self.place)

    async def _asked(self, address: str, form: Any, params: dict[str, str | int], place: str) -> Any:
        try:
            return await self.http.get(address, form, params=params)
        except PayloadMalformed as error:
            if place and error.status == 400:
                raise CursorExpired("The homeserver no longer goes on from this place.", status=400) from None
            raise

    async def _items(self, raws: Sequence[msgspec.Raw], *, first: bool | None = None) -> tuple[list[Item], datetime | None]:
        """What a list tells, oldest first, and when the newest of it that counts for reaching the beginning was said."""
        read = [read_event(bytes(raw)) for raw in raws]
        here = {event.event_id: event for event in read if isinstance(event, Event)}
        first = not self.place.since if first is None else first
        items: list[Item] = []
        for event in read:
            if isinstance(event, BadItem):
                items.append(event)
            elif not first or self._wanted(event):
                items += await self._item(event, here)
        times = [self._at(event) for event in here.values()]
        return items, max(times, default=None)

    def _at(self, event: Event) -> datetime:
        return moment(event, self.context.clock.now())

    def _wanted(self, event: Event) -> bool:
        at, until = self._at(event), self.context.until
        return at >= self.begin and (until is None or at <= until)

    async def _item(self, event: Event, here: dict[str, Event]) -> list[Item]:
        if event.type == "m.room.encrypted":
            raise ConfigInvalid(ENCRYPTED, field="room")
        if event.type == "m.room.redaction":
            return await self._taken_back(event, here)
        if event.type != MESSAGE or event.is_redacted or event.sender == self.place.me:
            return []
        if event.replaces is None:
            return [self._mention(event)]
        original = here.get(event.replaces) or await self._original(event.replaces)
        fits = original is not None and original.type == MESSAGE and not original.is_redacted
        return [self._mention(original, event)] if original is not None and fits and original.sender == event.sender else []

    async def _taken_back(self, event: Event, here: dict[str, Event]) -> list[Item]:
        """A redaction, unless it is one of our own words, or of something that was no message."""
        # Up to room version 10 the event says what it takes back, from 11 on its content does.
        target = event.redacts or event.content.get("redacts")
        if not isinstance(target, str) or not target:
            return []
        gone = here.get(target) or await self._original(target)
        if gone is not None and (gone.type != MESSAGE or gone.sender == self.place.me):
            return []
        return [Tombstone(external_id=target, at=self._at(event))]

    async def _original(self, event_id: str) -> Event | None:
        """What an edit or a redaction is about; None when it is gone, or was said where we must not look."""
        try:
            response = await self.http.request("GET", of_room(self.place.room, "event", event_id))
        except (Gone, PermissionMissing):
            return None
        found = read_event(response.body)
        return found if isinstance(found, Event) else None

    def _mention(self, event: Event, edit: Event | None = None) -> Item:
        return mention(
            event,
            self.place.room,
            self.config.address,
            self.people,
            public=self.place.public,
            now=self.context.clock.now(),
            edit=edit,
        )


def _json(data: object) -> str:
    return msgspec.json.encode(data).decode()
