"""Figures: worked out by hand, with their n and coverage; what is empty is null and says why."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hearing import monitoring, said
from smhub_monitoring.reports.metrics import METRICS
from world import Hub

RUN = "/v1/monitoring/reports/run"
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with monitoring(database_url) as started:
        yield started


async def settle(hub: Hub) -> None:
    await hub.work(minutes=5)
    await hub.work(seconds=31)


def week(hub: Hub, **more: Any) -> dict[str, Any]:
    """The seven days around now."""
    middle = hub.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return {"from": (middle - timedelta(days=3)).isoformat(), "to": (middle + timedelta(days=4)).isoformat(), **more}


async def ask(hub: Hub, metrics: list[str], **more: Any) -> dict[str, Any]:
    return await hub.post(RUN, {**week(hub), "metrics": metrics, **more})  # type: ignore[no-any-return]


async def one(hub: Hub, metric: str, **more: Any) -> dict[str, Any]:
    [row] = (await ask(hub, [metric], **more))["rows"]
    return row["figures"][metric]  # type: ignore[no-any-return]


async def judged(hub: Hub, text: str, **said_of_it: str) -> str:
    """What a person says of the mention with this text."""
    [found] = await hub.mentions(f'"{text}"')
    for key, value in said_of_it.items():
        await hub.post(f"/v1/mentions/{found['id']}/annotations", {"key": key, "value": value})
    return found["id"]  # type: ignore[no-any-return]


async def test_every_definition_is_told_with_its_version(hub: Hub) -> None:
    items = (await hub.get("/v1/monitoring/metrics"))["items"]
    assert [one["name"] for one in items] == list(METRICS) and all(one["formula"] and one["version"] == 1 for one in items)


async def test_what_is_empty_is_null_and_says_why(hub: Hub) -> None:
    metrics = [name for name in METRICS if name != "share_of_voice"]
    [row] = (await ask(hub, metrics))["rows"]
    for figures in (row["figures"], row["before"]):
        assert {figure["value"] for figure in figures.values()} == {None}
        assert {figure["n"] for figure in figures.values()} == {0} and all(figure["why"] for figure in figures.values())


async def test_reach_counts_whose_followers_are_known_and_unique_reach_each_author_once(hub: Hub) -> None:
    hub.echo.says(
        said(hub, "eins", author="a", followers=100),
        said(hub, "zwei", author="a", followers=100),
        said(hub, "drei", author="b", followers=40),
        said(hub, "vier", author="c"),
    )
    await settle(hub)
    assert (await one(hub, "mentions"))["value"] == 4
    reach, unique = await one(hub, "potential_reach"), await one(hub, "unique_reach")
    assert (reach["value"], reach["n"], reach["coverage"]) == (240, 3, 0.75)
    assert (unique["value"], unique["n"], unique["coverage"]) == (140, 3, 0.75)


async def test_net_sentiment_with_and_without_neutral(hub: Hub) -> None:
    moods = ["positive", "positive", "positive", "negative", "neutral"]
    hub.echo.says(*(said(hub, f"xyz{n}qwv") for n in range(6)))
    await settle(hub)
    for number, mood in enumerate(moods):
        await judged(hub, f"xyz{number}qwv", mood=mood)
    await settle(hub)
    whole, without = await one(hub, "net_sentiment", query="xyz*"), await one(hub, "net_sentiment_without_neutral")
    said_of_all = 6 - len(await hub.mentions("-mood:positive -mood:negative -mood:neutral"))
    neutral = len(await hub.mentions("mood:neutral"))
    negative = len(await hub.mentions("mood:negative"))
    assert whole["value"] == pytest.approx((3 - negative) / said_of_all * 100, abs=0.001) and whole["n"] == said_of_all
    assert without["value"] == pytest.approx((3 - negative) / (said_of_all - neutral) * 100, abs=0.001)
    assert whole["coverage"] == pytest.approx(said_of_all / 6, abs=0.001)


async def test_detection_delay_is_a_median_with_the_slow_ones_beside_it(hub: Hub) -> None:
    seen_at = hub.clock.now() + timedelta(minutes=5)
    for seconds in (10, 20, 30, 40, 1000):
        hub.echo.says(said(hub, f"d{seconds}", ago=timedelta(seconds=seconds) - timedelta(minutes=5)))
    await settle(hub)
    assert seen_at <= hub.clock.now()
    delay = await one(hub, "detection_delay")
    assert (delay["value"], delay["p90"], delay["mean"], delay["n"]) == (30, 1000, 220, 5)


async def test_answers_are_counted_when_a_person_gave_them_in_public_and_in_time(hub: Hub) -> None:
    hours = [{"weekday": day, "from": "09:00", "to": "17:00"} for day in range(5)]
    body = {"name": "Service", "slug": "service", "time_zone": "Europe/Berlin", "opening_hours": hours}
    service = (await hub.post("/v1/departments", body))["id"]
    hub.echo.says(*(said(hub, f"xyz{n}qwv", ago=timedelta(hours=-0.1)) for n in range(4)), said(hub, "lob qwv"))
    await settle(hub)
    ids = [await judged(hub, f"xyz{n}qwv", intent="question") for n in range(4)]
    await hub.ok("PATCH", f"/v1/mentions/{ids[0]}", json={"department_id": service})
    await judged(hub, "lob qwv", intent="praise")
    await hub.post(f"/v1/mentions/{ids[0]}/replies", {"text": "Gern!"})
    await settle(hub)
    await hub.work(hours=5)
    await hub.post(f"/v1/mentions/{ids[1]}/replies", {"text": "Spät, aber gern!"})
    await settle(hub)
    within = await one(hub, "answered_within_goal", goal_minutes=60)
    assert (within["value"], within["n"], within["coverage"]) == (25.0, 4, 1.0)
    rate = await one(hub, "response_rate", window_minutes=1440)
    assert (rate["value"], rate["n"], rate["coverage"], rate["why"]) == (None, 0, 0.0, "not_over_yet")
    await hub.work(days=1)
    rate = await one(hub, "response_rate", window_minutes=1440)
    assert (rate["value"], rate["n"], rate["coverage"]) == (50.0, 4, 1.0)
    first, within_hours = await one(hub, "first_response_time"), await one(hub, "first_response_time_open")
    assert first["n"] == 2 and first["coverage"] == 0.4 and first["p90"] > 5 * 3600 > first["mean"]
    assert within_hours["n"] == 1 and within_hours["coverage"] == 0.5


async def test_the_share_of_voice_is_of_the_named_set(hub: Hub) -> None:
    members = [{"name": "Nordwind", "ours": True, "query": "nordwind"}, {"name": "Südpost", "query": "südpost"}]
    brands = await hub.post("/v1/monitoring/brand-sets", {"name": "Versand", "members": members})
    hub.echo.says(*(said(hub, f"Nordwind {n}") for n in range(3)), said(hub, "Südpost allein"), said(hub, "Niemand"))
    await settle(hub)
    rows = (await ask(hub, ["share_of_voice", "mentions"], group_by=["brand"], brand_set_id=brands["id"]))["rows"]
    shares = {row["group"]["brand"]: row["figures"]["share_of_voice"] for row in rows}
    assert {name: (share["value"], share["n"]) for name, share in shares.items()} == {"Nordwind": (75.0, 4), "Südpost": (25.0, 4)}
    assert {row["before"]["share_of_voice"]["why"] for row in rows} == {"no_brand_named"}
    assert {row["figures"]["mentions"]["value"] for row in rows} == {3, 1}


async def test_groups_and_the_period_before(hub: Hub) -> None:
    hub.echo.says(*(said(hub, f"alt {n}", ago=timedelta(days=7)) for n in range(2)), *(said(hub, f"neu {n}") for n in range(5)))
    await settle(hub)
    for metrics in (["mentions"], ["mentions", "detection_delay"]):
        answer = await ask(hub, metrics, group_by=["network"])
        [row] = answer["rows"]
        assert row["group"] == {"network": "echo"}
        assert (row["figures"]["mentions"]["value"], row["before"]["mentions"]["value"]) == (5, 2)
    by_day = (await ask(hub, ["mentions"], group_by=["day", "network"], compare="none"))["rows"]
    assert [row["group"]["day"] for row in by_day] == [hub.clock.now().date().isoformat()] and by_day[0]["before"] is None
    for zone, summed in (("Europe/Berlin", True), ("Asia/Kolkata", False)):
        answer = await ask(hub, ["mentions"], group_by=["hour_of_week"], time_zone=zone)
        assert answer["summed"] is summed and sum(row["figures"]["mentions"]["value"] or 0 for row in answer["rows"]) == 5


async def test_the_period_before_is_as_long_on_the_wall_when_the_clocks_change(hub: Hub) -> None:
    times = {"from": "2026-10-26T00:00:00+01:00", "to": "2026-11-02T00:00:00+01:00"}
    answer = await hub.post(RUN, {"metrics": ["mentions"], **times})
    assert answer["before_from"] == "2026-10-18T22:00:00Z" and answer["before_to"] == answer["from"]


async def test_a_right_over_a_department_counts_what_belongs_to_it(hub: Hub) -> None:
    service = (await hub.post("/v1/departments", {"name": "Service", "slug": "service"}))["id"]
    below = (await hub.post("/v1/departments", {"name": "Retouren", "slug": "retouren", "parent_id": service}))["id"]
    other = (await hub.post("/v1/departments", {"name": "Presse", "slug": "presse"}))["id"]
    hub.echo.says(*(said(hub, f"xyz{n}qwv") for n in range(4)))
    await settle(hub)
    for number, department in enumerate((service, below, other)):
        id_ = await judged(hub, f"xyz{number}qwv")
        await hub.ok("PATCH", f"/v1/mentions/{id_}", json={"department_id": department})
    await settle(hub)
    lead = hub.as_key(await hub.member("department_lead", department_id=service))
    body = {**week(hub), "metrics": ["mentions", "detection_delay"]}
    [row] = (await hub.ok("POST", RUN, lead, json=body))["rows"]
    assert {name: figure["n"] for name, figure in row["figures"].items()} == {"mentions": 2, "detection_delay": 2}
    assert (await hub.ok("POST", RUN, lead, json={**body, "department_id": below}))["rows"][0]["figures"]["mentions"]["value"] == 1
    assert (await lead.post(RUN, json={**body, "department_id": other})).status_code == 404
    assert (await one(hub, "mentions"))["value"] == 4
    by = (await ask(hub, ["mentions"], group_by=["department"]))["rows"]
    assert {row["titles"].get("department") for row in by} == {"service", "service/retouren", "presse", None}


WRONG = [
    {"metrics": ["nonsense"]},
    {"metrics": ["mentions"], "group_by": ["colour"]},
    {"metrics": ["mentions", "mentions"]},
    {"metrics": ["net_sentiment"], "group_by": ["mood"]},
    {"metrics": ["share_of_voice"]},
    {"metrics": ["mentions"], "group_by": ["brand"]},
    {"metrics": ["mentions"], "from": "2026-11-02T00:00:00Z", "to": "2026-11-02T00:00:00Z"},
    {"metrics": ["mentions"], "from": "2016-11-02T00:00:00Z"},
    {"metrics": ["mentions"], "from": "1926-11-02T00:00:00Z", "to": "1926-11-03T00:00:00Z"},
    {"metrics": ["mentions"], "time_zone": "Europe/Nowhere"},
    {"metrics": ["mentions"], "query": "nonsense:("},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_what_makes_no_sense_is_refused(hub: Hub, wrong: dict[str, Any]) -> None:
    answer = await hub.admin.post(RUN, json={**week(hub), **wrong})
    assert answer.status_code in (400, 422), answer.text


async def test_a_table_is_safe_to_open_in_a_spreadsheet(hub: Hub) -> None:
    members = [{"name": '=cmd|"calc"', "query": "nordwind"}, {"name": "+Post", "query": "post"}, {"name": "Übel", "query": "übel"}]
    brands = await hub.post("/v1/monitoring/brand-sets", {"name": "S", "members": members})
    hub.echo.says(said(hub, "Nordwind, übel"))
    await settle(hub)
    body = {**week(hub), "metrics": ["share_of_voice"], "group_by": ["brand"], "brand_set_id": brands["id"]}
    answer = await hub.admin.post("/v1/monitoring/reports/table", json=body)
    assert answer.headers["content-type"].startswith("text/csv") and answer.status_code == 200
    head, *lines = csv.reader(io.StringIO(answer.content.decode()))
    assert head[0] == "brand" and "value_before" in head
    assert [line[0] for line in lines] == ["'+Post", '\'=cmd|"calc"', "Übel"]
    assert [line[head.index("value")] for line in lines] == ["0.0", "50.0", "50.0"]


async def test_a_chart_is_a_specification_with_its_data(hub: Hub) -> None:
    hub.echo.says(*(said(hub, f"x {n}") for n in range(3)))
    await settle(hub)
    question = {**week(hub), "metrics": ["mentions"], "group_by": ["network"]}
    spec = (await hub.post("/v1/monitoring/reports/chart", {"question": question, "language": "de"}))["spec"]
    assert spec["title"] == "Erwähnungen" and spec["$schema"].endswith("vega-lite/v5.json")
    assert [(one["group"], one["series"], one["value"]) for one in spec["data"]["values"]] == [
        ("echo", "Zeitraum", 3),
        ("echo", "Davor", None),
    ]


async def test_brand_sets_are_kept_changed_and_removed(hub: Hub) -> None:
    path = "/v1/monitoring/brand-sets"
    members = [{"name": "A", "query": "a"}, {"name": "B", "query": "b"}]
    made = await hub.post(path, {"name": "S", "members": members})
    assert (await hub.get(path))["items"] == [made]
    changed = await hub.ok("PATCH", f"{path}/{made['id']}", json={"members": [*members, {"name": "C", "query": "c"}]})
    assert len(changed["members"]) == 3 and changed["version"] == 2
    for wrong in ([members[0], members[0]], [members[0], {"name": "X", "query": "("}]):
        assert (await hub.admin.patch(f"{path}/{made['id']}", json={"members": wrong})).status_code in (400, 422)
    await hub.ok("DELETE", f"{path}/{made['id']}")
    assert (await hub.get(path))["items"] == []
