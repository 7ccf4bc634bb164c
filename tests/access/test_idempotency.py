"""The same Idempotency-Key is the same request: done once, answered alike."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.models import AuditEntry, IdempotencyRecord, Member
from stand import digest
from world import Hub

BODY = {"name": "Berta"}


async def _count(hub: Hub, model: Any) -> int:
    async with hub.database.read() as session:
        return int((await session.execute(select(func.count()).select_from(model))).scalar_one())


async def _add(hub: Hub, key: str, body: Any = None, client: Any = None) -> Any:
    return await (client or hub.admin).post("/v1/members", json=body or BODY, headers={"Idempotency-Key": key})


async def test_the_second_time_gets_the_first_answer(hub: Hub) -> None:
    first = await _add(hub, "a")
    before = await digest(hub)
    second = await _add(hub, "a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert "ratelimit-remaining" in second.headers
    assert "idempotency-replayed" not in first.headers
    assert await digest(hub) == before


async def test_another_body_under_the_same_key_is_refused(hub: Hub) -> None:
    await _add(hub, "a")
    before = await digest(hub)
    answer = await _add(hub, "a", {"name": "Other"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    path = await hub.admin.post("/v1/service-accounts", json=BODY, headers={"Idempotency-Key": "a"})
    assert path.status_code == 422
    assert await digest(hub) == before


async def test_fifty_at_once_are_one(hub: Hub) -> None:
    members = await _count(hub, Member)
    answers = await asyncio.gather(*(_add(hub, "a") for _ in range(50)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in done}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
    assert await _count(hub, Member) == members + 1
    assert (await _add(hub, "a")).content == done[0].content


async def test_after_a_day_the_key_is_free_again(hub: Hub) -> None:
    first = await _add(hub, "a")
    hub.clock.forward(hours=23, minutes=59)
    assert (await _add(hub, "a")).json()["id"] == first.json()["id"]
    hub.clock.forward(minutes=2)
    again = await _add(hub, "a", {"name": "Carla"})
    assert (again.status_code, again.json()["name"]) == (201, "Carla")
    await hub.work(days=2)
    assert await _count(hub, IdempotencyRecord) == 0


async def test_what_failed_may_be_tried_again(hub: Hub) -> None:
    body = {"name": "B", "slug": "b", "parent_id": None}
    headers = {"Idempotency-Key": "a"}
    assert (await hub.admin.post("/v1/departments", json={**body, "time_zone": "Mars/Base"}, headers=headers)).status_code == 400
    assert (await hub.admin.post("/v1/departments", json=body, headers=headers)).status_code == 201


async def test_the_key_of_another_member_is_another_key(hub: Hub) -> None:
    other = hub.as_key(await hub.member("admin"))
    foreign = await hub.organisation()
    answers = [await _add(hub, "a"), await _add(hub, "a", client=other), await _add(foreign, "a")]
    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_a_failing_commit_says_so_and_leaves_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await digest(hub)

    async def fails(self: AsyncSession) -> None:
        await self.flush()
        raise OperationalError("COMMIT", {}, Exception("disk is full"))

    with monkeypatch.context() as broken:
        broken.setattr(AsyncSession, "commit", fails)
        answer = await _add(hub, "a")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert await digest(hub) == before
    assert (await _add(hub, "a")).status_code == 201


async def test_an_answer_that_nobody_may_have_is_refused_before_anything_is_done(hub: Hub) -> None:
    before = await digest(hub)
    answer = await hub.admin.post("/v1/members", json=BODY, headers={"Accept": "text/html", "Idempotency-Key": "a"})
    assert answer.status_code == 406
    assert await digest(hub) == before


async def test_the_first_answer_is_kept_sealed(hub: Hub) -> None:
    headers = {"Idempotency-Key": "a"}
    made = await hub.admin.post("/v1/keys", json={"name": "k"}, headers=headers)
    again = await hub.admin.post("/v1/keys", json={"name": "k"}, headers=headers)
    assert again.json()["text"] == made.json()["text"]
    secret = made.json()["text"].split("_")[2]
    assert secret not in str(await digest(hub))


@pytest.mark.parametrize("key", ["", "x" * 256, "ä"])
async def test_a_key_that_is_none_is_refused(hub: Hub, key: str) -> None:
    answer = await hub.admin.post("/v1/members", json=BODY, headers={b"Idempotency-Key": key.encode()})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert await _count(hub, AuditEntry) == 0
