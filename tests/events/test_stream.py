"""The live stream over real sockets: in order, without a gap, only for those who may, and never at the cost of memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import pytest
import uvicorn

from smhub.db.engine import Database
from smhub.events.log import Fact, record
from smhub.events.stream import QUEUE, Live
from smhub.ids import new_id
from world import Hub

SOON = 20.0


class Undone(Exception):
    pass


class Heard(msgspec.Struct):
    """One block of a stream."""

    id: int | None = None
    event: str | None = None
    data: Any = None
    comment: str | None = None
    retry: int | None = None


class Listening:
    """A client of the stream on a plain socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, headers: dict[str, str]) -> None:
        self._reader, self._writer = reader, writer
        self.status, self.headers = status, headers
        self._text = b""

    async def block(self) -> Heard | None:
        """The next block; None when the stream has ended."""
        async with asyncio.timeout(SOON):
            while b"\n\n" not in self._text:
                size = int((await self._reader.readline()).strip() or b"0", 16)
                chunk = await self._reader.readexactly(size + 2)
                if size == 0:
                    return None
                self._text += chunk[:-2]
        text, _, self._text = self._text.partition(b"\n\n")
        heard = Heard()
        for line in text.decode().split("\n"):
            name, _, value = line.partition(":")
            match name:
                case "id":
                    heard.id = int(value)
                case "event":
                    heard.event = value.strip()
                case "data":
                    heard.data = json.loads(value)
                case "retry":
                    heard.retry = int(value)
                case _:
                    heard.comment = value.strip()
        return heard

    async def event(self) -> Heard | None:
        """The next event; heartbeats are passed over."""
        while (heard := await self.block()) is not None and heard.event is None:
            pass
        return heard

    async def events(self, count: int) -> list[Heard]:
        found = [await self.event() for _ in range(count)]
        assert None not in found
        return [one for one in found if one is not None]

    async def body(self) -> Any:
        return json.loads(await self._reader.readexactly(int(self.headers["content-length"])))


class Streams:
    """The hub on a real port."""

    def __init__(self, hub: Hub, port: int, server: uvicorn.Server) -> None:
        self.hub, self.port, self.server = hub, port, server
        self.live: Live = hub.app.state["live"]

    @asynccontextmanager
    async def listen(self, query: str = "", key: str | None = None, **headers: str) -> AsyncIterator[Listening]:
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=line)
        lines = [f"GET /v1/events/stream{query} HTTP/1.1", "Host: hub.test", f"Authorization: Bearer {key or self.hub.key}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        try:
            yield Listening(reader, writer, int(head[0].split()[1]), found)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
async def streams(hub: Hub) -> AsyncIterator[Streams]:
    listening = socket.create_server(("127.0.0.1", 0))
    # Small, so that a reader that does not read is felt soon.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
    server = uvicorn.Server(uvicorn.Config(hub.app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield Streams(hub, listening.getsockname()[1], server)
    hub.app.state["live"].end_all()
    server.should_exit = True
    await serving
    listening.close()


async def write(hub: Hub, count: int = 1, *, type_: str = "test.it", database: Database | None = None, **more: Any) -> list[UUID]:
    """Events in one transaction; their subjects."""
    organisation, subjects = more.pop("organisation", None) or await hub.me(), [new_id() for _ in range(count)]
    async with (database or hub.database).write() as session:
        await record(
            session,
            *(
                Fact(
                    organisation_id=organisation,
                    type=type_,
                    subject_type="test",
                    subject_id=one,
                    at=hub.clock.now(),
                    data={"text": "ä\n\nid: 7", **more},
                )
                for one in subjects
            ),
        )
    return subjects


async def test_what_is_committed_arrives_at_once_as_the_list_tells_it(streams: Streams) -> None:
    hub = streams.hub
    elsewhere = Database(hub.database.url)
    async with streams.listen() as live:
        assert (live.status, live.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert live.headers["cache-control"] == "no-store, no-transform"
        first = await live.block()
        assert first is not None and first.retry == 2000
        for database in (hub.database, elsewhere, hub.database, elsewhere):
            subjects = await write(hub, 2, database=database)
            began = time.monotonic()
            heard = await live.events(2)
            assert time.monotonic() - began < 1.0
            assert [UUID(one.data["subject_id"]) for one in heard] == subjects
    listed = await hub.get("/v1/events", params={"after": heard[0].id - 1 if heard[0].id else 0})
    assert [one.data for one in heard] == listed["items"]
    assert [(one.id, one.event) for one in heard] == [(one["seq"], one["type"]) for one in listed["items"]]
    await elsewhere.close()


async def test_a_reader_goes_on_where_it_was_cut_off(streams: Streams) -> None:
    hub = streams.hub
    before = await write(hub, 3)
    async with streams.listen("?after=0&type=test.it") as live:
        heard = await live.events(2)
        assert [UUID(one.data["subject_id"]) for one in heard] == before[:2]
    last = heard[1].id
    more = await write(hub, 450)
    async with streams.listen("?after=0&type=test.it", Last_Event_ID=str(last)) as live:
        heard = await live.events(451)
        assert [UUID(one.data["subject_id"]) for one in heard] == [before[2], *more]
        again = await write(hub)
        assert UUID((await live.events(1))[0].data["subject_id"]) == again[0]


async def test_a_wrong_place_to_go_on_from_is_named(streams: Streams) -> None:
    for given in ("x", "-1", "1.5", "99999999999999999999", ""):
        async with streams.listen(Last_Event_ID=given) as live:
            assert live.status == 400
            problem = await live.body()
            assert (problem["code"], problem["errors"][0]["field"]) == ("invalid", "Last-Event-ID"), given
    async with streams.listen("?limit=3") as live:
        assert (live.status, (await live.body())["errors"][0]["field"]) == (400, "limit")


async def test_filters_and_other_organisations(streams: Streams) -> None:
    hub = streams.hub
    other = await hub.organisation()
    ours, theirs = await hub.me(), await other.me()
    about = new_id()
    async with (
        streams.listen("?type=test.b") as of_type,
        streams.listen(f"?subject_id={about}") as of_subject,
        streams.listen(key=other.key) as foreign,
    ):
        for one in (of_type, of_subject, foreign):
            await one.block()
        await write(hub, organisation=ours)
        b = await write(hub, type_="test.b", organisation=ours)
        t = await write(hub, type_="test.c", organisation=theirs)
        async with hub.database.write() as session:
            fact = Fact(organisation_id=ours, type="test.d", subject_type="test", subject_id=about, at=hub.clock.now())
            await record(session, fact)
        assert [UUID(one.data["subject_id"]) for one in await of_type.events(1)] == b
        assert [UUID(one.data["subject_id"]) for one in await foreign.events(1)] == t
        assert [one.event for one in await of_subject.events(1)] == ["test.d"]


async def test_nothing_is_missed_or_out_of_order_while_eight_write(streams: Streams) -> None:
    hub = streams.hub
    organisation = await hub.me()
    kept: list[UUID] = []
    each = 20 if hub.database.dialect == "postgresql" else 5

    async def writer(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(each):
            subjects = [new_id() for _ in range(chance.randint(1, 3))]
            with contextlib.suppress(Undone):
                async with hub.database.write() as session:
                    for one in subjects:
                        fact = Fact(
                            organisation_id=organisation, type="test.it", subject_type="test", subject_id=one, at=hub.clock.now()
                        )
                        await record(session, fact)
                        await asyncio.sleep(chance.random() * 0.02)
                    if chance.random() < 0.2:
                        raise Undone
                kept.extend(subjects)

    async def follow(query: str) -> list[Heard]:
        found: list[Heard] = []
        async with streams.listen(query) as live:
            while (one := await live.event()) is not None and one.event != "test.last":
                found.append(one)
        return found

    start = (await hub.get("/v1/events", params={"limit": 200}))["last_seq"]
    following = [asyncio.create_task(follow(query)) for query in (f"?after={start}", "")]
    while len(streams.live) < 2:
        await asyncio.sleep(0.01)
    writing = asyncio.gather(*(writer(seed) for seed in range(8)))
    await asyncio.sleep(0.1)
    late = asyncio.create_task(follow(f"?after={start}"))
    await writing
    await write(hub, type_="test.last")
    for heard in await asyncio.gather(*following, late):
        numbers = [one.id for one in heard]
        assert numbers == sorted(set(numbers))  # type: ignore[type-var]
        assert sorted(UUID(one.data["subject_id"]) for one in heard) == sorted(kept)


async def test_a_slow_reader_loses_nothing_and_costs_no_memory(streams: Streams) -> None:
    hub = streams.hub
    subjects: list[UUID] = []
    async with streams.listen() as slow, streams.listen() as quick:
        await quick.block()
        while len(streams.live) < 2:
            await asyncio.sleep(0.01)
        for _ in range(8):
            # More than the sockets hold, so the hub cannot get rid of it.
            subjects += await write(hub, 200, more="x" * 3000)
            await quick.events(200)
            assert all(len(one._queue) <= QUEUE for one in streams.live._readers)
        assert any(one._behind for one in streams.live._readers)
        heard = await slow.events(len(subjects))
        assert [UUID(one.data["subject_id"]) for one in heard] == subjects
        subjects = await write(hub)
        assert UUID((await slow.events(1))[0].data["subject_id"]) == subjects[0]


async def test_a_silent_stream_says_that_it_lives(streams: Streams) -> None:
    assert streams.live.heartbeat == 15.0
    streams.live.heartbeat = 0.05
    async with streams.listen() as live:
        await live.block()
        for _ in range(3):
            said = await live.block()
            assert said is not None and said.comment == "still here"


async def end_of(live: Listening) -> tuple[str | None, Any]:
    last = await live.event()
    assert last is not None and last.id is None
    assert await live.event() is None
    return last.event, last.data


async def test_a_stream_ends_when_the_right_to_it_ends(streams: Streams) -> None:
    hub = streams.hub
    roles = {one["name"]: one["id"] for one in (await hub.get("/v1/roles", params={"limit": 200}))["items"]}
    ends = {"revoked": "unauthenticated", "expired": "unauthenticated", "disabled": "unauthenticated", "taken": "not_permitted"}
    keys, members, key_ids, grants = {}, {}, {}, {}
    for how in ends:
        member = await hub.post("/v1/service-accounts", {"name": how})
        grant = await hub.post("/v1/grants", {"member_id": member["id"], "role_id": roles["viewer"]})
        expiring = {"expires_in_days": 1} if how == "expired" else {}
        made = await hub.post("/v1/keys", {"name": how, "member_id": member["id"], **expiring})
        keys[how], members[how], key_ids[how], grants[how] = made["text"], member["id"], made["key"]["id"], grant["id"]
    async with contextlib.AsyncExitStack() as stack:
        lives = {how: await stack.enter_async_context(streams.listen(key=key)) for how, key in keys.items()}
        stays = await stack.enter_async_context(streams.listen())
        for live in lives.values():
            await live.block()
        await hub.ok("DELETE", f"/v1/keys/{key_ids['revoked']}")
        await hub.ok("PATCH", f"/v1/members/{members['disabled']}", json={"state": "disabled"})
        await hub.ok("DELETE", f"/v1/grants/{grants['taken']}")
        hub.clock.forward(days=2)
        began = time.monotonic()
        found = {}
        for how, live in lives.items():
            while (last := await live.event()) is not None and last.event != "end":
                pass
            assert last is not None
            found[how] = last.data["code"]
            assert await live.event() is None
        assert found == ends
        assert time.monotonic() - began < 5.0
        subjects = await write(hub)
        while (one := await stays.event()) is not None and one.event != "test.it":
            pass
        assert one is not None and UUID(one.data["subject_id"]) == subjects[0]


async def test_who_may_not_read_events_gets_no_stream(streams: Streams) -> None:
    hub = streams.hub
    department = await hub.post("/v1/departments", {"name": "S", "slug": "s"})
    for key, status in (
        (await hub.member("viewer", department_id=department["id"]), 403),
        (await hub.member(), 403),
        ("smhub_nonsense", 401),
    ):
        async with streams.listen(key=key) as live:
            assert live.status == status


async def test_streams_end_with_the_process(streams: Streams) -> None:
    async with streams.listen() as live, streams.listen() as second:
        await live.block()
        await second.block()
        streams.live.end_all()
        for one in (live, second):
            assert await end_of(one) == ("end", {"code": "shutting_down"})
    async with streams.listen() as late:
        assert (late.status, (await late.body())["code"]) == (503, "unavailable")


async def test_who_hangs_up_is_forgotten_and_the_follower_rests(streams: Streams) -> None:
    for _ in range(2):
        async with contextlib.AsyncExitStack() as stack:
            lives = [await stack.enter_async_context(streams.listen()) for _ in range(20)]
            for live in lives:
                await live.block()
            assert len(streams.live) == 20
        async with asyncio.timeout(SOON):
            while len(streams.live) or streams.live._ready is not None:
                await asyncio.sleep(0.01)


async def test_one_follower_reads_for_all(streams: Streams) -> None:
    from sqlalchemy import event

    hub, asked = streams.hub, [0]

    @event.listens_for(hub.database._read_engine.sync_engine, "before_cursor_execute")
    def _count(*_: object) -> None:
        asked[0] += 1

    async with contextlib.AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(streams.listen()) for _ in range(100)]
        for live in lives:
            await live.block()
        before = asked[0]
        for _ in range(5):
            subjects = await write(hub)
            for heard in await asyncio.gather(*(live.events(1) for live in lives)):
                assert UUID(heard[0].data["subject_id"]) == subjects[0]
        assert asked[0] - before < 100


async def test_a_format_that_only_json_has_does_not_disturb_a_stream(streams: Streams) -> None:
    for accept in ("text/event-stream", "application/vnd.msgpack", "*/*"):
        async with streams.listen(Accept=accept, Accept_Encoding="gzip") as live:
            await live.block()
            subjects = await write(streams.hub)
            assert UUID((await live.events(1))[0].data["subject_id"]) == subjects[0]
