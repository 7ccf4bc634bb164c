"""Queue, hold, edit, cancel, send, lose, reconcile in any order, and at the same time: at most once, as written, and never lost."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

import world
from loud import SAFETIES, LoudPlugin, square

REST = ("draft", "published", "refused", "cancelled", "expired", "abandoned", "deleted")


class Saying(RuleBasedStateMachine):
    """One delivery, many hands. `stage` is set by the test: the hub, the network, the channels, and the loop they live in."""

    stage: Any = None

    def run(self, awaitable: Any) -> Any:
        return self.stage.loop.run_until_complete(awaitable)

    def do(self, verb: str, json: Any = None) -> Any:
        return self.run(self.stage.hub.admin.post(f"/v1/deliveries/{self.id}/{verb}", json=json))

    @initialize(safety=strategies.sampled_from(SAFETIES), draft=strategies.booleans())
    def write(self, safety: str, draft: bool) -> None:
        self.stage.number += 1
        self.safety, self.tag, self.edits, self.held = safety, f"#{self.stage.number}.", 0, None
        self.fates: list[str] = []
        self.stage.network.script = self.fate
        path = f"/v1/channels/{self.stage.channels[safety]}/posts"
        self.id = self.run(self.stage.hub.post(path, {"text": self.words(), "draft": draft}))["id"]
        self.seen: set[str] = set()

    def words(self) -> str:
        return f"{self.tag} {self.edits}"

    def fate(self, method: str, path: str) -> str:
        return self.fates.pop(0) if self.fates and method != "GET" else "ok"

    def now(self) -> Any:
        return self.run(self.stage.hub.get(f"/v1/deliveries/{self.id}"))

    def out(self) -> list[dict[str, Any]]:
        return [post for post in self.stage.network.posts if post["text"].startswith(f"{self.tag} ")]

    @rule(fate=strategies.sampled_from(["lose", "drop", "429", "422", "500", "ok"]))
    def the_network_will(self, fate: str) -> None:
        self.fates.append(fate)

    @rule()
    def queue(self) -> None:
        answer = self.do("queue", {})
        assert (answer.status_code == 200) == (answer.json().get("state") == "queued" and answer.status_code == 200)

    @rule()
    def edit(self) -> None:
        self.edits += 1
        answer = self.run(self.stage.hub.admin.patch(f"/v1/deliveries/{self.id}", json={"text": self.words()}))
        assert answer.status_code in (200, 409)
        if answer.status_code == 409:
            assert self.now()["state"] not in ("draft", "queued", "held", "refused", "expired")

    @rule(seconds=strategies.sampled_from([0, 11, 70]))
    def work(self, seconds: int) -> None:
        self.run(self.stage.hub.work(seconds=seconds))

    @rule()
    def edit_while_it_is_sent(self) -> None:
        self.edits += 1

        async def both() -> None:
            change = self.stage.hub.admin.patch(f"/v1/deliveries/{self.id}", json={"text": self.words()})
            _, answer = await asyncio.gather(self.stage.hub.work(), change)
            assert answer.status_code in (200, 409, 503)

        self.run(both())

    @rule()
    def cancel_while_it_is_sent(self) -> None:
        async def both() -> None:
            cancelling = self.stage.hub.admin.post(f"/v1/deliveries/{self.id}/cancel")
            _, answer = await asyncio.gather(self.stage.hub.work(), cancelling)
            assert answer.status_code in (200, 409, 503)

        self.run(both())

    @rule()
    def cancel(self) -> None:
        before = self.now()["state"]
        assert (self.do("cancel").status_code == 200) == (before in ("draft", "queued", "held"))

    @precondition(lambda self: self.held is None)
    @rule()
    def hold(self) -> None:
        self.held = self.run(self.stage.hub.post("/v1/holds", {"reason": "stop", "channel_id": self.stage.channels[self.safety]}))["id"]

    @precondition(lambda self: self.held is not None)
    @rule()
    def release(self) -> None:
        self.run(self.stage.hub.post(f"/v1/holds/{self.held}/release"))
        self.held = None

    @rule()
    def reconcile(self) -> None:
        before = self.now()["state"]
        assert (self.do("reconcile").status_code == 200) == (before == "unknown")

    @precondition(lambda self: self.now()["state"] == "unknown" and self.now()["next_look_at"] is None)
    @rule()
    def a_person_looks(self) -> None:
        there = self.out()
        answer = self.do("confirm", {"external_id": there[0]["id"]}) if there else self.do("resend")
        assert answer.status_code == 200

    @rule()
    def abandon(self) -> None:
        before = self.now()["state"]
        assert (self.do("abandon").status_code == 200) == (before in ("unknown", "refused", "expired"))

    @invariant()
    def it_is_there_at_most_once_and_never_when_it_was_cancelled(self) -> None:
        if not hasattr(self, "id"):
            return
        row, there = self.now(), self.out()
        assert len(there) <= 1
        if row["state"] in ("draft", "queued", "held", "cancelled", "expired", "refused"):
            assert there == [], row
        if row["state"] == "published":
            assert [(post["id"], post["text"]) for post in there] == [(row["external_id"], row["text"])]

    def teardown(self) -> None:
        if not hasattr(self, "id"):
            return
        self.fates = []
        if self.held is not None:
            self.release()
        for _ in range(8):
            if (row := self.now())["state"] in REST:
                break
            self.run(self.stage.hub.work(seconds=71))
        row = self.now()
        assert row["state"] in REST or (self.safety == "none" and row["state"] == "unknown"), row
        self.it_is_there_at_most_once_and_never_when_it_was_cancelled()


class TheStage:
    """What all examples share."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.number = 0
        self.channels: dict[str, str] = {}

    async def open(self, url: str) -> None:
        self.network, port = await self.stack.enter_async_context(square())
        allowed = f"127.0.0.1:{port}"
        started = world.start(url, plugins=[LoudPlugin()], allow_private_hosts=allowed, requests_per_minute=1_000_000)
        self.hub = await self.stack.enter_async_context(started)
        for safety in SAFETIES:
            body = {"network": f"loud-{safety}", "name": safety, "settings": {"base_url": f"http://{allowed}"}}
            self.channels[safety] = (await self.hub.post("/v1/channels", body))["id"]
        for channel in self.channels.values():
            await self.hub.post(f"/v1/channels/{channel}/pause")
        await self.hub.work()


def interleave(url: str, examples: int, steps: int) -> None:
    stage = TheStage()
    try:
        stage.loop.run_until_complete(stage.open(url))
        machine = type("Saying", (Saying,), {"stage": stage, "TestCase": None})
        run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))
    finally:
        stage.loop.run_until_complete(stage.stack.aclose())
        stage.loop.close()


def test_any_order_of_hands_says_it_at_most_once(database_url: str) -> None:
    interleave(database_url, 25, 12)


@pytest.mark.soak
def test_ten_thousand_orders_of_hands_say_it_at_most_once(database_url: str) -> None:
    interleave(database_url, int(os.environ.get("INTERLEAVINGS", "10000")), 12)
