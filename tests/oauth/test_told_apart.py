"""What is wrong with a channel is told apart: a token that ended, one that was taken back, a right that is missing, a setting that does not fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from door import Stage, at_the_door


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with at_the_door(database_url) as found:
        yield found


async def stands(stage: Stage, channel: dict[str, Any]) -> tuple[str, str | None, str]:
    """The state of reading and its reason, and how the authorisation stands."""
    health = await stage.health(channel)
    return health["state"], health["reason_code"], (await stage.authorization(channel))["state"]


async def test_a_token_that_ended_is_nobodys_business(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.end_access()
    await stage.hub.work(minutes=5)
    assert await stands(stage, channel) == ("active", None, "authorized")
    assert await stage.events("intake.auth_required", "channel.authorization_lost") == []


async def test_an_authorisation_that_was_taken_back_wants_a_person(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.families[0].revoked = True
    await stage.hub.work(minutes=5)
    assert await stands(stage, channel) == ("auth_required", "auth_expired", "lost")
    assert "invalid_grant" in (await stage.authorization(channel))["reason"]
    assert await stage.events("channel.authorization_lost") == ["channel.authorization_lost"]


async def test_a_right_that_is_missing_stops_reading_and_nothing_else(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.script = lambda method, path: "403" if path == "/mentions" else "ok"
    await stage.hub.work(minutes=5)
    assert await stands(stage, channel) == ("blocked", "permission_missing", "authorized")
    assert await stage.events("channel.authorization_lost", "intake.auth_required") == []
    made = await stage.hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Hallo"})
    await stage.hub.work()
    assert (await stage.hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "published"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"base_url": 7}, "settings.base_url"),
        ({"base_url": "https://door.invalid", "secret": ["x"]}, "settings.secret"),
        ({"base_url": "https://door.invalid"}, "settings.secret"),
        ({"base_url": "https://door.invalid", "secret": "s", "colour": "blue"}, "settings.colour"),
    ],
)
async def test_a_setting_that_does_not_fit_is_pointed_at(stage: Stage, settings: dict[str, Any], field: str) -> None:
    made = {"network": "bell-door", "name": "Firma", "settings": settings}
    answer = await stage.hub.admin.post("/v1/channels", json=made)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.text
    (told,) = answer.json()["errors"]
    assert told["field"] == field and told["detail"]
