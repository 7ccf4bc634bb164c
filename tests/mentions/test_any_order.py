"""In whatever order, split and number the pieces arrive, and through whichever intake: one state in the database."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from echo import AT, mention
from smhub.channels.models import Intake
from smhub.db.search import SearchDoc
from smhub.ids import thread_id
from smhub.mentions.models import Author, Mention, MentionVersion, Sighting
from smhub.mentions.source import Source
from smhub.mentions.taking_in import take_in
from smhub.sdk import Item, Tombstone
from smhub.sdk import Mention as MentionItem
from world import Hub

# Who answers whom, and whether the root is told: a chain, of which the middle may stay untold.
FRAMES: dict[str, dict[str, Any]] = {
    "r": {},
    "p": {"reply_to": "r"},
    "c": {"reply_to": "p"},
    "d": {"reply_to": "p", "root": "r"},
}
TOLD = st.builds(
    lambda id_, text, minutes: mention(
        id_, f"wort{text}", edited_at=AT + timedelta(minutes=minutes) if minutes else None, **FRAMES[id_]
    ),
    st.sampled_from("rpcd"),
    st.sampled_from("xyz"),
    st.integers(0, 3),
)
GONE = st.builds(
    lambda id_, minutes: Tombstone(external_id=id_, at=AT + timedelta(minutes=minutes)), st.sampled_from("rpcd"), st.integers(1, 3)
)
EVENTS = st.lists(st.one_of(TOLD, TOLD, TOLD, GONE), min_size=1, max_size=6)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[tuple[int, Item]], list[list[tuple[int, Item]]]]:
    """What happened, each seen by one of two intakes; and two ways in which it arrives, as pages, some pieces twice."""
    seen = [(draw(st.integers(0, 1)), event) for event in draw(EVENTS)]
    orders = []
    for _ in range(2):
        doubled = seen + [seen[one] for one in draw(st.lists(st.integers(0, len(seen) - 1), max_size=2))]
        orders.append(draw(st.permutations(doubled)))
    return seen, orders


async def intakes(hub: Hub) -> list[Source]:
    for account in ("one", "two"):
        await hub.connect(account=account)
    async with hub.database.read() as session:
        rows = (await session.scalars(select(Intake).order_by(Intake.id))).all()
    return [Source(organisation_id=row.organisation_id, intake_id=row.id, network="echo", channel_id=row.channel_id) for row in rows]


async def arrive(hub: Hub, sources: list[Source], pieces: list[tuple[int, Item]], scope: str, size: int) -> None:
    """Neighbours through the same intake make a page, up to `size`."""
    pages: list[tuple[int, list[Item]]] = []
    for intake, item in pieces:
        if not pages or pages[-1][0] != intake or len(pages[-1][1]) >= size:
            pages.append((intake, []))
        changed: dict[str, Any] = {"scope": scope}
        pages[-1][1].append(type(item)(**{**{name: getattr(item, name) for name in item.__struct_fields__}, **changed}))
    for intake, items in pages:
        async with hub.database.write() as session:
            await take_in(session, sources[intake], items, hub.clock.now())


async def state(hub: Hub, organisation: Any, scope: str) -> dict[str, Any]:
    async with hub.database.read() as session:
        rows = (await session.scalars(select(Mention).where(Mention.scope == scope))).all()
        found = {}
        for row in rows:
            versions = await session.execute(
                select(MentionVersion.version_at, MentionVersion.text).where(MentionVersion.mention_id == row.id)
            )
            seen = await session.scalars(select(Sighting.intake_id).where(Sighting.mention_id == row.id))
            terms = (await session.execute(select(SearchDoc.terms).where(SearchDoc.mention_id == row.id))).scalar_one()
            author = await session.get(Author, (organisation, row.author_id)) if row.author_id else None
            found[row.external_id] = {
                "text": row.text,
                "state": row.content_state,
                "edited_at": row.edited_at,
                "version_at": row.version_at,
                "deleted_at": row.deleted_at,
                "published_at": row.published_at,
                "digest": row.digest,
                "root": row.root_external_id,
                "thread": row.thread_id == thread_id(organisation, "echo", scope, row.root_external_id),
                "author": author.external_id if author else None,
                "versions": sorted((at, text) for at, text in versions),
                "seen": sorted(map(str, seen)),
                "terms": terms,
            }
        return found


def expected(seen: list[tuple[int, Item]]) -> dict[str, dict[str, Any]]:
    """The reference: what must be known at the end, from the set of pieces alone."""
    model: dict[str, dict[str, Any]] = {}
    parents = {item.external_id: item.root or item.reply_to for _, item in seen if isinstance(item, MentionItem)}
    for id_ in {item.external_id for _, item in seen}:
        told = [item for _, item in seen if isinstance(item, MentionItem) and item.external_id == id_]
        gone = [item.at for _, item in seen if isinstance(item, Tombstone) and item.external_id == id_]
        latest: dict[str, Any] = {}
        for one in told:
            at = one.edited_at or one.published_at
            latest[one.text] = max(at, latest.get(one.text, at))
        root = id_
        while parents.get(root):
            root = parents[root]
        edited = any(one.edited_at for one in told) or len(latest) > 1
        model[id_] = {
            "state": "deleted" if gone else "edited" if edited else "live",
            "newest": None if gone else max(latest.values()),
            "texts": set() if gone else set(latest),
            "versions": 0 if gone else len(latest) - 1,
            "deleted_at": min(gone) if gone else None,
            "root": root,
            "seen": len({intake for intake, item in seen if item.external_id == id_}),
        }
    return model


async def test_every_order_of_arrival_gives_the_one_state(hub: Hub) -> None:
    sources = await intakes(hub)
    organisation = await hub.me()
    number = 0
    loop = asyncio.get_running_loop()

    async def check(seen: list[tuple[int, Item]], orders: list[list[tuple[int, Item]]], size: int) -> None:
        nonlocal number
        results = []
        for order in orders:
            number += 1
            await arrive(hub, sources, order, f"s{number}", size)
            results.append(await state(hub, organisation, f"s{number}"))
        assert results[0] == results[1]
        model = expected(seen)
        assert results[0].keys() == model.keys()
        for id_, one in results[0].items():
            should = model[id_]
            assert one["thread"]
            assert (one["state"], one["deleted_at"], one["root"]) == (should["state"], should["deleted_at"], should["root"])
            assert (len(one["versions"]), len(one["seen"])) == (should["versions"], should["seen"])
            if should["newest"] is not None:
                assert one["version_at"] == should["newest"]
                assert {one["text"], *(text for _, text in one["versions"])} == should["texts"]

    @settings(max_examples=25 if hub.database.dialect == "sqlite" else 15)
    @given(stories(), st.integers(1, 4))
    def run(story: Any, size: int) -> None:
        asyncio.run_coroutine_threadsafe(check(*story, size), loop).result()

    await asyncio.to_thread(run)


async def test_fifty_who_take_in_the_same_at_once_leave_each_mention_once(hub: Hub) -> None:
    sources = await intakes(hub)
    items: list[Item] = [mention("r", "root")]
    items += [mention(f"{n}", "answer", reply_to=f"{n - 1}" if n else "r") for n in range(8)]

    async def one(number: int) -> None:
        mine = items if number % 2 else items[::-1]
        for _ in range(20):
            try:
                async with hub.database.write() as session:
                    await take_in(
                        session, sources[number % 2], mine[number % 3 :: 1 + number % 2] if number < 45 else mine, hub.clock.now()
                    )
                return
            except DBAPIError:
                await asyncio.sleep(0.01 * hub.runtime.chance.random())
        raise AssertionError("never came through")

    await asyncio.gather(*(one(number) for number in range(50)))
    found = await hub.mentions()
    assert sorted(mention["external_id"] for mention in found) == sorted(["r", *map(str, range(8))])
    assert len({mention["thread_id"] for mention in found}) == 1
    for mention_ in found:
        assert len((await hub.get(f"/v1/mentions/{mention_['id']}/sightings"))["items"]) == 2
