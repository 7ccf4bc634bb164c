"""kill -9 of the API process while clients write: what was acknowledged is there as it was acknowledged, and nothing is there twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import msgspec
import pytest
from sqlalchemy import select, text

import world
from echo import EchoPlugin, mention
from smhub.access.models import AuditEntry
from smhub.deliveries import schemas as deliveries
from smhub.deliveries.models import Delivery, Hold
from smhub.departments import schemas as departments
from smhub.departments.models import Department
from smhub.events.models import Event
from smhub.mentions.models import Annotation, Mention

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from writing import Book, Write, Writer  # noqa: E402

CLIENTS = 16
WHILE_STARTING = 0.1
"""The share of kills that do not wait until it serves."""


class Api:
    """The API process: one life after the other, on the same port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.up = asyncio.Event()
        self.starts: list[float] = []
        self._process = process
        self._pid = 0
        self._began = 0.0

    async def start(self) -> None:
        assert self._process.stdin is not None
        self._began = time.monotonic()
        self._process.stdin.write(b"\n")
        self._pid = int(await self._word("pid"))

    async def serves(self) -> None:
        await self._word("ready")
        self.starts.append(time.monotonic() - self._began)
        self.up.set()

    async def end(self, number: int) -> int:
        """Send it this signal; how it ended, as os.waitpid tells it."""
        self.up.clear()
        os.kill(self._pid, number)
        return int(await self._word("ended"))

    async def _word(self, expected: str) -> str:
        """What it says after this word. Who is killed while it starts may have become ready meanwhile."""
        assert self._process.stdout is not None
        while True:
            said, _, more = (await self._process.stdout.readline()).decode().strip().partition(" ")
            if said == expected:
                return more
            assert (said, expected) == ("ready", "ended"), (said, more, expected)


@asynccontextmanager
async def mortal(url: str) -> AsyncIterator[Api]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, str(HERE / "killed_api.py"), url, str(port)]
    process = await asyncio.create_subprocess_exec(*script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    try:
        yield Api(process, port)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def filled(url: str, count: int) -> tuple[str, str, list[str]]:
    """A hub with a channel and so many mentions: a key, the channel, the mentions."""
    async with world.start(url, requests_per_minute=1_000_000) as hub:
        for first in range(0, count, 200):
            hub.echo.says(*[mention(str(number)) for number in range(first, min(first + 200, count))])
        channel = await hub.connect()
        await hub.work()
        async with hub.database.read() as session:
            ids = [str(one) for one in await session.scalars(select(Mention.id))]
        assert len(ids) == count
        return hub.key, channel["id"], ids


async def kill(api: Api, book: Book, kills: int, total: int, chance: random.Random) -> None:
    """End it so many times, each time after some more writes, or while it starts; then let it live until all is written."""
    each = round(total / (kills * (1 - WHILE_STARTING)))
    for _ in range(kills):
        await api.start()
        if chance.random() < WHILE_STARTING:
            await asyncio.sleep(chance.random() * (statistics.median(api.starts) if api.starts else 0.5))
        else:
            await api.serves()
            await book.reaches(book.acknowledged + chance.randint(0, 2 * each))
            await asyncio.sleep(chance.random() * 0.03)
        assert await api.end(signal.SIGKILL) == signal.SIGKILL
    await api.start()
    await api.serves()
    await book.reaches(total)


async def story(url: str, kills: int, total: int) -> dict[str, Any]:
    """Clients write, and the API dies; what was seen and what is wrong afterwards."""
    key, channel, mentions = await filled(url, CLIENTS + total // 3 + 10 * CLIENTS)
    own, to_answer = mentions[:CLIENTS], iter(mentions[CLIENTS:])
    book, over = Book(), asyncio.Event()
    began = time.monotonic()
    async with mortal(url) as api, AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                writer = Writer(number, book, api.up, channel=channel, mention=own[number], to_answer=to_answer)
                given = httpx2.AsyncClient(base_url=api.address, headers={"Authorization": f"Bearer {key}"}, timeout=20)
                group.create_task(writer.write(await stack.enter_async_context(given), over))
            await kill(api, book, kills, total, random.Random(kills))
            over.set()
        assert await api.end(signal.SIGTERM) == 0
    seconds = round(time.monotonic() - began, 1)
    return {
        "kills": kills,
        "acknowledged": book.acknowledged,
        "unanswered": sum(write.answer is None for write in book.writes),
        "repeated": sum(write.lost > 0 for write in book.writes if write.key and write.answer),
        "replayed": sum(write.replayed for write in book.writes),
        "restart_seconds": round(statistics.median(api.starts), 2),
        "seconds": seconds,
        **await wrong(url, book.writes),
    }


MADE: dict[str, tuple[Any, Any, str, str]] = {
    "post": (Delivery, deliveries.DeliveryInfo, "write_post", "delivery.written"),
    "reply": (Delivery, deliveries.DeliveryInfo, "write_reply", "delivery.written"),
    "department": (Department, departments.DepartmentInfo, "add_department", "department.added"),
    "hold": (Hold, deliveries.HoldInfo, "place_hold", "hold.placed"),
}
"""What a kind of write makes: the row, how it goes over the wire, the action in its audit entry, its event."""


def name_of(row: Any) -> str:
    """The words of the write that made it."""
    found: str = row.text if isinstance(row, Delivery) else row.name if isinstance(row, Department) else row.reason
    return found


async def wrong(url: str, writes: list[Write]) -> dict[str, list[str]]:
    """What was acknowledged and is missing or otherwise, what is there twice, and what lacks its audit entry or its event."""
    lost: list[str] = []
    twice: list[str] = []
    half: list[str] = []
    runtime = world.make_runtime(world.Settings(database_url=url, secret_keys=world.KEYS), plugins=[EchoPlugin()])
    async with runtime.database.read() as session:
        audits = (await session.scalars(select(AuditEntry))).all()
        events = (await session.scalars(select(Event))).all()
        said = {(row.mention_id, row.key): row.value for row in await session.scalars(select(Annotation).where(Annotation.human))}
        tags = {row.id: row.tags for row in await session.scalars(select(Mention))}
        rows = {model: (await session.scalars(select(model))).all() for model in (Delivery, Department, Hold)}
        if url.startswith("sqlite"):
            assert (await session.execute(text("pragma integrity_check"))).scalar_one() == "ok"
            assert (await session.execute(text("pragma foreign_key_check"))).all() == []
    await runtime.net.close()
    await runtime.database.close()

    entered = Counter(one.request_id for one in audits)
    twice += [f"audit entry of {write.name}" for write in writes if entered[write.name.replace(" ", "-")] > 1]
    lost += [f"audit entry of {write.name}" for write in writes if write.answer and not entered[write.name.replace(" ", "-")]]

    for kind, (model, wire, action, type_) in MADE.items():
        mine = [row for row in rows[model] if name_of(row).startswith(f"{kind} ")]
        twice += [name for name, count in Counter(name_of(row) for row in mine).items() if count > 1]
        there = {str(row.id): msgspec.to_builtins(wire.of(row)) for row in mine}
        for write in writes:
            if write.kind == kind and write.answer and there.get(write.answer["id"]) != write.answer:
                lost.append(f"{write.name}: {there.get(write.answer['id'])}")
        ids = Counter(row.id for row in mine)
        half += [f"{kind} {one}" for one in ids - Counter(one.subject_id for one in audits if one.action == action)]
        half += [f"audit {one}" for one in Counter(one.subject_id for one in audits if one.action == action) - ids]
        told = Counter(one.subject_id for one in events if one.type == type_)
        half += [f"{kind} {one} has {told[one]} events" for one in ids if told[one] != 1]
    made = {row.id for found in rows.values() for row in found}
    half += [f"event {one.seq}" for one in events if one.type in {type_ for *_, type_ in MADE.values()} and one.subject_id not in made]

    told_keys = Counter((one.subject_id, key) for one in events if one.type == "mention.annotated" for key in one.data["keys"])
    entered_keys = Counter((one.subject_id, one.details["key"]) for one in audits if one.action == "annotate_mention")
    half += [
        f"annotation {one}"
        for one in {*told_keys, *entered_keys, *said}
        if (told_keys[one], entered_keys[one], one in said) != (1, 1, True)
    ]
    for write in writes:
        if write.kind == "annotation" and write.answer:
            place = (UUID(write.mention), write.body["key"])
            lost += [f"{write.name}: {said.get(place)}"] if said.get(place) != write.body["value"] else []

    told_changes = Counter(one.subject_id for one in events if one.type == "mention.changed")
    entered_changes = Counter(one.subject_id for one in audits if one.action == "change_mention")
    half += [f"changes of {one}" for one in {*told_changes, *entered_changes} if told_changes[one] != entered_changes[one]]
    for mention_id in {write.mention for write in writes if write.kind == "tags"}:
        history = [write for write in writes if write.kind == "tags" and write.mention == mention_id]
        last = max((number for number, write in enumerate(history) if write.answer), default=-1)
        possible = [write.body["tags"] for write in history[max(last, 0) :]] + ([] if last >= 0 else [[]])
        if tags[UUID(mention_id)] not in possible:
            lost.append(f"tags of {mention_id}: {tags[UUID(mention_id)]}, not {possible}")
    return {"lost": lost, "twice": twice, "half": half}


def show(url: str, done: dict[str, Any]) -> None:
    shown = {name: len(value) if isinstance(value, list) else value for name, value in done.items()}
    print(json.dumps({"database": url.split(":", maxsplit=1)[0], **shown}))


async def test_what_the_api_acknowledged_survives_its_death_and_a_repeated_key_does_it_once(database_url: str) -> None:
    done = await story(database_url, 25, 600)
    show(database_url, done)
    assert (done["lost"], done["twice"], done["half"]) == ([], [], [])
    assert done["acknowledged"] >= 600
    # Answers did get lost, and were asked for again.
    assert done["unanswered"] > 0 and done["repeated"] > 0


@pytest.mark.soak
async def test_ten_thousand_acknowledged_writes_survive_five_hundred_deaths(database_url: str) -> None:
    done = await story(database_url, 500, 10_000)
    show(database_url, done)
    assert (done["lost"], done["twice"], done["half"]) == ([], [], [])
    assert done["acknowledged"] >= 10_000
