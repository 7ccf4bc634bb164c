"""Edit or take back what is out. Both bear being done twice, so a lost answer is asked for again; who waits follows the operation."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels.connecting import config_of, connect_to_say
from smhub.channels.models import Channel
from smhub.deliveries import holds, media, models
from smhub.deliveries.envelope import attempt_of, draft_of, presence_of
from smhub.deliveries.models import Attempt, Delivery
from smhub.deliveries.outcomes import Outcome, of_error
from smhub.deliveries.sending import PUBLISH_SECONDS, Fence, locked
from smhub.deliveries.telling import tell
from smhub.sdk import Draft, Gone, Job, Published, Transient
from smhub.work.actions import failed, finished
from smhub.work.leases import LeaseLost, renew, still_ours
from smhub.work.queue import JobContext


class EditPublished(msgspec.Struct, frozen=True, kw_only=True):
    """What is to stand there instead."""

    delivery_id: UUID
    text: str
    sensitive: str | None = None
    language: str | None = None


class TakeBack(msgspec.Struct, frozen=True, kw_only=True):
    """What is to vanish."""

    delivery_id: UUID


Call = Callable[[Any, Delivery], Awaitable[object]]


async def edit(context: JobContext, payload: EditPublished) -> None:
    """Replace the words of what is out."""

    def words(delivery: Delivery) -> Draft:
        return msgspec.structs.replace(
            draft_of(delivery), text=payload.text, sensitive=payload.sensitive, language=payload.language or delivery.language
        )

    async def call(connector: Any, delivery: Delivery) -> object:
        draft = words(delivery)
        key = hashlib.sha256(msgspec.json.encode(draft)).hexdigest()[:32]
        if draft.media:
            async with context.runtime.database.read() as session:
                draft = await media.with_content(session, delivery.organisation_id, draft)
        return await connector.edit(delivery.external_id, draft, key)

    def done(delivery: Delivery, outcome: Outcome) -> None:
        draft = words(delivery)
        delivery.text, delivery.sensitive, delivery.language = draft.text, draft.sensitive, draft.language
        delivery.external_id, delivery.url = outcome.external_id or delivery.external_id, outcome.url or delivery.url
        delivery.updated_at = context.runtime.clock.now()
        delivery.changed()

    await _change(context, payload.delivery_id, "edit", call, done)


async def take_back(context: JobContext, payload: TakeBack) -> None:
    """Delete what is out; what is gone already was what we wanted."""

    async def call(connector: Any, delivery: Delivery) -> object:
        with contextlib.suppress(Gone):
            await connector.delete(delivery.external_id)
        return Published(external_id=delivery.external_id or "")

    def done(delivery: Delivery, outcome: Outcome) -> None:
        delivery.becomes(models.DELETED, context.runtime.clock.now())

    await _change(context, payload.delivery_id, "delete", call, done)


async def _change(context: JobContext, delivery_id: UUID, action: str, call: Call, done: Callable[[Delivery, Outcome], None]) -> None:
    runtime = context.runtime
    async with runtime.database.read() as session:
        delivery = await session.get_one(Delivery, (context.organisation_id, delivery_id))
        channel = await session.get_one(Channel, (context.organisation_id, delivery.channel_id))
        if delivery.state != models.PUBLISHED or channel.ended_at is not None:
            await failed(context, {"code": "conflict", "detail": f"the delivery is {delivery.state}, or its channel was disconnected"})
            return
        config = await config_of(session, runtime, channel)
    began = runtime.clock.monotonic()
    attempt_id = await runtime.database.together(lambda session: _begin(session, context, delivery, channel, action))
    connector, http = connect_to_say(runtime, channel, config, Fence(context, began))
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            answer = await call(connector, delivery)
        outcome = Outcome(kind="published", acted=http.acted)
        if isinstance(answer, Published):
            outcome = Outcome(kind="published", acted=http.acted, external_id=answer.external_id, url=answer.url)
    except LeaseLost:
        raise
    except media.FileGone:
        outcome = Outcome(kind="refused", code="file_gone", reason="a file of it was removed")
    except Exception as error:
        outcome = of_error(error, acted=http.acted)
    await runtime.database.together(lambda session: _end(session, context, delivery_id, attempt_id, action, outcome, done))
    if outcome.kind == "published":
        await finished(context, {"delivery_id": str(delivery_id)})
    elif outcome.kind in ("refused", "held"):
        await failed(context, {"code": outcome.code or "refused", "detail": outcome.reason or "the network refuses it"})
    else:
        raise Transient(outcome.reason or "no clear answer", retry_after=outcome.after)


async def _begin(session: AsyncSession, context: JobContext, delivery: Delivery, channel: Channel, action: str) -> UUID:
    await renew(session, context)
    row = await locked(session, context.organisation_id, delivery.id)
    attempt = attempt_of(row, presence_of(context.runtime, channel), action, context.job_id, context.runtime.clock.now())
    session.add(attempt)
    await session.flush()
    return attempt.id


async def _end(
    session: AsyncSession,
    context: JobContext,
    delivery_id: UUID,
    attempt_id: UUID,
    action: str,
    outcome: Outcome,
    done: Callable[[Delivery, Outcome], None],
) -> None:
    await still_ours(session, context)
    now = context.runtime.clock.now()
    delivery = await locked(session, context.organisation_id, delivery_id)
    attempt = await session.get_one(Attempt, (delivery.organisation_id, attempt_id))
    attempt.ended_at, attempt.acted, attempt.status = now, outcome.acted, outcome.status
    attempt.error_code, attempt.error = outcome.code, outcome.reason
    attempt.state = {"published": "done", "again": "not_sent", "held": "refused"}.get(outcome.kind, outcome.kind)
    if outcome.kind == "published" and delivery.state == models.PUBLISHED:
        done(delivery, outcome)
        await tell(session, delivery, "delivery.edited" if action == "edit" else "delivery.taken_back", now)
    elif outcome.kind == "held":
        reason = outcome.reason or "the network asks for other credentials or settings"
        await holds.place(
            session, delivery.organisation_id, now, cause=outcome.code or "held", reason=reason, channel_id=delivery.channel_id
        )


EDIT = Job(name="delivery.edit", handler=edit, payload=EditPublished, timeout=180.0, max_attempts=8)
TAKE_BACK = Job(name="delivery.take_back", handler=take_back, payload=TakeBack, timeout=180.0, max_attempts=8)
