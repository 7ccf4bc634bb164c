"""Deliveries shuffled, three in ten of them doubled: the same end as in the order in which it happened."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

import hooked
from hooked import Hooked, body_of, deleted, said, signed
from smhub.channels.models import WebhookDelivery
from smhub.mentions.models import Mention, MentionVersion, Sighting
from world import Hub

AT_ONCE = 32


def history(number: int, chance: random.Random) -> list[dict[str, Any]]:
    """What happened on the network, in order: objects are said, edited up to three times, sometimes deleted."""
    told: list[dict[str, Any]] = []
    for object_ in range(number):
        events = [said(str(object_), f"wort{object_}")]
        events += [said(str(object_), f"wort{object_} neu{edit}", edit) for edit in range(1, chance.choice([1, 1, 2, 3, 4]))]
        if chance.random() < 0.2:
            events.append(deleted(str(object_), 9))
        told += events
    return told


async def deliver_all(hub: Hub, url: str, deliveries: list[tuple[str, bytes]]) -> None:
    """Through the API, so many at a time; the worker takes them in meanwhile and at the end."""
    room, stranger = asyncio.Semaphore(AT_ONCE), hub.as_key(None)

    async def one(id_: str, body: bytes) -> None:
        async with room:
            answer = await stranger.post(url, content=body, headers=signed(body, hub.clock.now(), id_))
            assert answer.status_code == 200, answer.text

    for first in range(0, len(deliveries), 2000):
        await asyncio.gather(*(one(*delivery) for delivery in deliveries[first : first + 2000]))
        await hub.work()
        # As a worker would have had the time to: the bell of the next ones finds it idle.
        await hub.work(seconds=3)


async def state(hub: Hub, channel: UUID) -> list[Any]:
    """All that is known of the channel's mentions, whichever order led there."""
    async with hub.database.read() as session:
        mine = Mention.channel_id == channel
        columns = (Mention.external_id, Mention.text, Mention.content_state, Mention.edited_at, Mention.version_at, Mention.deleted_at)
        mentions = (await session.execute(select(*columns, Mention.published_at, Mention.digest).where(mine))).all()
        versions = select(Mention.external_id, MentionVersion.version_at, MentionVersion.text).join(
            MentionVersion, MentionVersion.mention_id == Mention.id
        )
        older = (await session.execute(versions.where(mine))).all()
        seen = select(Mention.external_id).join(Sighting, Sighting.mention_id == Mention.id).where(mine)
        return [sorted(map(repr, mentions)), sorted(map(repr, older)), sorted((await session.scalars(seen)).all())]


async def story(hub: Hub, objects: int) -> tuple[int, int]:
    """How many deliveries there were, and how many different ones."""
    Hooked.world.__init__()  # type: ignore[misc]
    chance = random.Random(objects)
    told = history(objects, chance)
    ends = []
    sent = ordered = 0
    for shuffled in (False, True):
        # An organisation for each, for a mention belongs to one of them once.
        place = await hub.organisation(f"order-{shuffled}".lower())
        channel = await place.post("/v1/channels", {"network": "quick", "name": "S", "settings": {"secret": hooked.SECRET}})
        if shuffled:
            deliveries = [(f"d{number}", body_of(one)) for number, one in enumerate(told)]
            deliveries += chance.sample(deliveries, len(deliveries) * 3 // 10)
            chance.shuffle(deliveries)
            sent = len(deliveries)
        else:
            deliveries = [(f"d{first}", body_of(*told[first : first + 50])) for first in range(0, len(told), 50)]
            ordered = len(deliveries)
        await deliver_all(hub, channel["webhook"]["callback_url"], deliveries)
        ends.append(await state(hub, UUID(channel["id"])))
    assert ends[0] == ends[1]
    assert len(ends[0][0]) == objects
    async with hub.database.read() as session:
        by_state = (await session.execute(select(WebhookDelivery.state, func.count()).group_by(WebhookDelivery.state))).all()
    assert [tuple(one) for one in by_state] == [("done", ordered + len(told))]
    return sent, len(told)


def show(hub: Hub, sent: int, different: int, began: float) -> None:
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"database": hub.database.dialect, "deliveries": sent, "different": different, "seconds": seconds}))


async def test_shuffled_and_doubled_deliveries_end_as_those_in_order(hub: Hub) -> None:
    began = time.monotonic()
    sent, different = await story(hub, 1_000)
    show(hub, sent, different, began)
    assert sent > 3_000


@pytest.mark.soak
async def test_a_hundred_thousand_shuffled_and_doubled_deliveries_end_as_those_in_order(hub: Hub) -> None:
    began = time.monotonic()
    sent, different = await story(hub, 39_000)
    show(hub, sent, different, began)
    assert sent > 100_000


async def test_many_that_bring_the_same_at_once_leave_one_row(hub: Hub) -> None:
    Hooked.world.__init__()  # type: ignore[misc]
    channel = await hub.post("/v1/channels", {"network": "quick", "name": "S", "settings": {"secret": hooked.SECRET}})
    body = body_of(said("1"))
    headers = signed(body, hub.clock.now(), "d1")
    stranger = hub.as_key(None)
    answers = await asyncio.gather(
        *(stranger.post(channel["webhook"]["callback_url"], content=body, headers=headers) for _ in range(50))
    )
    assert {one.status_code for one in answers} == {200}
    async with hub.database.read() as session:
        assert (await session.execute(text("select count(*) from core_webhook_delivery"))).scalar_one() == 1
    await hub.work()
    assert len(await hub.mentions()) == 1
