"""The interceptor: what the analysis says about each mention of a page, and what is kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from smhub.sdk import Annotation, Interceptor, InterceptorContext, MentionView
from smhub_monitoring.analysis.analyst import Analysis
from smhub_monitoring.analysis.keeping import Seen, keep_all
from smhub_monitoring.analysis.preparing import Prepared, prepare


def analysed(prepared: Prepared, mention: MentionView) -> Analysis:
    """The analysis of a mention."""
    analyst = prepared.analyst
    text = analyst.text(mention.text, mention.title, mention.language)
    ours = True if mention.channel_id is not None else False if mention.listener_id is not None else None
    return analyst.analyse(text, ours=ours)


def as_annotations(analysis: Analysis, before: frozenset[str]) -> list[Annotation]:
    """What is said, and what is not said any more."""
    said = [Annotation(key=one.key, value=one.value, confidence=one.confidence, version=one.version) for one in analysis.said]
    gone = sorted(before - {one.key for one in analysis.said})
    return [*said, *(Annotation(key=key, value=None) for key in gone)]


async def annotate(context: InterceptorContext, mention: MentionView) -> list[Annotation]:
    """Everything that the analysis says about a mention."""
    prepared: Prepared = context.prepared
    # A page may have many mentions, and the worker's other work wants its turn between two of them.
    await asyncio.sleep(0)
    analysis = analysed(prepared, mention)
    prepared.analyses[mention.id] = analysis
    return as_annotations(analysis, prepared.before.get(mention.id, frozenset()))


async def keep(session: AsyncSession, context: InterceptorContext, mentions: Sequence[MentionView]) -> None:
    """Likeness and keywords of the page."""
    prepared: Prepared = context.prepared
    seen = [
        Seen(mention_id=mention.id, published_at=mention.published_at, analysis=prepared.analyses[mention.id])
        for mention in mentions
        if mention.id in prepared.analyses
    ]
    await keep_all(session, context.organisation_id, seen)


# A page may have hundreds of mentions, and the first one in a process waits for the models.
INTERCEPTOR = Interceptor(
    point="mention.annotate", handler=annotate, name="analysis", priority=50, timeout=20.0, prepare=prepare, keep=keep
)
