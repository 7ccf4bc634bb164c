"""Puts the app together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.types import Scope
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import __version__
from smhub.access.callers import Caller
from smhub.app import hub_api
from smhub.app.edge import Asked, Edge
from smhub.app.openapi import document
from smhub.app.problems import MAX_BODY, to_response
from smhub.channels import api as channels_api
from smhub.db.clock import set_clock
from smhub.deliveries import api as deliveries_api
from smhub.departments import api as departments_api
from smhub.errors import Unauthenticated
from smhub.events import api as events_api
from smhub.events.stream import Live
from smhub.hub.loader import Hub
from smhub.hub.runtime import Runtime
from smhub.hub.web import PUBLIC
from smhub.mentions import api as mentions_api
from smhub.mentions.fields import fields_of
from smhub.organisations import api as organisations_api
from smhub.organisations import plugins_api
from smhub.work import api as work_api

CORE_ROUTES = [
    *hub_api.ROUTES,
    *organisations_api.ROUTES,
    *plugins_api.ROUTES,
    *departments_api.ROUTES,
    *channels_api.ROUTES,
    *mentions_api.ROUTES,
    *deliveries_api.ROUTES,
    *events_api.ROUTES,
    *work_api.ROUTES,
]
TOUCH_SECONDS = 30.0


def create_app(runtime: Runtime) -> Litestar:
    """The API. Refuses to be made when a route has no permission."""
    edge = Edge(runtime)
    app = _litestar(runtime.hub, middleware=[edge], lifespan=[_lifespan], openapi_config=None)
    app.state["edge"] = edge
    edge.learn(app)
    serve(app, runtime)
    refuse_open_routes(app)
    return app


def serve(app: Litestar, runtime: Runtime) -> None:
    """Let the app answer out of this runtime, whose hub has the same plugins as the one that it was made with."""
    app.state["edge"].serve(runtime)
    app.state["runtime"], app.state["live"] = runtime, Live(runtime)
    app.state["describe"] = lambda: document(describing_app(runtime), base_url=runtime.settings.base_url)


def describing_app(runtime: Runtime) -> Litestar:
    """The same routes in an app that only tells about itself: Litestar would serve its unfinished document along with it."""
    config = OpenAPIConfig("smhub", __version__, operation_id_creator=lambda handler, *_: handler.fn.__name__, render_plugins=())
    app = _litestar(runtime.hub, openapi_config=config)
    app.state["runtime"] = runtime
    return app


def _litestar(hub: Hub, **more: Any) -> Litestar:
    fields = fields_of(hub)

    def provide_reading(scope: Scope) -> mentions_api.Reading:
        return mentions_api.Reading(provide_caller(scope), provide_runtime(scope), fields)

    return Litestar(
        [*CORE_ROUTES, *_mounted(hub)],
        dependencies={
            "session": Provide(provide_session),
            "caller": Provide(provide_caller, sync_to_thread=False),
            "runtime": Provide(provide_runtime, sync_to_thread=False),
            "fields": Provide(lambda: fields, sync_to_thread=False),
            "streams": Provide(provide_streams, sync_to_thread=False),
            "reading": Provide(provide_reading, sync_to_thread=False),
        },
        exception_handlers={Exception: to_response},
        request_max_body_size=MAX_BODY,
        logging_config=None,
        **more,
    )


def refuse_open_routes(app: Litestar) -> None:
    """Default deny: every route says what it asks for, and that permission exists. Its name is the operation's id, so there is one of each."""
    known = app.state["runtime"].permissions.all.keys() | {PUBLIC, "any"}
    names: dict[str, str] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and "OPTIONS" not in handler.http_methods:
                permission = handler.opt.get("permission")
                if names.setdefault(handler.fn.__name__, route.path) != route.path:
                    raise RuntimeError(f"{handler.fn.__name__} ({route.path}): {names[handler.fn.__name__]} has this name already")
                if permission not in known:
                    raise RuntimeError(f"{handler.fn.__name__} ({route.path}): the permission {permission!r} is missing or unknown")


def _mounted(hub: Hub) -> list[Router]:
    """Each plugin's routes under /v1/<plugin>, open from its stage on."""
    routes: dict[str, list[Any]] = {}
    for plugin, route in hub.routes:
        routes.setdefault(plugin, []).append(route)
    return [
        Router(f"/v1/{plugin}", route_handlers=own, opt={"plugin": plugin, "stage": hub.stage_of(plugin)})
        for plugin, own in sorted(routes.items())
    ]


async def provide_session(scope: Scope) -> AsyncSession:
    """The request's session, from the edge, which alone ends it."""
    asked: Asked = scope["state"]["asked"]
    return await asked.open_session()


def provide_runtime(scope: Scope) -> Runtime:
    """What the process shares."""
    asked: Asked = scope["state"]["asked"]
    return asked.runtime


def provide_streams(scope: Scope) -> Live:
    """Those who listen live."""
    live: Live = scope["litestar_app"].state["live"]
    return live


def provide_caller(scope: Scope) -> Caller:
    """Who is asking."""
    caller: Caller | None = scope["state"]["asked"].caller
    if caller is None:
        raise Unauthenticated
    return caller


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    runtime: Runtime = app.state["runtime"]
    touching = asyncio.create_task(_touch(runtime))
    try:
        yield
    finally:
        touching.cancel()
        with suppress(asyncio.CancelledError):
            await touching
        await app.state["live"].close()
        await runtime.net.close()
        await runtime.database.close()


async def _touch(runtime: Runtime) -> None:
    """Write down which keys were used and what was refused, and set the clock."""
    while True:
        await asyncio.sleep(TOUCH_SECONDS)
        with suppress(SQLAlchemyError, OSError):
            await set_clock(runtime.clock, runtime.database)
        if runtime.used_keys:
            with suppress(SQLAlchemyError, OSError):
                async with runtime.database.write() as session:
                    await runtime.used_keys.write_down(session, runtime.clock.now())
        if runtime.refused:
            with suppress(SQLAlchemyError, OSError):
                async with runtime.database.write() as session:
                    await runtime.refused.write_down(session, runtime.clock.now())
