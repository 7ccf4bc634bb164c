"""Two people edit the same thing: one of them wins, the other is told."""

from __future__ import annotations

import asyncio

import msgspec

from stand import ASKS, Stand, operations, says, send
from world import Hub

ENOUGH = 8


async def test_every_change_knows_which_version_was_seen(hub: Hub) -> None:
    says(hub)
    stand = await Stand.of(hub)
    patches = [one for one in operations(hub) if one.method == "PATCH"]
    assert len(patches) >= ENOUGH
    for operation in patches:
        ask = await stand.filled(ASKS[operation.id][0])
        first = await send(hub.admin, operation, ask)
        seen = first.headers.get("etag")
        assert seen, f"{operation.id} answers no ETag"
        second = await send(hub.admin, operation, ask, **{"If-Match": seen})
        assert second.status_code == 200, operation.id
        stale = await send(hub.admin, operation, ask, **{"If-Match": seen})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale"), operation.id
        for form in ("*", "W/{}", '"0", {}'):
            second = await send(hub.admin, operation, ask, **{"If-Match": form.format(second.headers["etag"])})
            assert second.status_code == 200, (operation.id, form)
        assert (await send(hub.admin, operation, ask, **{"If-Match": "nonsense"})).status_code == 412
        read = await hub.admin.get(operation.path.format(**ask.path))
        assert read.headers["etag"] == second.headers["etag"], operation.id


async def test_of_two_at_once_exactly_one_wins(hub: Hub) -> None:
    says(hub)
    stand = await Stand.of(hub)
    for operation in operations(hub):
        if operation.method != "PATCH":
            continue
        ask = await stand.filled(ASKS[operation.id][0])
        for _ in range(3):
            seen = (await hub.admin.get(operation.path.format(**ask.path))).headers["etag"]
            asks = [msgspec.structs.replace(ask) for _ in range(4)]
            answers = await asyncio.gather(*(send(hub.admin, operation, one, **{"If-Match": seen}) for one in asks))
            assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412], operation.id
