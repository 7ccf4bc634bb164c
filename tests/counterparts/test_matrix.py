"""The Matrix connector against Synapse."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

import world
from counterpart import relay, running
from smhub.net import AllowList, Client, ConnectorHttp
from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    ConnectorContext,
    Draft,
    Gone,
    Mention,
    MentionRef,
    PermissionMissing,
    RateLimited,
    SystemClock,
    Tombstone,
    Transient,
    read_settings,
)
from smhub_matrix.connector import Matrix
from smhub_matrix.plugin import MatrixPlugin

pytestmark = pytest.mark.counterpart
KEY = "0123456789abcdef0123456789abcdef"
MEMBERSHIP = ("membership of the room",)
RUN = f"{datetime.now(UTC):%m%d%H%M%S}"
"""Accounts stay on the server; each run has others."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A homeserver; its address."""
    with running("matrix", "/_matrix/client/versions", tmp_path_factory.mktemp("matrix") / "synapse.log") as url:
        yield url


class Somebody:
    """An account with a client of its own."""

    numbers = count(1)

    def __init__(self, url: str, name: str) -> None:
        self.name = f"{name}{RUN}x{next(self.numbers)}"
        self.client = httpx2.AsyncClient(base_url=url, timeout=30)
        self.token, self.id, self.room = "", "", ""

    async def register(self, *, admin: bool = False) -> Somebody:
        nonce = (await self.client.get("/_synapse/admin/v1/register")).json()["nonce"]
        said = "\0".join((nonce, self.name, "pw", "admin" if admin else "notadmin")).encode()
        mac = hmac.new(b"smhub-test", said, hashlib.sha1).hexdigest()
        words = {"nonce": nonce, "username": self.name, "password": "pw", "admin": admin, "mac": mac}
        told = (await self.client.post("/_synapse/admin/v1/register", json=words)).json()
        self.take(told["access_token"], told["user_id"])
        return self

    def take(self, token: str, user_id: str) -> None:
        self.token, self.id = token, user_id
        self.client.headers["Authorization"] = f"Bearer {token}"

    async def ask(self, method: str, path: str, words: dict[str, Any] | None = None) -> Any:
        answer = await self.client.request(method, path, json=words)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def happens(self, type_: str, content: dict[str, Any]) -> str:
        path = f"/_matrix/client/v3/rooms/{quote(self.room)}/send/{type_}/{next(self.numbers)}"
        return (await self.ask("PUT", path, content))["event_id"]  # type: ignore[no-any-return]

    async def says(self, text: str, **more: Any) -> str:
        return await self.happens("m.room.message", {"msgtype": "m.text", "body": text, **more})

    async def edits(self, event_id: str, text: str) -> str:
        relation = {"rel_type": "m.replace", "event_id": event_id}
        return await self.says(f"* {text}", **{"m.new_content": {"msgtype": "m.text", "body": text}, "m.relates_to": relation})

    async def redacts(self, event_id: str) -> None:
        await self.ask("PUT", f"/_matrix/client/v3/rooms/{quote(self.room)}/redact/{quote(event_id)}/{next(self.numbers)}", {})

    async def sees(self) -> list[dict[str, Any]]:
        """The messages of the room, the oldest first."""
        rows = (await self.ask("GET", f"/_matrix/client/v3/rooms/{quote(self.room)}/messages?dir=b&limit=200"))["chunk"]
        return [row for row in reversed(rows) if row["type"] == "m.room.message" and row["content"]]


@pytest.fixture
async def people(server: str) -> AsyncIterator[tuple[Somebody, Somebody]]:
    """firma and kundin in a room. kundin may write as fast as she likes, and so may firma when a test says `at_will`."""
    admin, kundin, firma = (Somebody(server, name) for name in ("admin", "kundin", "firma"))
    await admin.register(admin=True)
    for one in (kundin, firma):
        await one.register()
    await at_will(admin, kundin)
    alias = f"service{kundin.name}"
    words = {"preset": "public_chat", "room_alias_name": alias, "invite": [firma.id]}
    room = (await kundin.ask("POST", "/_matrix/client/v3/createRoom", words))["room_id"]
    await firma.ask("POST", f"/_matrix/client/v3/join/{quote(room)}", {})
    kundin.room = firma.room = room
    yield firma, kundin
    for one in (admin, kundin, firma):
        await one.client.aclose()


async def at_will(admin: Somebody, one: Somebody) -> None:
    words = {"messages_per_second": 0, "burst_count": 0}
    await admin.ask("POST", f"/_synapse/admin/v1/users/{quote(one.id)}/override_ratelimit", words)


@pytest.fixture
async def fast(server: str, people: tuple[Somebody, Somebody]) -> tuple[Somebody, Somebody]:
    """The same two, with firma as fast as kundin."""
    admin = await Somebody(server, "admin").register(admin=True)
    await at_will(admin, people[0])
    await admin.client.aclose()
    return people


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Matrix]]:
    clients: list[Client] = []

    def make(url: str, who: Somebody, **more: Any) -> Matrix:
        config = read_settings(Matrix.Config, {"base_url": url, "token": who.token, "room": who.room, **more})
        clients.append(Client(AllowList.parse(url.removeprefix("http://")), SystemClock()))
        http = ConnectorHttp(
            client=clients[-1],
            network="matrix",
            clock=SystemClock(),
            base_url=url,
            headers=Matrix.headers(config),
            map_error=Matrix.map_error,
        )
        return Matrix(config, http, ConnectorContext(clock=SystemClock()))

    yield make
    for client in clients:
        await client.aclose()


def drops(method: str, number: int) -> bool:
    return method == "PUT" and number % 3 == 0


async def test_what_is_said_there_stands_in_the_hub_with_its_edit_its_deletion_and_its_thread(
    database_url: str, server: str, people: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = people
    async with world.start(database_url, plugins=[MatrixPlugin()], allow_private_hosts=server.removeprefix("http://")) as hub:
        # The network's time is today's.
        hub.clock.forward(seconds=(SystemClock().now() - hub.clock.now()).total_seconds())
        settings = {"base_url": server, "token": firma.token, "room": f"#service{kundin.name}:localhost"}
        channel = await hub.post("/v1/channels", {"network": "matrix", "name": "Raum", "settings": settings})
        operation = await hub.post(f"/v1/channels/{channel['id']}/verify")
        await hub.work()
        verified = await hub.get(f"/v1/operations/{operation['operation_id']}")
        assert verified["result"]["account"]["handle"] == firma.id

        formatted = {"format": "org.matrix.custom.html", "formatted_body": "Mein <b>Kessel</b> leckt <script>alert(1)</script>"}
        broken = await kundin.says("Mein Kessel leckt", **formatted)
        gone = await kundin.says("Bald weg")
        relation = {"rel_type": "m.thread", "event_id": broken, "is_falling_back": True, "m.in_reply_to": {"event_id": broken}}
        below = await kundin.says("Seit gestern", **{"m.relates_to": relation})
        await firma.says("Wir lesen mit")
        await hub.work(minutes=2)
        found = {one["external_id"]: one for one in await hub.mentions("network:matrix")}
        assert set(found) == {broken, gone, below}
        assert (found[broken]["html"], found[broken]["visibility"]) == ("Mein <b>Kessel</b> leckt ", "public")
        assert (found[below]["kind"], found[below]["author"]["handle"]) == ("reply", kundin.id)

        await kundin.edits(broken, "Er leckt nicht mehr")
        await kundin.redacts(gone)
        await hub.work(minutes=2)
        left = {one["external_id"]: one for one in await hub.mentions("network:matrix")}
        assert (left[broken]["text"], left[broken]["content_state"]) == ("Er leckt nicht mehr", "edited")
        assert set(left) == {broken, below}
        assert [one["external_id"] for one in await hub.mentions("content:deleted", deleted=True)] == [gone]


async def test_what_a_limited_sync_leaves_out_comes_once_also_when_the_visit_is_cut_off(
    server: str, connect: Callable[..., Matrix], people: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = people
    said = [await kundin.says("Anfang")]
    first = [page async for page in connect(server, firma).fetch_mentions(None)]
    said += [await kundin.says(f"Nummer {number}") for number in range(100)]
    pages = connect(server, firma).fetch_mentions(first[-1].cursor)
    newest = await anext(pages)
    await pages.aclose()  # type: ignore[attr-defined]
    said.append(await kundin.says("Und noch eines"))
    rest = [page async for page in connect(server, firma).fetch_mentions(newest.cursor)]
    found = [item.external_id for page in (*first, newest, *rest) for item in page.items if isinstance(item, Mention)]
    assert sorted(found) == sorted(said)
    assert [item async for page in connect(server, firma).fetch_mentions(rest[-1].cursor) for item in page.items] == []
    # From the start everything is there again. For two minutes Synapse answers a first sync as it did before: the rest comes at the next visit.
    again, cursor = [], None
    for _ in range(2):
        async for page in connect(server, firma).fetch_mentions(cursor):
            again += [item.external_id for item in page.items if isinstance(item, Mention)]
            cursor = page.cursor
    assert sorted(again) == sorted(said)
    since = ConnectorContext(clock=SystemClock(), since=datetime(2020, 1, 1, tzinfo=UTC), until=SystemClock().now())
    filling = connect(server, firma)
    filling.context = since
    filled = [item.external_id async for page in filling.fetch_mentions(None) for item in page.items if isinstance(item, Mention)]
    assert sorted(filled) == sorted(said)


async def test_edits_and_redactions_are_told_by_sync_as_they_are(
    server: str, connect: Callable[..., Matrix], people: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = people
    said, gone = await kundin.says("Alt"), await kundin.says("Weg")
    first = [page async for page in connect(server, firma).fetch_mentions(None)]
    await kundin.edits(said, "Neu")
    await kundin.edits(said, "Neuer")
    await kundin.redacts(gone)
    told = [item async for page in connect(server, firma).fetch_mentions(first[-1].cursor) for item in page.items]
    assert {one.text for one in told if isinstance(one, Mention)} == {"Neuer"}
    assert {one.external_id for one in told if isinstance(one, Tombstone)} == {gone}


async def test_an_answer_goes_out_once_is_found_edited_and_taken_back(
    server: str, connect: Callable[..., Matrix], fast: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = fast
    root = await kundin.says("Sprechstunde")
    asked = await kundin.says("Wo bleibt er?", **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}})
    connector, begun = connect(server, firma), datetime.now(UTC)
    draft, to = Draft(text="Kommt morgen: https://shop.test/kessel?a=1&b=2 \U0001fad6"), MentionRef(external_id=asked)
    assert await connector.find_published(draft, KEY, begun) is None
    done = await connector.reply(to, draft, KEY)
    assert await connector.reply(to, draft, KEY) == done
    (out,) = [row for row in await kundin.sees() if row["sender"] == firma.id]
    assert out["content"]["m.relates_to"]["event_id"] == root
    assert out["content"]["body"] == draft.text

    # Another token is another session: the key no longer holds, but what is out is found.
    login = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": firma.name}, "password": "pw"}
    other = Somebody(server, "other")
    told = (await other.client.post("/_matrix/client/v3/login", json=login)).json()
    other.take(told["access_token"], firma.id)
    other.room = firma.room
    assert await connect(server, other).find_published(draft, KEY, begun) == done

    for text in ("Kommt heute", "Kommt doch morgen", "Kommt heute", "Kommt heute"):
        assert await connector.edit(done.external_id, Draft(text=text), KEY) == done
    edits = [row["content"]["m.new_content"]["body"] for row in await kundin.sees() if "m.new_content" in row["content"]]
    assert edits == ["Kommt heute", "Kommt doch morgen", "Kommt heute"]
    await connector.delete(done.external_id)
    for doing in (connector.delete(done.external_id), connector.reply(MentionRef(external_id=done.external_id), draft, "f" * 32)):
        with pytest.raises(Gone):
            await doing

    await other.ask("POST", "/_matrix/client/v3/logout", {})
    with pytest.raises(AuthExpired):
        await connect(server, other).verify()
    await other.client.aclose()


async def test_the_longest_text_goes_out_and_can_be_edited(
    server: str, connect: Callable[..., Matrix], fast: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = fast
    connector = connect(server, firma)
    longest = "ä" * 15_000
    done = await connector.publish(Draft(text=longest), KEY)
    await connector.edit(done.external_id, Draft(text=longest[:-1] + "ö"), KEY)
    assert [len(row["content"]["body"]) for row in await kundin.sees()] == [15_000, 15_002]


async def test_every_third_answer_is_lost_after_the_server_acted_and_each_message_is_out_once(
    server: str, connect: Callable[..., Matrix], fast: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = fast
    async with relay(server, drops) as through:
        connector, tries = connect(through, firma), 0
        for number in range(12):
            done = None
            while done is None:
                tries += 1
                try:
                    done = await connector.publish(Draft(text=f"Beitrag {number}"), f"{number:032x}")
                except Transient:
                    continue
        assert tries > 12
    assert [row["content"]["body"] for row in await kundin.sees()] == [f"Beitrag {number}" for number in range(12)]


async def test_who_writes_too_fast_is_told_how_long_to_wait(
    server: str, connect: Callable[..., Matrix], people: tuple[Somebody, Somebody]
) -> None:
    connector = connect(server, people[0])
    with pytest.raises(RateLimited) as limited:
        for number in range(40):
            await connector.publish(Draft(text=f"Schnell {number}"), f"{number:032x}")
    assert limited.value.retry_after is not None
    assert 1 <= limited.value.retry_after <= 60


async def test_an_encrypted_room_and_one_that_we_are_not_in_are_refused_with_a_reason(
    server: str, connect: Callable[..., Matrix], people: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = people
    secret = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    words = {"preset": "public_chat", "initial_state": [secret]}
    encrypted = (await kundin.ask("POST", "/_matrix/client/v3/createRoom", words))["room_id"]
    await firma.ask("POST", f"/_matrix/client/v3/join/{quote(encrypted)}", {})
    with pytest.raises(ConfigInvalid) as refused:
        await connect(server, firma, room=encrypted).verify()
    assert refused.value.field == "room"
    foreign = (await kundin.ask("POST", "/_matrix/client/v3/createRoom", {}))["room_id"]
    with pytest.raises(PermissionMissing) as missing:
        await connect(server, firma, room=foreign).verify()
    assert missing.value.scopes == MEMBERSHIP
    with pytest.raises(ConfigInvalid):
        await connect(server, firma, room="#niemand:localhost").verify()

    cursor = [page async for page in connect(server, firma).fetch_mentions(None)][-1].cursor
    await kundin.ask("POST", f"/_matrix/client/v3/rooms/{quote(kundin.room)}/kick", {"user_id": firma.id})
    for _ in range(2):
        with pytest.raises(PermissionMissing):
            await anext(connect(server, firma).fetch_mentions(cursor))


async def test_answers_through_the_api_are_out_once_each_though_every_third_answer_is_lost(
    database_url: str, server: str, fast: tuple[Somebody, Somebody]
) -> None:
    firma, kundin = fast
    async with relay(server, drops) as through:
        allowed = through.removeprefix("http://")
        async with world.start(database_url, plugins=[MatrixPlugin()], allow_private_hosts=allowed) as hub:
            hub.clock.forward(seconds=(SystemClock().now() - hub.clock.now()).total_seconds())
            settings = {"base_url": through, "token": firma.token, "room": firma.room}
            await hub.post("/v1/channels", {"network": "matrix", "name": "Raum", "settings": settings})
            asked = await kundin.says("Wo bleibt mein Kessel?")
            await hub.work(minutes=2)
            (mention,) = await hub.mentions()
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
            out = [row for row in await kundin.sees() if row["sender"] == firma.id]
            assert sorted(row["event_id"] for row in out) == sorted(row["external_id"] for row in rows)
            assert {row["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] for row in out} == {asked}

            operation = await hub.post(f"/v1/deliveries/{answers[0]}/edit", {"text": "Kommt heute"})
            taken = await hub.post(f"/v1/deliveries/{answers[1]}/take-back")
            for _ in range(3):
                await hub.work(minutes=2)
            for one in (operation, taken):
                assert (await hub.get(f"/v1/operations/{one['operation_id']}"))["state"] == "done"
            left = {row["event_id"]: row for row in await kundin.sees()}
            newest = left[rows[0]["external_id"]]["unsigned"]["m.relations"]["m.replace"]
            assert newest["content"]["m.new_content"]["body"] == "Kommt heute"
            assert rows[1]["external_id"] not in left
            # What we said, changed and took back ourselves is nobody's mention.
            assert [one["external_id"] for one in await hub.mentions(deleted=True)] == [asked]
