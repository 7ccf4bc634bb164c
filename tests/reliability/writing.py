"""Clients that write over HTTP to an API that may be gone at any moment, and a book of what they asked and what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec

KINDS = ("post", "reply", "department", "hold", "tags", "annotation")
KEYED = 0.6
"""The share of POSTs with an Idempotency-Key."""


class Write(msgspec.Struct, kw_only=True):
    """One change that a client wants. `answer` None: it never learned whether it was done."""

    kind: str
    name: str
    method: str
    path: str
    body: dict[str, Any]
    key: str | None
    mention: str | None = None
    answer: dict[str, Any] | None = None
    lost: int = 0
    replayed: bool = False


class Book:
    """Everything that was asked, in the order of each client."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.acknowledged = 0
        self._grew = asyncio.Event()

    def acknowledge(self, write: Write, answer: httpx2.Response) -> None:
        write.answer = answer.json()
        write.replayed = answer.headers.get("idempotency-replayed") == "true"
        self.acknowledged += 1
        self._grew.set()

    async def reaches(self, count: int) -> None:
        """So many are acknowledged."""
        while self.acknowledged < count:
            self._grew.clear()
            await self._grew.wait()


class Writer:
    """One client. It triages a mention of its own, and answers mentions that nobody else answers."""

    def __init__(self, number: int, book: Book, up: asyncio.Event, *, channel: str, mention: str, to_answer: Iterator[str]) -> None:
        self._number, self._book, self._up = number, book, up
        self._channel, self._mention, self._to_answer = channel, mention, to_answer
        self._chance = random.Random(number)
        self._count = 0

    async def write(self, client: httpx2.AsyncClient, over: asyncio.Event) -> None:
        """Ask for one change after the other until it is over."""
        while not over.is_set():
            write = self._next()
            self._book.writes.append(write)
            await self._ask(client, write)

    def _next(self) -> Write:
        self._count += 1
        kind = self._chance.choice(KINDS)
        name = f"{kind} {self._number} {self._count}"
        word = f"w{self._number}.{self._count}"
        method, path, mention = "POST", f"/v1/{kind}s", None
        body: dict[str, Any] = {"text": name, "draft": True}
        match kind:
            case "post":
                path = f"/v1/channels/{self._channel}/posts"
            case "reply":
                mention = next(self._to_answer)
                path = f"/v1/mentions/{mention}/replies"
            case "department":
                body = {"name": name, "slug": word.replace(".", "-")}
            case "hold":
                body = {"reason": name, "channel_id": self._channel}
            case "tags":
                mention, method = self._mention, "PATCH"
                path, body = f"/v1/mentions/{mention}", {"tags": [word]}
            case "annotation":
                mention = self._mention
                path, body = f"/v1/mentions/{mention}/annotations", {"key": word, "value": name}
        keyed = method == "POST" and self._chance.random() < KEYED
        return Write(kind=kind, name=name, method=method, path=path, body=body, key=name if keyed else None, mention=mention)

    async def _ask(self, client: httpx2.AsyncClient, write: Write) -> None:
        """Until there is an answer; without a key once only, for nobody could tell whether it was done."""
        headers = {"X-Request-Id": write.name.replace(" ", "-")} | ({"Idempotency-Key": write.key} if write.key else {})
        while True:
            await self._up.wait()
            wait = 0.0
            try:
                answer = await client.request(write.method, write.path, json=write.body, headers=headers)
            except httpx2.TransportError:
                write.lost += 1
            else:
                if answer.is_success:
                    self._book.acknowledge(write, answer)
                    return
                # The transaction of a killed process may not be over yet.
                assert "retry-after" in answer.headers, (write, answer.status_code, answer.text)
                wait = float(answer.headers["retry-after"])
            if write.key is None:
                return
            await asyncio.sleep(wait)
