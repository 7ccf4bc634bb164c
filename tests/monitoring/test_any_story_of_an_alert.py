"""Mentions come, time goes by, people acknowledge and change rules, in any order: one alert at a time, each raised and cleared once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hearing import monitoring, said

RULES, ALERTS = "/v1/monitoring/alert-rules", "/v1/monitoring/alerts"


class Watching(RuleBasedStateMachine):
    """One rule with a word of its own. `stage` is set by the test: the hub and the loop that it lives in."""

    stage: Any = None

    def run(self, awaitable: Any) -> Any:
        return self.stage.loop.run_until_complete(awaitable)

    @initialize(at_least=st.integers(1, 3), minutes=st.sampled_from([5, 30]), cooldown=st.sampled_from([0, 60]))
    def watch(self, at_least: int, minutes: int, cooldown: int) -> None:
        self.stage.number += 1
        self.word, self.said, self.cooldown = f"word{self.stage.number}", 0, cooldown
        condition = {"kind": "threshold", "at_least": at_least, "minutes": minutes}
        body = {"name": self.word, "condition": condition, "query": self.word, "cooldown_minutes": cooldown}
        self.id = self.run(self.stage.hub.post(RULES, body))["id"]

    def alerts(self) -> list[dict[str, Any]]:
        return self.run(self.stage.hub.get(ALERTS, params={"rule_id": self.id, "limit": 200}))["items"]  # type: ignore[no-any-return]

    @rule(count=st.integers(1, 3))
    def people_say(self, count: int) -> None:
        hub = self.stage.hub
        hub.echo.says(*(said(hub, f"{self.word} {self.said + number}") for number in range(count)))
        self.said += count
        self.run(hub.work(minutes=1))

    @rule(minutes=st.sampled_from([1, 11, 45]))
    def time_goes_by(self, minutes: int) -> None:
        self.run(self.stage.hub.work(minutes=minutes))

    @rule()
    def somebody_acknowledges(self) -> None:
        for alert in self.alerts()[:1]:
            answer = self.run(self.stage.hub.admin.post(f"{ALERTS}/{alert['id']}/acknowledge"))
            assert (answer.status_code == 200) == (alert["state"] == "raised")

    @rule(enabled=st.booleans())
    def somebody_switches_the_rule(self, enabled: bool) -> None:
        self.run(self.stage.hub.ok("PATCH", f"{RULES}/{self.id}", json={"enabled": enabled}))
        assert enabled or all(alert["cleared_at"] for alert in self.alerts())

    @invariant()
    def there_is_one_at_a_time_and_each_was_told_once(self) -> None:
        if not hasattr(self, "id"):
            return
        alerts = self.alerts()
        assert sum(one["cleared_at"] is None for one in alerts) <= 1
        assert all((one["state"] == "cleared") == (one["cleared_at"] is not None) for one in alerts)
        for older, newer in pairwise(reversed(alerts)):
            assert older["cleared_at"] and older["cleared_at"] <= newer["raised_at"]
        told: Counter[tuple[str, str]] = Counter()
        for alert in alerts:
            events = self.run(self.stage.hub.get("/v1/events", params={"subject_id": alert["id"], "limit": 200}))["items"]
            told.update((alert["id"], one["type"]) for one in events)
            assert told[alert["id"], "monitoring.alert_raised"] == 1
            assert told[alert["id"], "monitoring.alert_cleared"] == (alert["cleared_at"] is not None)
            assert told[alert["id"], "monitoring.alert_acknowledged"] == (alert["acknowledged_at"] is not None)


class TheStage:
    """What all examples share."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.number = 0
        self.hub = self.loop.run_until_complete(self.stack.enter_async_context(monitoring(url)))

    def close(self) -> None:
        self.loop.run_until_complete(self.stack.aclose())
        self.loop.close()


def test_any_story_of_an_alert_raises_it_once(database_url: str) -> None:
    stage = TheStage(database_url)
    try:
        machine = type("Watching", (Watching,), {"stage": stage, "TestCase": None})
        run_state_machine_as_test(machine, settings=settings(max_examples=6, stateful_step_count=8))
    finally:
        stage.close()
