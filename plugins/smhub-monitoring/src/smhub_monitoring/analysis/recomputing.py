"""Old mentions analysed anew, and the words of an organisation counted anew."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Fact,
    JobContext,
    Mention,
    Organisation,
    annotate_all,
    finished,
    mention_views,
    progress,
    record,
    settings_of,
    still_ours,
)
from smhub.sdk import Job, MentionView
from smhub_monitoring.analysis.analyst import Analysis
from smhub_monitoring.analysis.annotating import analysed, as_annotations
from smhub_monitoring.analysis.keeping import Seen, keep_all
from smhub_monitoring.analysis.keywords import Background, counted, words_of
from smhub_monitoring.analysis.models import Words
from smhub_monitoring.analysis.preparing import PRODUCER, Prepared, analyst_of, department_views, said_before
from smhub_monitoring.analysis.text import prepared as prepared_text
from smhub_monitoring.analysis.text import tokens
from smhub_monitoring.reports.counting import count_again

AT_ONCE = 200
MOST_COUNTED = 20_000


class Recompute(msgspec.Struct, frozen=True, kw_only=True):
    """All mentions since then, None: all."""

    since: datetime | None = None


async def recompute(context: JobContext, payload: Recompute) -> None:
    """Analyse old mentions with what is in force now. Doing it twice changes nothing."""
    assert context.organisation_id is not None
    organisation_id, done = context.organisation_id, 0
    await _count(context, organisation_id)
    total = await _total(context, organisation_id, payload.since)
    after: UUID | None = None
    await progress(context, 0, total)
    while ids := await _next(context, organisation_id, payload.since, after):
        await _page(context, organisation_id, ids)
        done, after = done + len(ids), ids[-1]
        await progress(context, done, max(done, total))
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        now = context.runtime.clock.now()
        fact = Fact(
            organisation_id=organisation_id,
            type="monitoring.recomputed",
            subject_type="organisation",
            subject_id=organisation_id,
            at=now,
            data={"mentions": done},
        )
        await record(session, fact)
    await finished(context, {"mentions": done})


def _wanted(organisation_id: UUID, since: datetime | None) -> list[object]:
    wanted = [Mention.organisation_id == organisation_id, Mention.content_state != "deleted"]
    return [*wanted, Mention.published_at >= since] if since is not None else [*wanted]


async def _total(context: JobContext, organisation_id: UUID, since: datetime | None) -> int:
    async with context.runtime.database.read() as session:
        of = select(func.count()).select_from(Mention).where(*_wanted(organisation_id, since))  # type: ignore[arg-type]
        return int((await session.execute(of)).scalar_one())


async def _next(context: JobContext, organisation_id: UUID, since: datetime | None, after: UUID | None) -> list[UUID]:
    of = select(Mention.id).where(*_wanted(organisation_id, since)).order_by(Mention.id).limit(AT_ONCE)  # type: ignore[arg-type]
    async with context.runtime.database.read() as session:
        return list((await session.scalars(of if after is None else of.where(Mention.id > after))).all())


async def _page(context: JobContext, organisation_id: UUID, ids: list[UUID]) -> None:
    runtime = context.runtime
    async with runtime.database.read() as session:
        settings = await settings_of(session, runtime, organisation_id, "monitoring")
        analyst = await analyst_of(session, organisation_id, settings, await department_views(session, organisation_id))
        prepared = Prepared(analyst, await said_before(session, organisation_id, ids))
        mentions = await mention_views(session, organisation_id, ids)
    analyses = await asyncio.to_thread(_analysed, prepared, mentions)
    async with runtime.database.write() as session:
        await still_ours(session, context)
        said = {id_: as_annotations(one, prepared.before.get(id_, frozenset())) for id_, one in analyses.items()}
        await annotate_all(session, organisation_id, said, producer=PRODUCER, now=runtime.clock.now())
        seen = [Seen(mention_id=one.id, published_at=one.published_at, analysis=analyses[one.id]) for one in mentions]
        await keep_all(session, organisation_id, seen)
        await count_again(session, organisation_id, ids)


def _analysed(prepared: Prepared, mentions: list[MentionView]) -> dict[UUID, Analysis]:
    return {mention.id: analysed(prepared, mention) for mention in mentions}


async def count_words(context: JobContext, _: None) -> None:
    """Count the words of every organisation's newest texts."""
    async with context.runtime.database.read() as session:
        organisations = (await session.scalars(select(Organisation.id))).all()
    for organisation_id in organisations:
        await _count(context, organisation_id)


async def _count(context: JobContext, organisation_id: UUID) -> None:
    async with context.runtime.database.read() as session:
        texts = await _texts(session, organisation_id)
    background = await asyncio.to_thread(_counted, texts)
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        row = await session.get(Words, organisation_id, with_for_update=True)
        if row is not None and (row.texts, row.words) == (background.texts, background.words):
            return
        if row is None:
            row = Words(organisation_id=organisation_id)
            session.add(row)
        row.texts, row.words, row.at = background.texts, dict(background.words), context.runtime.clock.now()


async def _texts(session: AsyncSession, organisation_id: UUID) -> list[tuple[str, str | None]]:
    of = select(Mention.text, Mention.title).where(Mention.organisation_id == organisation_id, Mention.content_state != "deleted")
    rows = await session.execute(of.order_by(Mention.id.desc()).limit(MOST_COUNTED))
    return [(text, title) for text, title in rows.all()]


def _counted(texts: list[tuple[str, str | None]]) -> Background:
    return counted(words_of(tokens(prepared_text(text, title))) for text, title in texts)


RECOMPUTE = Job(name="monitoring.recompute", handler=recompute, payload=Recompute, timeout=3600.0, max_attempts=5)
COUNT = Job(name="monitoring.count_words", handler=count_words, timeout=600.0, max_attempts=1, every=3600.0)
