"""A network that can be spoken on, four times: one for each way to exactly-once. The network itself is a real HTTP server.

It remembers what was said, works on a request for a while also when nobody waits for it any more, and loses answers when told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from smhub.sdk import (
    Account,
    Author,
    Connector,
    Deletes,
    Draft,
    Edits,
    FetchesMentions,
    Gone,
    Limits,
    Mention,
    MentionRef,
    Page,
    Pending,
    Plugin,
    PluginContext,
    Published,
    Publishes,
    Replies,
)

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SAFETIES = ("key", "container", "lookup", "none")


class Square:
    """The network: what was said, and how it behaves. `script` is asked for each request: "ok", "lose" (done, no answer), "drop" (not
    done, no answer), or a status."""

    def __init__(self, work_seconds: float = 0.0) -> None:
        self.posts: list[dict[str, Any]] = []
        self.containers: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.work_seconds = work_seconds
        self.script: Callable[[str, str], str] = lambda method, path: "ok"
        self.headers: dict[str, str] = {}
        self.mentions: list[str] = []
        self.blobs: list[dict[str, Any]] = []
        self.nonsense = False
        self._working: set[asyncio.Task[Any]] = set()
        self._talking: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talking.add(task)
        try:
            await self._talk(reader, writer)
        finally:
            self._talking.discard(task)
            writer.close()

    async def hang_up(self) -> None:
        """End the connections that are still open."""
        for task in (talking := list(self._talking)):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split("\r\n", 1)[0].split(" ")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((method, path))
                fate = self.script(method, path)
                if fate == "drop":
                    break
                if fate in ("ok", "lose"):
                    # Worked on to its end, whether somebody still waits or not.
                    task = asyncio.create_task(self._act(method, path, headers, json.loads(body) if body else {}))
                    self._working.add(task)
                    task.add_done_callback(self._working.discard)
                    status, answer = await asyncio.shield(task)
                else:
                    status, answer = int(fate), {}
                if fate == "lose":
                    break
                content = json.dumps(answer).encode()
                more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n{more}\r\n".encode() + content)
                await writer.drain()

    async def settled(self) -> None:
        """Everything that is still worked on is done."""
        while self._working:
            await asyncio.wait(set(self._working))

    async def _act(self, method: str, path: str, headers: dict[str, str], given: dict[str, Any]) -> tuple[int, Any]:
        if method != "GET" and self.work_seconds:
            await asyncio.sleep(self.work_seconds)
        kind, _, rest = path.strip("/").partition("/")
        if kind == "mentions":
            return 200, self.mentions
        if kind == "blobs":
            self.blobs.append(given)
            return 200, {}
        if kind == "posts" and self.nonsense:
            return 200, self._posts(method, rest, headers.get("idempotency-key"), given)[1] | {"id": ""}
        if kind == "posts":
            return self._posts(method, rest, headers.get("idempotency-key"), given)
        if kind == "containers" and method == "POST" and not rest:
            self.containers[id_] = {"id": (id_ := f"c{len(self.containers)}"), "given": given, "post": None}
            return 200, {"id": id_}
        container = self.containers[rest.split("/")[0]]
        if method == "POST":
            if container["post"] is None:
                container["post"] = self._say(container["given"])["id"]
            return 200, {"id": container["post"]}
        return 200, {"post": container["post"]}

    def _posts(self, method: str, rest: str, key: str | None, given: dict[str, Any]) -> tuple[int, Any]:
        if method == "GET":
            return 200, self.posts
        if method == "POST":
            known = [post for post in self.posts if key is not None and post["key"] == key]
            return 200, known[0] if known else self._say(given, key)
        found = [post for post in self.posts if post["id"] == rest and not post["deleted"]]
        if not found:
            return 404, {}
        found[0].update({"deleted": True} if method == "DELETE" else {"text": given["text"]})
        return 200, found[0]

    def _say(self, given: dict[str, Any], key: str | None = None) -> dict[str, Any]:
        post = {"id": f"p{len(self.posts)}", "key": key, "deleted": False, **given}
        self.posts.append(post)
        return post

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that were to change something."""
        return [one for one in self.requests if one[0] != "GET"]

    def texts(self) -> list[str]:
        """What stands there now."""
        return [post["text"] for post in self.posts if not post["deleted"]]


class Said(msgspec.Struct):
    """One post as the network answers it."""

    id: str
    text: str = ""
    to: str | None = None


class Container(msgspec.Struct):
    post: str | None = None


class LoudConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    base_url: str


class LoudCursor(msgspec.Struct, frozen=True):
    at: int = 0


class Loud(Connector[LoudConfig], FetchesMentions, Publishes, Replies, Deletes, Edits):
    network, title = "loud", "Loud"
    Config, Cursor = LoudConfig, LoudCursor
    limits = Limits(max=100, count="graphemes", max_media=4)
    safety = "none"
    settle_seconds: ClassVar[float] = float(os.environ.get("LOUD_SETTLE_SECONDS", "10"))
    checked_against = "nothing: it is a fake for tests"

    async def verify(self) -> Account:
        return Account(external_id="1", handle="firma")

    async def fetch_mentions(self, cursor: LoudCursor | None) -> AsyncIterator[Page]:
        said = await self.http.get("/mentions", list[str])
        items = [
            Mention(external_id=one, author=Author(external_id="k", handle="kundin"), text="Hallo", published_at=AT) for one in said
        ]
        yield Page(items=items, cursor=LoudCursor(len(said)))

    async def publish(self, draft: Draft, key: str) -> Published | Pending:
        await self._upload(draft)
        return await self._say(draft, key, None)

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published | Pending:
        await self._upload(draft)
        return await self._say(draft, key, to.external_id)

    async def _upload(self, draft: Draft) -> None:
        for one in draft.media:
            await self.http.request("POST", "/blobs", json={"alt": one.alt_text, "bytes": len(one.content)}, prepares=True)

    async def _say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        said = await self.http.post("/posts", Said, json={"text": draft.text, "to": to})
        return Published(external_id=said.id)

    async def edit(self, external_id: str, draft: Draft, key: str) -> Published:
        await self.http.request("PUT", f"/posts/{external_id}", json={"text": draft.text})
        return Published(external_id=external_id)

    async def delete(self, external_id: str) -> None:
        await self.http.delete(f"/posts/{external_id}")


class LoudKey(Loud):
    network, safety = "loud-key", "key"

    async def _say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        return Published(external_id=(await self.http.post("/posts", Said, json={"text": draft.text, "to": to}, key=key)).id)


class LoudContainer(Loud):
    network, safety = "loud-container", "container"

    async def _say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        made = await self.http.post("/containers", Said, json={"text": draft.text, "to": to})
        return Pending(state=made.id, check_after=0.1)

    async def check_publish(self, pending: Pending) -> Published | Pending:
        known = await self.http.get(f"/containers/{pending.state}", Container)
        if known.post is None:
            known.post = (await self.http.post(f"/containers/{pending.state}/publish", Said)).id
        return Published(external_id=known.post)


class LoudLookup(Loud):
    network, safety = "loud-lookup", "lookup"

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        said = await self.http.get("/posts", list[Said])
        found = [one for one in said if one.text == draft.text and one.to == (to.external_id if to else None)]
        return Published(external_id=found[0].id) if found else None


class LoudNone(Loud):
    network, safety = "loud-none", "none"


class LoudPlugin(Plugin):
    id, title = "loud", "Loud"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [LoudKey, LoudContainer, LoudLookup, LoudNone]


@asynccontextmanager
async def square(work_seconds: float = 0.0) -> AsyncIterator[tuple[Square, int]]:
    """A network that listens, and its port."""
    one = Square(work_seconds)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    try:
        yield one, server.sockets[0].getsockname()[1]
    finally:
        await one.settled()
        server.close()
        await one.hang_up()


__all__ = ["SAFETIES", "Gone", "LoudPlugin", "Square", "square"]
