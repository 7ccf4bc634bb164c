"""Keys: how they look, how long they live, what they may, how often they may ask."""

from __future__ import annotations

import secrets
from typing import Any

import httpx2
import msgspec
import pytest
from sqlalchemy import select

from smhub.access.keyring import parse
from smhub.access.keys import new_key, parse_key
from smhub.access.models import ApiKey
from smhub.app.create import create_app
from smhub.app.limits import GUESSES
from smhub.app.making import make_runtime
from smhub.app.starting import prepare
from smhub.sdk import StandingClock
from smhub.secret import Secret
from smhub.settings import Settings, SettingsError
from stand import digest
from world import KEYS, Hub, start


async def _status(hub: Hub, key: str) -> int:
    return (await hub.as_key(key).get("/v1/me")).status_code


def test_a_typing_mistake_is_found_by_the_checksum() -> None:
    text = new_key().text().reveal()
    head, key_id, secret, checksum = text.split("_")
    assert (head, len(key_id), len(secret), len(checksum)) == ("smhub", 32, 64, 8)
    assert parse_key(text) is not None
    for place in range(len(text)):
        other = "0" if text[place] != "0" else "1"
        assert parse_key(text[:place] + other + text[place + 1 :]) is None
    for wrong in ("", "x", text + "0", text[:-1], text.upper(), text + " ", "ü" * 112, "_" * 112):
        assert parse_key(wrong) is None


async def test_a_well_formed_key_with_another_secret_is_refused(hub: Hub) -> None:
    key = parse_key(hub.key)
    assert key is not None
    forged = msgspec.structs.replace(key, secret=secrets.token_hex(32)).text().reveal()
    assert await _status(hub, forged) == 401
    answer = await hub.as_key(forged).get("/v1/me")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_ends_at_its_hour(hub: Hub) -> None:
    made = await hub.post("/v1/keys", {"name": "short", "expires_in_days": 1})
    hub.clock.forward(hours=23, minutes=59, seconds=59)
    assert await _status(hub, made["text"]) == 200
    hub.clock.forward(seconds=1)
    assert await _status(hub, made["text"]) == 401
    assert (await hub.admin.post(f"/v1/keys/{made['key']['id']}/rotate", json={})).status_code == 409


async def test_a_rotated_key_works_beside_its_successor_for_a_while(hub: Hub) -> None:
    old = await hub.post("/v1/keys", {"name": "k", "scopes": ["channels:read"]})
    new = await hub.post(f"/v1/keys/{old['key']['id']}/rotate", {"overlap_hours": 2})
    assert (new["key"]["scopes"], new["key"]["replaces_id"]) == (["channels:read"], old["key"]["id"])
    hub.clock.forward(hours=1, minutes=59)
    assert [await _status(hub, one["text"]) for one in (old, new)] == [200, 200]
    hub.clock.forward(minutes=1)
    assert [await _status(hub, one["text"]) for one in (old, new)] == [401, 200]


async def test_a_rotation_never_lengthens_the_old_key(hub: Hub) -> None:
    old = await hub.post("/v1/keys", {"name": "k", "expires_in_days": 1})
    hub.clock.forward(hours=20)
    await hub.post(f"/v1/keys/{old['key']['id']}/rotate", {"overlap_hours": 168})
    hub.clock.forward(hours=4)
    assert await _status(hub, old["text"]) == 401


async def test_what_is_taken_is_gone_with_the_next_request(hub: Hub) -> None:
    made = await hub.post("/v1/keys", {"name": "k"})
    assert await _status(hub, made["text"]) == 200
    await hub.ok("DELETE", f"/v1/keys/{made['key']['id']}")
    assert await _status(hub, made["text"]) == 401
    await hub.ok("DELETE", f"/v1/keys/{made['key']['id']}")

    key = await hub.member("viewer")
    me = await hub.ok("GET", "/v1/me", hub.as_key(key))
    grant = (await hub.get("/v1/grants", params={"member_id": me["member_id"]}))["items"][0]
    assert (await hub.as_key(key).get("/v1/mentions")).status_code == 200
    await hub.ok("DELETE", f"/v1/grants/{grant['id']}")
    assert (await hub.as_key(key).get("/v1/mentions")).json()["permission"] == "mentions:read"
    for state, status in (("disabled", 401), ("active", 200), ("disabled", 401)):
        await hub.ok("PATCH", f"/v1/members/{me['member_id']}", json={"state": state})
        assert await _status(hub, key) == status


async def test_a_key_tells_when_it_was_last_used(hub: Hub) -> None:
    made = await hub.post("/v1/keys", {"name": "k"})
    at = f"/v1/keys/{made['key']['id']}"
    assert (await hub.get(at))["last_used_at"] is None
    await _status(hub, made["text"])
    async with hub.database.write() as session:
        await hub.runtime.used_keys.write_down(session, hub.clock.now())
    assert (await hub.get(at))["last_used_at"] == "2026-11-02T09:00:00Z"


async def test_a_secret_is_shown_once_and_stored_never(hub: Hub) -> None:
    made = await hub.post("/v1/keys", {"name": "k"})
    listed = (await hub.admin.get("/v1/keys")).text + (await hub.admin.get(f"/v1/keys/{made['key']['id']}")).text
    everything = str(await digest(hub))
    for text in (made["text"], hub.key):
        secret = text.split("_")[2]
        assert secret not in listed + everything
    assert "secret_hash" not in listed and "pepper" not in listed


def _other_ring(hub: Hub, keys: str) -> Hub:
    settings = Settings(database_url=hub.database.url, secret_keys=Secret(keys), public_url="http://hub.test")
    runtime = make_runtime(settings, clock=hub.clock, plugins=[])
    return Hub(runtime, create_app(runtime), hub.key, hub.clock)


async def test_a_key_outlives_a_new_pepper_but_not_the_end_of_the_old(hub: Hub) -> None:
    both, alone = _other_ring(hub, f"new:{'cd' * 32},{KEYS.reveal()}"), _other_ring(hub, f"new:{'cd' * 32}")
    try:
        assert await _status(both, hub.key) == 200
        assert await _status(alone, hub.key) == 401
        fresh = await both.post("/v1/keys", {"name": "fresh"})
        async with hub.database.read() as session:
            peppers = dict((await session.execute(select(ApiKey.name, ApiKey.pepper_id))).all())
        assert peppers == {"first admin key": "t1", "fresh": "new"}
        assert [await _status(one, fresh["text"]) for one in (both, alone, hub)] == [200, 200, 401]
    finally:
        for other in (both, alone):
            await other.runtime.net.close()
            await other.database.close()


async def test_the_operators_own_first_key_is_taken(database_url: str) -> None:
    text = new_key().text()
    settings = Settings(database_url=database_url, secret_keys=KEYS, bootstrap_key=text, public_url="http://hub.test")
    runtime = make_runtime(settings, clock=StandingClock(), plugins=[])
    try:
        prepared = await prepare(runtime)
        assert prepared.first_key is None
        hub = Hub(runtime, create_app(runtime), text.reveal(), StandingClock())
        me = await hub.get("/v1/me")
        assert me["roles"] == ["admin", "department_lead", "operator"]
        assert me["key_expires_at"] is None
        assert (await prepare(runtime)).first_key is None
        assert await _status(hub, text.reveal()) == 200
    finally:
        await runtime.net.close()
        await runtime.database.close()


async def test_a_first_key_that_is_none_stops_the_start_and_is_not_repeated(database_url: str) -> None:
    settings = Settings(database_url=database_url, secret_keys=KEYS, bootstrap_key=Secret("smhub_hunter2"))
    runtime = make_runtime(settings, clock=StandingClock(), plugins=[])
    with pytest.raises(SettingsError) as refused:
        await prepare(runtime)
    assert "hunter2" not in str(refused.value)
    await runtime.net.close()
    await runtime.database.close()


async def test_me_tells_the_truth(hub: Hub) -> None:
    department = await hub.post("/v1/departments", {"name": "S", "slug": "s"})
    key = await hub.member("agent", department_id=department["id"], name="Anna")
    client = hub.as_key(key)
    me = await hub.ok("GET", "/v1/me", client)
    agent = hub.runtime.permissions.system["agent"]
    assert (me["member_name"], me["member_kind"], me["roles"], me["key_scopes"]) == ("Anna", "service_account", ["agent"], None)
    assert set(me["permissions"]) == agent
    assert [(one["department_id"], one["channel_id"]) for one in me["holdings"]] == [(department["id"], None)]
    narrow = await hub.ok("POST", "/v1/keys", client, json={"name": "n", "scopes": ["mentions:read", "channels:read"]})
    me = await hub.ok("GET", "/v1/me", hub.as_key(narrow["text"]))
    assert (me["key_scopes"], me["permissions"]) == (["channels:read", "mentions:read"], ["channels:read", "mentions:read"])
    assert me["key_id"] == narrow["key"]["id"]
    nothing = await hub.ok("POST", "/v1/keys", client, json={"name": "n", "scopes": []})
    assert (await hub.ok("GET", "/v1/me", hub.as_key(nothing["text"])))["permissions"] == []


async def test_an_admin_reads_no_content(hub: Hub) -> None:
    admin = hub.as_key(await hub.member("admin"))
    for path in ("mentions", "authors", "persons", "query-fields"):
        answer = await admin.get(f"/v1/{path}")
        assert answer.status_code == 403
        assert answer.json()["permission"] in ("mentions:read", "authors:read")
        assert answer.json()["permission"] in answer.json()["detail"]


def _left(answer: httpx2.Response) -> tuple[int, int]:
    return int(answer.headers["ratelimit-limit"]), int(answer.headers["ratelimit-remaining"])


async def test_a_key_has_so_many_requests_a_minute_and_is_told_how_many(database_url: str) -> None:
    async with start(database_url, requests_per_minute=12) as hub:
        other = hub.as_key((await hub.post("/v1/keys", {"name": "other"}))["text"])
        hub.clock.forward(minutes=1)
        seen: list[Any] = [await hub.admin.get("/v1/me") for _ in range(13)]
        assert [_left(one) for one in seen] == [(12, left) for left in (*range(11, -1, -1), 0)]
        assert [one.status_code for one in seen] == [200] * 12 + [429]
        refused = seen[-1]
        assert refused.json()["code"] == "too_many_requests"
        assert (refused.headers["retry-after"], refused.headers["ratelimit-reset"]) == ("5", "60")
        assert (await other.get("/v1/me")).status_code == 200
        hub.clock.forward(seconds=4.9)
        assert (await hub.admin.get("/v1/me")).status_code == 429
        hub.clock.forward(seconds=0.2)
        assert (await hub.admin.get("/v1/me")).status_code == 200
        hub.clock.forward(minutes=10)
        assert _left(await hub.admin.get("/v1/me")) == (12, 11)


async def test_a_stranger_guesses_so_often_and_a_header_does_not_help(hub: Hub) -> None:
    for number in range(GUESSES):
        wrong = hub.as_key(new_key().text().reveal())
        assert (await wrong.get("/v1/me", headers={"X-Forwarded-For": f"10.0.0.{number}"})).status_code == 401
    answer = await hub.as_key("guess").get("/v1/me", headers={"X-Forwarded-For": "10.9.9.9", "Forwarded": "for=10.9.9.9"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert (await hub.admin.get("/v1/me")).status_code == 200
    from_elsewhere = httpx2.ASGITransport(app=hub.app, client=("192.0.2.7", 1))
    async with httpx2.AsyncClient(transport=from_elsewhere, base_url="http://hub.test") as elsewhere:
        assert (await elsewhere.get("/v1/me")).status_code == 401
    hub.clock.forward(seconds=61)
    assert (await hub.as_key("guess").get("/v1/me")).status_code == 401


def test_a_ring_is_read_strictly() -> None:
    for wrong in ("", "x", "k1:zz", f"k1:{'ab' * 32},k1:{'cd' * 32}", f"K1:{'ab' * 32}"):
        with pytest.raises(SettingsError) as refused:
            parse(wrong)
        assert "abab" not in str(refused.value)
