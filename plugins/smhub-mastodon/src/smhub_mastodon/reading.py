"""Mentions and searches: forwards through the server's lists, then another look at what was handed over lately."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from urllib.parse import quote, urlencode

import msgspec

from smhub.sdk import BadItem, ConnectorContext, Http, Item, Page, PayloadMalformed, Search, Tombstone
from smhub_mastodon.entities import Found, Notification, Profile, Status
from smhub_mastodon.instance import read_instance, told_error
from smhub_mastodon.mentions import mark, mention, read_status, short
from smhub_mastodon.settings import Known, Place, Settings
from smhub_mastodon.walking import Listing, Row, Spot, elements, forwards, listing

MENTIONS = "/api/v1/notifications?types[]=mention&types[]=quote"
PAGE = 40
REMEMBERED = 80
LARGEST_CURSOR = 3800
MENTIONS_LATE = timedelta(minutes=1)
"""Two notifications may be numbered in one order and be seen in the other."""

POSTS_LATE = timedelta(minutes=15)
"""A post of another server is numbered by the time at which it was written, and comes when it comes."""

MANY = 20
"""Mastodon gives no more statuses at once."""

ONE_BY_ONE = 5
"""How many are looked at in a visit where the server only gives one at a time."""

WORDS = 10
"""How many words are searched for in a visit; with more of them each waits for its turn."""

NO_SUCH_CALL = (400, 403, 404, 405, 410, 422, 501)


class Reader:
    """One visit. `place` moves on with every page."""

    def __init__(self, http: Http, config: Settings, context: ConnectorContext, cursor: Place | None) -> None:
        self.http, self.config, self.context = http, config, context
        at = cursor or Place()
        self.place = msgspec.structs.replace(at, turn=at.turn + 1, page=0)
        self.marks = {known.id: known.mark for known in at.known}
        self.now = context.clock.now()
        self.since = context.since or self.now - timedelta(days=config.first_days)

    async def mentions(self) -> AsyncIterator[Page]:
        """Everything that mentions us, from the cursor on."""
        await self._find_out()

        async def ask(params: Mapping[str, str | int]) -> Listing:
            return listing(await self.http.request("GET", MENTIONS, params={"limit": PAGE, **params}))

        async for found, spot in forwards(ask, self.place.mentions, self.since, self.now, MENTIONS_LATE):
            rows, ended = self._until(found)
            items = self._handed(of_notification(row.raw) for row in rows)
            moved = msgspec.structs.replace(self.place, mentions=spot)
            if items or moved != self.place:
                yield self._page(items, moved)
            if ended:
                break
        if self.context.until is None:
            yield self._page(await self._again(), self.place)

    async def search(self, query: Search) -> AsyncIterator[Page]:
        """Posts with these words: by hashtag, and by the server's own search where it has one."""
        await self._find_out()
        words = sorted({word.strip().casefold() for word in query.words if word.strip()})
        if not words:
            return
        languages = {language.casefold().partition("-")[0] for language in query.languages}
        kept = {name: spot for name, spot in self.place.tags.items() if name in {short(word) for word in words}}
        self.place = msgspec.structs.replace(self.place, tags=kept)
        # Each visit begins elsewhere: one that is cut short must not leave out the same words every time.
        begin = self.place.turn * (WORDS if len(words) > WORDS else 1)
        due = words if self.context.until else [words[(begin + number) % len(words)] for number in range(min(WORDS, len(words)))]
        for word in due:
            async for page in self._tagged(word, languages):
                yield page
            items = self._handed(await self._full_text(word), languages)
            if items:
                yield self._page(items, self.place)
        if self.context.until is None:
            yield self._page(await self._again(), self.place)

    async def _find_out(self) -> None:
        """Once: under which name accounts of this server are known elsewhere, and who we are."""
        if not self.place.domain:
            domain = (await read_instance(self.http)).name(self.config.address)
            me = await self.http.get("/api/v1/accounts/verify_credentials", Profile)
            self.place = msgspec.structs.replace(self.place, domain=domain, me=me.id)

    async def _tagged(self, word: str, languages: set[str]) -> AsyncIterator[Page]:
        tag = word.removeprefix("#")
        if not tag.replace("_", "").isalnum() or tag.isdecimal():
            return

        async def ask(params: Mapping[str, str | int]) -> Listing:
            path = f"/api/v1/timelines/tag/{quote(tag, safe='')}"
            response = await self.http.request("GET", path, params={"limit": PAGE, **params}, accept=(404, 422))
            # Some servers do not know a tag that nobody has used.
            return listing(response) if response.status == 200 else Listing((), "", "")

        name = short(word)
        async for found, spot in forwards(ask, self.place.tags.get(name, Spot()), self.since, self.now, POSTS_LATE):
            rows, ended = self._until(found)
            items = self._handed((read_status(row.raw) for row in rows), languages)
            moved = msgspec.structs.replace(self.place, tags={**self.place.tags, name: spot})
            if items or moved != self.place:
                yield self._page(items, moved)
            if ended:
                return

    async def _full_text(self, word: str) -> Sequence[Status | BadItem]:
        """The newest that the server's search finds; nothing where it has none or does not let us."""
        params: dict[str, str | int] = {"q": word, "type": "statuses", "limit": PAGE}
        response = await self.http.request("GET", "/api/v2/search", params=params, accept=NO_SUCH_CALL)
        if response.status != 200:
            return ()
        try:
            found = msgspec.json.decode(response.body, type=Found)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise PayloadMalformed("Mastodon's search answered in an unexpected form.", status=response.status) from None
        statuses = [read_status(bytes(raw)) for raw in reversed(found.statuses)]
        until = self.context.until
        return [
            one
            for one in statuses
            if isinstance(one, BadItem)
            or (one.created_at.tzinfo and self.since <= one.created_at and not (until and one.created_at > until))
        ]

    def _until(self, rows: Sequence[Row]) -> tuple[Sequence[Row], bool]:
        """The rows that a back-fill wants, and whether it is at its end."""
        until = self.context.until
        if until is None:
            return rows, False
        wanted = [row for row in rows if row.at is None or row.at <= until]
        return wanted, len(wanted) < len(rows)

    def _handed(self, statuses: Iterable[Status | BadItem | None], languages: Collection[str] = ()) -> list[Item]:
        """What is new or changed among them, and from now on known."""
        items: list[Item] = []
        for one in statuses:
            if isinstance(one, BadItem):
                items.append(one)
            elif one is not None and one.reblog is None and one.account.id != self.place.me:
                other = languages and one.language and one.language.casefold().partition("-")[0] not in languages
                if not other and self.marks.get(one.id) != mark(one).mark:
                    self.marks.pop(one.id, None)
                    self.marks[one.id] = mark(one).mark
                    items.append(self._mention(one))
        return items

    def _mention(self, status: Status) -> Item:
        return mention(status, self.config.scope, self.place.domain)

    def _page(self, items: Sequence[Item], place: Place) -> Page:
        """A page whose cursor differs from every other: its number counts too."""
        newest = tuple(Known(id_, of) for id_, of in self.marks.items())[-REMEMBERED:]
        self.place = msgspec.structs.replace(place, page=self.place.page + 1, known=newest)
        while newest and (over := len(msgspec.json.encode(self.place)) - LARGEST_CURSOR) > 0:
            newest = newest[over // 40 + 1 :]
            self.place = msgspec.structs.replace(self.place, known=newest)
        return Page(items=items, cursor=self.place)

    async def _again(self) -> list[Item]:
        """Look at some of what was handed over lately: what was edited is handed over again, what is gone as gone."""
        known = [one.id for one in self.place.known]
        if not known:
            return []
        parts = [known[begin : begin + MANY] for begin in range(0, len(known), MANY)]
        ids = parts[self.place.turn % len(parts)]
        path = "/api/v1/statuses?" + urlencode([("id[]", one) for one in ids], safe="[]")
        response = await self.http.request("GET", path, accept=NO_SUCH_CALL)
        items: list[Item] = []
        if response.status == 200:
            statuses = [read_status(raw) for raw in elements(response)]
            there = [one for one in statuses if isinstance(one, Status)]
            items += self._handed(there)
            # One that cannot be read may be any of them: then none is missing for sure.
            missing = set(ids) - {one.id for one in there} if len(there) == len(statuses) else set()
        else:
            first = self.place.turn // len(parts) * ONE_BY_ONE
            missing = {ids[(first + number) % len(ids)] for number in range(ONE_BY_ONE)}
        for id_ in sorted(missing):
            items += await self._one(id_)
        return items

    async def _one(self, id_: str) -> list[Item]:
        """One status by itself. It is gone when the server says so in its own words, not when something in front of it has no page."""
        response = await self.http.request("GET", f"/api/v1/statuses/{quote(id_, safe='')}", accept=(404, 410))
        if response.status == 200:
            return self._handed([one] if isinstance(one := read_status(response.body), Status) else [])
        if not told_error(response):
            return []
        self.marks.pop(id_, None)
        return [Tombstone(external_id=id_, scope=self.config.scope)]


def of_notification(raw: bytes) -> Status | BadItem | None:
    """The status of a mention; None for everything else that happened to us."""
    try:
        found = msgspec.json.decode(raw, type=Notification)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return BadItem(raw=raw, error="not a notification")
    raw = bytes(found.status)
    return read_status(raw) if found.type in ("mention", "quote") and raw != b"null" else None
