"""What is said goes out once, as it was checked, and what is unclear is shown and cleared up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import world
from echo import EchoPlugin
from loud import SAFETIES, LoudPlugin, Square, square
from world import Hub


class Stage:
    """A hub, a network that can be spoken on, and a channel on it."""

    def __init__(self, hub: Hub, network: Square, channel: dict[str, Any]) -> None:
        self.hub, self.network, self.channel = hub, network, channel

    async def say(self, text: str = "Guten Tag", **more: Any) -> dict[str, Any]:
        return await self.hub.post(f"/v1/channels/{self.channel['id']}/posts", {"text": text, **more})  # type: ignore[no-any-return]

    async def now(self, delivery: dict[str, Any]) -> dict[str, Any]:
        return await self.hub.get(f"/v1/deliveries/{delivery['id']}")  # type: ignore[no-any-return]

    async def do(self, delivery: dict[str, Any], verb: str, json: Any = None) -> dict[str, Any]:
        return await self.hub.post(f"/v1/deliveries/{delivery['id']}/{verb}", json)  # type: ignore[no-any-return]


@asynccontextmanager
async def staged(url: str, safety: str) -> AsyncIterator[Stage]:
    async with square() as (network, port):
        allowed = f"127.0.0.1:{port}"
        async with world.start(url, plugins=[EchoPlugin(), LoudPlugin()], allow_private_hosts=allowed) as hub:
            settings = {"base_url": f"http://{allowed}"}
            channel = await hub.post("/v1/channels", {"network": f"loud-{safety}", "name": "Loud", "settings": settings})
            await hub.work()
            yield Stage(hub, network, channel)


@pytest.mark.parametrize("safety", SAFETIES)
async def test_a_post_goes_out_once_and_can_be_edited_and_taken_back(database_url: str, safety: str) -> None:
    async with staged(database_url, safety) as stage:
        said = await stage.say("Guten Tag")
        assert said["state"] == "queued"
        await stage.hub.work()
        await stage.hub.work(seconds=2)
        now = await stage.now(said)
        assert (now["state"], stage.network.texts()) == ("published", ["Guten Tag"])
        started = await stage.do(said, "edit", {"text": "Guten Abend"})
        await stage.hub.work()
        assert (await stage.hub.get(f"/v1/operations/{started['operation_id']}"))["state"] == "done"
        assert ((await stage.now(said))["text"], stage.network.texts()) == ("Guten Abend", ["Guten Abend"])
        await stage.do(said, "take-back")
        await stage.hub.work()
        assert ((await stage.now(said))["state"], stage.network.texts()) == ("deleted", [])
        tried = (await stage.hub.get(f"/v1/deliveries/{said['id']}/attempts"))["items"]
        assert [one["action"] for one in tried if one["action"] != "check"] == ["publish", "edit", "delete"]
        types = [event["type"] for event in (await stage.hub.get("/v1/events"))["items"] if event["subject_id"] == said["id"]]
        assert [one for one in types if one != "delivery.pending"] == [
            "delivery.written",
            "delivery.queued",
            "delivery.published",
            "delivery.edited",
            "delivery.taken_back",
        ]


@pytest.mark.parametrize("safety", SAFETIES)
async def test_a_lost_answer_is_unclear_and_then_clear_and_nothing_is_out_twice(database_url: str, safety: str) -> None:
    async with staged(database_url, safety) as stage:
        fates = iter(["lose"])
        stage.network.script = lambda method, path: next(fates, "ok") if method == "POST" else "ok"
        said = await stage.say()
        await stage.hub.work()
        assert (await stage.now(said))["state"] == "unknown"
        await stage.hub.work(seconds=11)
        await stage.hub.work(seconds=11)
        now = await stage.now(said)
        if safety == "none":
            assert (now["state"], now["next_look_at"]) == ("unknown", None)
            now = await stage.do(said, "confirm", {"external_id": "p0"})
        assert now["state"] == "published"
        assert now["settled_by"] == {"none": "person"}.get(safety, safety)
        assert stage.network.texts() == ["Guten Tag"]


@pytest.mark.parametrize("safety", SAFETIES)
async def test_a_request_that_vanished_is_sent_again_only_when_it_is_surely_not_out(database_url: str, safety: str) -> None:
    async with staged(database_url, safety) as stage:
        fates = iter(["drop"])
        stage.network.script = lambda method, path: next(fates, "ok") if method == "POST" else "ok"
        said = await stage.say()
        await stage.hub.work()
        assert ((await stage.now(said))["state"], stage.network.texts()) == ("unknown", [])
        for _ in range(5):
            await stage.hub.work(seconds=11)
        now = await stage.now(said)
        if safety == "none":
            assert (now["state"], stage.network.texts()) == ("unknown", [])
            await stage.do(said, "resend")
            await stage.hub.work()
            now = await stage.now(said)
        assert (now["state"], stage.network.texts()) == ("published", ["Guten Tag"])


async def test_what_is_too_long_is_refused_with_the_count_and_nothing_is_saved(database_url: str) -> None:
    async with staged(database_url, "key") as stage:
        path = f"/v1/channels/{stage.channel['id']}/posts"
        answer = await stage.hub.admin.post(path, json={"text": "ä" * 101})
        assert (answer.status_code, answer.json()["code"]) == (422, "unspeakable")
        assert answer.json()["errors"][0]["code"] == "too_long"
        assert (await stage.hub.get("/v1/deliveries"))["items"] == []
        found = await stage.hub.post(f"{path}/check", {"text": "ä" * 101})
        assert (found["length"], found["limit"], found["violations"][0]["actual"]) == (101, 100, 101)


async def test_a_hold_keeps_back_what_is_due_and_its_release_lets_it_go_in_order(database_url: str) -> None:
    async with staged(database_url, "key") as stage:
        hold = await stage.hub.post("/v1/holds", {"reason": "Shitstorm", "channel_id": stage.channel["id"]})
        first, second = await stage.say("eins"), await stage.say("zwei")
        await stage.hub.work()
        assert {(await stage.now(one))["state"] for one in (first, second)} == {"held"}
        assert stage.network.writes == []
        released = await stage.hub.post(f"/v1/holds/{hold['id']}/release")
        assert released["queued"] == 2
        await stage.hub.work()
        assert stage.network.texts() == ["eins", "zwei"]


async def test_a_cancelled_delivery_never_goes_out_and_a_published_one_cannot_be_cancelled(database_url: str) -> None:
    async with staged(database_url, "none") as stage:
        said = await stage.say(undo_seconds=30)
        assert (await stage.do(said, "cancel"))["state"] == "cancelled"
        await stage.hub.work(seconds=60)
        assert stage.network.writes == []
        out = await stage.say("zwei")
        await stage.hub.work()
        late = await stage.hub.admin.post(f"/v1/deliveries/{out['id']}/cancel")
        assert (late.status_code, late.json()["state"]) == (409, "published")


async def test_what_is_too_late_expires_and_is_not_poured_out(database_url: str) -> None:
    async with staged(database_url, "key") as stage:
        said = [await stage.say(str(number), max_lateness_seconds=600) for number in range(3)]
        await stage.hub.work(hours=3)
        assert {(await stage.now(one))["state"] for one in said} == {"expired"}
        assert stage.network.writes == []
        await stage.do(said[0], "queue", {})
        await stage.do(said[1], "resend")
        await stage.do(said[2], "abandon")
        await stage.hub.work()
        assert sorted(stage.network.texts()) == ["0", "1"]


async def test_a_token_that_ends_holds_the_channel_until_it_is_verified_again(database_url: str) -> None:
    async with staged(database_url, "key") as stage:
        stage.network.script = lambda method, path: "401"
        said = await stage.say()
        await stage.hub.work()
        now = await stage.now(said)
        assert (now["state"], now["reason_code"]) == ("held", "auth_expired")
        holds = (await stage.hub.get("/v1/holds"))["items"]
        assert [(one["cause"], one["channel_id"]) for one in holds] == [("auth_expired", stage.channel["id"])]
        tried = len(stage.network.writes)
        await stage.hub.work(minutes=30)
        assert len(stage.network.writes) == tried
        stage.network.script = lambda method, path: "ok"
        await stage.hub.post(f"/v1/channels/{stage.channel['id']}/verify")
        await stage.hub.work(seconds=10)
        await stage.hub.work(seconds=10)
        assert ((await stage.now(said))["state"], stage.network.texts()) == ("published", ["Guten Tag"])


async def test_two_who_answer_one_mention_learn_of_each_other(database_url: str) -> None:
    async with staged(database_url, "key") as stage:
        stage.network.mentions = ["m1"]
        await stage.hub.work(minutes=5)
        path = f"/v1/mentions/{(await stage.hub.mentions())[0]['id']}/replies"
        first = await stage.hub.post(path, {"text": "Ich kümmere mich", "draft": True})
        second = await stage.hub.admin.post(path, json={"text": "Ich auch"})
        assert second.status_code == 409
        assert (second.json()["in_the_way"]["id"], second.json()["in_the_way"]["state"]) == (first["id"], "draft")
        known = await stage.hub.post(path, {"text": "Und noch etwas", "after_reply_id": first["id"]})
        await stage.do(first, "queue", {})
        await stage.hub.work()
        assert [post["to"] for post in stage.network.posts] == ["m1", "m1"]
        assert {(await stage.now(one))["state"] for one in (first, known)} == {"published"}


async def test_an_answer_to_what_was_deleted_meanwhile_is_refused_and_its_words_are_kept(database_url: str) -> None:
    async with staged(database_url, "none") as stage:
        stage.network.mentions = ["m1"]
        await stage.hub.work(minutes=5)
        path = f"/v1/mentions/{(await stage.hub.mentions())[0]['id']}/replies"
        stage.network.script = lambda method, path: "404" if method == "POST" else "ok"
        said = await stage.hub.post(path, {"text": "Zu spät"})
        await stage.hub.work()
        now = await stage.now(said)
        assert (now["state"], now["reason_code"], now["text"]) == ("refused", "gone", "Zu spät")


async def test_a_network_that_asks_us_to_wait_is_left_alone_as_long(database_url: str) -> None:
    async with staged(database_url, "none") as stage:
        stage.network.headers = {"retry-after": "40"}
        stage.network.script = lambda method, path: "429"
        said = await stage.say()
        await stage.hub.work()
        await stage.hub.work(seconds=39)
        assert ((await stage.now(said))["state"], len(stage.network.writes)) == ("queued", 1)
        stage.network.script = lambda method, path: "ok"
        await stage.hub.work(seconds=15)
        assert stage.network.texts() == ["Guten Tag"]


async def test_other_words_can_be_put_in_until_it_goes_out_and_a_stale_change_is_refused(database_url: str) -> None:
    async with staged(database_url, "key") as stage:
        said = await stage.say("alt", undo_seconds=60)
        path = f"/v1/deliveries/{said['id']}"
        changed = await stage.hub.admin.patch(path, json={"text": "neu"}, headers={"If-Match": f'"{said["version"]}"'})
        assert (changed.status_code, changed.json()["text"]) == (200, "neu")
        stale = await stage.hub.admin.patch(path, json={"text": "zu spät"}, headers={"If-Match": f'"{said["version"]}"'})
        assert stale.status_code == 412
        long = await stage.hub.admin.patch(path, json={"text": "x" * 101})
        assert long.status_code == 422
        await stage.hub.work(seconds=61)
        assert stage.network.texts() == ["neu"]
        late = await stage.hub.admin.patch(path, json={"text": "nach dem Senden"})
        assert (late.status_code, late.json()["state"]) == (409, "published")


async def test_a_connector_that_breaks_again_and_again_is_held_and_probed(database_url: str) -> None:
    async with staged(database_url, "key") as stage:
        stage.network.script = lambda method, path: "ok"
        stage.network.nonsense = True
        for number in range(5):
            await stage.say(str(number))
        for _ in range(6):
            await stage.hub.work(minutes=1)
        holds = (await stage.hub.get("/v1/holds"))["items"]
        assert [one["cause"] for one in holds] == ["connector_bug"]
        stage.network.nonsense = False
        await stage.hub.work(minutes=30)
        await stage.hub.work(minutes=30)
        assert (await stage.hub.get("/v1/holds"))["items"] == []
        for _ in range(3):
            await stage.hub.work(minutes=10)
        assert sorted(stage.network.texts()) == ["0", "1", "2", "3", "4"]
