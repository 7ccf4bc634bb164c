"""After taking in: interceptors say what a mention is about and which department should have it."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.departments.models import Department
from smhub.events.log import Fact, record
from smhub.mentions.annotations import annotate
from smhub.mentions.models import Author, Mention
from smhub.sdk import Annotation, DepartmentView, Interceptor, InterceptorContext, Job, MentionView, Route
from smhub.text import clean_text, fold
from smhub.work.queue import JobContext
from smhub.work.running import still_ours

log = structlog.get_logger("smhub.routing")


class LookAt(msgspec.Struct, frozen=True, kw_only=True):
    """Mentions whose text is new."""

    mention_ids: list[UUID]


class Verdict(msgspec.Struct, kw_only=True):
    """What the interceptors said about one mention, by plugin."""

    annotations: list[tuple[str, Annotation]] = msgspec.field(default_factory=list)
    route: Route | None = None


async def by_keywords(context: InterceptorContext, mention: MentionView) -> Route | None:
    """The core's own router: the department most of whose keywords stand in the mention; the deeper one wins a tie."""
    words = fold(f"{mention.title or ''} {mention.text}")
    best: tuple[int, int, str] | None = None
    route = None
    for department in context.departments:
        hits = [keyword for keyword in department.keywords if _stands_in(keyword, words)]
        rank = (len(hits), department.path.count("/"), department.path)
        if hits and (best is None or rank[:2] > best[:2]):
            best, route = rank, Route(department_id=department.id, reason=f"keywords: {', '.join(hits[:5])}")
    return route


def _stands_in(keyword: str, words: str) -> bool:
    """Whether the keyword begins a word there, so that `liefer` finds Lieferung."""
    return re.search(rf"(?<!\w){re.escape(fold(keyword))}", words) is not None


KEYWORDS = Interceptor(point="mention.route", handler=by_keywords, name="keywords", priority=1000)


async def look_at(context: JobContext, payload: LookAt) -> None:
    """Ask the interceptors about each mention, then write what they said in one transaction. Doing it twice changes nothing."""
    assert context.organisation_id is not None
    runtime = context.runtime
    async with runtime.database.read() as session:
        mentions = await views(session, context.organisation_id, payload.mention_ids)
        departments = await _departments(session, context.organisation_id)
    asked = InterceptorContext(organisation_id=context.organisation_id, clock=runtime.clock, departments=departments)
    annotators = runtime.hub.asked("mention.annotate")
    routers = [*runtime.hub.asked("mention.route")]
    if any(department.keywords for department in departments):
        routers.append(("core", KEYWORDS))
    slow: set[str] = set()
    verdicts = {mention.id: await _ask(asked, mention, annotators, routers, slow) for mention in mentions}
    said = {id_: verdict for id_, verdict in verdicts.items() if verdict.annotations or verdict.route}
    if not said:
        return
    async with runtime.database.write() as session:
        await still_ours(session, context)
        for mention_id, verdict in sorted(said.items()):
            await _write(session, context, mention_id, verdict)


async def _ask(
    context: InterceptorContext,
    mention: MentionView,
    annotators: list[tuple[str, Interceptor]],
    routers: list[tuple[str, Interceptor]],
    slow: set[str],
) -> Verdict:
    verdict = Verdict()
    for plugin, one in annotators:
        said = await _call(plugin, one, context, mention, slow)
        if isinstance(said, list):
            verdict.annotations += [(f"{plugin}.{one.name}", item) for item in said if _fits(item)]
    known = {department.id for department in context.departments}
    for plugin, one in routers:
        route = await _call(plugin, one, context, mention, slow)
        if isinstance(route, Route) and route.department_id in known:
            verdict.route = route
            break
    return verdict


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


async def _call(plugin: str, one: Interceptor, context: InterceptorContext, mention: MentionView, slow: set[str]) -> Any:
    """An interceptor's answer; a failing one is skipped and named in the log, one that ran out of time is not asked again this time."""
    name = f"{plugin}.{one.point}.{one.name}"
    if name in slow:
        return None
    try:
        async with asyncio.timeout(one.timeout):
            return await one.handler(context, mention)
    except (Exception, SystemExit) as error:
        if isinstance(error, TimeoutError) and one.on_error != "block":
            slow.add(name)
        log.warning("interceptor_failed", plugin=plugin, interceptor=one.name, point=one.point, error=type(error).__name__)
        if one.on_error == "block":
            raise
        return None


async def _write(session: AsyncSession, context: JobContext, mention_id: UUID, verdict: Verdict) -> None:
    organisation_id, now = context.organisation_id, context.runtime.clock.now()
    assert organisation_id is not None
    by_producer: dict[str, list[Annotation]] = {}
    for producer, item in verdict.annotations:
        by_producer.setdefault(producer, []).append(item)
    for producer, items in by_producer.items():
        await annotate(session, organisation_id, mention_id, items, producer=producer, now=now)
    facts = []
    if by_producer:
        data: dict[str, Any] = {"keys": sorted({item.key for _, item in verdict.annotations})}
        facts.append(_fact(organisation_id, mention_id, "mention.annotated", now, data))
    if verdict.route is not None:
        moved = await session.execute(
            update(Mention)
            .where(
                Mention.organisation_id == organisation_id,
                Mention.id == mention_id,
                Mention.routed_by.is_distinct_from("member"),
                Mention.department_id.is_distinct_from(verdict.route.department_id),
            )
            .values(
                department_id=verdict.route.department_id,
                routed_by="interceptor",
                routing_reason=clean_text(verdict.route.reason, 500),
                version=Mention.version + 1,
            )
            .execution_options(synchronize_session=False)
        )
        if moved.rowcount:  # type: ignore[attr-defined]
            facts.append(_fact(organisation_id, mention_id, "mention.routed", now, {"department_id": str(verdict.route.department_id)}))
    await record(session, *facts)


def _fact(organisation_id: UUID, mention_id: UUID, type_: str, now: Any, data: dict[str, Any]) -> Fact:
    return Fact(organisation_id=organisation_id, type=type_, subject_type="mention", subject_id=mention_id, at=now, data=data)


async def views(session: AsyncSession, organisation_id: UUID, ids: list[UUID]) -> list[MentionView]:
    """Mentions as interceptors see them; deleted ones are left out."""
    statement = (
        select(Mention, Author.handle)
        .join(Author, (Author.organisation_id == Mention.organisation_id) & (Author.id == Mention.author_id), isouter=True)
        .where(Mention.organisation_id == organisation_id, Mention.id.in_(ids), Mention.content_state != "deleted")
        .order_by(Mention.id)
    )
    return [
        MentionView(
            id=row.id,
            organisation_id=row.organisation_id,
            network=row.network,
            kind=row.kind,
            visibility=row.visibility,
            text=row.text,
            title=row.title,
            language=row.language,
            url=row.url,
            author_handle=handle,
            published_at=row.published_at,
            channel_id=row.channel_id,
            listener_id=row.listener_id,
            tags=tuple(row.tags),
            annotations={key: value["value"] for key, value in row.annotations.items()},
        )
        for row, handle in (await session.execute(statement))
    ]


async def _departments(session: AsyncSession, organisation_id: UUID) -> tuple[DepartmentView, ...]:
    statement = select(Department).where(Department.organisation_id == organisation_id).order_by(Department.path)
    return tuple(
        DepartmentView(id=row.id, path=row.path, name=row.name, keywords=tuple(row.keywords))
        for row in await session.scalars(statement)
    )


ROUTE = Job(name="mention.look_at", handler=look_at, payload=LookAt, timeout=120.0, max_attempts=8)
JOBS = (ROUTE,)
