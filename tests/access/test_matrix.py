"""Every operation of the contract, asked by everybody, with everybody's ids. A new operation that is not in tests/stand.py fails here."""

from __future__ import annotations

import uuid
from typing import Any

import httpx2
import msgspec

from smhub.access.permissions import ROLES
from smhub.hub.web import ANYBODY, PUBLIC
from stand import ASKS, NOT_HERE, Ask, Of, Stand, digest, id_places, kind_at, operations, put, says, send
from world import Hub

ENOUGH = {"ids": 120, "cursors": 60, "departments": 35}
"""How many requests each walk makes at least: fewer, and it walks past something."""
ONE_FOR_THE_HUB = {"list_organisations"}
"""Lists that are not an organisation's, so that there is no foreign cursor."""


async def test_every_operation_and_every_id_is_covered(hub: Hub) -> None:
    every = operations(hub)
    assert {one.id for one in every} == ASKS.keys()
    for operation in every:
        covered = {place for ask in ASKS[operation.id] for place in ask.places()}
        assert covered >= id_places(hub, operation), operation.id


async def test_every_request_of_the_table_succeeds(hub: Hub) -> None:
    says(hub)
    stand = await Stand.of(hub)
    wrong = []
    for operation in operations(hub):
        for ask in ASKS[operation.id]:
            answer = await send(hub.admin, operation, await stand.filled(ask))
            if answer.status_code >= 300 and operation.id not in NOT_HERE:
                wrong.append((operation.id, answer.text))
    assert wrong == [], wrong


async def test_a_foreign_id_is_an_unknown_id_and_nothing_happens(hub: Hub) -> None:
    says(hub)
    mine, theirs = await Stand.of(hub), await Stand.of(await hub.organisation())
    nobody, wrong, tried = str(uuid.uuid4()), [], 0
    for attacker, victim in ((mine, theirs), (theirs, mine)):
        for operation in operations(hub):
            if not attacker.hub.key or (operation.permission.startswith("organisations:") and attacker is theirs):
                continue
            for ask in ASKS[operation.id]:
                own = await attacker.filled(ask)
                for place in ask.places():
                    foreign = await victim.id(kind_at(ask, place))
                    before = await digest(hub)
                    answer = await send(attacker.hub.admin, operation, put(own, place, foreign))
                    unknown = await send(attacker.hub.admin, operation, put(own, place, nobody))
                    tried += 1
                    if _plain(answer) != _plain(unknown):
                        wrong.append((operation.id, place, answer.text, unknown.text))
                    elif place[0] == "query":
                        if answer.status_code != 200 or _shown(answer):
                            wrong.append((operation.id, place, answer.text))
                    elif (answer.status_code, answer.json().get("code")) != (404, "not_found"):
                        wrong.append((operation.id, place, answer.text))
                    if await digest(hub) != before:
                        wrong.append((operation.id, place, "it had an effect"))
    assert wrong == [], wrong
    assert tried > ENOUGH["ids"]


def _streams(answer: httpx2.Response) -> bool:
    return answer.headers["content-type"].startswith("text/event-stream")


def _shown(answer: httpx2.Response) -> Any:
    return "data:" in answer.text if _streams(answer) else answer.json()["items"]


def _plain(answer: httpx2.Response) -> Any:
    if _streams(answer):
        return answer.status_code, answer.text
    body = answer.json()
    body.pop("request_id", None)
    return answer.status_code, body


async def test_a_foreign_cursor_is_refused(hub: Hub) -> None:
    says(hub)
    mine, theirs = await Stand.of(hub), await Stand.of(await hub.organisation())
    wrong, tried = [], 0
    for operation in operations(hub):
        if "cursor" not in operation.parameters:
            continue
        ask = ASKS[operation.id][0]
        source = theirs
        if operation.id in ONE_FOR_THE_HUB:
            page = await send(theirs.hub.admin, next(one for one in operations(hub) if one.id == "list_members"), _one(Ask()))
        else:
            page = await send(source.hub.admin, operation, _one(await source.filled(ask)))
        cursor = page.json()["next_cursor"]
        assert cursor, f"{operation.id}: a Stand needs two of them"
        own = await mine.filled(ask)
        for forged in (cursor, cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB"), "x", ""):
            answer = await send(mine.hub.admin, operation, msgspec.structs.replace(own, query={**own.query, "cursor": forged}))
            tried += 1
            if (answer.status_code, answer.json().get("code")) != (400, "cursor_invalid"):
                wrong.append((operation.id, forged, answer.text))
    assert wrong == [], wrong
    assert tried > ENOUGH["cursors"]


def _one(ask: Ask) -> Ask:
    return msgspec.structs.replace(ask, query={**ask.query, "limit": 1})


async def test_a_list_shows_no_row_of_another_organisation(hub: Hub) -> None:
    says(hub)
    mine, theirs = await Stand.of(hub), await Stand.of(await hub.organisation())
    foreign = set(theirs.known.values())
    for operation in operations(hub):
        if operation.method == "GET" and operation.permission != PUBLIC and operation.id not in ONE_FOR_THE_HUB:
            for ask in ASKS[operation.id]:
                text = (await send(mine.hub.admin, operation, await mine.filled(ask))).text
                assert not [one for one in foreign if one in text], operation.id


async def test_an_operation_is_allowed_exactly_when_the_role_says_so(hub: Hub) -> None:
    says(hub)
    stand = await Stand.of(hub)
    narrowed = ["mentions:read", "channels:read", "keys:own"]
    text = (await hub.post("/v1/keys", {"name": "narrow", "scopes": narrowed}))["text"]
    callers = {role: (hub.as_key(await hub.member(role)), hub.runtime.permissions.system[role]) for role in ROLES}
    callers["no role"] = (hub.as_key(await hub.member()), frozenset())
    callers["a narrowed key"] = (hub.as_key(text), frozenset(narrowed))
    wrong = []
    for name, (client, held) in callers.items():
        for operation in operations(hub):
            ask = await stand.filled(ASKS[operation.id][0], client)
            answer = await send(client, operation, ask)
            if operation.permission in held or operation.permission in (PUBLIC, ANYBODY):
                if answer.status_code >= 300 and operation.id not in NOT_HERE:
                    wrong.append((name, operation.id, answer.text))
            elif (answer.status_code, answer.json().get("permission")) != (403, operation.permission):
                wrong.append((name, operation.id, answer.text))
    assert wrong == [], wrong


async def test_without_a_key_only_what_is_public_answers(hub: Hub) -> None:
    stand = Stand(hub)
    stranger = hub.as_key(None)
    for operation in operations(hub):
        hub.clock.forward(seconds=5)
        path = {name: str(uuid.uuid4()) if isinstance(one, Of) else one for name, one in ASKS[operation.id][0].path.items()}
        answer = await send(stranger, operation, Ask(path=path))
        assert (answer.status_code == 401) == (operation.permission != PUBLIC), operation.id
    assert stand.made == 0


SCOPED = {"channel", "listener", "intake", "gap", "mention", "thread", "department", "grant", "delivery", "hold"}
"""What lies in a department."""
PLACED: tuple[str, ...] = ()
"""Kinds of a plugin that belong to a department."""
ELSEWHERE_TOO = {("change_mention", "body"), ("give_role", "body")}
"""A mention may be handed over to any department. A role for another department is a 403, as one may see that it is one's right that
is missing, not the department."""


async def _departments(hub: Hub) -> tuple[Stand, Stand]:
    """Two departments of one organisation, each with everything that can lie in one."""
    found = []
    for word, number in (("liefer", 1), ("rechnung", 2)):
        stand = Stand(hub)
        department = await hub.post("/v1/departments", {"name": word, "slug": word, "keywords": [word]})
        stand.known["department"] = department["id"]
        placed = {"department_id": department["id"]}
        channel = await hub.post("/v1/channels", {"network": "echo", "name": word, "settings": {}, **placed})
        listener = {"network": "echo", "name": word, "settings": {}, "words": [word], "purpose": "p", "legal_basis": "l", **placed}
        stand.known |= {"channel": channel["id"], "intake": channel["health"]["intake_id"]}
        stand.known["listener"] = (await hub.post("/v1/listeners", listener))["id"]
        stand.known["gap"] = await stand.make("new_gap")
        roles = {one["name"]: one["id"] for one in (await hub.get("/v1/roles"))["items"]}
        member = (await hub.post("/v1/service-accounts", {"name": str(number)}))["id"]
        stand.known |= {"member": member, "viewer": roles["viewer"]}
        given = {"member_id": member, "role_id": roles["viewer"], **placed}
        stand.known["grant"] = (await hub.post("/v1/grants", given))["id"]
        for kind in PLACED:
            stand.known[kind] = await stand.make(f"new_{kind}")
        found.append(stand)
    return found[0], found[1]


async def _with_mentions(hub: Hub, inside: Stand, outside: Stand) -> None:
    from echo import mention

    hub.echo.says(mention("1", "Meine Lieferung fehlt"), mention("2", "Die Rechnung stimmt nicht"))
    await hub.work()
    by_department = {one["department_id"]: one for one in await hub.mentions()}
    for stand in (inside, outside):
        row = by_department[stand.known["department"]]
        stand.known |= {"mention": row["id"], "thread": row["thread_id"]}
        stand.known |= {"delivery": await stand.make("new_delivery"), "hold": await stand.make("new_hold")}


RENAMED = {f"new_{kind}": kind for kind in ("channel", "listener", "gap", "department", "grant", "delivery", "hold")}
RENAMED |= {"new_published": "delivery", "new_unknown": "delivery", "door": "channel"}


async def test_outside_ones_department_there_is_nothing(hub: Hub) -> None:
    inside, outside = await _departments(hub)
    await _with_mentions(hub, inside, outside)
    client = hub.as_key(await hub.member("department_lead", "admin", department_id=inside.known["department"]))
    other, wrong, tried = {outside.known[kind] for kind in SCOPED}, [], 0
    for operation in operations(hub):
        for ask in ASKS[operation.id]:
            scoped = {place: RENAMED.get(kind_at(ask, place), kind_at(ask, place)) for place in ask.places()}
            scoped = {place: kind for place, kind in scoped.items() if kind in SCOPED and place[0] != "query"}
            if not scoped and operation.method == "GET" and "cursor" in operation.parameters:
                listed = await send(client, operation, await inside.filled(Ask(path=ask.path, query={"limit": 200})))
                if listed.status_code == 200 and (seen := [one for one in other if f'"id":"{one}"' in listed.text]):
                    wrong.append((operation.id, seen))
                continue
            for place, kind in scoped.items():
                asked = await _inside(inside, ask)
                before = await digest(hub)
                answer = await send(client, operation, put(asked, place, outside.known[kind]))
                tried += 1
                if (operation.id, place[0]) in ELSEWHERE_TOO:
                    continue
                if (answer.status_code, answer.json().get("code")) != (404, "not_found"):
                    wrong.append((operation.id, place, answer.text))
                if await digest(hub) != before:
                    wrong.append((operation.id, place, "it had an effect"))
    assert wrong == [], wrong
    assert tried > ENOUGH["departments"]


async def _inside(stand: Stand, ask: Ask) -> Ask:
    """The request with ids of the department, none made anew."""
    for place in ask.places():
        kind = kind_at(ask, place)
        if kind in RENAMED:
            ask = put(ask, place, stand.known[RENAMED[kind]])
    return await stand.filled(ask)


async def test_inside_ones_department_everything_is_there(hub: Hub) -> None:
    inside, outside = await _departments(hub)
    await _with_mentions(hub, inside, outside)
    client = hub.as_key(await hub.member("department_lead", "admin", department_id=inside.known["department"]))
    for path in ("channels/{channel}", "listeners/{listener}", "intakes/{intake}", "gaps/{gap}", "mentions/{mention}"):
        await hub.ok("GET", f"/v1/{path.format(**inside.known)}", client)
    for path in ("threads/{thread}", "departments/{department}", "departments/{department}/hours", "mentions/{mention}/versions"):
        await hub.ok("GET", f"/v1/{path.format(**inside.known)}", client)
    assert [one["id"] for one in (await hub.ok("GET", "/v1/mentions", client))["items"]] == [inside.known["mention"]]
    assert [one["id"] for one in (await hub.ok("GET", "/v1/channels", client))["items"]] == [inside.known["channel"]]
    assert [one["id"] for one in (await hub.ok("GET", "/v1/departments", client))["items"]] == [inside.known["department"]]
    assert inside.known["grant"] in {one["id"] for one in (await hub.ok("GET", "/v1/grants", client))["items"]}


ORGANISATION_WIDE = {
    "add_organisation",
    "list_organisations",
    "change_organisation",
    "add_member",
    "add_service_account",
    "change_member",
    "add_role",
    "change_role",
    "remove_role",
    "list_audit_entries",
    "list_events",
    "list_jobs",
    "get_job",
    "retry_job",
    "cancel_job",
    "list_schedules",
    "list_oauth_apps",
    "add_oauth_app",
    "get_oauth_app",
    "change_oauth_app",
    "remove_oauth_app",
    "list_authors",
    "get_author",
    "list_persons",
    "add_person",
    "get_person",
    "change_person",
    "merge_persons",
    "split_person",
}


async def test_a_right_over_a_department_is_none_over_the_organisation(hub: Hub) -> None:
    says(hub)
    stand = await Stand.of(hub)
    second = (await hub.post("/v1/departments", {"name": "Third", "slug": "third"}))["id"]
    client = hub.as_key(await hub.member("department_lead", "admin", "operator", department_id=second))
    by_id = {one.id: one for one in operations(hub)}
    assert by_id.keys() >= ORGANISATION_WIDE
    for name in sorted(ORGANISATION_WIDE):
        answer = await send(client, by_id[name], await stand.filled(ASKS[name][0]))
        assert (answer.status_code, answer.json()["permission"]) == (403, by_id[name].permission), name


async def test_a_channel_alone_lets_nobody_see_beside_it(hub: Hub) -> None:
    inside, outside = await _departments(hub)
    await _with_mentions(hub, inside, outside)
    client = hub.as_key(await hub.member("agent", channel_id=inside.known["channel"]))
    assert [one["id"] for one in (await hub.ok("GET", "/v1/channels", client))["items"]] == [inside.known["channel"]]
    assert [one["id"] for one in (await hub.ok("GET", "/v1/intakes", client))["items"]] == [inside.known["intake"]]
    for empty in ("listeners", "departments"):
        assert (await hub.ok("GET", f"/v1/{empty}", client))["items"] == []
    seen = (await hub.ok("GET", "/v1/mentions", client))["items"]
    assert {one["channel_id"] for one in seen} <= {inside.known["channel"]}
    for path in ("channels/{channel}", "listeners/{listener}", "intakes/{intake}", "gaps/{gap}", "departments/{department}"):
        answer = await client.get(f"/v1/{path.format(**outside.known)}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
