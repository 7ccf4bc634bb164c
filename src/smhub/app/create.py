"""Puts the app together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
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
from smhub.mentions.fields import mention_fields
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
    live = Live(runtime)
    app = _litestar(runtime, live, middleware=[edge], lifespan=[_lifespan(runtime, live)], openapi_config=None)
    edge.learn(app)
    refuse_open_routes(app)
    return app


def describing_app(runtime: Runtime) -> Litestar:
    """The same routes in an app that only tells about itself: Litestar would serve its unfinished document along with it."""
    config = OpenAPIConfig("smhub", __version__, operation_id_creator=lambda handler, *_: handler.fn.__name__, render_plugins=())
    return _litestar(runtime, Live(runtime), openapi_config=config)


def _litestar(runtime: Runtime, live: Live, **more: Any) -> Litestar:
    fields = mention_fields(field for _, field in runtime.hub.query_fields)

    def provide_reading(scope: Scope) -> mentions_api.Reading:
        return mentions_api.Reading(provide_caller(scope), runtime, fields)

    return Litestar(
        [*CORE_ROUTES, *_mounted(runtime.hub)],
        dependencies={
            "session": Provide(provide_session),
            "caller": Provide(provide_caller, sync_to_thread=False),
            "runtime": Provide(lambda: runtime, sync_to_thread=False),
            "fields": Provide(lambda: fields, sync_to_thread=False),
            "streams": Provide(lambda: live, sync_to_thread=False),
            "reading": Provide(provide_reading, sync_to_thread=False),
        },
        exception_handlers={Exception: to_response},
        request_max_body_size=MAX_BODY,
        state=State(
            {
                "runtime": runtime,
                "live": live,
                "describe": lambda: document(describing_app(runtime), base_url=runtime.settings.base_url),
            }
        ),
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


def provide_caller(scope: Scope) -> Caller:
    """Who is asking."""
    caller: Caller | None = scope["state"]["asked"].caller
    if caller is None:
        raise Unauthenticated
    return caller


def _lifespan(runtime: Runtime, live: Live) -> Any:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        touching = asyncio.create_task(_touch(runtime))
        try:
            yield
        finally:
            touching.cancel()
            with suppress(asyncio.CancelledError):
                await touching
            await live.close()
            await runtime.net.close()
            await runtime.database.close()

    return lifespan


async def _touch(runtime: Runtime) -> None:
    """Write down which keys were used, and set the clock."""
    while True:
        await asyncio.sleep(TOUCH_SECONDS)
        with suppress(SQLAlchemyError, OSError):
            await set_clock(runtime.clock, runtime.database)
        if runtime.used_keys:
            with suppress(SQLAlchemyError, OSError):
                async with runtime.database.write() as session:
                    await runtime.used_keys.write_down(session, runtime.clock.now())
