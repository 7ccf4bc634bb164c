"""The connector: pages of whatever has happened by now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import msgspec

from smhub.sdk import Account, Connector, FetchesMentions, Item, Mention, Page, Search, Searches, Transient
from smhub_simulator.settings import Settings
from smhub_simulator.world import World

DAYS = timedelta(days=3)
BLOCK = 20


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The next event. The backlog lies between two positions, of which only some blocks are told."""

    at: int = 0
    past_from: int = 0
    past_until: int = 0
    past_step: int = 0


class Simulator(Connector[Settings], FetchesMentions, Searches):
    """A network that exists only here."""

    network = "simulator"
    title = "Simulator"
    Config = Settings
    Cursor = Position
    poll_seconds = 5
    checked_against = "itself: it is no real network"

    async def verify(self) -> Account:
        world = World(self.config)
        self._reachable(world)
        return Account(external_id=world.key, handle=self.config.company, name=self.config.company, url="https://simulator.invalid/")

    async def fetch_mentions(self, cursor: Position | None) -> AsyncIterator[Page]:
        for page in self._pages(cursor, lambda item: True):
            yield page

    async def search(self, query: Search, cursor: Position | None) -> AsyncIterator[Page]:
        words = [word.casefold() for word in query.words]

        def wanted(item: Item) -> bool:
            if not isinstance(item, Mention):
                return True  # a tombstone has no text; the hub knows whether it has the mention
            if query.languages and item.language not in query.languages:
                return False
            text = f"{item.title or ''} {item.text}".casefold()
            return not words or any(word in text for word in words)

        for page in self._pages(cursor, wanted):
            yield page

    def _pages(self, cursor: Position | None, wanted: Callable[[Item], bool]) -> Iterator[Page]:
        world, size = World(self.config), self.config.page_size
        self._reachable(world)
        until = self.context.until
        now = self.context.clock.now()
        end = world.calendar.until(min(now, until) if until else now)
        position = cursor or self._begin(world, end)
        told = False
        while position.at < end:
            self._reachable(world)
            items: list[Item] = []
            at = position.at
            for start, stop in _ranges(position, end):
                at = min(stop, start + size - len(items))
                items += world.items(start, at)
                if len(items) >= size:
                    break
            else:
                at = end
            position = msgspec.structs.replace(position, at=at)
            told = True
            yield Page(items=[item for item in items if wanted(item)], cursor=position)
        if cursor is None and not told:
            yield Page(items=(), cursor=position)

    def _begin(self, world: World, end: int) -> Position:
        """Where the first visit begins. The filling of a gap gets everything; else the backlog is spread over the last days."""
        since, until = self.context.since, self.context.until
        earliest = world.calendar.since(since) if since else 0
        if since and until:
            return Position(at=min(earliest, end))
        now = self.context.clock.now()
        spread = max(world.calendar.since(now - DAYS), earliest)
        if end - spread <= self.config.backlog or not self.config.backlog:
            return Position(at=max(end - self.config.backlog, earliest, 0))
        blocks = -(-self.config.backlog // BLOCK)
        return Position(at=spread, past_from=spread, past_until=end, past_step=(end - spread) // blocks)

    def _reachable(self, world: World) -> None:
        if (left := world.calendar.outage(self.context.clock.now())) is not None:
            raise Transient("the simulated network has an outage", status=503, retry_after=left.total_seconds())


def _ranges(position: Position, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of events still to be told."""
    at = position.at
    while at < min(position.past_until, end):
        start = at - (at - position.past_from) % position.past_step
        stop = min(start + BLOCK, position.past_until, end)
        if at < stop:
            yield at, stop
        at = start + position.past_step
    at = max(position.at, position.past_until)
    if at < end:
        yield at, end
