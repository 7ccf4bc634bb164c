"""The small mail server (smhub_mail.fake) on sockets of this machine, and a hub with a mailbox on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import world
from smhub.testing import Talk
from smhub_mail.fake import ADDRESS, PASSWORD, Fake, Imap, Smtp
from smhub_mail.plugin import MailPlugin


class Stage:
    """A hub and the mailbox that it reads."""

    def __init__(self, hub: world.Hub, post: Fake, imap_port: int, smtp_port: int) -> None:
        self.hub, self.post, self.ports = hub, post, (imap_port, smtp_port)

    async def channel(self, **more: Any) -> dict[str, Any]:
        """firma's mailbox, read for the first time."""
        here = {f"{one}_host": "127.0.0.1" for one in ("imap", "smtp")} | {f"{one}_security": "none" for one in ("imap", "smtp")}
        settings = {"address": ADDRESS, "password": PASSWORD, "imap_port": self.ports[0], "smtp_port": self.ports[1], **here, **more}
        made = await self.hub.post("/v1/channels", {"network": "mail", "name": "Post", "settings": settings})
        await self.hub.work()
        return made  # type: ignore[no-any-return]

    async def answer(self, text: str, mention: dict[str, Any]) -> dict[str, Any]:
        """An answer, and what became of it."""
        said = await self.hub.post(f"/v1/mentions/{mention['id']}/replies", {"text": text})
        await self.hub.work()
        return await self.hub.get(f"/v1/deliveries/{said['id']}")  # type: ignore[no-any-return]


async def serve(talk: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        writer.write(talk.greeting())
        while data := await reader.read(1 << 20):
            writer.write(talk.hear(data))
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def with_a_mailbox(database_url: str) -> AsyncIterator[Stage]:
    post, tasks = Fake(), set[asyncio.Task[None]]()

    def accepting(kind: Any) -> Any:
        return lambda reader, writer: tasks.add(asyncio.ensure_future(serve(kind(post), reader, writer)))

    imap, smtp = [await asyncio.start_server(accepting(kind), "127.0.0.1", 0) for kind in (Imap, Smtp)]
    ports = [one.sockets[0].getsockname()[1] for one in (imap, smtp)]
    try:
        allow = ",".join(f"127.0.0.1:{port}" for port in ports)
        async with world.start(database_url, plugins=[MailPlugin()], shared=True, allow_private_hosts=allow) as hub:
            post.clock = hub.clock
            yield Stage(hub, post, *ports)
    finally:
        for server in (imap, smtp):
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in (imap, smtp):
            await server.wait_closed()
