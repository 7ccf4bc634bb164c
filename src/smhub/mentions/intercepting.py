"""Asking the interceptors: what is a mention about, and which department should have it?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.engine import Database
from smhub.hub.loader import Hub
from smhub.sdk import Annotation, Interceptor, InterceptorContext, MentionView, Route
from smhub.text import beginning_with, clean_text, first_words, fold

log = structlog.get_logger("smhub.routing")


class Verdict(msgspec.Struct, kw_only=True):
    """What the interceptors said about one mention; annotations with their producer."""

    annotations: list[tuple[str, Annotation]] = msgspec.field(default_factory=list)
    route: Route | None = None


async def by_keywords(context: InterceptorContext, mention: MentionView) -> Route | None:
    """The core's own router: the department most of whose keywords stand in the mention; the deeper one wins a tie."""
    words = fold(f"{mention.title or ''} {mention.text}")
    best: tuple[int, int] = (0, 0)
    route = None
    for department in context.departments:
        # Most departments have no say in most mentions, and `in` is many times faster than the pattern.
        if not any(word in words for word in first_words(department.keywords)):
            continue
        hits = sorted(set(beginning_with(department.keywords).findall(words)))
        rank = (len(hits), department.path.count("/"))
        if hits and rank > best:
            best, route = rank, Route(department_id=department.id, reason=f"keywords: {', '.join(hits[:5])}")
    return route


KEYWORDS = Interceptor(point="mention.route", handler=by_keywords, name="keywords", priority=1000)


class Panel:
    """Everybody who has a say, for the mentions of one organisation. One who runs out of time is not asked again by this panel."""

    def __init__(self, hub: Hub, context: InterceptorContext, settings: dict[str, Any], *, core_only: bool = False) -> None:
        self._annotators = [] if core_only else hub.asked("mention.annotate")
        self._routers = [*([] if core_only else hub.asked("mention.route")), ("core", KEYWORDS)]
        self._contexts = {plugin: msgspec.structs.replace(context, settings=settings.get(plugin)) for plugin in plugins_asked(hub)}
        self._departments: set[UUID] = {department.id for department in context.departments}
        self._slow: set[str] = set()
        self._prepared: dict[str, Any] = {}

    async def prepare(self, database: Database, mentions: Sequence[MentionView]) -> None:
        """Let the annotators read what they need for these mentions; each in a transaction of its own, which only reads."""
        for plugin, one in self._annotators:
            if one.prepare is None:
                continue
            async with database.read() as session:
                asked = one.prepare(session, self._contexts[plugin], mentions)
                prepared = await self._answer(plugin, one, lambda asked=asked: asked)  # type: ignore[misc]
            if prepared is FAILED:
                self._slow.add(_name(plugin, one))
            else:
                self._prepared[_name(plugin, one)] = prepared

    async def keep(self, session: AsyncSession, mentions: Sequence[MentionView]) -> None:
        """Let the annotators write what they keep of these mentions. What one of them wrote before it failed is taken back."""
        for plugin, one in self._keepers():
            try:
                async with session.begin_nested(), asyncio.timeout(one.timeout):
                    await one.keep(session, self._context(plugin, one), mentions)  # type: ignore[misc]
            except (Exception, SystemExit) as error:
                _failed(plugin, one, error)

    @property
    def keeps(self) -> bool:
        """Whether anybody keeps something of mentions about which nothing is said."""
        return bool(self._keepers())

    def _keepers(self) -> list[tuple[str, Interceptor]]:
        return [(plugin, one) for plugin, one in self._annotators if one.keep is not None and _name(plugin, one) not in self._slow]

    def _context(self, plugin: str, one: Interceptor) -> InterceptorContext:
        prepared = self._prepared.get(_name(plugin, one))
        context = self._contexts[plugin]
        return context if prepared is None else msgspec.structs.replace(context, prepared=prepared)

    async def verdict(self, mention: MentionView) -> Verdict:
        """All annotators are asked; of the routers the first who answers with a department of this organisation."""
        verdict = Verdict()
        for plugin, one in self._annotators:
            said = await self._call(plugin, one, mention)
            if isinstance(said, list):
                verdict.annotations += [(f"{plugin}.{one.name}", item) for item in said if _fits(item)]
        for plugin, one in self._routers:
            route = await self._call(plugin, one, mention)
            if isinstance(route, Route) and route.department_id in self._departments:
                verdict.route = route
                break
        return verdict

    async def _call(self, plugin: str, one: Interceptor, mention: MentionView) -> Any:
        """An interceptor's answer; a failing one is skipped and named in the log."""
        if _name(plugin, one) in self._slow:
            return None
        if plugin == "core":
            return await one.handler(self._contexts[plugin], mention)
        said = await self._answer(plugin, one, lambda: one.handler(self._context(plugin, one), mention))
        return None if said is FAILED else said

    async def _answer(self, plugin: str, one: Interceptor, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What it answers within its time, or FAILED; one that blocks raises."""
        try:
            async with asyncio.timeout(one.timeout):
                return await ask()
        except (Exception, SystemExit) as error:
            if isinstance(error, TimeoutError) and one.on_error != "block":
                self._slow.add(_name(plugin, one))
            _failed(plugin, one, error)
            return FAILED


FAILED: Any = object()


def _name(plugin: str, one: Interceptor) -> str:
    return f"{plugin}.{one.point}.{one.name}"


def _failed(plugin: str, one: Interceptor, error: BaseException) -> None:
    """Name it in the log; raise again where nothing goes on without it."""
    log.warning("interceptor_failed", plugin=plugin, interceptor=one.name, point=one.point, error=type(error).__name__)
    if one.on_error == "block":
        raise error


def plugins_asked(hub: Hub) -> set[str]:
    """The plugins that have a say, the core included."""
    return {"core"} | {plugin for point in ("mention.annotate", "mention.route") for plugin, _ in hub.asked(point)}


def _fits(item: Any) -> bool:
    """Whether a plugin's annotation can be stored."""
    if not isinstance(item, Annotation):
        return False
    try:
        msgspec.convert(msgspec.to_builtins(item), Annotation)
    except (msgspec.ValidationError, TypeError):
        return False
    texts = (item.key, item.version, item.value if isinstance(item.value, str) else "")
    return bool(item.key) and all(clean_text(one) == one for one in texts)
