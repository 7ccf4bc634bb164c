"""A network that a person lets us in to, and that then tells by itself: both of it in one channel, from the first click to the last word."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from door import Stage, at_the_door

SECRET = "the bell's own secret"


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with at_the_door(database_url, allow_http_webhooks=True) as found:
        await found.app("bell-door")
        yield found


async def tells(stage: Stage, channel: dict[str, Any], *ids: str) -> int:
    """The network delivers, signed; the status that it gets."""
    body = json.dumps(ids).encode()
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    address = channel["webhook"]["callback_url"]
    return (await stage.hub.as_key(None).post(address, content=body, headers={"X-Bell": signature})).status_code


async def hook(stage: Stage, channel: dict[str, Any]) -> str:
    return (await stage.hub.get(f"/v1/channels/{channel['id']}"))["webhook"]["state"]  # type: ignore[no-any-return]


async def heard(stage: Stage) -> set[str]:
    return {one["external_id"] for one in await stage.hub.mentions()}


async def test_nobody_is_told_of_us_before_a_person_let_us_in(stage: Stage) -> None:
    channel = await stage.channel("bell-door", secret=SECRET)
    await stage.hub.work(minutes=90)
    assert stage.door.requests == []
    assert (await stage.authorize(channel)).status_code == 200
    await stage.hub.work(minutes=2)
    assert stage.door.hooks == [channel["webhook"]["callback_url"]]
    assert await hook(stage, channel) == "subscribed"
    assert await tells(stage, channel, "1") == 200
    await stage.hub.work()
    assert await heard(stage) == {"1"}


async def test_the_subscription_is_looked_after_with_a_token_that_is_renewed_once(stage: Stage) -> None:
    channel = await stage.channel("bell-door", secret=SECRET)
    await stage.authorize(channel)
    await stage.hub.work(minutes=2)
    stage.door.end_access()
    stage.door.hooks.clear()
    await stage.hub.work(minutes=70)
    assert stage.door.hooks == [channel["webhook"]["callback_url"]]
    assert stage.door.grants.count("refresh_token") == 1
    assert await stage.events("channel.authorization_lost") == []


async def test_what_is_told_is_kept_while_a_person_has_to_let_us_in_again(stage: Stage) -> None:
    channel = await stage.channel("bell-door", secret=SECRET)
    await stage.authorize(channel)
    await stage.hub.work(minutes=2)
    for family in stage.door.families:
        family.revoked = True
    await stage.hub.work(minutes=90)
    assert (await stage.health(channel))["state"] == "auth_required"
    assert await hook(stage, channel) == "failed"
    # The signature is the network's own, and has nothing to do with the token.
    assert await tells(stage, channel, "2") == 200
    await stage.hub.work()
    assert "2" in await heard(stage)
    asked = len(stage.door.requests)
    await stage.hub.work(minutes=30)
    assert len(stage.door.requests) == asked
    await stage.authorize(channel)
    await stage.hub.work(minutes=2)
    assert (await stage.health(channel))["state"] == "active"
    assert await hook(stage, channel) == "subscribed" and stage.door.hooks == [channel["webhook"]["callback_url"]]


async def test_who_leaves_takes_the_subscription_away_and_gives_the_token_back_after_it(stage: Stage) -> None:
    channel = await stage.channel("bell-door", secret=SECRET)
    await stage.authorize(channel)
    await stage.hub.work(minutes=2)
    await stage.hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    assert await tells(stage, channel, "3") == 404
    await stage.hub.work(minutes=5)
    assert stage.door.hooks == []
    assert stage.door.told == [stage.door.families[0].refresh]
    ends = [path for method, path in stage.door.requests if method == "DELETE" or path == "/revoke"]
    assert ends == ["/hooks", "/revoke"]
