"""A storm: posts are held, what is said is gathered, and nothing is closed before it was learned from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from hearing import hear, monitoring, said
from smhub.features import Conflict
from smhub_monitoring.incidents.models import NEXT, Incident
from world import Hub

INCIDENTS = "/v1/monitoring/incidents"


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with monitoring(database_url) as started:
        yield started


async def opened(hub: Hub, **more: Any) -> dict[str, Any]:
    return await hub.post(INCIDENTS, {"name": "Kettles burn", "query": "kettle", **more})  # type: ignore[no-any-return]


async def post(hub: Hub, text: str) -> dict[str, Any]:
    channel = (await hub.get("/v1/channels"))["items"][0]
    return await hub.post(f"/v1/channels/{channel['id']}/posts", {"text": text})  # type: ignore[no-any-return]


async def state(hub: Hub, delivery: dict[str, Any]) -> str:
    return (await hub.get(f"/v1/deliveries/{delivery['id']}"))["state"]  # type: ignore[no-any-return]


async def test_one_switch_holds_posts_and_lets_answers_through(hub: Hub) -> None:
    await hear(hub, said(hub, "My kettle is on fire"))
    made = await opened(hub, holding_answer="We are looking into it.")
    active = await hub.post(f"{INCIDENTS}/{made['id']}/escalate", {})
    assert active["state"] == "active" and active["hold_id"]
    advert = await post(hub, "Buy our kettles!")
    [mention] = await hub.mentions("kettle")
    answer = await hub.post(f"/v1/mentions/{mention['id']}/replies", {"text": made["holding_answer"]})
    await hub.work(minutes=1)
    assert (await state(hub, advert), await state(hub, answer)) == ("held", "published")
    calm = await hub.post(f"{INCIDENTS}/{made['id']}/calm")
    await hub.work(minutes=1)
    assert (calm["state"], calm["hold_id"], await state(hub, advert)) == ("review", None, "published")


async def test_what_belongs_to_it_is_gathered_once(hub: Hub) -> None:
    await hear(hub, said(hub, "An old kettle", ago=timedelta(days=3)))
    made = await opened(hub, since=(hub.clock.now() - timedelta(hours=1)).isoformat())
    await hear(hub, *(said(hub, f"kettle {n}") for n in range(3)), said(hub, "weather"))
    await hear(hub, said(hub, "one more kettle"))
    now = await hub.get(f"{INCIDENTS}/{made['id']}")
    assert now["mentions"] == 4
    assert len(await hub.mentions(f"monitoring.incident:{made['id']}")) == 4


async def test_an_incident_that_an_alert_began_takes_its_query(hub: Hub) -> None:
    condition = {"kind": "threshold", "at_least": 3, "minutes": 60}
    await hub.post("/v1/monitoring/alert-rules", {"name": "R", "condition": condition, "query": "kettle"})
    await hear(hub, *(said(hub, f"kettle {n}") for n in range(3)))
    [alert] = (await hub.get("/v1/monitoring/alerts"))["items"]
    made = await hub.post(INCIDENTS, {"name": "I", "alert_id": alert["id"]})
    assert (made["query"], made["alert_id"]) == ("kettle", alert["id"])
    await hub.work(seconds=31)
    assert (await hub.get(f"{INCIDENTS}/{made['id']}"))["mentions"] == 3


async def test_a_storm_is_not_closed_before_its_review(hub: Hub) -> None:
    made = await opened(hub)
    path = f"{INCIDENTS}/{made['id']}"
    assert (await hub.admin.post(f"{path}/calm")).status_code == 409
    await hub.post(f"{path}/escalate", {"hold": False})
    assert (await hub.admin.post(f"{path}/close", json={})).status_code == 409
    await hub.post(f"{path}/timeline", {"text": "Called the press"})
    await hub.post(f"{path}/calm")
    refused = await hub.admin.post(f"{path}/close", json={})
    assert refused.status_code == 409 and "review" in refused.json()["detail"]
    closed = await hub.post(f"{path}/close", {"review": "Answer sooner."})
    assert (closed["state"], closed["review"]) == ("closed", "Answer sooner.")
    assert (await hub.admin.post(f"{path}/escalate", json={})).status_code == 409
    lines = (await hub.get(f"{path}/timeline"))["items"]
    assert [one["what"] for one in lines] == ["opened", "escalated", "note", "calmed", "closed"]


async def test_what_is_only_watched_may_be_closed_at_once(hub: Hub) -> None:
    made = await opened(hub)
    assert (await hub.post(f"{INCIDENTS}/{made['id']}/close", {}))["state"] == "closed"


async def test_a_wrong_query_is_told_and_changes_nothing(hub: Hub) -> None:
    assert (await hub.admin.post(INCIDENTS, json={"name": "I"})).status_code == 400
    made = await opened(hub)
    answer = await hub.admin.patch(f"{INCIDENTS}/{made['id']}", json={"query": "kettle ("})
    assert (answer.status_code, answer.json()["code"]) == (400, "query_invalid")
    assert (await hub.get(f"{INCIDENTS}/{made['id']}"))["query"] == "kettle"


class AnyStory(RuleBasedStateMachine):
    """Whatever people try in whatever order: it goes from state to state as the table says, and never half."""

    def __init__(self) -> None:
        super().__init__()
        self.at = datetime(2026, 11, 2, tzinfo=UTC)
        self.row = Incident(state="watch", version=1, active_at=None, review=None)
        self.was_active = False

    def _try(self, target: str, act: Any) -> None:
        before, version = self.row.state, self.row.version
        try:
            act()
        except Conflict:
            needs_review = target == "closed" and self.was_active and not self.row.review
            assert target not in NEXT[before] or needs_review
            assert (self.row.state, self.row.version) == (before, version)
        else:
            assert target in NEXT[before] and self.row.state == target
            assert self.row.version == version + 1

    @rule(hold=st.booleans())
    def escalate(self, hold: bool) -> None:
        self._try("active", lambda: self.row.escalated(None, self.at))
        self.was_active = self.was_active or self.row.state == "active"

    @rule()
    def calm(self) -> None:
        self._try("review", lambda: self.row.calmed(self.at))

    @rule(review=st.sampled_from([None, "", "learned"]))
    def close(self, review: str | None) -> None:
        self._try("closed", lambda: self.row.closed(review, self.at))

    @precondition(lambda self: self.row.state == "closed")
    @rule()
    def ends(self) -> None:
        assert self.row.closed_at and (self.row.review or not self.was_active)


def test_any_story_of_an_incident_follows_the_table() -> None:
    run_state_machine_as_test(AnyStory, settings=settings(max_examples=200, stateful_step_count=20))
