"""kill -9 at every named point while mentions come in: nothing is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

import world
from smhub.channels.models import BadItem, Gap, Intake
from smhub.db.search import SearchDoc
from smhub.events.models import Event
from smhub.mentions.models import Annotation, Mention, MentionVersion, Sighting
from smhub.work.models import Job

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from tape import TapePlugin, page_of  # noqa: E402

SOAKED = 0
POINTS = (
    "work.claimed",
    "take_in.merged",
    "take_in.authors",
    "take_in.mentions",
    "take_in.sightings",
    "take_in.events",
    "take_in.before_commit",
    "take_in.after_commit",
)


def kill_and_restart(url: str, file: Path, plan: list[tuple[str, int]], each: int) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *(path for path in sys.path if path)])}
    command = [sys.executable, str(HERE / "killed_worker.py"), url, str(file), json.dumps(plan), str(each)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


async def connect(url: str, file: Path) -> None:
    file.write_text("0")
    async with world.start(url, plugins=[TapePlugin()]) as hub:
        await hub.post("/v1/channels", {"network": "tape", "name": "Tape", "settings": {"file": str(file)}})


async def lost_and_twice(url: str, pages: int) -> tuple[list[str], list[str]]:
    """What is missing, and what is there twice, compared with all that the network ever told."""
    lost: list[str] = []
    twice: list[str] = []
    ids = [f"{page}-{letter}" for page in range(pages) for letter in "abc"]
    edited = {f"{page}-a" for page in range(pages - 1)}
    deleted = {f"{page}-c" for page in range(pages - 1)}
    bad = [item for page in range(pages) for item in page_of(page) if hasattr(item, "error")]
    runtime_free = world.make_runtime(world.Settings(database_url=url, secret_keys=world.KEYS), plugins=[TapePlugin()])
    async with runtime_free.database.read() as session:
        rows = {row.id: row for row in await session.scalars(select(Mention))}
        found = Counter(row.external_id for row in rows.values())
        compare("mention", Counter(ids), found, lost, twice)
        states = {row.external_id: row.content_state for row in rows.values()}
        expected = {one: "edited" if one in edited else "deleted" if one in deleted else "live" for one in ids}
        lost += [f"state of {one}: {states.get(one)}" for one in ids if states.get(one) != expected[one]]
        roots = {row.external_id: row.root_external_id for row in rows.values()}
        lost += [f"root of {one}" for one in ids if roots.get(one) != (one.replace("b", "a"))]
        name = {id_: row.external_id for id_, row in rows.items()}
        for what, model in (("sighting", Sighting), ("search document", SearchDoc)):
            compare(what, Counter(ids), Counter(name[one] for one in await session.scalars(select(model.mention_id))), lost, twice)
        versions = Counter(name[one] for one in await session.scalars(select(MentionVersion.mention_id)))
        compare("version", Counter(edited), versions, lost, twice)
        annotated = Counter(name[one] for one in await session.scalars(select(Annotation.mention_id)))
        lost += [f"annotation of {one}" for one in ids if one not in deleted and not annotated[one]]
        told = Counter(
            (kind, name[subject])
            for kind, subject in await session.execute(select(Event.type, Event.subject_id).where(Event.subject_type == "mention"))
            if kind != "mention.annotated"
        )
        should = Counter(
            [("mention.discovered", one) for one in ids]
            + [("mention.content_changed", one) for one in edited]
            + [("mention.deleted", one) for one in deleted]
        )
        compare("event", should, told, lost, twice)
        compare("bad item", Counter(one.raw for one in bad), Counter(await session.scalars(select(BadItem.raw))), lost, twice)
        intake = (await session.scalars(select(Intake))).one()
        if (intake.cursor, intake.mentions, intake.state) != ({"page": pages}, len(ids), "active"):
            lost.append(f"intake {intake.cursor} {intake.mentions} {intake.state}")
        # What the hub does by itself every now and then is done the next time.
        unfinished = select(Job.name, Job.state).where(Job.state != "done", Job.organisation_id.is_not(None), Job.name != "intake.poll")
        lost += [f"job {one}" for one in (await session.execute(unfinished)).all()]
        lost += [f"gap {one.cause}" for one in await session.scalars(select(Gap))]
        twice += [
            f"author {one}" for one in await session.scalars(text("select external_id from core_author group by 1 having count(*) > 1"))
        ]
        assert (await session.execute(select(func.count()).select_from(Event))).scalar_one() > 0
        if url.startswith("sqlite"):
            assert (await session.execute(text("pragma integrity_check"))).scalar_one() == "ok"
    await runtime_free.net.close()
    await runtime_free.database.close()
    return lost, twice


def compare(what: str, expected: Counter[Any], found: Counter[Any], lost: list[str], twice: list[str]) -> None:
    lost += [f"{what} {one}" for one in (expected - found).elements()]
    twice += [f"{what} {one}" for one in (found - expected).elements()]


def test_a_worker_killed_at_every_named_point_loses_nothing_and_doubles_nothing(database_url: str, tmp_path: Path) -> None:
    plan = [(point, hit) for hit in (1, 2, 4) for point in POINTS]
    asyncio.run(connect(database_url, tmp_path / "pages"))
    done = kill_and_restart(database_url, tmp_path / "pages", plan, 4)
    assert (done["kills"], done["not_reached"]) == (len(plan), [])
    assert asyncio.run(lost_and_twice(database_url, done["pages"])) == ([], [])


@pytest.mark.soak
def test_two_hundred_kills_lose_nothing_and_double_nothing(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(2026)
    plan = [(chance.choice(POINTS), chance.randint(1, 3)) for _ in range(210)]
    asyncio.run(connect(database_url, tmp_path / "pages"))
    done = kill_and_restart(database_url, tmp_path / "pages", plan, 3)
    lost, twice = asyncio.run(lost_and_twice(database_url, done["pages"]))
    print(json.dumps({"database": database_url.split(":", maxsplit=1)[0], **done, "lost": len(lost), "twice": len(twice)}))
    assert done["kills"] >= 200
    assert (lost, twice) == ([], [])
