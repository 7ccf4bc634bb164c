"""A person lets the hub in on a network, and no connector has a word of it."""

from __future__ import annotations

import asyncio
import io
import logging
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
from sqlalchemy import select

from door import APP_SECRET, DoorConnector, DoorPlugin, Stage, at_the_door
from smhub.channels.oauth_models import OAuthState
from smhub.hub.loader import Found, Hub
from smhub.log import configure
from smhub.sdk import Account, OAuth2, Plugin, Secret
from stand import digest


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with at_the_door(database_url) as found:
        yield found


async def test_a_channel_is_made_authorised_and_read(stage: Stage) -> None:
    await stage.app()
    stage.door.mentions = ["1"]
    channel = await stage.channel()
    assert (channel["health"]["state"], channel["health"]["reason_code"]) == ("auth_required", "not_authorized")
    await stage.hub.work(minutes=10)
    assert stage.door.requests == []
    assert (await stage.authorization(channel))["state"] == "required"
    begun = await stage.hub.post(f"/v1/channels/{channel['id']}/authorize")
    asked = {name: value[0] for name, value in parse_qs(urlsplit(begun["authorize_url"]).query).items()}
    assert asked["redirect_uri"] == begun["redirect_url"] == "http://hub.test/v1/oauth/callback"
    assert (asked["scope"], asked["prompt"], asked["code_challenge_method"]) == ("read,write", "consent", "S256")
    answer = await stage.back(await stage.allowed(begun["authorize_url"]))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "You can close this window" in answer.text
    assert answer.headers["cache-control"] == "no-store" and answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    await stage.hub.work()
    await stage.hub.work(seconds=5)
    known = await stage.authorization(channel)
    assert (known["state"], known["checking"], known["scopes"], known["missing_scopes"]) == ("authorized", False, ["read", "write"], [])
    channel = await stage.hub.get(f"/v1/channels/{channel['id']}")
    assert (channel["account"]["handle"], channel["health"]["state"]) == ("firma", "active")
    assert len(await stage.hub.mentions()) == 1
    operation = (await stage.hub.get("/v1/operations", params={"subject_id": channel["id"]}))["items"][0]
    assert (operation["kind"], operation["state"], operation["result"]["account"]["handle"]) == ("channel.authorize", "done", "firma")
    assert await stage.events("channel.authorized", "intake.connected") == ["channel.authorized", "intake.connected"]
    entries = (await stage.hub.get("/v1/audit-entries", params={"subject_id": channel["id"]}))["items"]
    assert [one["action"] for one in entries] == ["finish_authorization", "authorize_channel", "connect_channel"]
    assert {one["member_id"] for one in entries} == {(await stage.hub.get("/v1/me"))["member_id"]}


async def test_an_answer_is_taken_once(stage: Stage) -> None:
    await stage.app()
    channel = await stage.channel()
    path = await stage.allowed(await stage.sent_to(channel))
    assert (await stage.back(path)).status_code == 200
    asked = len(stage.door.grants)
    again = await stage.back(path)
    assert (again.status_code, again.json()["code"]) == (400, "authorization_invalid")
    assert again.headers["cache-control"] == "no-store"
    assert len(stage.door.grants) == asked


async def test_of_many_who_bring_the_same_answer_at_once_one_is_let_in(stage: Stage) -> None:
    await stage.app()
    path = await stage.allowed(await stage.sent_to(await stage.channel()))
    answers = await asyncio.gather(*(stage.back(path) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200, *[400] * 7]
    assert stage.door.grants == ["authorization_code"]


@pytest.mark.parametrize("state", ["", "x", "0" * 32, uuid.UUID(int=7, version=4).hex + "x" * 43, "ä" * 60])
async def test_a_state_that_nobody_gave_out_is_refused(stage: Stage, state: str) -> None:
    for params in ({"state": state, "code": "c"}, {"state": state, "error": "access_denied"}):
        answer = await stage.hub.as_key(None).get("/v1/oauth/callback", params=params)
        assert (answer.status_code, answer.json()["code"]) == (400, "authorization_invalid")
    assert stage.door.requests == []


async def test_half_a_state_is_none(stage: Stage) -> None:
    await stage.app()
    path = await stage.allowed(await stage.sent_to(await stage.channel()))
    state = parse_qs(urlsplit(path).query)["state"][0]
    forged = path.replace(state, state[:32] + "A" * (len(state) - 32))
    assert (await stage.back(forged)).status_code == 400
    # It was not used up by that.
    assert (await stage.back(path)).status_code == 200


async def test_after_ten_minutes_it_is_too_late(stage: Stage) -> None:
    await stage.app()
    channel = await stage.channel()
    late = await stage.allowed(await stage.sent_to(channel))
    stage.hub.clock.forward(minutes=10)
    assert (await stage.back(late)).json()["code"] == "authorization_invalid"
    intime = await stage.allowed(await stage.sent_to(channel))
    stage.hub.clock.forward(minutes=9, seconds=59)
    assert (await stage.back(intime)).status_code == 200


async def test_what_is_stored_of_a_state_is_of_no_use_to_a_thief(stage: Stage) -> None:
    await stage.app()
    address = await stage.sent_to(await stage.channel())
    state = parse_qs(urlsplit(address).query)["state"][0]
    async with stage.hub.database.read() as session:
        row = (await session.scalars(select(OAuthState))).one()
    assert state not in (row.state_hash, row.id.hex) and state[32:] not in row.state_hash
    assert state[32:] not in str(await digest(stage.hub))


async def test_a_person_who_says_no_is_told_so_in_words(stage: Stage) -> None:
    await stage.app()
    channel = await stage.channel()
    stage.door.says_no = True
    answer = await stage.authorize(channel)
    assert (answer.status_code, answer.json()["code"]) == (400, "authorization_refused")
    assert answer.json()["detail"] == "door did not let the hub in: access_denied: Not today"
    assert (await stage.authorization(channel))["state"] == "required"
    assert stage.door.grants == []


async def test_a_wrong_secret_of_the_app_is_told_and_mended(stage: Stage) -> None:
    app = await stage.app(client_secret="wrong")
    channel = await stage.channel()
    answer = await stage.authorize(channel)
    assert "invalid_client" in answer.json()["detail"]
    await stage.hub.ok("PATCH", f"/v1/oauth-apps/{app['id']}", json={"client_secret": APP_SECRET})
    assert (await stage.authorize(channel)).status_code == 200


async def test_a_network_that_is_down_is_told_and_one_begins_again(stage: Stage) -> None:
    await stage.app()
    channel = await stage.channel()
    stage.door.script = lambda method, path: "503" if path == "/token" else "ok"
    answer = await stage.authorize(channel)
    assert (answer.status_code, answer.json()["code"]) == (424, "network_failed")
    stage.door.script = lambda method, path: "ok"
    assert (await stage.authorize(channel)).status_code == 200


async def test_another_account_than_before_is_refused_with_words_and_the_old_one_stays(stage: Stage) -> None:
    channel = await stage.authorized()
    assert (await stage.authorize(channel, "somebody-else")).status_code == 200
    operation = (await stage.hub.get("/v1/operations", params={"subject_id": channel["id"]}))["items"][0]
    assert (operation["state"], operation["error"]["code"]) == ("failed", "account_differs")
    assert "somebody-else" in operation["error"]["detail"] and "firma" in operation["error"]["detail"]
    assert await stage.events("channel.authorization_refused") == ["channel.authorization_refused"]
    known = await stage.authorization(channel)
    assert (known["state"], known["checking"]) == ("authorized", False)
    # What it allowed was given back; what was there before still works.
    assert [family.revoked for family in stage.door.families] == [False, True]
    stage.door.mentions = ["1"]
    await stage.hub.work(minutes=2)
    assert len(await stage.hub.mentions()) == 1


async def test_while_the_network_cannot_be_asked_who_it_is_the_token_waits(stage: Stage) -> None:
    await stage.app()
    channel = await stage.channel()
    stage.door.script = lambda method, path: "503" if path == "/me" else "ok"
    await stage.authorize(channel)
    known = await stage.authorization(channel)
    assert (known["state"], known["checking"]) == ("required", True)
    stage.door.script = lambda method, path: "ok"
    await stage.hub.work(minutes=2)
    assert (await stage.authorization(channel))["state"] == "authorized"


async def test_whoever_lost_the_right_meanwhile_lets_nobody_in(stage: Stage) -> None:
    hub = stage.hub
    await stage.app()
    channel = await stage.channel()
    key = await hub.member("admin")
    client = hub.as_key(key)
    begun = await hub.ok("POST", f"/v1/channels/{channel['id']}/authorize", client)
    path = await stage.allowed(begun["authorize_url"])
    me = (await hub.ok("GET", "/v1/me", client))["member_id"]
    grant = (await hub.get("/v1/grants", params={"member_id": me}))["items"][0]
    await hub.ok("DELETE", f"/v1/grants/{grant['id']}")
    assert (await stage.back(path)).json()["code"] == "authorization_invalid"
    assert stage.door.grants == []


async def test_a_connector_that_fails_leaves_no_token_behind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: DoorConnector) -> Account:
        raise ZeroDivisionError

    monkeypatch.setattr(DoorConnector, "verify", fails)
    await stage.app()
    channel = await stage.channel()
    await stage.authorize(channel)
    assert (await stage.authorization(channel))["checking"]
    for _ in range(10):
        await stage.hub.work(hours=2)
    known = await stage.authorization(channel)
    assert (known["state"], known["checking"]) == ("required", False)
    assert (await digest(stage.hub))["core_oauth_token"] == []


async def test_no_token_leaves_by_any_door(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure("debug", "json")
    root.setLevel(logging.DEBUG)
    try:
        channel = await stage.authorized()
        birds = [*stage.door.access, stage.door.families[0].refresh]
        stage.door.end_access()
        await stage.hub.work(minutes=2)
        birds += [*stage.door.access, stage.door.families[0].refresh]
        stage.door.families[0].revoked = True
        await stage.hub.post(f"/v1/channels/{channel['id']}/verify")
        await stage.hub.work(minutes=5)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    paths = ("operations", "jobs", "events", "channels", f"channels/{channel['id']}/authorization", "audit-entries", "intakes")
    heard = [(await stage.hub.admin.get(f"/v1/{path}")).text for path in paths]
    heard += [stream.getvalue(), str(await digest(stage.hub))]
    assert len(birds) == 4 and "POST 127.0.0.1 answered 200" in stream.getvalue()
    assert not [bird for bird in [*birds, APP_SECRET] if any(bird in text for text in heard)]


async def test_an_app_shows_its_secret_to_nobody(stage: Stage) -> None:
    hub = stage.hub
    app = await stage.app(client_secret="canary-secret")
    assert (app["has_secret"], app["redirect_url"]) == (True, "http://hub.test/v1/oauth/callback")
    heard = [str(await hub.get(f"/v1/{path}")) for path in ("oauth-apps", f"oauth-apps/{app['id']}", "events", "audit-entries")]
    assert not [text for text in [*heard, str(await digest(hub))] if "canary-secret" in text]
    again = await hub.admin.post("/v1/oauth-apps", json={"network": "door", "client_id": "x"})
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")
    agent = hub.as_key(await hub.member("department_lead"))
    assert (await agent.get("/v1/oauth-apps")).json()["permission"] == "oauth_apps:read"
    await hub.ok("DELETE", f"/v1/oauth-apps/{app['id']}")
    assert (await hub.get("/v1/oauth-apps"))["items"] == []
    assert await stage.events("oauth_app.added", "oauth_app.removed") == ["oauth_app.added", "oauth_app.removed"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"network": "nobody"}, "network"),
        ({"server": "ftp://x"}, "server"),
        ({"server": "http://social.example"}, "server"),
        ({"server": "https://me:pw@social.example"}, "server"),
        ({"client_id": ""}, "client_id"),
    ],
)
async def test_a_wrong_app_points_at_the_field(stage: Stage, wrong: dict[str, Any], field: str) -> None:
    answer = await stage.hub.admin.post("/v1/oauth-apps", json={"network": "door", "client_id": "x", **wrong})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


async def test_without_an_app_one_is_told_what_to_do(stage: Stage) -> None:
    channel = await stage.channel()
    answer = await stage.hub.admin.post(f"/v1/channels/{channel['id']}/authorize")
    assert answer.status_code == 409 and "POST /v1/oauth-apps" in answer.json()["detail"]
    await stage.app(server="https://other.example")
    assert (await stage.hub.admin.post(f"/v1/channels/{channel['id']}/authorize")).status_code == 409
    await stage.app(server=stage.url + "/whatever")
    assert (await stage.authorize(channel)).status_code == 200


async def test_a_channel_whose_server_would_hear_tokens_in_clear_is_not_authorised(stage: Stage) -> None:
    await stage.app()
    made = {"network": "door", "name": "F", "settings": {"base_url": "http://door.example"}}
    channel = await stage.hub.post("/v1/channels", made)
    answer = await stage.hub.admin.post(f"/v1/channels/{channel['id']}/authorize")
    assert answer.status_code == 409 and "https" in answer.json()["detail"]


async def test_a_token_goes_to_no_other_server_than_the_one_that_gave_it(stage: Stage) -> None:
    channel = await stage.authorized()
    asked = len(stage.door.requests)
    await stage.hub.ok(
        "PATCH", f"/v1/channels/{channel['id']}", json={"settings": {"base_url": stage.url.replace("127.0.0.1", "localhost")}}
    )
    await stage.hub.work(minutes=2)
    assert (await stage.health(channel))["state"] == "auth_required"
    assert len(stage.door.requests) == asked


async def test_who_is_disconnected_is_forgotten_here_and_there(stage: Stage) -> None:
    channel = await stage.authorized()
    given = stage.door.families[0].refresh
    await stage.hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    await stage.hub.work()
    assert stage.door.told == [given]
    rows = await digest(stage.hub)
    assert rows["core_oauth_token"] == [] and "core_oauth_token" not in str(rows["core_secret"])


async def test_a_network_that_does_not_hear_it_keeps_nobody_from_forgetting(stage: Stage) -> None:
    channel = await stage.authorized()
    stage.door.script = lambda method, path: "drop" if path == "/revoke" else "ok"
    await stage.hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    for _ in range(8):
        await stage.hub.work(hours=2)
    assert stage.door.count("/revoke") == 6
    assert (await digest(stage.hub))["core_oauth_token"] == []


async def test_a_listener_cannot_be_authorised(stage: Stage) -> None:
    listener = {"network": "door", "name": "N", "settings": {"base_url": stage.url}, "words": ["x"], "purpose": "p", "legal_basis": "l"}
    assert (await stage.hub.admin.post("/v1/listeners", json=listener)).status_code == 409


async def test_a_network_tells_that_it_is_entered_by_oauth(stage: Stage) -> None:
    told = (await stage.hub.get("/v1/networks/door"))["oauth2"]
    assert told == {"scopes": ["read", "write"], "redirect_url": "http://hub.test/v1/oauth/callback", "many_servers": True}


class WithSecret(DoorConnector):
    class Config(DoorConnector.Config, kw_only=True):
        token: Secret | None = None


@pytest.mark.parametrize("field", ["token", "nothing"])
def test_an_address_is_made_of_settings_that_may_be_seen(field: str) -> None:
    class Wrong(WithSecret):
        auth = OAuth2(authorize_url=f"https://door.example/{{{field}}}", token_url="https://door.example/token")

    class WrongPlugin(DoorPlugin):
        def register_connectors(self, context: Any) -> list[Any]:
            return [Wrong]

    hub = Hub()
    hub.add(Found("door", WrongPlugin), enabled=True)
    assert hub.records["door"].state == "load_failed" and repr(field) in (hub.records["door"].reason or "")
    assert issubclass(WrongPlugin, Plugin)
