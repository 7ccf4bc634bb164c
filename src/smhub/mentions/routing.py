"""After taking in: what the interceptors say about new mentions is written down, a page at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.keyring import Unreadable
from smhub.db.many import Many
from smhub.departments.models import Department
from smhub.events.log import Fact, record_all
from smhub.mentions.annotations import annotate_all
from smhub.mentions.intercepting import Panel, Verdict, plugins_asked
from smhub.mentions.models import Author, Mention
from smhub.organisations.plugin_settings import settings_of
from smhub.sdk import Annotation, DepartmentView, InterceptorContext, Job, MentionView, Route
from smhub.text import clean_text
from smhub.work.leases import still_ours
from smhub.work.queue import JobContext, later


class LookAt(msgspec.Struct, frozen=True, kw_only=True):
    """Mentions whose text is new. `core_only`: plugins are not asked any more, because one of them killed the worker that asked it."""

    mention_ids: list[UUID]
    core_only: bool = False


async def look_at(context: JobContext, payload: LookAt) -> None:
    """Ask the interceptors about each mention, then write what they said in one transaction. Doing it twice changes nothing."""
    assert context.organisation_id is not None
    runtime = context.runtime
    async with runtime.database.read() as session:
        mentions = await views(session, context.organisation_id, payload.mention_ids)
        departments = await _departments(session, context.organisation_id)
        settings = await _settings(session, context, plugins_asked(runtime.hub))
    asked = InterceptorContext(organisation_id=context.organisation_id, clock=runtime.clock, departments=departments)
    panel = Panel(runtime.hub, asked, settings, core_only=payload.core_only)
    await panel.prepare(runtime.database, mentions)
    verdicts = {mention.id: await panel.verdict(mention) for mention in mentions}
    said = {id_: verdict for id_, verdict in sorted(verdicts.items()) if verdict.annotations or verdict.route}
    if not said and not panel.keeps:
        return
    async with runtime.database.write() as session:
        await still_ours(session, context)
        now = runtime.clock.now()
        facts = await _annotate(session, context.organisation_id, said, now)
        facts += await _route(session, context.organisation_id, said, now)
        await panel.keep(session, mentions)
        await record_all(session, facts)


async def _annotate(session: AsyncSession, organisation_id: UUID, said: dict[UUID, Verdict], now: datetime) -> list[Fact]:
    facts = []
    by_producer: dict[str, dict[UUID, list[Annotation]]] = {}
    for mention_id, verdict in said.items():
        for producer, item in verdict.annotations:
            by_producer.setdefault(producer, {}).setdefault(mention_id, []).append(item)
        if verdict.annotations:
            keys = sorted({item.key for _, item in verdict.annotations})
            facts.append(_fact(organisation_id, mention_id, "mention.annotated", now, {"keys": keys}))
    for producer, items in by_producer.items():
        await annotate_all(session, organisation_id, items, producer=producer, now=now)
    return facts


async def _route(session: AsyncSession, organisation_id: UUID, said: dict[UUID, Verdict], now: datetime) -> list[Fact]:
    """Mentions go where a router says, unless a member has decided or they are there already."""
    wanted = {id_: verdict.route for id_, verdict in said.items() if verdict.route is not None}
    moved = await _to_move(session, organisation_id, wanted)
    if not moved:
        return []
    await _MOVE.run(
        session,
        [
            {"key_organisation": organisation_id, "key_id": id_, "to": route.department_id, "because": clean_text(route.reason, 500)}
            for id_, route in moved.items()
        ],
    )
    return [
        _fact(organisation_id, id_, "mention.routed", now, {"department_id": str(route.department_id)}) for id_, route in moved.items()
    ]


_MOVE = Many(
    update(Mention)
    .where(Mention.organisation_id == bindparam("key_organisation"), Mention.id == bindparam("key_id"))
    .values(
        department_id=bindparam("to"),
        routing_reason=bindparam("because"),
        routed_by=literal_column("'interceptor'"),
        version=Mention.version + literal_column("1"),
    )
)


async def _to_move(session: AsyncSession, organisation_id: UUID, wanted: dict[UUID, Route]) -> dict[UUID, Route]:
    if not wanted:
        return {}
    present = (
        select(Mention.id, Mention.department_id, Mention.routed_by)
        .where(Mention.organisation_id == organisation_id, Mention.id.in_(list(wanted)))
        .order_by(Mention.id)
        .with_for_update()
    )
    return {
        id_: wanted[id_]
        for id_, department_id, routed_by in await session.execute(present)
        if routed_by != "member" and department_id != wanted[id_].department_id
    }


def _fact(organisation_id: UUID, mention_id: UUID, type_: str, now: datetime, data: dict[str, Any]) -> Fact:
    return Fact(organisation_id=organisation_id, type=type_, subject_type="mention", subject_id=mention_id, at=now, data=data)


_SEEN = (
    Mention.id,
    Mention.network,
    Mention.kind,
    Mention.visibility,
    Mention.text,
    Mention.title,
    Mention.language,
    Mention.url,
    Author.handle,
    Mention.published_at,
    Mention.channel_id,
    Mention.listener_id,
    Mention.tags,
    Mention.annotations,
)


async def views(session: AsyncSession, organisation_id: UUID, ids: list[UUID]) -> list[MentionView]:
    """Mentions as interceptors see them; deleted ones are left out."""
    statement = (
        select(*_SEEN)
        .select_from(Mention)
        .join(Author, (Author.organisation_id == Mention.organisation_id) & (Author.id == Mention.author_id), isouter=True)
        .where(Mention.organisation_id == organisation_id, Mention.id.in_(ids), Mention.content_state != "deleted")
        .order_by(Mention.id)
    )
    return [
        MentionView(
            id=row[0],
            organisation_id=organisation_id,
            network=row[1],
            kind=row[2],
            visibility=row[3],
            text=row[4],
            title=row[5],
            language=row[6],
            url=row[7],
            author_handle=row[8],
            published_at=row[9],
            channel_id=row[10],
            listener_id=row[11],
            tags=tuple(row[12]),
            annotations={key: value["value"] for key, value in row[13].items()},
        )
        for row in await (await session.connection()).execute(statement)
    ]


async def _settings(session: AsyncSession, context: JobContext, plugins: set[str]) -> dict[str, Any]:
    """What the organisation set for each plugin that has a say; None where that is not complete."""
    found: dict[str, Any] = {}
    assert context.organisation_id is not None
    for plugin in sorted(plugins):
        try:
            found[plugin] = await settings_of(session, context.runtime, context.organisation_id, plugin)
        except (msgspec.ValidationError, Unreadable):
            found[plugin] = None
    return found


async def _departments(session: AsyncSession, organisation_id: UUID) -> tuple[DepartmentView, ...]:
    statement = select(Department).where(Department.organisation_id == organisation_id).order_by(Department.path)
    return tuple(
        DepartmentView(id=row.id, path=row.path, name=row.name, keywords=tuple(row.keywords))
        for row in await session.scalars(statement)
    )


async def look_later(session: AsyncSession, organisation_id: UUID, payload: LookAt, now: datetime) -> None:
    """Let a worker look at them; of one organisation one page at a time."""
    await later(session, ROUTE, payload, now=now, organisation_id=organisation_id, key=f"look_at:{organisation_id}")


# Many attempts: each death of a worker is one, and is not the job's fault.
ROUTE = Job(name="mention.look_at", handler=look_at, payload=LookAt, timeout=120.0, max_attempts=25)
JOBS = (ROUTE,)
