"""A backup is restored in the middle of a plan: nothing is out twice, nothing is lost, and what cannot be known is shown as unknown."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

import world
from loud import SAFETIES, LoudKey, LoudLookup, LoudPlugin, Said, Square, square
from pictures import picture
from smhub.app.backing_up import backup
from smhub.app.making import make_runtime
from smhub.app.restoring import Restored, restore
from smhub.mentions.models import Mention
from smhub.sdk import Connector, Draft, MentionRef, Pending, Plugin, PluginContext, Published, StandingClock
from smhub.settings import Settings
from smhub.time import wire
from world import Hub

pytestmark = pytest.mark.usefixtures("programs")
NETWORKS = (*SAFETIES, "forgetful", "watched", "heedful")
PERSON = ("container", "none")


class Forgetful(LoudKey):
    """Remembers a key for an hour."""

    network, key_seconds = "loud-forgetful", 3600.0


class Watched(Forgetful):
    """The same, and one can look."""

    network = "loud-watched"
    find_published = LoudLookup.find_published


class Dated(Said):
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


class Heedful(LoudLookup):
    """One can look, and sees no further back than one is told to."""

    network = "loud-heedful"

    async def _say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        said = await self.http.post("/posts", Said, json={"text": draft.text, "to": to, "at": wire(self.context.clock.now())})
        return Published(external_id=said.id)

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        said = await self.http.get("/posts", list[Dated])
        found = [one for one in said if one.text == draft.text and one.at >= since]
        return Published(external_id=found[0].id) if found else None


class MoreLoud(Plugin):
    id, title = "more-loud", "More Loud"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [Forgetful, Watched, Heedful]


PLUGINS = [LoudPlugin(), MoreLoud()]


class Company:
    """A hub that can be begun anew on the same database, a network, and a channel of each kind."""

    def __init__(self, url: str, folder: Path, network: Square, port: int) -> None:
        self.url, self.folder, self.network, self.allowed = url, folder, network, f"127.0.0.1:{port}"
        self.channels: dict[str, str] = {}
        self.again: tuple[str, StandingClock] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Hub]:
        async with world.start(self.url, plugins=PLUGINS, again=self.again, allow_private_hosts=self.allowed) as hub:
            self.again = hub.key, hub.clock
            for name in NETWORKS if not self.channels else ():
                body = {"network": f"loud-{name}", "name": name, "settings": {"base_url": f"http://{self.allowed}"}}
                self.channels[name] = (await hub.post("/v1/channels", body))["id"]
            yield hub

    async def say(self, hub: Hub, network: str, text: str, **more: Any) -> str:
        made = await hub.post(f"/v1/channels/{self.channels[network]}/posts", {"text": text, "max_lateness_seconds": 86_400, **more})
        return made["id"]  # type: ignore[no-any-return]

    async def backed_up(self, hub: Hub) -> Path:
        return (await backup(hub.runtime, self.folder)).file

    async def restored(self, file: Path) -> Restored:
        assert self.again is not None
        settings = Settings(database_url=self.url, secret_keys=world.KEYS)
        runtime = make_runtime(settings, clock=self.again[1], plugins=PLUGINS, seed=2)
        try:
            return await restore(runtime, file, replace=True)
        finally:
            await runtime.net.close()
            await runtime.database.close()


@asynccontextmanager
async def company(url: str, folder: Path) -> AsyncIterator[Company]:
    async with square() as (network, port):
        yield Company(url, folder, network, port)


async def states(hub: Hub) -> dict[str, dict[str, Any]]:
    return {one["text"]: one for one in (await hub.get("/v1/deliveries", params={"limit": 200}))["items"]}


async def test_a_backup_restored_in_the_middle_of_a_plan_says_nothing_twice_and_loses_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with company(database_url, tmp_path) as us:
        network = us.network
        async with us.open() as hub:
            later = wire(hub.clock.now() + timedelta(hours=2))
            early = {}
            for name in NETWORKS:
                await us.say(hub, name, f"{name}: before")
            await hub.work()
            await hub.work(seconds=2)
            for name in NETWORKS:
                network.script = lambda method, path: "lose" if method == "POST" else "ok"
                await us.say(hub, name, f"{name}: unclear")
                await hub.work()
                network.script = lambda method, path: "ok"
                await us.say(hub, name, f"{name}: soon", due_at=wire(hub.clock.now() + timedelta(seconds=60)))
                await us.say(hub, name, f"{name}: later", due_at=later)
                early[name] = await us.say(hub, name, f"{name}: hurried", due_at=later)
                await us.say(hub, name, f"{name}: draft", draft=True)
            file = await us.backed_up(hub)
            for name in NETWORKS:
                await us.say(hub, name, f"{name}: after")
                now = {"due_at": wire(hub.clock.now())}
                await hub.ok("PATCH", f"/v1/deliveries/{early[name]}", json=now)
            for _ in range(5):
                await hub.work(seconds=30)
            assert {f"{name}: {what}" for name in NETWORKS for what in ("before", "soon", "hurried", "after")} <= set(network.texts())
        out = Counter(network.texts())

        done = await us.restored(file)
        assert done.unclear.looked_for + done.unclear.for_people == 4 * len(NETWORKS)
        async with us.open() as hub:
            found = await states(hub)
            for name in NETWORKS:
                assert found[f"{name}: before"]["state"] == "published"
                assert found[f"{name}: draft"]["state"] == "draft"
                for what in ("unclear", "soon", "later", "hurried"):
                    one = found[f"{name}: {what}"]
                    assert (one["state"], one["reason_code"]) == ("unknown", "restored"), one
            for _ in range(4):
                await hub.work(seconds=11)
            assert Counter(network.texts()) == out, "nothing goes out before it is due, and nothing a second time"
            for _ in range(10):
                await hub.work(minutes=15)
            found = await states(hub)
            for name in NETWORKS:
                for what in ("unclear", "soon", "later", "hurried"):
                    wanted = "unknown" if name in PERSON else "published"
                    if name == "forgetful":
                        # Nobody can look, and when it is due the network has forgotten the key.
                        wanted = "unknown" if what in ("later", "hurried") else "published"
                    one = found[f"{name}: {what}"]
                    assert one["state"] == wanted, one
                    assert one["state"] == "published" or one["next_look_at"] is None
            for text, one in found.items():
                if one["state"] == "unknown":
                    # A person looks.
                    there = [post["id"] for post in network.posts if post["text"] == text]
                    verb, body = ("confirm", {"external_id": there[0]}) if there else ("resend", None)
                    await hub.post(f"/v1/deliveries/{one['id']}/{verb}", body)
            await hub.work()
            await hub.work(seconds=2)
            out = Counter(network.texts())
            assert [text for text, count in out.items() if count > 1] == []
            for text, one in (await states(hub)).items():
                assert one["state"] == ("draft" if text.endswith("draft") else "published"), one
                assert out[text] == (one["state"] == "published")


async def test_what_was_held_stays_held_and_is_said_once_the_hold_is_released(database_url: str, tmp_path: Path) -> None:
    async with company(database_url, tmp_path) as us:
        async with us.open() as hub:
            hold = await hub.post("/v1/holds", {"reason": "Shitstorm"})
            for name in NETWORKS:
                await us.say(hub, name, name)
            await hub.work()
            file = await us.backed_up(hub)
        await us.restored(file)
        async with us.open() as hub:
            for _ in range(10):
                await hub.work(minutes=1)
            assert us.network.writes == []
            await hub.post(f"/v1/holds/{hold['id']}/release")
            for _ in range(3):
                await hub.work(minutes=1)
            assert sorted(us.network.texts()) == ["forgetful", "heedful", "key", "lookup", "watched"]


async def test_what_is_too_late_is_not_said_by_a_key_that_is_still_remembered(database_url: str, tmp_path: Path) -> None:
    async with company(database_url, tmp_path) as us:
        async with us.open() as hub:
            await us.say(hub, "key", "Guten Morgen", max_lateness_seconds=600)
            file = await us.backed_up(hub)
            hub.clock.forward(hours=1)
        await us.restored(file)
        async with us.open() as hub:
            for _ in range(3):
                await hub.work(minutes=1)
            one = (await states(hub))["Guten Morgen"]
            assert (one["state"], one["next_look_at"], us.network.texts()) == ("unknown", None, [])


async def test_a_look_that_failed_proves_nothing(database_url: str, tmp_path: Path) -> None:
    async with company(database_url, tmp_path) as us:
        async with us.open() as hub:
            await us.say(hub, "lookup", "Guten Tag")
            file = await us.backed_up(hub)
        await us.restored(file)
        async with us.open() as hub:
            fates = iter(["503", "503"])
            us.network.script = lambda method, path: next(fates, "ok") if method == "GET" and path == "/posts" else "ok"
            looks = 0
            while us.network.texts() == []:
                await hub.work(seconds=11)
                looks = us.network.requests.count(("GET", "/posts"))
            assert looks == 4
            assert (await states(hub))["Guten Tag"]["state"] == "published"


async def test_an_answer_keeps_its_key_when_more_is_known_of_the_mention(database_url: str, tmp_path: Path) -> None:
    async with company(database_url, tmp_path) as us:
        us.network.mentions = ["m1"]
        async with us.open() as hub:
            await hub.work(minutes=5)
            mention = (await hub.mentions("network:loud-key"))[0]
            await hub.post(f"/v1/mentions/{mention['id']}/replies", {"text": "Gern", "undo_seconds": 60})
            file = await us.backed_up(hub)
            await hub.work(minutes=2)
        await us.restored(file)
        async with us.open() as hub:
            async with hub.database.write() as session:
                await session.execute(update(Mention).values(url="https://loud.test/m1", visibility="unlisted"))
            for _ in range(3):
                await hub.work(minutes=1)
            assert us.network.texts() == ["Gern"]
            assert (await states(hub))["Gern"]["settled_by"] == "key"


async def test_events_go_on_above_all_that_were_told_since_the_backup(database_url: str, tmp_path: Path) -> None:
    async with company(database_url, tmp_path) as us:
        async with us.open() as hub:
            file = await us.backed_up(hub)
            for number in range(5):
                await us.say(hub, "none", str(number), draft=True)
            seen = (await hub.get("/v1/events"))["last_seq"]
        for epoch in (2, 2):
            done = await us.restored(file)
            assert done.epoch == epoch
            async with us.open() as hub:
                hub.clock.forward(minutes=1)
                assert (await hub.get("/v1/deliveries"))["items"] == []
                await us.say(hub, "none", "neu", draft=True)
                told = (await hub.get("/v1/events", params={"after": seen}))["items"]
                types = [one["type"] for one in told]
                assert types == ["organisation.restored", "delivery.written"]
                assert told[0]["data"] == {"epoch": 2, "backup_at": wire(done.backup_at)}
                seen = told[-1]["seq"]
                assert seen < 2**53
                file_of_later = await us.backed_up(hub)
        assert (await us.restored(file_of_later)).epoch == 3


async def test_a_backup_made_while_others_write_is_whole(database_url: str, tmp_path: Path) -> None:
    async with company(database_url, tmp_path) as us:
        async with us.open() as hub:
            writing = True

            async def write() -> int:
                count = 0
                while writing:
                    await us.say(hub, "none", f"{count}", draft=True)
                    count += 1
                return count

            writer = asyncio.create_task(write())
            files = []
            for number in range(3):
                files.append((await backup(hub.runtime, tmp_path / f"{number}.backup")).file)
            writing = False
            total = await writer
        counts = []
        for file in files:
            await us.restored(file)
            async with us.open() as hub:
                there = sorted(int(text) for text in await states(hub))
                assert there == list(range(len(there)))
                written = [
                    one for one in (await hub.get("/v1/events", params={"limit": 200}))["items"] if one["type"] == "delivery.written"
                ]
                assert len(written) == len(there)
                counts.append(len(there))
        assert counts == sorted(counts)
        assert counts[-1] <= total


async def test_a_file_that_was_uploaded_before_the_backup_goes_out_after_it(database_url: str, tmp_path: Path) -> None:
    async with company(database_url, tmp_path) as us:
        async with us.open() as hub:
            kettle = await hub.post("/v1/media", files={"file": ("kettle.png", picture(1), "image/png")})
            given = {"text": "Neu", "draft": True, "media": [{"media_id": kettle["id"]}]}
            made = await hub.post(f"/v1/channels/{us.channels['none']}/posts", given)
            file = await us.backed_up(hub)
        await us.restored(file)
        async with us.open() as hub:
            await hub.post(f"/v1/deliveries/{made['id']}/queue", {})
            await hub.work()
            assert (await hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "published"
            assert us.network.blobs == [{"alt": "", "bytes": kettle["size"]}]
