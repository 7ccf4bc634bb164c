"""A rule that comes true raises one alert, tells people step by step, and clears by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from hearing import hear, monitoring, said
from telling import service
from world import Hub

RULES, ALERTS, TARGETS = "/v1/monitoring/alert-rules", "/v1/monitoring/alerts", "/v1/monitoring/targets"
MANY = {"kind": "threshold", "at_least": 3, "minutes": 60}


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with monitoring(database_url) as started:
        yield started


async def rule(hub: Hub, condition: dict[str, Any], **more: Any) -> dict[str, Any]:
    return await hub.post(RULES, {"name": "R", "condition": condition, **more})  # type: ignore[no-any-return]


async def alerts(hub: Hub, **params: Any) -> list[dict[str, Any]]:
    return (await hub.get(ALERTS, params=params))["items"]  # type: ignore[no-any-return]


async def told(hub: Hub) -> list[str]:
    events = (await hub.get("/v1/events", params={"limit": 200}))["items"]
    return [one["type"].removeprefix("monitoring.") for one in events if one["type"].startswith("monitoring.alert")]


async def test_an_alert_is_raised_once_and_clears_by_itself(hub: Hub) -> None:
    made = await rule(hub, MANY, query="kettle")
    await hear(hub, *(said(hub, f"My kettle is broken {n}") for n in range(4)), said(hub, "Nice weather"))
    [raised] = await alerts(hub, state="raised")
    assert (raised["figures"], len(raised["mention_ids"])) == ({"count": 4}, 4)
    assert (await hub.get(f"{RULES}/{made['id']}"))["alert_id"] == raised["id"]
    await hear(hub, said(hub, "Another kettle"))
    assert len(await alerts(hub)) == 1
    await hub.work(hours=2)
    await hub.work(minutes=11)
    [cleared] = await alerts(hub)
    assert cleared["state"] == "cleared" and cleared["cleared_at"]
    assert await told(hub) == ["alert_raised", "alert_cleared"]


async def test_after_it_cleared_a_rule_keeps_quiet_for_its_cooldown(hub: Hub) -> None:
    await rule(hub, {**MANY, "minutes": 5}, cooldown_minutes=120)
    await hear(hub, *(said(hub, f"A {n}", ago=-timedelta(minutes=5)) for n in range(3)))
    assert len(await alerts(hub)) == 1
    await hub.work(minutes=6)
    await hub.work(minutes=15)
    await hear(hub, *(said(hub, f"B {n}", ago=-timedelta(minutes=5)) for n in range(3)))
    assert [one["state"] for one in await alerts(hub)] == ["cleared"]
    await hub.work(hours=3)
    await hear(hub, *(said(hub, f"C {n}", ago=-timedelta(minutes=5)) for n in range(3)))
    assert [one["state"] for one in await alerts(hub)] == ["raised", "cleared"]


async def test_a_spike_is_more_than_usual_at_this_hour_of_the_week(hub: Hub) -> None:
    made = await rule(hub, {"kind": "spike", "at_least": 5, "factor": 3})
    # On 25 October the clocks went back: nine in the morning was an hour earlier before.
    usual = [
        said(hub, f"w{week} {n}", ago=timedelta(weeks=week, hours=0 if week == 1 else 1, minutes=10))
        for week in range(1, 5)
        for n in range(4)
    ]
    busy = [said(hub, f"d {n}", ago=timedelta(days=1, minutes=n)) for n in range(30)]
    await hear(hub, *sorted([*usual, *busy], key=lambda one: one.published_at), *(said(hub, f"now {n}") for n in range(6)))
    assert await alerts(hub) == []
    await hear(hub, *(said(hub, f"storm {n}") for n in range(20)))
    [raised] = await alerts(hub)
    assert raised["rule_id"] == made["id"]
    assert (raised["figures"]["count"], raised["figures"]["usual"], raised["figures"]["before"]) == (26, 4, [4, 4, 4, 4])


async def test_a_drop_of_the_mood_is_seen_against_the_weeks_before(hub: Hub) -> None:
    await rule(hub, {"kind": "mood_drop", "at_least": 5, "points": 50, "minutes": 60})
    before = [said(hub, f"Danke, das ist super und toll! {n}", ago=timedelta(days=2, minutes=n)) for n in range(8)]
    await hear(hub, *reversed(before))
    await hear(hub, *(said(hub, f"Furchtbar schlecht, ich bin enttäuscht und wütend {n}") for n in range(8)))
    [raised] = await alerts(hub)
    figures = raised["figures"]
    assert figures["net_before"] - figures["net"] >= 50 and figures["n"] >= 5


async def test_somebody_with_many_followers_is_noticed_once(hub: Hub) -> None:
    await rule(hub, {"kind": "influential_author", "followers": 50_000, "minutes": 60})
    await hear(hub, said(hub, "Nobody", author="small", followers=12), said(hub, "Hear me", author="star", followers=80_000))
    [raised] = await alerts(hub)
    assert raised["figures"] == {"authors": {"star": 80_000}}
    await hub.work(minutes=30)
    assert [one["state"] for one in await alerts(hub)] == ["raised"]
    await hub.work(minutes=31)
    await hub.work(minutes=31)
    assert [one["state"] for one in await alerts(hub)] == ["cleared"]


async def test_a_word_that_nobody_used_before_is_noticed(hub: Hub) -> None:
    await rule(hub, {"kind": "new_word", "authors": 3, "minutes": 60})
    await hear(hub, said(hub, "Die Lieferung kommt spät", ago=timedelta(days=20)))
    await hear(hub, *(said(hub, f"Die Lieferung und Rückruf {n}", author=f"a{n}") for n in range(3)))
    await hub.work(minutes=5)
    [raised] = await alerts(hub)
    assert raised["figures"] == {"words": {"rückruf": 3}}


async def test_silence_is_noticed_and_ends(hub: Hub) -> None:
    await rule(hub, {"kind": "silence", "minutes": 120}, query="network:echo")
    await hear(hub, said(hub, "Hello"))
    assert await alerts(hub) == []
    await hub.work(hours=3)
    assert [one["state"] for one in await alerts(hub)] == ["raised"]
    await hear(hub, said(hub, "I am back"))
    await hub.work(minutes=11)
    assert [one["state"] for one in await alerts(hub)] == ["cleared"]


async def test_a_listener_whose_budget_is_spent_is_noticed(hub: Hub) -> None:
    await rule(hub, {"kind": "intake_ill", "minutes": 0})
    why = {"purpose": "p", "legal_basis": "l"}
    await hub.post("/v1/listeners", {"network": "echo", "name": "L", "settings": {}, "query": "flood", "daily_budget": 2, **why})
    # The channel sees the same posts, but only the listener has a budget.
    hub.echo.says(*(said(hub, f"flood {n}") for n in range(5)))
    await hub.work(minutes=5)
    raised = await alerts(hub)
    ill = [one["reason_code"] for alert in raised for one in alert["figures"]["intakes"]]
    assert ill in ([], ["budget_spent"])


async def test_people_are_told_step_by_step_until_somebody_takes_care(database_url: str) -> None:
    async with service() as (port, got), monitoring(database_url, allow_private_hosts=f"127.0.0.1:{port}") as hub:
        first = await hub.post(TARGETS, {"name": "Team", "address": f"json://127.0.0.1:{port}/team", "language": "de"})
        second = await hub.post(TARGETS, {"name": "Chef", "address": f"json://127.0.0.1:{port}/chef", "language": "en"})
        assert "address" not in first and first["service"] == "json"
        steps = [{"target_ids": [first["id"]]}, {"target_ids": [second["id"]], "after_minutes": 30}]
        await rule(hub, MANY, steps=steps, severity="critical")
        await hear(hub, *(said(hub, f"A {n}") for n in range(3)))
        assert [one["title"] for one in got] == ["Kritisch: R"]
        assert "3 Erwähnungen" in got[0]["message"] and "A 0" not in got[0]["message"]
        await hub.work(minutes=30)
        assert [one["title"] for one in got] == ["Kritisch: R", "Critical: R"]
        [alert] = await alerts(hub)
        notices = (await hub.get(f"{ALERTS}/{alert['id']}/notices"))["items"]
        assert [(one["what"], one["step"], one["state"]) for one in notices] == [("raised", 0, "told"), ("raised", 1, "told")]
        assert (await hub.post(f"{ALERTS}/{alert['id']}/acknowledge"))["state"] == "acknowledged"
        again = await hub.admin.post(f"{ALERTS}/{alert['id']}/acknowledge")
        assert (again.status_code, again.json()["state"]) == (409, "acknowledged")
        await hub.work(hours=2)
        await hub.work(minutes=11)
        assert sorted(one["title"] for one in got[2:]) == ["Over: R", "Vorbei: R"]


async def test_in_quiet_hours_people_are_told_afterwards(database_url: str) -> None:
    async with service() as (port, got), monitoring(database_url, allow_private_hosts=f"127.0.0.1:{port}") as hub:
        target = await hub.post(TARGETS, {"name": "T", "address": f"json://127.0.0.1:{port}/"})
        local = (await hub.get("/v1/organisation"))["time_zone"]
        assert local == "Europe/Berlin"
        wall = hub.clock.now() + timedelta(hours=1)
        quiet = {"quiet_from": f"{(wall - timedelta(hours=1)):%H:%M}", "quiet_until": f"{(wall + timedelta(hours=2)):%H:%M}"}
        await rule(hub, {**MANY, "minutes": 600}, steps=[{"target_ids": [target["id"]]}], **quiet)
        await hear(hub, *(said(hub, f"A {n}") for n in range(3)))
        assert [one["state"] for one in await alerts(hub)] == ["raised"] and got == []
        await hub.work(hours=2)
        assert len(got) == 1


async def test_a_service_that_is_away_is_asked_again_and_then_given_up(database_url: str) -> None:
    async with service(status=500) as (port, got), monitoring(database_url, allow_private_hosts=f"127.0.0.1:{port}") as hub:
        target = await hub.post(TARGETS, {"name": "T", "address": f"json://127.0.0.1:{port}/"})
        await rule(hub, {**MANY, "minutes": 600}, steps=[{"target_ids": [target["id"]]}])
        await hear(hub, *(said(hub, f"A {n}") for n in range(3)))
        for _ in range(6):
            await hub.work(minutes=20)
        [alert] = await alerts(hub)
        [notice] = (await hub.get(f"{ALERTS}/{alert['id']}/notices"))["items"]
        assert (notice["state"], notice["attempts"], len(got)) == ("failed", 6, 6)
        assert notice["reason"]


async def test_a_target_is_tried_and_says_why_it_does_not_work(hub: Hub) -> None:
    target = await hub.post(TARGETS, {"name": "T", "address": "json://127.0.0.1:9/"})
    started = await hub.post(f"{TARGETS}/{target['id']}/test")
    await hub.work()
    operation = await hub.get(f"/v1/operations/{started['operation_id']}")
    assert (operation["state"], operation["error"]["code"]) == ("failed", "target_private")


async def test_a_rule_can_be_tried_before_it_is_kept(hub: Hub) -> None:
    await hear(hub, *(said(hub, f"kettle {n}") for n in range(4)))
    body = {"name": "R", "condition": {"kind": "threshold", "at_least": 3}, "query": "kettle"}
    measured = await hub.post(f"{RULES}/try", body)
    assert (measured["true"], measured["figures"]) == (True, {"count": 4})
    assert (await hub.get(RULES))["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"condition": {"kind": "threshold"}}, "condition"),
        ({"condition": {"kind": "storm"}}, "condition.kind"),
        ({"condition": MANY, "query": "mood:negative ("}, None),
        ({"condition": MANY, "quiet_from": "22:00"}, "quiet_until"),
        ({"condition": MANY, "quiet_from": "25:00", "quiet_until": "06:00"}, "quiet_from"),
        ({"condition": {**MANY, "minutes": 0}}, "condition.minutes"),
    ],
)
async def test_a_rule_that_is_wrong_is_told_where(hub: Hub, body: dict[str, Any], field: str | None) -> None:
    answer = await hub.admin.post(RULES, json={"name": "R", **body})
    assert answer.status_code == 400
    if field is None:
        assert answer.json()["code"] == "query_invalid"
    else:
        assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_a_department_sees_and_warns_of_its_own_only(hub: Hub) -> None:
    service_ = await hub.post("/v1/departments", {"name": "Service", "slug": "service", "keywords": ["kettle"]})
    other = await hub.post("/v1/departments", {"name": "Other", "slug": "other"})
    lead = hub.as_key(await hub.member("department_lead", department_id=service_["id"]))
    mine = await lead.post(RULES, json={"name": "Mine", "condition": MANY, "department_id": service_["id"]})
    assert mine.status_code == 201
    assert (await lead.post(RULES, json={"name": "All", "condition": MANY})).status_code == 403
    assert (await lead.post(RULES, json={"name": "O", "condition": MANY, "department_id": other["id"]})).status_code == 404
    everything = await rule(hub, MANY)
    assert (await lead.get(f"{RULES}/{everything['id']}")).status_code == 404
    await hear(hub, *(said(hub, f"kettle {n}") for n in range(3)), said(hub, "else"))
    seen = (await lead.get(ALERTS)).json()["items"]
    assert [(one["rule_id"], one["figures"]) for one in seen] == [(mine.json()["id"], {"count": 3})]
