"""A question and its answer, for whoever asks: the API, a page or a schedule."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Runtime, Scope, fields_of
from smhub_monitoring.reports import asking, schemas
from smhub_monitoring.reports.measuring import Measuring
from smhub_monitoring.reports.naming import titles_of

EVERYWHERE = Scope(True)


async def answered(
    session: AsyncSession,
    runtime: Runtime,
    organisation_id: UUID,
    scope: Scope,
    question: asking.MonitoringQuestion,
    language: str = "en",
) -> schemas.MonitoringFigures:
    """The answer to a question, of what lies in the scope."""
    fields = fields_of(runtime.hub)
    asked = await asking.understood(session, fields, organisation_id, question)
    result = await Measuring(session, fields, organisation_id, asked, scope, runtime.clock.now()).measure()
    return schemas.answer(asked, result, await titles_of(session, organisation_id, question.group_by, result, language))
