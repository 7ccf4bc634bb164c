"""Listening to the small Mastodon, through the hub's own way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from mastodon_server import Server

from smhub.sdk import AuthExpired, BadItem, Item, Mention, Page, PermissionMissing, Search, Tombstone, Unsupported
from smhub_mastodon.connector import Mastodon
from smhub_mastodon.hearing import streaming_address
from smhub_mastodon.instance import Instance


@asynccontextmanager
async def listening(server: Server, pages: AsyncIterator[Page], streams: int = 1) -> AsyncIterator[Callable[[], Any]]:
    """The connector listens; call it for the next item."""
    heard: asyncio.Queue[Item] = asyncio.Queue()

    async def hear() -> None:
        async with aclosing(pages) as each:  # type: ignore[type-var]
            async for page in each:
                for item in page.items:
                    heard.put_nowait(item)

    task = asyncio.create_task(hear())
    async with asyncio.timeout(5):
        while len(server.ears) < streams:
            await asyncio.sleep(0.01)

    async def following() -> Item:
        async with asyncio.timeout(5):
            return await heard.get()

    yield following
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_mentions_edits_and_deletions_are_told_as_they_happen(server: Server, connect: Callable[..., Mastodon]) -> None:
    connector = connect(server)
    async with listening(server, connector.stream(None)) as heard:
        server.says("kundin", "das geht @firma nichts an, sagt aber @andere".replace("@firma", "firma"))
        id_ = server.says("kundin", "Hallo @firma")
        first = await heard()
        assert isinstance(first, Mention) and (first.external_id, first.scope) == (id_, f"127.0.0.1:{server.port}")
        server.edit(id_, "Hallo @firma, bitte")
        edited = await heard()
        assert isinstance(edited, Mention) and edited.edited_at is not None and "bitte" in (edited.html or "")
        other = server.says("kundin", "Ein anderer Beitrag")
        server.remove(other)
        server.remove(id_)
        assert await heard() == Tombstone(external_id=id_, scope=first.scope)
        server.notify("favourite", server.says("firma", "Unser Beitrag"))
        server.notify("mention", None, status={"id": 5})
        assert isinstance(await heard(), BadItem)
    await connector.http.close()  # type: ignore[attr-defined]


async def test_hashtags_are_listened_to_each_by_its_own_stream(server: Server, connect: Callable[..., Mastodon]) -> None:
    connector = connect(server)
    query = Search(words=("#kessel", "Toaster", "zwei wörter"), languages=("de",))
    async with listening(server, connector.stream_search(query, None), streams=2) as heard:
        server.says("kundin", "Mein #kessel", language="en")
        server.says("firma", "Unser #kessel")
        ids = [server.says("kundin", "Mein #kessel"), server.says("kundin", "Mein #toaster")]
        assert {(await heard()).external_id for _ in ids} == set(ids)
        server.remove(ids[1])
        assert (await heard()).external_id == ids[1]
    with pytest.raises(Unsupported):
        await anext(aiter(connector.stream_search(Search(words=("zwei wörter",), languages=()), None)))
    await connector.http.close()  # type: ignore[attr-defined]


async def test_a_server_that_has_websockets_alone_is_heard_by_them(gotosocial: Server, connect: Callable[..., Mastodon]) -> None:
    connector = connect(gotosocial)
    async with listening(gotosocial, connector.stream(None)) as heard:
        id_ = gotosocial.says("kundin", "Hallo @firma")
        first = await heard()
        assert isinstance(first, Mention) and first.external_id == id_
        gotosocial.edit(id_, "Hallo @firma, bitte")
        edited = await heard()
        assert isinstance(edited, Mention) and edited.edited_at is not None
        gotosocial.remove(id_)
        assert await heard() == Tombstone(external_id=id_, scope=first.scope)
        gotosocial.notify("mention", None, status={"id": 5})
        assert isinstance(await heard(), BadItem)
    query = Search(words=("#kessel", "Toaster"))
    async with listening(gotosocial, connector.stream_search(query, None), streams=2) as heard:
        ids = [gotosocial.says("kundin", "Mein #kessel"), gotosocial.says("kundin", "Mein #toaster")]
        assert {(await heard()).external_id for _ in ids} == set(ids)
    await connector.http.close()  # type: ignore[attr-defined]


async def test_a_token_without_the_right_is_told_from_one_that_ended(server: Server, connect: Callable[..., Mastodon]) -> None:
    for words, error in (("Access token does not have the required scopes", PermissionMissing), ("Invalid access token", AuthExpired)):
        server.deaf = words
        with pytest.raises(error):
            await anext(aiter(connect(server).stream(None)))


def test_the_token_is_shown_to_the_server_and_to_hosts_below_it_and_to_no_other() -> None:
    def where(url: Any) -> str:
        return streaming_address(Instance(configuration={"urls": {"streaming": url}}), "https://social.test")

    assert where("wss://streaming.social.test") == "https://streaming.social.test"
    for url in ("wss://evil.test", "wss://social.test.evil.test", "wss://evilsocial.test", "ws://streaming.social.test", None, 5):
        assert where(url) == "https://social.test"
