"""Nobody gives more than they have, and nobody gives it to themselves."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from world import Hub, start


async def _roles(hub: Hub) -> dict[str, str]:
    return {one["name"]: one["id"] for one in (await hub.get("/v1/roles", params={"limit": 200}))["items"]}


async def _me(hub: Hub, key: str) -> Any:
    return await hub.ok("GET", "/v1/me", hub.as_key(key))


async def test_a_department_lead_makes_nobody_an_admin(hub: Hub) -> None:
    roles, department = await _roles(hub), await hub.post("/v1/departments", {"name": "S", "slug": "s"})
    key = await hub.member("department_lead", department_id=department["id"])
    lead, me = hub.as_key(key), (await _me(hub, key))["member_id"]
    for place in ({}, {"department_id": department["id"]}):
        for role in ("admin", "operator"):
            answer = await lead.post("/v1/grants", json={"member_id": me, "role_id": roles[role], **place})
            assert answer.status_code == 403, (role, place)
    assert (await lead.post("/v1/grants", json={"member_id": me, "role_id": roles["viewer"]})).status_code == 403
    given = {"member_id": me, "role_id": roles["viewer"], "department_id": department["id"]}
    assert (await lead.post("/v1/grants", json=given)).status_code == 201


async def test_a_department_lead_takes_nothing_from_an_admin(hub: Hub) -> None:
    department = await hub.post("/v1/departments", {"name": "S", "slug": "s"})
    lead = hub.as_key(await hub.member("department_lead", department_id=department["id"]))
    admin = await hub.member("admin", department_id=department["id"])
    member = (await _me(hub, admin))["member_id"]
    for grant in (await hub.get("/v1/grants", params={"limit": 200}))["items"]:
        answer = await lead.delete(f"/v1/grants/{grant['id']}")
        inside = grant["department_id"] is not None and grant["member_id"] != member
        assert (answer.status_code == 204) == inside, answer.text


async def test_an_admin_gives_every_role_but_the_operators(hub: Hub) -> None:
    roles, key = await _roles(hub), await hub.member("admin")
    admin, me = hub.as_key(key), (await _me(hub, key))["member_id"]
    department = await hub.post("/v1/departments", {"name": "S", "slug": "s"})
    for role in ("viewer", "agent", "editor", "approver", "department_lead"):
        assert (await admin.post("/v1/grants", json={"member_id": me, "role_id": roles[role]})).status_code == 201
    for place in ({}, {"department_id": department["id"]}):
        answer = await admin.post("/v1/grants", json={"member_id": me, "role_id": roles["operator"], **place})
        assert (answer.status_code, answer.json()["permission"]) == (403, "organisations:create")
    own = {"name": "own", "title": "T", "permissions": ["organisations:create"]}
    assert (await admin.post("/v1/roles", json=own)).status_code == 403


async def test_an_operator_of_one_department_is_none_of_the_hub(hub: Hub) -> None:
    roles, department = await _roles(hub), await hub.post("/v1/departments", {"name": "S", "slug": "s"})
    key = await hub.member("operator", department_id=department["id"])
    me = (await _me(hub, key))["member_id"]
    await hub.post("/v1/grants", {"member_id": me, "role_id": roles["admin"]})
    client = hub.as_key(key)
    assert (await client.post("/v1/grants", json={"member_id": me, "role_id": roles["operator"]})).status_code == 403
    assert (await client.post("/v1/organisations", json={"name": "N", "slug": "n"})).status_code == 403


async def test_a_service_account_makes_no_key_beyond_its_own(hub: Hub) -> None:
    viewer = hub.as_key(await hub.member("viewer"))
    assert (await viewer.post("/v1/keys", json={"name": "k", "scopes": ["mentions:write"]})).status_code == 403
    assert (await viewer.post("/v1/keys", json={"name": "k", "scopes": ["mentions:read"]})).status_code == 201


async def test_a_narrowed_key_makes_no_wider_one(hub: Hub) -> None:
    text = (await hub.post("/v1/keys", {"name": "n", "scopes": ["keys:own", "keys:write", "keys:read"]}))["text"]
    narrow, wide = hub.as_key(text), (await hub.get("/v1/keys"))["items"][-1]
    assert (await narrow.post("/v1/keys", json={"name": "k", "scopes": ["mentions:read"]})).status_code == 403
    same = await hub.ok("POST", "/v1/keys", narrow, json={"name": "k"})
    assert same["key"]["scopes"] == ["keys:own", "keys:read", "keys:write"]
    rotated = await hub.ok("POST", f"/v1/keys/{wide['id']}/rotate", narrow, json={})
    assert rotated["key"]["scopes"] == ["keys:own", "keys:read", "keys:write"]


async def test_nobody_makes_a_key_for_an_account_above_or_for_a_person(hub: Hub) -> None:
    roles = await _roles(hub)
    keys = {"name": "keys", "title": "T", "permissions": ["keys:own", "keys:write", "members:read"]}
    role = await hub.post("/v1/roles", keys)
    key = await hub.member()
    await hub.post("/v1/grants", {"member_id": (await _me(hub, key))["member_id"], "role_id": role["id"]})
    above = await hub.post("/v1/service-accounts", {"name": "above"})
    await hub.post("/v1/grants", {"member_id": above["id"], "role_id": roles["admin"]})
    assert (await hub.as_key(key).post("/v1/keys", json={"name": "k", "member_id": above["id"]})).status_code == 403
    person = await hub.post("/v1/members", {"name": "P"})
    assert (await hub.admin.post("/v1/keys", json={"name": "k", "member_id": person["id"]})).status_code == 409


async def test_a_role_that_one_holds_does_not_grow_by_ones_own_hand(hub: Hub) -> None:
    role = await hub.post("/v1/roles", {"name": "r", "title": "T", "permissions": ["roles:write", "grants:write"]})
    key = await hub.member()
    await hub.post("/v1/grants", {"member_id": (await _me(hub, key))["member_id"], "role_id": role["id"]})
    client = hub.as_key(key)
    wanted = {"permissions": ["roles:write", "grants:write", "mentions:read"]}
    assert (await client.patch(f"/v1/roles/{role['id']}", json=wanted)).json()["permission"] == "mentions:read"
    system = (await _roles(hub))["viewer"]
    assert (await client.patch(f"/v1/roles/{system}", json={"permissions": []})).status_code == 409


async def test_the_last_admin_stays(hub: Hub) -> None:
    me = (await hub.get("/v1/me"))["member_id"]
    admin = (await _roles(hub))["admin"]
    mine = next(one for one in (await hub.get("/v1/grants"))["items"] if one["member_id"] == me and one["role_id"] == admin)
    assert (await hub.admin.delete(f"/v1/grants/{mine['id']}")).status_code == 409
    assert (await hub.admin.patch(f"/v1/members/{me}", json={"state": "disabled"})).status_code == 409
    second = await hub.post("/v1/members", {"name": "Second"})
    theirs = await hub.post("/v1/grants", {"member_id": second["id"], "role_id": admin})
    answers = await asyncio.gather(hub.admin.delete(f"/v1/grants/{mine['id']}"), hub.admin.delete(f"/v1/grants/{theirs['id']}"))
    assert sorted(answer.status_code for answer in answers) in ([204, 409], [204, 403])


async def test_the_same_role_twice_at_once_is_given_once(hub: Hub) -> None:
    roles, member = await _roles(hub), await hub.post("/v1/members", {"name": "M"})
    given = {"member_id": member["id"], "role_id": roles["viewer"]}
    answers = await asyncio.gather(*(hub.admin.post("/v1/grants", json=given) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]


Rights = set[tuple[str, str | None, str | None]]
PERMISSIONS = ("roles:write", "grants:write", "grants:read", "keys:own", "keys:write", "members:write", "mentions:read", "grants:any")


def _rights(me: Any) -> Rights:
    return {(name, one["department_id"], one["channel_id"]) for one in me["holdings"] for name in one["permissions"]}


def _beyond(new: Rights, old: Rights) -> Rights:
    return {one for one in new if one not in old and (one[0], None, None) not in old}


def test_no_sequence_raises_ones_own_rights(database_url: str) -> None:
    with asyncio.Runner() as runner:
        opened = start(database_url)
        hub = runner.run(opened.__aenter__())
        members, number = strategies.integers(0, 3), strategies.integers(0, 100)
        some = strategies.lists(strategies.sampled_from(PERMISSIONS), max_size=4, unique=True)

        class Members(RuleBasedStateMachine):
            """Members who try everything that could give them more."""

            @initialize()
            def found(self) -> None:
                runner.run(self._found())

            async def _found(self) -> None:
                self.hub = await hub.organisation(f"o{uuid.uuid4().hex[:20]}")
                self.place = (await self.hub.post("/v1/departments", {"name": "D", "slug": "d"}))["id"]
                wide = {"name": "wide", "title": "T", "permissions": [one for one in PERMISSIONS if one != "grants:any"]}
                role = (await self.hub.post("/v1/roles", wide))["id"]
                self.keys = [[self.hub.key]]
                for names, where in ((("department_lead",), self.place), (("admin", "department_lead"), self.place), ((), None)):
                    self.keys.append([await self.hub.member(*names, department_id=where)])
                self.ids = [(await _me(self.hub, one[0]))["member_id"] for one in self.keys]
                await self.hub.post("/v1/grants", {"member_id": self.ids[3], "role_id": role})
                self.roles = list((await _roles(self.hub)).values())
                self.mine = role

            def act(self, who: int, which: int, method: str, path: str, body: Any = None) -> None:
                runner.run(self._act(who, which, method, path, body))

            async def _act(self, who: int, which: int, method: str, path: str, body: Any) -> None:
                key = self.keys[who][which % len(self.keys[who])]
                client = self.hub.as_key(key)
                answer = await client.get("/v1/me")
                if answer.status_code == 401:
                    return
                before, whole = _rights(answer.json()), _rights(await _me(self.hub, self.keys[who][0]))
                answer = await client.request(method, path, json=body)
                assert answer.status_code < 500, answer.text
                if ("grants:any", None, None) not in before:
                    after = await self.hub.as_key(self.keys[who][0]).get("/v1/me")
                    if after.status_code == 200:
                        assert not _beyond(_rights(after.json()), whole)
                if answer.status_code == 201 and "text" in answer.json():
                    made = answer.json()["text"]
                    owner = self.ids.index(answer.json()["key"]["member_id"])
                    if ("grants:any", None, None) not in before:
                        assert not _beyond(_rights(await _me(self.hub, made)), before)
                    self.keys[owner].append(made)

            @rule(who=members, which=number, whom=members, role=number, there=strategies.booleans())
            def give(self, who: int, which: int, whom: int, role: int, there: bool) -> None:
                body = {"member_id": self.ids[whom], "role_id": self.roles[role % len(self.roles)]}
                self.act(who, which, "POST", "/v1/grants", {**body, "department_id": self.place if there else None})

            @rule(who=members, which=number, grant=number)
            def take(self, who: int, which: int, grant: int) -> None:
                every = runner.run(self.all_grants())
                if every:
                    self.act(who, which, "DELETE", f"/v1/grants/{every[grant % len(every)]}")

            async def all_grants(self) -> list[str]:
                from sqlalchemy import select

                from smhub.access.models import Grant

                organisation = await self.hub.me()
                async with hub.database.read() as session:
                    return [str(one) for one in await session.scalars(select(Grant.id).where(Grant.organisation_id == organisation))]

            @rule(who=members, which=number, permissions=some)
            def change_role(self, who: int, which: int, permissions: list[str]) -> None:
                self.act(who, which, "PATCH", f"/v1/roles/{self.mine}", {"permissions": permissions})

            @rule(who=members, which=number, whom=members, scopes=strategies.none() | some)
            def make_key(self, who: int, which: int, whom: int, scopes: list[str] | None) -> None:
                body = {"name": "k", "scopes": scopes, "member_id": None if who == whom else self.ids[whom]}
                self.act(who, which, "POST", "/v1/keys", body)

            @rule(who=members, which=number, whom=members, of=number)
            def rotate_key(self, who: int, which: int, whom: int, of: int) -> None:
                key = uuid.UUID(self.keys[whom][of % len(self.keys[whom])].split("_")[1])
                if of % len(self.keys[whom]):
                    self.act(who, which, "POST", f"/v1/keys/{key}/rotate", {})

            @rule(who=members, which=number, whom=members, state=strategies.sampled_from(["disabled", "active"]))
            def switch(self, who: int, which: int, whom: int, state: str) -> None:
                self.act(who, which, "PATCH", f"/v1/members/{self.ids[whom]}", {"state": state})
                runner.run(self.hub.admin.patch(f"/v1/members/{self.ids[whom]}", json={"state": "active"}))

            @invariant()
            def the_last_admin_stays(self) -> None:
                assert "admin" in runner.run(_me(self.hub, self.hub.key))["roles"]

        try:
            run_state_machine_as_test(Members, settings=settings(max_examples=4, stateful_step_count=15, deadline=None))
        finally:
            runner.run(opened.__aexit__(None, None, None))
