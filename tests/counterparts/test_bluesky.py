"""The Bluesky connector against the reference network: PDS, AppView and PLC of @atproto/dev-env, on this machine."""

from __future__ import annotations

import asyncio
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest

import world
from counterpart import SCRIPTS, relay, running
from smhub.net import AllowList, Client, ConnectorHttp, Credentials, SessionInHand, next_session
from smhub.sdk import (
    AuthExpired,
    ConnectorContext,
    ContentRejected,
    Draft,
    Gone,
    Mention,
    MentionRef,
    SystemClock,
    Transient,
    read_settings,
)
from smhub_bluesky.connector import Bluesky
from smhub_bluesky.plugin import BlueskyPlugin
from smhub_bluesky.saying import tid

pytestmark = pytest.mark.counterpart
PDS = "http://localhost:2583"
POSTS = "app.bsky.feed.post"
FAMILY = "👨‍👩‍👧‍👦"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The network with the accounts firma and kundin; the address that waits until everything has arrived everywhere."""
    try:
        with running("bluesky", "/settle", tmp_path_factory.mktemp("bluesky") / "bluesky.log") as url:
            yield url
    finally:
        subprocess.run([str(SCRIPTS / "bluesky" / "stop-databases.sh")], stdout=subprocess.DEVNULL, check=False)


class Somebody:
    """An account with a client of its own."""

    def __init__(self, name: str, settle: str) -> None:
        self.name, self.did, self._settle = name, "", settle
        self.client = httpx2.AsyncClient(base_url=f"{PDS}/xrpc/", timeout=30)

    async def sign_in(self) -> Somebody:
        words = {"identifier": f"{self.name}.test", "password": "hunter22"}
        told = (await self.client.post("com.atproto.server.createSession", json=words)).json()
        self.client.headers["Authorization"], self.did = f"Bearer {told['accessJwt']}", told["did"]
        return self

    async def settle(self) -> None:
        await asyncio.to_thread(lambda: urllib.request.urlopen(f"{self._settle}/settle", timeout=60).read())

    async def _write(self, method: str, **words: Any) -> Any:
        answer = await self.client.post(f"com.atproto.repo.{method}", json={"repo": self.did, "collection": POSTS, **words})
        assert answer.status_code == 200, answer.text
        await self.settle()
        return answer.json()

    async def says(self, text: str, mentions: Somebody | None = None, **more: Any) -> dict[str, Any]:
        record = {"$type": POSTS, "text": text, "createdAt": SystemClock().now().isoformat().replace("+00:00", "Z"), **more}
        if mentions is not None:
            begin = text.encode().index(f"@{mentions.name}.test".encode())
            index = {"byteStart": begin, "byteEnd": begin + len(f"@{mentions.name}.test")}
            record["facets"] = [{"index": index, "features": [{"$type": "app.bsky.richtext.facet#mention", "did": mentions.did}]}]
        return await self._write("createRecord", record=record)  # type: ignore[no-any-return]

    async def takes_back(self, said: dict[str, Any]) -> None:
        await self._write("deleteRecord", rkey=said["uri"].rpartition("/")[2])

    async def said(self) -> dict[str, dict[str, Any]]:
        """Everything in the repository, by address."""
        params = {"repo": self.did, "collection": POSTS, "limit": 100}
        rows = (await self.client.get("com.atproto.repo.listRecords", params=params)).json()["records"]
        return {row["uri"]: row["value"] for row in rows}


@pytest.fixture
async def kundin(network: str) -> AsyncIterator[Somebody]:
    somebody = await Somebody("kundin", network).sign_in()
    yield somebody
    await somebody.client.aclose()


@pytest.fixture
async def firma(network: str) -> AsyncIterator[Somebody]:
    somebody = await Somebody("firma", network).sign_in()
    yield somebody
    await somebody.client.aclose()


@pytest.fixture
async def connect(network: str) -> AsyncIterator[Callable[..., tuple[Bluesky, Any]]]:
    """A connector for firma, and what makes an http to sign in."""
    clients: list[Client] = []

    def make(url: str = PDS, password: str = "hunter22") -> tuple[Bluesky, Any]:
        config = read_settings(Bluesky.Config, {"base_url": url, "identifier": "firma.test", "app_password": password})
        clients.append(Client(AllowList.parse(url.removeprefix("http://")), SystemClock()))

        def http_with(credentials: Credentials | None) -> ConnectorHttp:
            return ConnectorHttp(
                client=clients[-1],
                network="bluesky",
                clock=SystemClock(),
                base_url=url,
                rates=Bluesky.rates,
                map_error=Bluesky.map_error,
                credentials=credentials,
            )

        http = http_with(SessionInHand(Bluesky, config, http_with))
        return Bluesky(config, http, ConnectorContext(clock=SystemClock())), http_with

    yield make
    for client in clients:
        await client.aclose()


def settings(url: str = PDS) -> dict[str, Any]:
    return {"base_url": url, "identifier": "firma.test", "app_password": "hunter22", "jetstream": ""}


async def test_what_is_said_there_stands_in_the_hub_and_goes_with_its_deletion(
    database_url: str, kundin: Somebody, firma: Somebody
) -> None:
    async with world.start(database_url, plugins=[BlueskyPlugin()], allow_private_hosts="localhost:2583") as hub:
        channel = await hub.post("/v1/channels", {"network": "bluesky", "name": "Bluesky", "settings": settings()})
        operation = await hub.post(f"/v1/channels/{channel['id']}/verify")
        await hub.work()
        account = (await hub.get(f"/v1/operations/{operation['operation_id']}"))["result"]["account"]
        assert (account["external_id"], account["handle"]) == (firma.did, "firma.test")

        ours = await firma.says("Neu im Laden")
        asked = await kundin.says(f"Ü {FAMILY} @firma.test Mein Kessel ist kaputt", firma, langs=["de"])
        below = {"uri": ours["uri"], "cid": ours["cid"]}
        answer = await kundin.says("Wie teuer?", reply={"root": below, "parent": below})
        await hub.work(minutes=2)
        found = {one["external_id"]: one for one in await hub.mentions("network:bluesky")}
        told = found[asked["uri"]]
        assert (told["text"], told["kind"], told["author"]["handle"]) == (
            f"Ü {FAMILY} @firma.test Mein Kessel ist kaputt",
            "post",
            "kundin.test",
        )
        assert found[answer["uri"]]["kind"] == "reply"
        assert ours["uri"] not in found

        await kundin.takes_back(asked)
        for _ in range(2):
            await hub.work(minutes=2)
        left = {one["external_id"] for one in await hub.mentions("network:bluesky")}
        assert asked["uri"] not in left
        assert answer["uri"] in left
        deleted = await hub.mentions("content:deleted", deleted=True)
        assert [(one["external_id"], one["text"]) for one in deleted] == [(asked["uri"], "")]


async def test_a_listener_finds_words_of_others(database_url: str, kundin: Somebody) -> None:
    async with world.start(database_url, plugins=[BlueskyPlugin()], allow_private_hosts="localhost:2583") as hub:
        listener = {
            "network": "bluesky",
            "name": "Pfeifen",
            "settings": settings(),
            "words": ["pfeift", "gibtesnicht"],
            "purpose": "Answer questions",
            "legal_basis": "Art. 6(1)(f)",
        }
        await hub.post("/v1/listeners", listener)
        said = await kundin.says("mein kessel pfeift schön")
        await hub.work()
        assert said["uri"] in {one["external_id"] for one in await hub.mentions()}


async def test_answers_through_a_hub_that_loses_answers_are_out_once_each_and_can_be_taken_back(
    database_url: str, kundin: Somebody, firma: Somebody
) -> None:
    asked = await kundin.says("@firma.test Wo bleibt mein Kessel?", firma)
    async with relay(PDS, lambda method, number: method == "POST" and number % 3 == 0) as through:
        allowed = through.removeprefix("http://")
        async with world.start(database_url, plugins=[BlueskyPlugin()], allow_private_hosts=allowed) as hub:
            await hub.post("/v1/channels", {"network": "bluesky", "name": "Bluesky", "settings": settings(through)})
            for _ in range(3):
                await hub.work(minutes=2)
            (mention,) = [one for one in await hub.mentions() if one["external_id"] == asked["uri"]]
            path, ids, known = f"/v1/mentions/{mention['id']}/replies", [], None
            for number in range(6):
                made = await hub.post(path, {"text": f"Antwort {number} https://shop.test/{number}", "after_reply_id": known})
                ids.append(made["id"])
                known = made["id"]
                for _ in range(4):
                    await hub.work(minutes=2)
            rows = [await hub.get(f"/v1/deliveries/{one}") for one in ids]
            assert [row["state"] for row in rows] == ["published"] * 6
            assert any(row["settled_by"] == "key" for row in rows)
            out = {
                uri: value
                for uri, value in (await firma.said()).items()
                if value.get("reply", {}).get("parent", {}).get("uri") == asked["uri"]
            }
            assert sorted(out) == sorted(row["external_id"] for row in rows)
            assert sorted(value["text"] for value in out.values()) == [
                f"Antwort {number} https://shop.test/{number}" for number in range(6)
            ]
            ref = {"uri": asked["uri"], "cid": asked["cid"]}
            assert all(value["reply"] == {"root": ref, "parent": ref} for value in out.values())
            taken = await hub.post(f"/v1/deliveries/{ids[0]}/take-back")
            for _ in range(4):
                await hub.work(minutes=2)
            assert (await hub.get(f"/v1/operations/{taken['operation_id']}"))["state"] == "done"
            assert rows[0]["external_id"] not in await firma.said()


async def test_every_third_answer_is_lost_after_the_server_acted_and_each_post_is_out_once(
    connect: Callable[..., tuple[Bluesky, Any]], firma: Somebody
) -> None:
    async with relay(PDS, lambda method, number: method == "POST" and number % 3 == 0) as through:
        (connector, _), tries = connect(through), 0
        for number in range(15):
            done = None
            while done is None:
                tries += 1
                try:
                    done = await connector.publish(Draft(text=f"Beitrag {number}"), f"{number:032x}")
                except Transient:
                    continue
            assert done.external_id.endswith(tid(f"{number:032x}"))
        assert tries > 15
    out = [value["text"] for value in (await firma.said()).values() if value["text"].startswith("Beitrag ")]
    assert sorted(out) == sorted(f"Beitrag {number}" for number in range(15))


async def test_eight_at_once_under_one_key_make_one_post(connect: Callable[..., tuple[Bluesky, Any]], firma: Somebody) -> None:
    connector, _ = connect()
    await connector.verify()
    done = await asyncio.gather(*(connector.publish(Draft(text="Alle zugleich"), "8" * 32) for _ in range(8)))
    assert len({one.external_id for one in done}) == 1
    assert [value["text"] for value in (await firma.said()).values()].count("Alle zugleich") == 1


async def test_both_limits_are_the_servers_and_facets_are_where_it_counts_them(
    connect: Callable[..., tuple[Bluesky, Any]], firma: Somebody, kundin: Somebody
) -> None:
    connector, _ = connect()
    for number, (text, fits) in enumerate([("a" * 300, True), ("a" * 301, False), (FAMILY * 120, True), (FAMILY * 121, False)]):
        assert (Bluesky.limits.check(text) == []) is fits
        if fits:
            await connector.publish(Draft(text=text), f"limit{number:027x}")
        else:
            with pytest.raises(ContentRejected):
                await connector.publish(Draft(text=text), f"limit{number:027x}")
    text = f"Ü {FAMILY} @kundin.test https://shop.test/ü #Kessel"
    done = await connector.publish(Draft(text=text, language="de", sensitive="graphic-media"), "f" * 32)
    await firma.settle()
    (told,) = [one for one in await notifications(kundin) if one["uri"] == done.external_id]
    assert told["reason"] == "mention"
    shown = [text.encode()[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode() for one in told["record"]["facets"]]
    assert shown == ["@kundin.test", "https://shop.test/ü", "#Kessel"]
    assert [one["val"] for one in told["labels"]] == ["graphic-media"]


async def test_mentions_come_once_each_over_several_pages_and_counts_are_told(
    connect: Callable[..., tuple[Bluesky, Any]], firma: Somebody, kundin: Somebody
) -> None:
    connector, _ = connect()
    mine = await connector.publish(Draft(text="Zählt mich"), "c" * 32)
    said = []
    for number in range(45):
        record = {"uri": mine.external_id, "cid": (await stored(firma, mine.external_id))["cid"]}
        said.append((await kundin.says(f"Nummer {number}", reply={"root": record, "parent": record}))["uri"])
    await firma.settle()
    # The network is the measure: now and then it lists one fewer than were written, also in one page and after a while.
    listed = {one["uri"] for one in await notifications(firma)} & set(said)
    assert len(listed) > 40
    pages = [page async for page in connector.fetch_mentions(None)]
    found = [item.external_id for page in pages for item in page.items if isinstance(item, Mention)]
    assert len(pages) > 2
    assert listed <= set(found)
    assert len(found) == len(set(found))
    (counted,) = await connector.metrics([mine.external_id, f"at://{firma.did}/{POSTS}/3aaaaaaaaaaaa"])
    (shown,) = (await firma.client.get("app.bsky.feed.getPosts", params={"uris": mine.external_id})).json()["posts"]
    assert (counted.external_id, counted.values["replies"], counted.values["likes"]) == (mine.external_id, shown["replyCount"], 0)
    assert shown["replyCount"] > 40


async def test_a_session_is_renewed_and_a_wrong_password_is_refused(connect: Callable[..., tuple[Bluesky, Any]]) -> None:
    connector, http_with = connect()
    first = await next_session(Bluesky, connector.config, None, http_with)
    assert first.expires_at is not None and first.expires_at > SystemClock().now()
    renewed = await next_session(Bluesky, connector.config, first, http_with)
    assert renewed.refresh != first.refresh
    # Within its time of grace the old one is taken once more: an answer may have been lost.
    assert (await Bluesky.renew_session(connector.config, http_with(_Shown(first)), first)).access
    with pytest.raises(AuthExpired):
        await connect(password="wrong")[0].verify()


async def test_deleted_is_gone_and_so_is_what_one_would_answer(connect: Callable[..., tuple[Bluesky, Any]], kundin: Somebody) -> None:
    connector, _ = connect()
    done = await connector.publish(Draft(text="Bald weg"), KEY)
    await connector.delete(done.external_id)
    with pytest.raises(Gone):
        await connector.delete(done.external_id)
    asked = await kundin.says("Ich gehe gleich")
    await kundin.takes_back(asked)
    with pytest.raises(Gone):
        await connector.reply(MentionRef(external_id=asked["uri"]), Draft(text="Zu spät"), "d" * 32)


async def notifications(somebody: Somebody) -> list[dict[str, Any]]:
    """What the network itself lists, in one page."""
    answer = await somebody.client.get("app.bsky.notification.listNotifications", params={"limit": 100})
    return answer.json()["notifications"]  # type: ignore[no-any-return]


async def stored(somebody: Somebody, uri: str) -> dict[str, Any]:
    params = {"repo": somebody.did, "collection": POSTS, "rkey": uri.rpartition("/")[2]}
    return (await somebody.client.get("com.atproto.repo.getRecord", params=params)).json()  # type: ignore[no-any-return]


class _Shown:
    """The refresh token of a session, as it is."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def present(self) -> str:
        return f"Bearer {self._session.refresh.reveal()}"

    async def accepted(self, shown: str) -> None:
        return None

    async def refused(self, shown: str) -> None:
        raise AuthExpired
