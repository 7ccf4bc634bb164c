"""How one asks about models: those of the package, the organisation's own, which one decides, and what people said."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import PathParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Asking,
    Body,
    Caller,
    Cursor,
    CursorInvalid,
    Fact,
    Invalid,
    Limit,
    NotFound,
    OperationStarted,
    PathId,
    Process,
    Session,
    Stale,
    changes,
    check_match,
    found,
    given_fields,
    note,
    page,
    reads,
    record,
    start_operation,
    starts,
    tagged,
)
from smhub_monitoring.analysis import corrections, shipped
from smhub_monitoring.analysis.analyst import LEARNED
from smhub_monitoring.analysis.learning import FEWEST, LEARN, Learn, choice_of
from smhub_monitoring.analysis.models import Choice, OwnModelRow
from smhub_monitoring.analysis.schemas import (
    MonitoringChoice,
    MonitoringChoiceChange,
    MonitoringChoices,
    MonitoringContradiction,
    MonitoringContradictions,
    MonitoringLearn,
    MonitoringOpinion,
    MonitoringOwnModel,
    MonitoringOwnModels,
    MonitoringShippedModel,
    MonitoringShippedModels,
)

ID = "monitoring"
LearnedKey: TypeAlias = Annotated[str, PathParameter(max_length=40, description="One of GET /v1/monitoring/choices.")]


@reads("/shipped-models", "monitoring:read", tag=ID, plugin=ID)
async def monitoring_list_shipped_models() -> MonitoringShippedModels:
    """The models of the package: what they were made of, and how good they are."""
    cards = [msgspec.to_builtins(shipped.card(name)) for name in shipped.NAMES]
    return MonitoringShippedModels(items=[msgspec.convert(one, MonitoringShippedModel) for one in cards])


@reads("/own-models", "monitoring:read", CursorInvalid, tag=ID, plugin=ID)
async def monitoring_list_own_models(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> MonitoringOwnModels:
    """The organisation's own models, each with its judgement on newer corrections; the newest first."""
    rows, following = await page(
        session,
        select(OwnModelRow).where(OwnModelRow.organisation_id == caller.organisation_id),
        cursors=runtime.cursors,
        purpose=OwnModelRow.__tablename__,
        organisation_id=caller.organisation_id,
        order=[OwnModelRow.id],
        cursor=cursor,
        limit=limit,
    )
    return MonitoringOwnModels(items=[MonitoringOwnModel.of(row) for row in rows], next_cursor=following)


@reads("/own-models/{own_model_id:uuid}", "monitoring:read", NotFound, tag=ID, plugin=ID)
async def monitoring_get_own_model(caller: Asking, session: Session, own_model_id: PathId) -> MonitoringOwnModel:
    """One own model."""
    return MonitoringOwnModel.of(await found(session, OwnModelRow, caller.organisation_id, own_model_id, "own model"))


@starts("/own-models/learn", "monitoring:write", tag=ID, plugin=ID)
async def monitoring_learn(caller: Asking, session: Session, runtime: Process, data: Body[MonitoringLearn]) -> OperationStarted:
    """Learn a key from the corrections now, without waiting for more of them."""
    caller.need_everywhere("monitoring:write")
    if data.key not in LEARNED:
        raise Invalid.field("key", f"one of {', '.join(LEARNED)}")
    operation = await start_operation(
        session,
        LEARN,
        Learn(key=data.key),
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type="organisation",
        subject_id=caller.organisation_id,
        created_by=caller.member_id,
        key=f"monitoring.learn:{caller.organisation_id}:{data.key}",
    )
    return OperationStarted(operation_id=operation.id, state=operation.state)


@reads("/choices", "monitoring:read", tag=ID, plugin=ID)
async def monitoring_list_choices(caller: Asking, session: Session) -> MonitoringChoices:
    """What can be learned: how many corrections there are, and which own model decides."""
    numbers = await corrections.counted(session, caller.organisation_id)
    of = select(Choice).where(Choice.organisation_id == caller.organisation_id)
    rows = {row.key: row for row in (await session.scalars(of)).all()}
    return MonitoringChoices(items=[MonitoringChoice.of(key, numbers[key], FEWEST, rows.get(key)) for key in LEARNED])


@reads("/choices/{key:str}", "monitoring:read", NotFound, tag=ID, plugin=ID)
async def monitoring_get_choice(caller: Asking, session: Session, key: LearnedKey) -> Response[MonitoringChoice]:
    """Which own model decides about a key."""
    return await _shown(session, caller, key, await session.get(Choice, (caller.organisation_id, _learned(key))))


@changes("/choices/{key:str}", "monitoring:write", NotFound, Stale, tag=ID, plugin=ID)
async def monitoring_change_choice(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    key: LearnedKey,
    data: Body[MonitoringChoiceChange],
) -> Response[MonitoringChoice]:
    """Let another own model decide about a key: an older one, or none. It holds for what comes; old mentions are recomputed on demand."""
    caller.need_everywhere("monitoring:write")
    now = runtime.clock.now()
    choice = await choice_of(session, caller.organisation_id, _learned(key), now)
    check_match(request, choice.version)
    change = given_fields(data)
    if (model_id := change.get("model_id")) is not None:
        row = await found(session, OwnModelRow, caller.organisation_id, model_id, "own model")
        if row.key != key:
            raise NotFound(what="own model")
    if change:
        automatic = bool(change.get("automatic", "model_id" not in change and choice.automatic))
        choice.chose(change.get("model_id", choice.model_id), automatic=automatic, at=now)
        await session.flush()
        await _tell(session, caller, choice, now)
    return await _shown(session, caller, key, choice)


async def _tell(session: AsyncSession, caller: Caller, choice: Choice, now: Any) -> None:
    note(session, "choice", caller.organisation_id, key=choice.key)
    data = {"key": choice.key, "model_id": choice.model_id, "automatic": choice.automatic}
    fact = Fact(
        organisation_id=caller.organisation_id,
        type="monitoring.model_chosen",
        subject_type="organisation",
        subject_id=caller.organisation_id,
        at=now,
        actor_id=caller.member_id,
        data=data,
    )
    await record(session, fact)


def _learned(key: str) -> str:
    if key not in LEARNED:
        raise NotFound(what="key that is learned")
    return key


async def _shown(session: AsyncSession, caller: Caller, key: str, row: Choice | None) -> Response[MonitoringChoice]:
    numbers = await corrections.counted(session, caller.organisation_id, [key])
    shown = MonitoringChoice.of(key, numbers[key], FEWEST, row)
    return tagged(shown, shown.version)


@reads("/contradictions", "monitoring:corrections", CursorInvalid, tag=ID, plugin=ID)
async def monitoring_list_contradictions(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> MonitoringContradictions:
    """Where people contradict one another about a text, or about copies of it."""
    caller.need_everywhere("monitoring:corrections")
    purpose, organisation_id = "monitoring_contradiction", caller.organisation_id
    after = None
    if cursor is not None:
        group, key = runtime.cursors.read(purpose, organisation_id, cursor)
        after = (UUID(group), str(key))
    items = await corrections.contradictions(session, organisation_id, after=after, limit=limit + 1)
    last = items[limit - 1] if len(items) > limit else None
    following = runtime.cursors.make(purpose, organisation_id, [last.group, last.key]) if last else None
    shown = [
        MonitoringContradiction(
            key=one.key,
            said=[MonitoringOpinion(mention_id=mention_id, value=value, producer=producer) for mention_id, value, producer in one.said],
        )
        for one in items[:limit]
    ]
    return MonitoringContradictions(items=shown, next_cursor=following)


ROUTES = [
    monitoring_list_shipped_models,
    monitoring_list_own_models,
    monitoring_get_own_model,
    monitoring_learn,
    monitoring_list_choices,
    monitoring_get_choice,
    monitoring_change_choice,
    monitoring_list_contradictions,
]
