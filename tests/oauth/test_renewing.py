"""A token is renewed once, whoever needs it; what came is stored before it is shown; and what the network takes no more stops quietly."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import select

from door import DoorPlugin, Stage, at_the_door
from smhub import faults
from smhub.access import secrets
from smhub.app.making import make_runtime
from smhub.channels import tokens
from smhub.channels.connecting import config_of, connect
from smhub.channels.models import Channel
from smhub.channels.oauth_models import OAuthToken
from smhub.db.engine import Database
from smhub.hub.runtime import Runtime
from smhub.sdk import AuthExpired


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with at_the_door(database_url) as found:
        yield found
    faults.hook = None


async def token_of(stage: Stage) -> OAuthToken:
    async with stage.hub.database.read() as session:
        return (await session.scalars(select(OAuthToken))).one()


async def stored_refresh(database: Database, stage: Stage) -> str:
    """The refresh token as another process would read it now."""
    row = await token_of(stage)
    async with database.read() as session:
        kept = await secrets.get(session, stage.hub.runtime.keyring, tokens.owner(row))
    return kept[tokens.REFRESH].reveal()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def look(stage: Stage, channel: dict[str, Any], runtime: Runtime | None = None) -> Any:
    """Ask the network who we are, as any call of the connector would."""
    mine = runtime or stage.hub.runtime
    async with mine.database.read() as session:
        row = await session.get_one(Channel, (await stage.hub.me(), uuid.UUID(channel["id"])))
        config = await config_of(session, mine, row)
    return await connect(mine, row, config).verify()


async def test_it_is_renewed_before_it_ends(stage: Stage) -> None:
    channel = await stage.authorized()
    assert stage.door.grants == ["authorization_code"]
    await stage.hub.work(minutes=58)
    assert stage.door.grants == ["authorization_code"]
    await stage.hub.work(minutes=2)
    assert stage.door.grants == ["authorization_code", "refresh_token"]
    assert await stored_refresh(stage.hub.database, stage) == stage.door.families[0].refresh
    assert (await stage.authorization(channel))["state"] == "authorized"
    assert stage.door.requests[-1] == ("GET", "/mentions")
    assert await stage.events("intake.auth_required", "intake.degraded") == []


async def test_what_came_is_stored_before_it_is_shown(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.end_access()
    seen: list[tuple[bool, int]] = []

    def stored(point: str) -> None:
        if point == "oauth.stored":
            seen.append((True, stage.door.count("/me")))

    faults.hook = stored
    before = stage.door.count("/me")
    await look(stage, channel)
    # Once with the old one, and with the new one only after it was stored.
    assert seen == [(True, before + 1)]
    assert stage.door.count("/me") == before + 2
    assert await stored_refresh(stage.hub.database, stage) == stage.door.families[0].refresh


async def test_a_read_that_is_not_let_in_is_repeated_once(stage: Stage) -> None:
    await stage.authorized()
    stage.door.mentions = ["1", "2"]
    stage.door.end_access()
    before = stage.door.count("/mentions")
    await stage.hub.work(minutes=2)
    assert stage.door.count("/mentions") == before + 2
    assert stage.door.grants == ["authorization_code", "refresh_token"]
    assert len(await stage.hub.mentions()) == 2


async def test_a_write_with_a_key_is_repeated_and_out_once(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.end_access()
    made = await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Hallo"})
    await stage.hub.work()
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "published"
    assert [post["text"] for post in stage.door.posts] == ["Hallo"]
    assert stage.door.count("/posts") == 2


async def test_a_write_without_a_key_is_not_repeated_but_tried_again(stage: Stage) -> None:
    channel = await stage.authorized("plain-door")
    stage.door.end_access()
    made = await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Hallo"})
    await stage.hub.work()
    assert (stage.door.count("/posts"), stage.door.posts) == (1, [])
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "queued"
    await stage.hub.work(minutes=5)
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "published"
    assert [post["text"] for post in stage.door.posts] == ["Hallo"]
    assert (await stage.hub.get("/v1/holds"))["items"] == []


async def test_a_write_whose_answer_was_lost_is_unclear_as_ever(stage: Stage) -> None:
    channel = await stage.authorized("plain-door")
    stage.door.script = lambda method, path: "lose" if path == "/posts" else "ok"
    made = await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Hallo"})
    await stage.hub.work(minutes=5)
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "unknown"
    assert stage.door.count("/posts") == 1


async def test_a_network_that_refuses_what_it_gives_is_not_asked_for_ever(stage: Stage) -> None:
    channel = await stage.authorized("plain-door")
    stage.door.script = lambda method, path: "401" if path in ("/mentions", "/posts") else "ok"
    await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Hallo"})
    for _ in range(20):
        await stage.hub.work(minutes=7)
    assert stage.door.grants.count("refresh_token") <= 3
    assert (await stage.health(channel))["state"] == "auth_required"
    assert [one["cause"] for one in (await stage.hub.get("/v1/holds"))["items"]] == ["auth_expired"]
    asked = len(stage.door.requests)
    for _ in range(10):
        await stage.hub.work(minutes=7)
    assert len(stage.door.requests) == asked


async def test_four_workers_at_once_ask_once(stage: Stage, database_url: str) -> None:
    channel = await stage.authorized()
    stage.door.end_access()
    stage.door.hold = asyncio.Event()
    workers = [make_runtime(stage.hub.runtime.settings, clock=stage.hub.clock, plugins=[DoorPlugin()], seed=n) for n in range(4)]
    try:
        looking = [asyncio.create_task(look(stage, channel, worker)) for worker in workers for _ in range(5)]
        await until(lambda: stage.door.count("/token") >= 2 and stage.door.count("/me") >= 21)
        stage.door.hold.set()
        found = await asyncio.gather(*looking)
    finally:
        for worker in workers:
            await worker.net.close()
            await worker.database.close()
    assert [one.handle for one in found] == ["firma"] * 20
    assert stage.door.grants == ["authorization_code", "refresh_token"]
    assert (await token_of(stage)).generation == 2


class Killed(BaseException):
    """As if the process had ended here."""


async def _killed_between_answer_and_store(stage: Stage, channel: dict[str, Any]) -> None:
    def kill(point: str) -> None:
        if point == "oauth.answered":
            raise Killed

    stage.door.end_access()
    faults.hook = kill
    with pytest.raises(Killed):
        await look(stage, channel)
    faults.hook = None
    row = await token_of(stage)
    assert (row.unclear, row.generation) == (True, 1)
    assert await stored_refresh(stage.hub.database, stage) == stage.door.families[0].before


async def test_a_death_before_the_new_token_was_stored_is_survived_where_the_network_gives_grace(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.grace, stage.door.mentions = True, ["1"]
    await _killed_between_answer_and_store(stage, channel)
    # The lease of the dead one has to end first.
    for _ in range(3):
        await stage.hub.work(minutes=2)
    assert len(await stage.hub.mentions()) == 1
    assert (await stage.authorization(channel))["state"] == "authorized"
    assert not (await token_of(stage)).unclear


async def test_and_without_grace_a_person_is_told_at_once_and_why(stage: Stage) -> None:
    channel = await stage.authorized()
    await _killed_between_answer_and_store(stage, channel)
    for _ in range(3):
        await stage.hub.work(minutes=2)
    assert (await stage.health(channel))["state"] == "auth_required"
    known = await stage.authorization(channel)
    assert known["state"] == "lost" and "cut off before its answer was stored" in known["reason"]
    assert await stage.events("channel.authorization_lost") == ["channel.authorization_lost"]


async def test_a_lost_answer_to_a_renewal_is_asked_for_again(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.grace = True
    stage.door.end_access()
    fates = iter(["lose"])
    stage.door.script = lambda method, path: next(fates, "ok") if path == "/token" else "ok"
    await stage.hub.work(minutes=2)
    assert (await token_of(stage)).unclear
    assert (await stage.health(channel))["state"] != "auth_required"
    await stage.hub.work(minutes=2)
    assert stage.door.grants == ["authorization_code", "refresh_token", "refresh_token"]
    assert (await stage.health(channel))["state"] == "active"


async def test_a_call_that_is_cut_short_does_not_lose_the_token_on_its_way(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.end_access()
    stage.door.hold = asyncio.Event()
    looking = asyncio.create_task(look(stage, channel))
    await until(lambda: stage.door.count("/token") >= 2)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    stage.door.hold.set()
    async with asyncio.timeout(20):
        while (await token_of(stage)).generation < 2:
            await asyncio.sleep(0.01)
    assert await stored_refresh(stage.hub.database, stage) == stage.door.families[0].refresh
    await look(stage, channel)
    assert stage.door.grants == ["authorization_code", "refresh_token"]


async def test_while_the_network_gives_no_new_token_the_old_one_is_used_as_long_as_it_lasts(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.script = lambda method, path: "503" if path == "/token" else "ok"
    stage.hub.clock.forward(minutes=59, seconds=30)
    assert (await look(stage, channel)).handle == "firma"
    stage.door.script = lambda method, path: "ok"
    assert (await look(stage, channel)).handle == "firma"
    assert stage.door.grants == ["authorization_code", "refresh_token"]


async def test_a_network_that_says_nothing_of_time_is_renewed_when_it_refuses(stage: Stage) -> None:
    stage.door.expires_in = None
    channel = await stage.authorized()
    await stage.hub.work(days=30)
    assert stage.door.grants == ["authorization_code"]
    stage.door.end_access()
    assert (await look(stage, channel)).handle == "firma"
    assert stage.door.grants == ["authorization_code", "refresh_token"]


async def test_a_refresh_token_that_is_not_told_again_stays(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.rotates = stage.door.gives_refresh = False
    for _ in range(3):
        stage.door.end_access()
        assert (await look(stage, channel)).handle == "firma"
    assert stage.door.grants == ["authorization_code", *["refresh_token"] * 3]


async def test_without_a_refresh_token_the_end_is_the_end(stage: Stage) -> None:
    stage.door.gives_refresh = False
    channel = await stage.authorized()
    await stage.hub.work(hours=2)
    assert (await stage.health(channel))["state"] == "auth_required"
    known = await stage.authorization(channel)
    assert known["state"] == "lost" and "no way to renew" in known["reason"]
    with pytest.raises(AuthExpired, match="no way to renew"):
        await look(stage, channel)


async def test_what_was_revoked_stops_everything_and_asks_nobody_again(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.families[0].revoked = True
    made = [await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": f"Hallo {n}"}) for n in range(3)]
    before = len(stage.door.requests)
    for _ in range(30):
        await stage.hub.work(minutes=5)
    # One request that was refused, one for a new token; the others were told without asking.
    assert stage.door.requests[before:] in ([("POST", "/posts"), ("POST", "/token")], [("GET", "/mentions"), ("POST", "/token")])
    health = await stage.health(channel)
    assert (health["state"], health["next_poll_at"]) == ("auth_required", None)
    assert "Authorise" in health["advice"] and "invalid_grant" in health["reason"]
    assert {(await stage.hub.get(f"/v1/deliveries/{one['id']}"))["state"] for one in made} == {"held"}
    assert [one["cause"] for one in (await stage.hub.get("/v1/holds"))["items"]] == ["auth_expired"]
    assert await stage.events("channel.authorization_lost", "intake.auth_required") == [
        "channel.authorization_lost",
        "intake.auth_required",
    ]
    assert "core_oauth_token" not in str(await _secrets(stage))


async def _secrets(stage: Stage) -> list[str]:
    from smhub.access.models import StoredSecret

    async with stage.hub.database.read() as session:
        return list((await session.scalars(select(StoredSecret.owner_table))).all())


async def test_a_new_authorisation_lets_go_what_was_held(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.families[0].revoked = True
    made = await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Hallo"})
    await stage.hub.work(minutes=5)
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "held"
    stage.door.mentions = ["1"]
    await stage.authorize(channel)
    await stage.hub.work(seconds=30)
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "published"
    assert (await stage.hub.get("/v1/holds"))["items"] == []
    assert (await stage.health(channel))["state"] == "active"
    assert len(await stage.hub.mentions()) == 1
    gaps = (await stage.hub.get("/v1/gaps"))["items"]
    assert [(one["cause"], one["state"]) for one in gaps] == [("auth_required", "closed")]


async def test_an_app_that_the_network_knows_no_more_is_a_matter_of_the_app(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.secret = "another"
    stage.door.end_access()
    await stage.hub.work(minutes=2)
    health = await stage.health(channel)
    assert (health["state"], "invalid_client" in health["reason"]) == ("config_error", True)
    asked = len(stage.door.requests)
    for _ in range(10):
        await stage.hub.work(hours=1)
    assert len(stage.door.requests) == asked
    app = (await stage.hub.get("/v1/oauth-apps"))["items"][0]
    await stage.hub.ok("PATCH", f"/v1/oauth-apps/{app['id']}", json={"client_secret": "another"})
    await stage.hub.work(minutes=1)
    assert (await stage.health(channel))["state"] == "active"


async def test_an_app_that_was_removed_stops_the_channel_when_its_token_ends(stage: Stage) -> None:
    channel = await stage.authorized()
    app = (await stage.hub.get("/v1/oauth-apps"))["items"][0]
    await stage.hub.ok("DELETE", f"/v1/oauth-apps/{app['id']}")
    await stage.hub.work(minutes=5)
    assert (await stage.health(channel))["state"] == "active"
    await stage.hub.work(hours=2)
    health = await stage.health(channel)
    assert health["state"] == "auth_required" and "app" in health["reason"]


async def test_what_is_missing_of_the_rights_is_told(stage: Stage) -> None:
    stage.door.scope = "read"
    channel = await stage.authorized()
    known = await stage.authorization(channel)
    assert (known["scopes"], known["missing_scopes"]) == (["read"], ["write"])
