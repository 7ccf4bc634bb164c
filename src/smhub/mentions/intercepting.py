"""Asking the interceptors: what is a mention about, and which department should have it?"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import structlog

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
        name = f"{plugin}.{one.point}.{one.name}"
        if name in self._slow:
            return None
        try:
            if plugin == "core":
                return await one.handler(self._contexts[plugin], mention)
            async with asyncio.timeout(one.timeout):
                return await one.handler(self._contexts[plugin], mention)
        except (Exception, SystemExit) as error:
            if isinstance(error, TimeoutError) and one.on_error != "block":
                self._slow.add(name)
            log.warning("interceptor_failed", plugin=plugin, interceptor=one.name, point=one.point, error=type(error).__name__)
            if one.on_error == "block":
                raise
            return None


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
