"""A listener's daily budget: when it is spent the listener pauses, with a gap, until the next day (UTC) or until somebody resumes it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels import actions, health
from smhub.channels.models import Intake, Listener
from smhub.events.log import Fact, record
from smhub.hub.runtime import Runtime

SPENT = "budget_spent"


async def spend(session: AsyncSession, intake: Intake, count: int, now: datetime) -> None:
    """So many mentions came for a listener. A page is always stored whole, so the last one may go beyond the budget."""
    if intake.listener_id is None:
        return
    if intake.spent_on != now.date():
        intake.spent, intake.spent_on = 0, now.date()
    intake.spent += count
    of = select(Listener.daily_budget).where(Listener.organisation_id == intake.organisation_id, Listener.id == intake.listener_id)
    budget = (await session.execute(of)).scalar_one()
    if budget is None or intake.spent < budget or intake.state == health.PAUSED:
        return
    await actions.pause(session, intake, now, cause="budget")
    intake.reason_code, intake.reason = SPENT, f"it brought {intake.spent} mentions today, and its budget is {budget} a day"
    intake.next_poll_at = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    fact = Fact(
        organisation_id=intake.organisation_id,
        type="listener.budget_spent",
        subject_type="listener",
        subject_id=intake.listener_id,
        at=now,
    )
    await record(session, fact)


async def new_day(session: AsyncSession, runtime: Runtime, now: datetime) -> None:
    """Those whose budget was spent yesterday listen again."""
    rested = select(Intake).where(Intake.next_poll_at <= now, Intake.state == health.PAUSED, Intake.reason_code == SPENT).limit(500)
    for intake in await session.scalars(rested):
        await actions.resume(session, runtime, intake, now)
