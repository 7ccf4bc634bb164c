"""Who changed what stands in the audit: once for every change, never for a change that did not happen."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.models import AuditEntry
from smhub.hub.web import PUBLIC
from stand import ASKS, NOT_HERE, Of, Operation, Stand, operations, put, says, send
from world import Hub


async def _entries(hub: Hub) -> list[AuditEntry]:
    async with hub.database.read() as session:
        return list((await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all())


CHANGES_NOTHING = {"check_post", "check_reply"}


def is_deed(operation: Operation) -> bool:
    """Whether a member changes something by it: what a network delivers is nobody's deed."""
    return operation.writes and operation.id not in CHANGES_NOTHING and operation.permission != PUBLIC


async def test_every_change_leaves_exactly_one_entry(hub: Hub) -> None:
    says(hub)
    stand = await Stand.of(hub)
    me = await hub.get("/v1/me")
    for operation in operations(hub):
        for ask in ASKS[operation.id]:
            filled = await stand.filled(ask)
            before = {one.id for one in await _entries(hub)}
            request_id = uuid.uuid4().hex
            answer = await send(hub.admin, operation, filled, **{"X-Request-Id": request_id})
            assert answer.status_code < 300 or operation.id in NOT_HERE, (operation.id, answer.text)
            new = [one for one in await _entries(hub) if one.id not in before]
            if not is_deed(operation):
                assert new == [], operation.id
                continue
            assert [(one.action, str(one.member_id), str(one.key_id), one.request_id) for one in new] == [
                (operation.id, me["member_id"], me["key_id"], request_id)
            ]
            assert new[0].subject_type, operation.id
            assert new[0].subject_id, operation.id


async def test_a_change_that_fails_leaves_none(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    says(hub)
    stand = await Stand.of(hub)
    asked = []
    # What needs the worker comes first: it does everything else that waits as well.
    for operation in sorted(operations(hub), key=lambda one: not one.path.startswith("/v1/deliveries")):
        if is_deed(operation):
            asked.append((operation, await stand.filled(ASKS[operation.id][0])))
    before = [one.id for one in await _entries(hub)]

    async def fails(self: AsyncSession) -> None:
        await self.flush()
        raise OperationalError("COMMIT", {}, Exception("disk is full"))

    with monkeypatch.context() as broken:
        broken.setattr(AsyncSession, "commit", fails)
        for operation, ask in asked:
            assert (await send(hub.admin, operation, ask)).status_code == 503, operation.id
    for operation, ask in asked:
        for place in ASKS[operation.id][0].places():
            assert (await send(hub.admin, operation, put(ask, place, str(uuid.uuid4())))).status_code == 404
        if ask.body is not None:
            wrong = msgspec.structs.replace(ask, body={**ask.body, "unheard_of": 1})
            assert (await send(hub.admin, operation, wrong)).status_code == 400
    assert [one.id for one in await _entries(hub)] == before


async def test_the_audit_holds_no_text_of_people_and_no_secret(hub: Hub) -> None:
    says(hub)
    stand = await Stand.of(hub)
    canary = "canary-4711"
    await hub.post("/v1/members", {"name": canary, "email": f"{canary}@example.com"})
    await hub.post("/v1/channels", {"network": "echo", "name": canary, "settings": {"account": canary, "token": canary}})
    await hub.ok("PATCH", f"/v1/mentions/{stand.known['mention']}", json={"tags": [canary]})
    await hub.post(f"/v1/mentions/{stand.known['mention']}/annotations", {"key": "mood", "value": canary})
    await hub.ok("PATCH", f"/v1/persons/{stand.known['person']}", json={"name": canary, "note": canary})
    await hub.post(f"/v1/gaps/{await stand.make('new_gap')}/close", {"reason": canary})
    key = await hub.post("/v1/keys", {"name": canary})
    entries = await hub.get("/v1/audit-entries", params={"limit": 200})
    text = msgspec.json.encode(entries).decode()
    assert len(entries["items"]) > 20
    for secret in (canary, key["text"].split("_")[2], "Lieferung", "Name 0"):
        assert secret not in text


def test_the_table_names_ids_only() -> None:
    assert all(isinstance(value, Of | str) for asks in ASKS.values() for ask in asks for value in ask.path.values())
