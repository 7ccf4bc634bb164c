"""The whole hub in process: the app, a database built by the migrations, a clock that stands, a worker that runs when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx2
from litestar import Litestar

from echo import Echo, EchoPlugin
from echo import World as EchoWorld
from holding import contract_of
from smhub.app.create import create_app, serve
from smhub.app.making import make_runtime
from smhub.app.starting import prepare
from smhub.hub.runtime import Runtime
from smhub.sdk import Plugin, StandingClock
from smhub.secret import Secret
from smhub.settings import Settings
from smhub.work.running import Runner

KEYS = Secret("t1:" + "ab" * 32)


class Hub:
    """What a test has of the hub. `admin` is the first admin's client; `as_key` makes one for another key."""

    def __init__(self, runtime: Runtime, app: Litestar, key: str, clock: StandingClock) -> None:
        self.runtime, self.app, self.key, self.clock = runtime, app, key, clock
        self.database = runtime.database
        self.admin = self.as_key(key)
        self.echo = Echo.world
        self.runner = Runner(runtime, name="test-worker")

    def as_key(self, key: str | None) -> httpx2.AsyncClient:
        """A client with this key; every answer it gets is held against the contract."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=hanging_up(self.app)),
            base_url="http://hub.test",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            event_hooks={"response": [contract_of(self.runtime).hold]},
        )

    async def work(self, **later: float) -> None:
        """Let the worker do everything that is due, `later` on."""
        if later:
            self.clock.forward(**later)
        await self.runner.until_idle()

    async def ok(self, method: str, path: str, client: httpx2.AsyncClient | None = None, **more: Any) -> Any:
        """A request that must succeed; its JSON."""
        answer = await (client or self.admin).request(method, path, **more)
        assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def get(self, path: str, **more: Any) -> Any:
        return await self.ok("GET", path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> Any:
        return await self.ok("POST", path, json=json, **more)

    async def mentions(self, q: str = "", **params: Any) -> list[dict[str, Any]]:
        return (await self.get("/v1/mentions", params={"q": q, "limit": 200, **params}))["items"]  # type: ignore[no-any-return]

    async def connect(self, **settings: Any) -> dict[str, Any]:
        """An echo channel."""
        return await self.post("/v1/channels", {"network": "echo", "name": "Echo", "settings": settings})  # type: ignore[no-any-return]

    async def member(self, *roles: str, department_id: str | None = None, channel_id: str | None = None, name: str = "Somebody") -> str:
        """A member with these system roles there; their key."""
        member = await self.post("/v1/service-accounts", {"name": name})
        ids = {role["name"]: role["id"] for role in (await self.get("/v1/roles", params={"limit": 200}))["items"]}
        for role in roles:
            given = {"member_id": member["id"], "role_id": ids[role], "department_id": department_id, "channel_id": channel_id}
            await self.post("/v1/grants", given)
        return (await self.post("/v1/keys", {"name": "test", "member_id": member["id"]}))["text"]  # type: ignore[no-any-return]

    async def organisation(self, slug: str = "other") -> Hub:
        """Another organisation on the same hub, with its admin's client."""
        made = await self.post("/v1/organisations", {"name": slug.title(), "slug": slug})
        return Hub(self.runtime, self.app, made["admin_key"], self.clock)

    async def me(self) -> UUID:
        return UUID((await self.get("/v1/me"))["organisation_id"])


def hanging_up(app: Litestar) -> Any:
    """The app for clients that read an answer whole: they hang up on a stream once it has begun."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        streams, gone = False, asyncio.Event()

        async def hear() -> Any:
            hanging = asyncio.create_task(gone.wait())
            hearing = asyncio.create_task(receive())
            await asyncio.wait({hanging, hearing}, return_when=asyncio.FIRST_COMPLETED)
            for one in (hanging, hearing):
                one.cancel()
            return {"type": "http.disconnect"} if gone.is_set() else hearing.result()

        async def say(message: Any) -> None:
            nonlocal streams
            if message["type"] == "http.response.start":
                streams = (b"content-type", b"text/event-stream") in [(name, value[:17]) for name, value in message["headers"]]
            if gone.is_set():
                return
            if streams and message["type"] == "http.response.body":
                message = {**message, "more_body": False}
                gone.set()
            await send(message)

        await app(scope, hear, say)

    return asked


_made: dict[tuple[str, ...], Litestar] = {}


def app_for(runtime: Runtime, *, shared: bool) -> Litestar:
    """An app that serves this runtime. A shared one is made once for all tests with the same plugins: it takes longer than most of them."""
    if not shared:
        return create_app(runtime)
    ids = tuple(sorted(runtime.hub.records))
    if ids not in _made:
        _made[ids] = create_app(runtime)
    serve(_made[ids], runtime)
    return _made[ids]


@asynccontextmanager
async def start(
    url: str,
    *,
    plugins: Sequence[Plugin] | None = None,
    again: tuple[str, StandingClock] | None = None,
    shared: bool = False,
    **more: Any,
) -> AsyncIterator[Hub]:
    """A hub on a migrated database; `again`: with the admin's key and the clock that it had before. `shared`: its app may be that of an
    earlier hub with these plugins, which is over."""
    Echo.world = EchoWorld()
    clock = again[1] if again else StandingClock()
    settings = Settings(database_url=url, secret_keys=KEYS, public_url="http://hub.test", **more)
    runtime = make_runtime(settings, clock=clock, plugins=[EchoPlugin()] if plugins is None else plugins, seed=1)
    prepared = await prepare(runtime)
    key = again[0] if again else prepared.first_key.reveal() if prepared.first_key else None
    assert key is not None
    hub = Hub(runtime, app_for(runtime, shared=shared or plugins is None), key, clock)
    app = hub.app
    try:
        yield hub
    finally:
        await hub.runner.cut_off()
        await app.state["live"].close()
        await runtime.net.close()
        await runtime.database.close()
