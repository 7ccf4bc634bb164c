"""The log of facts: a reader that asks for what follows its last seq misses nothing, however many write."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from smhub.db.engine import Database
from smhub.events.log import Fact, adjust, following, record
from smhub.events.models import Event
from smhub.ids import new_id
from world import Hub


class Undone(Exception):
    pass


async def write(database: Database, organisation: UUID, kept: list[UUID], seed: int, hub: Hub, until: int) -> None:
    """Transactions of random length, some of them rolled back."""
    chance = random.Random(seed)
    for _ in range(until):
        subjects = [new_id() for _ in range(chance.randint(1, 3))]
        undone = chance.random() < 0.2
        try:
            async with database.write() as session:
                for subject in subjects:
                    fact = Fact(
                        organisation_id=organisation, type="test.it", subject_type="test", subject_id=subject, at=hub.clock.now()
                    )
                    await record(session, fact)
                    await asyncio.sleep(chance.random() * 0.02)
                if undone:
                    raise Undone
            kept += subjects
        except Undone:
            pass


async def follow(database: Database, organisation: UUID, done: asyncio.Event, *, naive: bool = False) -> list[tuple[int, UUID]]:
    seen: list[tuple[int, UUID]] = []
    after, last_round = 0, False
    while True:
        last_round = done.is_set()
        async with database.read() as session:
            if naive:
                statement = select(Event).where(Event.seq > after).order_by(Event.seq).limit(50)
            else:
                statement = following(database.dialect, None, after, 50)
            rows = (await session.scalars(statement)).all()
        seen += [(row.seq, row.subject_id) for row in rows if row.type == "test.it"]
        after = rows[-1].seq if rows else after
        if last_round and not rows:
            return seen
        await asyncio.sleep(0.001)


async def run(hub: Hub, *, naive: bool = False) -> tuple[list[tuple[int, UUID]], list[UUID]]:
    organisation, kept, done = await hub.me(), [], asyncio.Event()  # type: ignore[var-annotated]
    reader = Database(hub.database.url)
    following_ = asyncio.create_task(follow(reader, organisation, done, naive=naive))
    each = 20 if hub.database.dialect == "postgresql" else 4
    await asyncio.gather(*(write(hub.database, organisation, kept, seed, hub, each) for seed in range(8)))
    done.set()
    seen = await following_
    await reader.close()
    return seen, kept


async def test_a_reader_misses_nothing_while_eight_write(hub: Hub) -> None:
    seen, kept = await run(hub)
    assert len(kept) > 30
    assert sorted(subject for _, subject in seen) == sorted(kept)
    numbers = [seq for seq, _ in seen]
    assert numbers == sorted(set(numbers))


async def test_a_reader_that_does_not_wait_would_miss_some_where_several_write(hub: Hub) -> None:
    seen, kept = await run(hub, naive=True)
    missed = set(kept) - {subject for _, subject in seen}
    assert bool(missed) == (hub.database.dialect == "postgresql")


async def test_seq_rises_over_two_transactions_of_one_session(hub: Hub) -> None:
    organisation = await hub.me()
    session = hub.database.writer_session()
    for _ in range(2):
        fact = Fact(organisation_id=organisation, type="test.it", subject_type="test", subject_id=new_id(), at=hub.clock.now())
        await record(session, fact)
        await session.commit()
        async with hub.database.write() as other:
            await record(other, fact)
    await session.close()
    async with hub.database.read() as reading:
        rows = (await reading.scalars(select(Event).where(Event.type == "test.it").order_by(Event.seq))).all()
    assert [rows[0].subject_id == rows[1].subject_id, rows[2].subject_id == rows[3].subject_id] == [True, True]


async def test_pages_and_filters_tell_where_to_go_on(hub: Hub) -> None:
    organisation = await hub.me()
    subject = new_id()
    async with hub.database.write() as session:
        facts = [
            Fact(organisation_id=organisation, type=f"test.{number % 2}", subject_type="test", subject_id=subject, at=hub.clock.now())
            for number in range(10)
        ]
        await record(session, *facts)
    seen: list[Any] = []
    after = 0
    while (page := await hub.get("/v1/events", params={"after": after, "limit": 3, "type": "test.1"}))["items"]:
        seen += page["items"]
        after = page["last_seq"]
    assert [one["type"] for one in seen] == ["test.1"] * 5
    everything = await hub.get("/v1/events", params={"limit": 200})
    assert after == everything["last_seq"] == everything["items"][-1]["seq"]
    nothing = await hub.get("/v1/events", params={"type": "test.none"})
    assert (nothing["items"], nothing["last_seq"]) == ([], everything["last_seq"])
    beyond = await hub.get("/v1/events", params={"after": after + 7})
    assert (beyond["items"], beyond["last_seq"]) == ([], after + 7)
    about = await hub.get("/v1/events", params={"subject_id": str(subject), "limit": 200})
    assert len(about["items"]) == 10


async def test_seq_goes_on_above_the_highest_after_a_move_to_a_younger_server(hub: Hub) -> None:
    organisation = await hub.me()
    high = (1 << 45) + 5
    async with hub.database.write() as session:
        old = Fact(organisation_id=organisation, type="test.old", subject_type="test", subject_id=new_id(), at=hub.clock.now())
        await record(session, old)
    async with hub.database.write() as session:
        await session.execute(
            text("update core_event set seq = seq + :high where seq = (select max(seq) from core_event)"), {"high": high}
        )
    fact = Fact(organisation_id=organisation, type="test.it", subject_type="test", subject_id=new_id(), at=hub.clock.now())
    for _ in range(2):
        async with hub.database.write() as session:
            await adjust(session)
    async with hub.database.write() as session:
        await record(session, fact)
    page = await hub.get("/v1/events", params={"limit": 200})
    numbers = [one["seq"] for one in page["items"]]
    assert numbers == sorted(numbers)
    assert page["items"][-1]["type"] == "test.it"
    assert numbers[-1] > high
