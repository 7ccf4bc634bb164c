"""The Mastodon connector against a server that others wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import world
from counterpart import relay, running
from smhub.net import AllowList, Client, ConnectorHttp
from smhub.sdk import (
    ConnectorContext,
    ContentRejected,
    Draft,
    Gone,
    Media,
    Mention,
    MentionRef,
    RateLimited,
    Response,
    Search,
    SystemClock,
    Tombstone,
    Transient,
    read_settings,
)
from smhub_mastodon.connector import Mastodon
from smhub_mastodon.plugin import MastodonPlugin

pytestmark = pytest.mark.counterpart
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A fresh server with the accounts firma and kundin; its address."""
    with running("mastodon", "/api/v1/instance", tmp_path / "mastodon.log") as url:
        yield url


class Somebody:
    """An account with a client of its own."""

    def __init__(self, url: str, name: str) -> None:
        self.client = httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer tok-{name}"})

    async def ask(self, method: str, path: str, **words: Any) -> Any:
        answer = await self.client.request(method, path, **({"json": words} if words else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def says(self, text: str, **more: Any) -> dict[str, Any]:
        return await self.ask("POST", "/api/v1/statuses", status=text, **more)  # type: ignore[no-any-return]

    async def said(self) -> list[dict[str, Any]]:
        me = await self.ask("GET", "/api/v1/accounts/verify_credentials")
        return (await self.ask("GET", f"/api/v1/accounts/{me['id']}/statuses?limit=40"))[::-1]  # type: ignore[no-any-return]


@pytest.fixture
async def kundin(server: str) -> AsyncIterator[Somebody]:
    somebody = Somebody(server, "kundin")
    yield somebody
    await somebody.client.aclose()


@pytest.fixture
async def firma(server: str) -> AsyncIterator[Somebody]:
    somebody = Somebody(server, "firma")
    yield somebody
    await somebody.client.aclose()


class Impatient(ConnectorHttp):
    """Waits no longer than `patience` seconds for an answer."""

    patience: float | None = None

    async def request(self, method: str, url: str, **more: Any) -> Response:
        return await super().request(method, url, **{**more, "deadline": self.patience})


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Mastodon]]:
    clients: list[Client] = []

    def make(url: str) -> Mastodon:
        config = read_settings(Mastodon.Config, {"base_url": url, "token": "tok-firma"})
        clients.append(Client(AllowList.parse(url.removeprefix("http://")), SystemClock()))
        http = Impatient(
            client=clients[-1],
            network="mastodon",
            clock=SystemClock(),
            base_url=url,
            headers=Mastodon.headers(config),
            rates=Mastodon.rates,
            map_error=Mastodon.map_error,
        )
        return Mastodon(config, http, ConnectorContext(clock=SystemClock()))

    yield make
    for client in clients:
        await client.aclose()


async def the_mention(connector: Mastodon) -> MentionRef:
    """The newest mention as the hub would hand it back."""
    items = [item async for page in connector.fetch_mentions(None) for item in page.items]
    newest = items[-1]
    assert isinstance(newest, Mention)
    assert newest.author is not None
    return MentionRef(
        external_id=newest.external_id,
        scope=newest.scope,
        url=newest.url,
        author_handle=newest.author.handle,
        visibility=newest.visibility,
        raw=newest.raw,
    )


async def test_what_is_said_there_stands_in_the_hub_with_its_edit_and_its_deletion(
    database_url: str, server: str, kundin: Somebody
) -> None:
    allowed = server.removeprefix("http://")
    async with world.start(database_url, plugins=[MastodonPlugin()], allow_private_hosts=allowed) as hub:
        settings = {"base_url": server, "token": "tok-firma"}
        channel = await hub.post("/v1/channels", {"network": "mastodon", "name": "Mastodon", "settings": settings})
        operation = await hub.post(f"/v1/channels/{channel['id']}/verify")
        await hub.work()
        verified = await hub.get(f"/v1/operations/{operation['operation_id']}")
        account = verified["result"]["account"]
        assert (account["handle"].partition("@")[0], account["safety"], account["limits"]["count"]) == ("firma", "key", "mastodon")

        broken = await kundin.says("@firma Mein Kessel ist kaputt <script>alert(1)</script>")
        gone = await kundin.says("@firma Bald weg", visibility="direct")
        await hub.work(minutes=2)
        items = await hub.mentions("network:mastodon")
        found = {one["external_id"]: (one["text"], one["kind"], one["visibility"]) for one in items}
        assert found == {
            broken["id"]: ("@firma Mein Kessel ist kaputt <script>alert(1)</script>", "post", "public"),
            gone["id"]: ("@firma Bald weg", "direct_message", "private"),
        }
        assert all("<script" not in (one["html"] or "") for one in items)

        await kundin.ask("PUT", f"/api/v1/statuses/{broken['id']}", status="@firma Mein Kessel geht wieder")
        await kundin.ask("DELETE", f"/api/v1/statuses/{gone['id']}")
        await hub.work(minutes=2)
        (left,) = await hub.mentions("network:mastodon")
        assert (left["text"], left["content_state"]) == ("@firma Mein Kessel geht wieder", "edited")
        deleted = await hub.mentions("content:deleted", deleted=True)
        assert [(one["external_id"], one["text"]) for one in deleted] == [(gone["id"], "")]


async def test_a_listener_finds_hashtags_and_words_of_others(database_url: str, server: str, kundin: Somebody) -> None:
    allowed = server.removeprefix("http://")
    async with world.start(database_url, plugins=[MastodonPlugin()], allow_private_hosts=allowed) as hub:
        listener = {
            "network": "mastodon",
            "name": "Kessel",
            "settings": {"base_url": server, "token": "tok-firma"},
            "words": ["#kessel", "pfeift"],
            "purpose": "Answer questions",
            "legal_basis": "Art. 6(1)(f)",
        }
        await hub.post("/v1/listeners", listener)
        said = [await kundin.says("Mein #Kessel ist neu"), await kundin.says("Er pfeift schön"), await kundin.says("Guten Tag")]
        await hub.work()
        assert {one["external_id"] for one in await hub.mentions()} == {said[0]["id"], said[1]["id"]}


async def test_ninety_mentions_come_once_each_in_order(server: str, connect: Callable[..., Mastodon], kundin: Somebody) -> None:
    said = [(await kundin.says(f"@firma Nummer {number}"))["id"] for number in range(90)]
    pages = [page async for page in connect(server).fetch_mentions(None)]
    assert [item.external_id for page in pages for item in page.items if isinstance(item, Mention)] == said
    resumed = [page async for page in connect(server).fetch_mentions(pages[1].cursor)]
    there = [item.external_id for page in [*pages[:2], *resumed] for item in page.items if isinstance(item, Mention)]
    assert set(there) == set(said)


async def test_verify_knows_the_server_and_a_wrong_word_in_the_search_finds_nothing(
    server: str, connect: Callable[..., Mastodon]
) -> None:
    account = await connect(server).verify()
    assert account.limits is not None
    assert (account.safety, account.limits.max, account.limits.max_media) == ("key", 500, 4)
    found = [item async for page in connect(server).search(Search(words=("gibtesnicht",)), None) for item in page.items]
    assert found == []


async def test_an_answer_goes_out_once_is_found_edited_and_taken_back(
    server: str, connect: Callable[..., Mastodon], kundin: Somebody, firma: Somebody
) -> None:
    asked = await kundin.says("@firma Wo bleibt mein Kessel?", visibility="unlisted", spoiler_text="Ärger")
    connector = connect(server)
    to, begun = await the_mention(connector), datetime.now(UTC)
    draft = Draft(text="Kommt morgen: https://shop.test/kessel?a=1&b=2 \U0001fad6", language="de")
    assert await connector.find_published(draft, KEY, begun, to) is None
    done = await connector.reply(to, draft, KEY)
    assert await connector.reply(to, draft, KEY) == done
    (out,) = await firma.said()
    assert (out["in_reply_to_id"], out["visibility"], out["spoiler_text"]) == (asked["id"], "unlisted", "Ärger")
    assert [one["acct"] for one in out["mentions"]] == ["kundin"]
    assert await connector.find_published(draft, KEY, begun, to) == done
    assert await connector.find_published(draft, KEY, begun + timedelta(minutes=5), to) is None
    assert await connector.edit(done.external_id, Draft(text="Kommt **heute**"), KEY) == done
    assert await connector.find_published(Draft(text="Kommt **heute**", sensitive=""), KEY, begun, to) == done
    (counted,) = await connector.metrics([done.external_id])
    assert counted.values["likes"] == 0
    await connector.delete(done.external_id)
    with pytest.raises(Gone):
        await connector.delete(done.external_id)
    assert await connector.find_published(draft, KEY, begun, to) is None


async def test_a_picture_goes_out_with_its_description(server: str, connect: Callable[..., Mastodon], firma: Somebody) -> None:
    picture = Media(media_type="image/png", content=b"\x89PNG\r\n\x1a\n", alt_text="Ein Kessel, der pfeift")
    await connect(server).publish(Draft(text="Seht", media=(picture,)), KEY)
    (out,) = await firma.said()
    assert [(one["type"], one["description"]) for one in out["media_attachments"]] == [("image", "Ein Kessel, der pfeift")]


async def test_what_is_too_long_is_rejected_with_the_servers_reason(server: str, connect: Callable[..., Mastodon]) -> None:
    with pytest.raises(ContentRejected) as rejected:
        await connect(server).publish(Draft(text="x" * 501), KEY)
    assert "too long" in rejected.value.violations[0]


async def test_every_third_answer_is_lost_after_the_server_acted_and_each_post_is_out_once(
    server: str, connect: Callable[..., Mastodon], firma: Somebody
) -> None:
    async with relay(server, lambda method, number: method == "POST" and number % 3 == 0) as through:
        connector, tries = connect(through), 0
        for number in range(15):
            done = None
            while done is None:
                tries += 1
                try:
                    done = await connector.publish(Draft(text=f"Beitrag {number}"), f"{number:032x}")
                except Transient:
                    continue
        assert tries > 15
    assert [one["content"] for one in await firma.said()] == [f"<p>Beitrag {number}</p>" for number in range(15)]


async def test_every_third_answer_is_lost_and_looking_finds_each_without_a_second_try(
    server: str, connect: Callable[..., Mastodon], kundin: Somebody, firma: Somebody
) -> None:
    await kundin.says("@firma Hallo")
    async with relay(server, lambda method, number: method == "POST" and number % 3 == 0) as through:
        connector, lost = connect(through), 0
        to = await the_mention(connector)
        for number in range(15):
            draft, begun = Draft(text=f"Antwort {number} https://shop.test/{number}"), datetime.now(UTC)
            try:
                await connector.reply(to, draft, f"{number:032x}")
            except Transient:
                lost += 1
                assert await connector.find_published(draft, f"{number:032x}", begun, to) is not None
        assert lost == 5
    assert len(await firma.said()) == 15


async def test_its_own_faults_are_told_by_their_kind_and_nothing_is_out_twice(
    server: str, connect: Callable[..., Mastodon], firma: Somebody
) -> None:
    connector = connect(server)

    async def fault(**effect: Any) -> None:
        match = {"methods": ["POST"], "path": "/api/v1/statuses"}
        await firma.ask("POST", "/api/v1/_mock/faults", match=match, effect=effect, count=1)

    await fault(type="ratelimit")
    with pytest.raises(RateLimited) as limited:
        await connector.publish(Draft(text="Hallo"), KEY)
    assert limited.value.retry_after == pytest.approx(300, abs=5)
    for effect in ({"type": "status", "status": 503}, {"type": "status", "status": 502}):
        await fault(**effect)
        with pytest.raises(Transient):
            await connector.publish(Draft(text="Hallo"), KEY)
    assert await firma.said() == []
    done = await connector.publish(Draft(text="Hallo"), KEY)
    assert [one["id"] for one in await firma.said()] == [done.external_id]


async def test_a_server_that_acts_after_we_gave_up_is_waited_for_and_has_it_once(
    server: str, connect: Callable[..., Mastodon], firma: Somebody
) -> None:
    late, acted = asyncio.Event(), asyncio.Event()

    def lose(method: str, number: int) -> bool:
        acted.set()
        return True

    draft, begun = Draft(text="Hallo"), datetime.now(UTC)
    async with relay(server, lose, hold=late) as through:
        connector = connect(through)
        assert isinstance(connector.http, Impatient)
        connector.http.patience = 0.3
        with pytest.raises(Transient):
            await connector.publish(draft, KEY)
        assert connector.http.acted
        # Whoever looked or tried again at once would be wrong: that is what settle_seconds are for.
        assert await connect(server).find_published(draft, KEY, begun) is None
        late.set()
        await acted.wait()
    done = await connect(server).publish(draft, KEY)
    assert [one["id"] for one in await firma.said()] == [done.external_id]
    assert await connect(server).find_published(draft, KEY, begun) == done


async def test_answers_through_the_api_are_out_once_each_though_every_third_answer_is_lost(
    database_url: str, server: str, kundin: Somebody, firma: Somebody
) -> None:
    async with relay(server, lambda method, number: method == "POST" and number % 3 == 0) as through:
        allowed = through.removeprefix("http://")
        async with world.start(database_url, plugins=[MastodonPlugin()], allow_private_hosts=allowed) as hub:
            settings = {"base_url": through, "token": "tok-firma"}
            channel = await hub.post("/v1/channels", {"network": "mastodon", "name": "Mastodon", "settings": settings})
            asked = await kundin.says("@firma Wo bleibt mein Kessel?", visibility="unlisted")
            await hub.work(minutes=2)
            (mention,) = await hub.mentions()
            assert (await hub.get(f"/v1/channels/{channel['id']}"))["account"]["safety"] == "key"
            path, known, answers = f"/v1/mentions/{mention['id']}/replies", None, []
            for number in range(6):
                known = (await hub.post(path, {"text": f"Antwort {number}", "after_reply_id": known}))["id"]
                answers.append(known)
                await hub.work()
            states = [(await hub.get(f"/v1/deliveries/{one}"))["state"] for one in answers]
            assert "unknown" in states
            for _ in range(4):
                await hub.work(seconds=100)
            rows = [await hub.get(f"/v1/deliveries/{one}") for one in answers]
            assert {row["state"] for row in rows} == {"published"}
            assert {row["settled_by"] for row in rows} == {None, "key"}
            out = await firma.said()
            assert sorted(one["id"] for one in out) == sorted(row["external_id"] for row in rows)
            assert sorted(one["content"].rpartition("Antwort ")[2][0] for one in out) == list("012345")
            assert {(one["in_reply_to_id"], one["visibility"]) for one in out} == {(asked["id"], "unlisted")}

            long = await hub.admin.post(path, json={"text": "x" * 501, "after_reply_id": known})
            assert (long.status_code, long.json()["errors"][0]["code"]) == (422, "too_long")
            operation = await hub.post(f"/v1/deliveries/{answers[0]}/edit", {"text": "Kommt heute"})
            taken = await hub.post(f"/v1/deliveries/{answers[1]}/take-back")
            for _ in range(3):
                await hub.work(minutes=2)
            for one in (operation, taken):
                assert (await hub.get(f"/v1/operations/{one['operation_id']}"))["state"] == "done"
            left = {one["id"]: one["content"] for one in await firma.said()}
            assert "Kommt heute" in left[rows[0]["external_id"]]
            assert rows[1]["external_id"] not in left


async def test_a_server_by_others_tells_of_mentions_and_deletions_as_they_happen(server: str) -> None:
    clock = SystemClock()
    config = read_settings(Mastodon.Config, {"base_url": server, "token": "tok-firma"})
    client = Client(AllowList.parse(server.removeprefix("http://")), clock)
    http = ConnectorHttp(
        client=client, network="mastodon", clock=clock, base_url=server, headers=Mastodon.headers(config), map_error=Mastodon.map_error
    )
    opened = asyncio.Event()
    http.heard = opened.set
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def listen() -> None:
        async for page in Mastodon(config, http, ConnectorContext(clock=clock)).stream(None):
            for item in page.items:
                heard.put_nowait(item)

    listening = asyncio.create_task(listen())
    kundin, firma = Somebody(server, "kundin"), Somebody(server, "firma")
    # Deletions are told of those whom one follows. Of edits this server tells by another name than Mastodon's `status.update`.
    her = await kundin.ask("GET", "/api/v1/accounts/verify_credentials")
    await firma.ask("POST", f"/api/v1/accounts/{her['id']}/follow")
    async with asyncio.timeout(20):
        await opened.wait()
        said = await kundin.says("Hallo @firma, der Kessel leckt")
        assert (await heard.get()).external_id == said["id"]
        await kundin.ask("DELETE", f"/api/v1/statuses/{said['id']}")
        assert await heard.get() == Tombstone(external_id=said["id"], scope=server.removeprefix("http://"))
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await http.close()
    await client.aclose()
    await kundin.client.aclose()
    await firma.client.aclose()
