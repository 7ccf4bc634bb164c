"""A password is traded for a session once, whoever needs it; the session outlives the process and stands nowhere in clear."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from sky import PASSWORD, Stage, under_the_sky
from smhub import faults
from smhub.access.models import StoredSecret
from smhub.app.making import make_runtime
from smhub.channels import sessions
from smhub.channels.connecting import config_of, connect
from smhub.channels.models import Channel
from smhub.hub.runtime import Runtime
from smhub.sdk import RateLimited, Transient
from smhub_bluesky.plugin import BlueskyPlugin


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with under_the_sky(database_url) as found:
        yield found
    faults.hook = None


async def look(stage: Stage, channel: dict[str, Any], runtime: Runtime | None = None) -> Any:
    """Ask the network who we are, as any call of the connector would."""
    mine = runtime or stage.hub.runtime
    async with mine.database.read() as session:
        row = await session.get_one(Channel, (await stage.hub.me(), uuid.UUID(channel["id"])))
        config = await config_of(session, mine, row)
    return await connect(mine, row, config).verify()


async def kept(stage: Stage) -> list[StoredSecret]:
    async with stage.hub.database.read() as session:
        return list((await session.scalars(select(StoredSecret).where(StoredSecret.owner_table == sessions.TABLE))).all())


async def test_one_sign_in_serves_many_visits_and_what_is_said(stage: Stage) -> None:
    channel = await stage.channel()
    stage.sky.says("kundin", "Hallo @firma.test")
    for _ in range(5):
        await stage.hub.work(minutes=2)
    made = await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Hallo"})
    await stage.hub.work()
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "published"
    assert len(await stage.hub.mentions()) == 1
    assert (stage.sky.signed_in, stage.sky.renewed) == (1, 0)


async def test_another_process_uses_the_session_of_the_first(stage: Stage) -> None:
    channel = await stage.channel()
    other = make_runtime(stage.hub.runtime.settings, clock=stage.hub.clock, plugins=[BlueskyPlugin()], seed=2)
    try:
        assert (await look(stage, channel, other)).handle == "firma.test"
    finally:
        await other.net.close()
        await other.database.close()
    assert stage.sky.signed_in == 1


async def test_it_is_renewed_before_it_ends_and_the_rotated_token_is_the_next_one_shown(stage: Stage) -> None:
    await stage.channel()
    for number in range(1, 4):
        await stage.hub.work(minutes=120)
        assert (stage.sky.signed_in, stage.sky.renewed) == (1, number)
    assert len(stage.sky.refresh) == 1


async def test_a_session_that_the_network_ended_is_renewed_and_the_call_goes_on(stage: Stage) -> None:
    channel = await stage.channel()
    stage.sky.end_sessions()
    assert (await look(stage, channel)).handle == "firma.test"
    stage.sky.end_sessions()
    stage.sky.refresh.clear()
    # Nothing of the old session is taken any more: the password is shown again.
    assert (await look(stage, channel)).handle == "firma.test"
    assert stage.sky.signed_in == 2


async def test_two_who_need_one_at_once_make_one_sign_in(stage: Stage) -> None:
    stage.sky.hold = asyncio.Event()
    made = await stage.hub.post("/v1/channels", {"network": "bluesky", "name": "Bluesky", "settings": stage.settings()})
    looking = [asyncio.create_task(look(stage, made)) for _ in range(4)]
    await asyncio.wait_for(stage.sky.waiting.wait(), 20)
    stage.sky.hold.set()
    assert {one.handle for one in await asyncio.gather(*looking)} == {"firma.test"}
    assert stage.sky.signed_in == 1


async def test_who_is_cut_short_leaves_the_session_for_the_next(stage: Stage) -> None:
    stage.sky.hold = asyncio.Event()
    made = await stage.hub.post("/v1/channels", {"network": "bluesky", "name": "Bluesky", "settings": stage.settings()})
    looking = asyncio.create_task(look(stage, made))
    await asyncio.wait_for(stage.sky.waiting.wait(), 20)
    looking.cancel()
    stage.sky.hold.set()
    assert (await look(stage, made)).handle == "firma.test"
    assert stage.sky.signed_in == 1


@pytest.mark.parametrize("point", ["session.claimed", "session.answered"])
async def test_who_dies_on_the_way_to_a_session_costs_a_sign_in_and_no_more(stage: Stage, point: str) -> None:
    made = await stage.hub.post("/v1/channels", {"network": "bluesky", "name": "Bluesky", "settings": stage.settings()})

    def dies(passed: str) -> None:
        if passed == point:
            raise asyncio.CancelledError

    faults.hook = dies
    with pytest.raises(asyncio.CancelledError):
        await look(stage, made)
    faults.hook = None
    stage.hub.clock.forward(seconds=90)
    assert (await look(stage, made)).handle == "firma.test"
    assert stage.sky.signed_in == (2 if point == "session.answered" else 1)


async def test_a_lost_answer_to_a_renewal_costs_one_sign_in(stage: Stage) -> None:
    channel = await stage.channel()
    stage.sky.end_sessions()
    stage.sky.lose = lambda name, number: name.endswith("refreshSession") and number == 1
    with pytest.raises(Transient):
        await look(stage, channel)
    # This server has no time of grace: the old token is void, and the new one never came.
    assert (await look(stage, channel)).handle == "firma.test"
    assert stage.sky.signed_in == 2


async def test_a_limit_on_sign_ins_is_kept_by_all_and_asks_nobody_meanwhile(stage: Stage) -> None:
    stage.sky.faults.append(lambda name: (429, {"error": "RateLimitExceeded"}) if name.endswith("createSession") else None)
    made = await stage.hub.post("/v1/channels", {"network": "bluesky", "name": "Bluesky", "settings": stage.settings()})
    with pytest.raises(RateLimited):
        await look(stage, made)
    with pytest.raises(RateLimited) as limited:
        await look(stage, made)
    assert 0 < (limited.value.retry_after or 0) <= 60
    assert stage.sky.signed_in == 1
    stage.sky.faults.clear()
    stage.hub.clock.forward(seconds=61)
    assert (await look(stage, made)).handle == "firma.test"


async def test_a_refused_password_stops_the_intake_without_a_storm_and_another_one_starts_it(stage: Stage) -> None:
    channel = await stage.channel(password="wrong")
    for _ in range(5):
        await stage.hub.work(minutes=10)
    assert (await stage.health(channel))[0] == "auth_required"
    assert stage.sky.signed_in <= 2
    assert await kept(stage) == [] or stage.sky.renewed == 0
    path = f"/v1/channels/{channel['id']}"
    etag = (await stage.hub.admin.get(path)).headers["etag"]
    changed = await stage.hub.admin.patch(path, json={"settings": stage.settings()}, headers={"If-Match": etag})
    assert changed.status_code == 200, changed.text
    await stage.hub.work(minutes=2)
    assert (await stage.health(channel))[0] == "active"


async def test_other_settings_need_another_session(stage: Stage) -> None:
    channel = await stage.channel()
    stage.sky.password = "qrst-uvwx-yzab-cdef"
    path = f"/v1/channels/{channel['id']}"
    etag = (await stage.hub.admin.get(path)).headers["etag"]
    given = {"settings": stage.settings(stage.sky.password)}
    assert (await stage.hub.admin.patch(path, json=given, headers={"If-Match": etag})).status_code == 200
    await stage.hub.work(minutes=2)
    assert (stage.sky.signed_in, stage.sky.renewed) == (2, 0)


async def test_a_listener_signs_in_as_well(stage: Stage) -> None:
    stage.sky.says("kundin", "Mein Kessel pfeift")
    listener = {
        "network": "bluesky",
        "name": "Kessel",
        "settings": stage.settings(),
        "words": ["kessel"],
        "purpose": "Answer questions",
        "legal_basis": "Art. 6(1)(f)",
    }
    await stage.hub.post("/v1/listeners", listener)
    await stage.hub.work()
    await stage.hub.work(minutes=2)
    assert [one["text"] for one in await stage.hub.mentions()] == ["Mein Kessel pfeift"]
    assert stage.sky.signed_in == 1


async def test_it_is_sealed_shown_nowhere_and_forgotten_with_the_channel(stage: Stage) -> None:
    channel = await stage.channel()
    (row,) = await kept(stage)
    access = next(iter(stage.sky.sessions))
    assert access.encode() not in row.sealed and b"refresh-" not in row.sealed
    shown = (await stage.hub.admin.get(f"/v1/channels/{channel['id']}")).text
    assert access not in shown and PASSWORD not in shown
    etag = (await stage.hub.admin.get(f"/v1/channels/{channel['id']}")).headers["etag"]
    ended = await stage.hub.admin.delete(f"/v1/channels/{channel['id']}", headers={"If-Match": etag})
    assert ended.status_code == 204, ended.text
    assert await kept(stage) == []
