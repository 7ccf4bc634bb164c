"""Secrets at rest are sealed for one place, and leave by no door."""

from __future__ import annotations

import io
import logging
import uuid
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import select, update

from echo import mention
from smhub.access import secrets
from smhub.access.keyring import Unreadable, parse
from smhub.access.models import StoredSecret
from smhub.log import configure
from smhub.secret import Secret
from smhub.settings import Settings
from stand import ASKS, Stand, digest, operations, says, send
from world import KEYS, Hub

PLACE: dict[str, Any] = {"organisation_id": uuid.uuid4(), "table": "t", "row_id": uuid.uuid4(), "column": "c"}


@pytest.mark.parametrize("other", [{"organisation_id": uuid.uuid4()}, {"table": "u"}, {"row_id": uuid.uuid4()}, {"column": "d"}])
def test_what_was_sealed_here_does_not_open_there(other: dict[str, Any]) -> None:
    ring = parse(KEYS.reveal())
    key_id, sealed = ring.seal(Secret("hunter2"), **PLACE)
    assert ring.open(key_id, sealed, **PLACE).reveal() == "hunter2"
    with pytest.raises(Unreadable) as refused:
        ring.open(key_id, sealed, **{**PLACE, **other})
    assert "hunter2" not in repr(refused.value)
    for altered in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:12], b""):
        with pytest.raises(Unreadable):
            ring.open(key_id, altered, **PLACE)


async def _channel(hub: Hub, token: str) -> dict[str, Any]:
    return await hub.connect(token=token)


async def test_a_secret_moved_to_another_row_is_useless(hub: Hub) -> None:
    mine, other = await _channel(hub, "token-a"), await _channel(hub, "token-b")
    await hub.work()
    hub.echo.tokens.clear()
    async with hub.database.write() as session:
        of = select(StoredSecret).where(StoredSecret.owner_id == uuid.UUID(mine["id"]))
        stolen = (await session.scalars(of)).one().sealed
        await session.execute(update(StoredSecret).where(StoredSecret.owner_id == uuid.UUID(other["id"])).values(sealed=stolen))
    operation = await hub.post(f"/v1/channels/{other['id']}/verify")
    await hub.work()
    done = await hub.get(f"/v1/operations/{operation['operation_id']}")
    assert (done["state"], done["error"]["code"]) == ("failed", "config_invalid")
    assert "token-a" not in hub.echo.tokens


async def test_secrets_are_sealed_anew_with_a_newer_key(hub: Hub) -> None:
    channel = await _channel(hub, "token-a")
    ring = parse(f"new:{'cd' * 32},{KEYS.reveal()}")
    async with hub.database.write() as session:
        assert await secrets.seal_anew(session, ring) == 1
        assert await secrets.seal_anew(session, ring) == 0
    alone = parse(f"new:{'cd' * 32}")
    owner = secrets.Owner(await hub.me(), "core_channel", uuid.UUID(channel["id"]))
    async with hub.database.read() as session:
        assert (await secrets.get(session, alone, owner))["token"].reveal() == "token-a"
        with pytest.raises(Unreadable):
            await secrets.get(session, hub.runtime.keyring, owner)


async def test_a_missing_key_stops_the_channel_with_a_reason_and_nothing_else(hub: Hub) -> None:
    hub.echo.says(mention("1"))
    sealed, plain = await _channel(hub, "token-a"), await hub.connect()
    async with hub.database.write() as session:
        await session.execute(update(StoredSecret).values(key_id="gone"))
    operation = await hub.post(f"/v1/channels/{sealed['id']}/verify")
    await hub.work(seconds=30)
    done = await hub.get(f"/v1/operations/{operation['operation_id']}")
    assert (done["state"], done["error"]["code"]) == ("failed", "config_invalid")
    assert "SMHUB_SECRET_KEYS" in done["error"]["detail"]
    health = (await hub.get(f"/v1/channels/{sealed['id']}"))["health"]
    assert (health["state"], health["reason_code"]) == ("config_error", "config_invalid")
    assert "'gone'" in health["reason"]
    assert (await hub.get(f"/v1/channels/{plain['id']}"))["health"]["state"] == "active"
    assert len(await hub.mentions()) == 1
    await hub.ok("PATCH", f"/v1/channels/{sealed['id']}", json={"settings": {"token": "token-b"}})
    await hub.work(minutes=5)
    assert (await hub.get(f"/v1/channels/{sealed['id']}"))["health"]["state"] == "active"


def test_a_secret_prints_as_stars() -> None:
    secret = Secret("hunter2")
    settings = Settings(secret_keys=secret, bootstrap_key=secret)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>20}", repr(settings), repr([secret]), repr({"a": secret})):
        assert "hunter2" not in text


async def test_a_canary_leaves_by_no_door(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure("debug", "json")
    try:
        await _let_it_sing(hub, stream)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


async def _let_it_sing(hub: Hub, stream: io.StringIO) -> None:
    says(hub)
    stand = await Stand.of(hub)
    canary = "canary-" + "q" * 20
    channel = await hub.connect(token=canary)
    await hub.ok("PATCH", f"/v1/channels/{channel['id']}", json={"settings": {"token": canary + "2"}})
    made = await hub.post("/v1/keys", {"name": "k"})
    birds = [canary, made["text"].split("_")[2], hub.key.split("_")[2], KEYS.reveal().partition(":")[2]]
    heard = []
    for operation in operations(hub):
        for ask in ASKS[operation.id]:
            answer = await send(hub.as_key(made["text"]), operation, await stand.filled(ask))
            heard.append(answer.text)
    wrong = {"network": "echo", "name": "E", "settings": {"token": canary, "unheard_of": canary, "account": 7}}
    heard.append((await hub.admin.post("/v1/channels", json=wrong)).text)
    heard.append((await hub.as_key(made["text"] + "x").get("/v1/me")).text)
    heard.append((await hub.admin.get("/v1/openapi.json")).text)
    hub.echo.error = RuntimeError("something unforeseen")
    await hub.post(f"/v1/channels/{channel['id']}/verify")
    await hub.work(minutes=5)
    assert canary + "2" in hub.echo.tokens
    heard += [(await hub.admin.get(f"/v1/{path}")).text for path in ("operations", "jobs", "events", "channels", "audit-entries")]
    heard += [stream.getvalue(), str(await digest(hub)), repr(hub.runtime.settings), repr(hub.runtime)]
    if hub.database.dialect == "sqlite":
        file = Path(hub.database.url.removeprefix("sqlite:///"))
        heard += [one.read_bytes().decode("latin-1") for one in file.parent.glob(f"{file.name}*")]
    for bird in birds:
        assert not any(bird in text for text in heard), "a secret was told"


async def test_what_a_database_error_says_holds_no_values(hub: Hub) -> None:
    from smhub.organisations.models import Organisation

    with pytest.raises(Exception, match="hidden") as raised:
        async with hub.database.write() as session:
            session.add(
                Organisation(
                    id=await hub.me(),
                    slug="canary-4711",
                    name="N",
                    stage=1,
                    language="de",
                    time_zone="UTC",
                    created_at=hub.clock.now(),
                    version=1,
                )
            )
    assert "canary-4711" not in str(raised.value)
