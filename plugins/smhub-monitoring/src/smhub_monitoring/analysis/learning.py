"""An organisation's own models: made of corrections, judged on newer ones, and in force only when they are better."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Fact, JobContext, Organisation, finished, later, new_id, record, settings_of, still_ours
from smhub.sdk import Job
from smhub_monitoring.analysis.analyst import LEARNED, Analyst, Base, OwnModel, Text, dense_of
from smhub_monitoring.analysis.corrections import Label, counted, labels
from smhub_monitoring.analysis.features import SIZE
from smhub_monitoring.analysis.linear import LinearModel
from smhub_monitoring.analysis.models import Choice, OwnModelRow
from smhub_monitoring.analysis.preparing import analyst_of, department_views
from smhub_monitoring.analysis.training import Course, Judgement, fit, judged

FEWEST = 100
"""Labels from which on a key is learned."""
FEWEST_EACH = 5
"""A value that fewer labels have is not learned."""
SHARE = 0.8
"""The older labels, which are learned from; the newer ones judge."""
GROWTH = 1.1
"""How many times as many labels as the last time make it worth learning again."""
COURSE = Course(rounds=12, rate=0.2, balance=0.5)


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """A model and its judgement: `with_it` and `without_it` on the same labels, all newer than those it learned from."""

    model: LinearModel
    trained_on: int
    with_it: Judgement
    without_it: Judgement
    present: Judgement | None
    """The model in force, on the same labels."""

    @property
    def better(self) -> bool:
        """Better than what is said without it, and than the model in force."""
        least = max(self.without_it.macro_f1, self.present.macro_f1 if self.present else 0.0)
        return self.with_it.macro_f1 > least


def learnt(analyst: Analyst, key: str, given: Sequence[Label], present: OwnModel | None = None) -> Learnt | None:
    """Learn a key from its labels, the oldest first; None when they are too few. `analyst` has no own models."""
    share = Counter(label.value for label in given)
    classes = tuple(sorted(value for value, number in share.items() if number >= FEWEST_EACH))
    usable = [label for label in given if label.value in classes]
    if len(usable) < FEWEST or len(classes) < 2:
        return None
    texts = [analyst.text(label.text, label.title, label.language) for label in usable]
    bases = [analyst.base(text, label.ours) for text, label in zip(texts, usable, strict=True)]
    older = int(len(usable) * SHARE)
    model = _fitted(key, classes, texts[:older], bases[:older], usable[:older])
    newer = list(zip(texts[older:], bases[older:], strict=True))
    truth = [label.value for label in usable[older:]]
    own = OwnModel(model, "")
    return Learnt(
        model=model,
        trained_on=older,
        with_it=judged(truth, [said_by(own, key, text, base) for text, base in newer]),
        without_it=judged(truth, [best(base[key]) for _, base in newer]),
        present=judged(truth, [said_by(present, key, text, base) for text, base in newer]) if present else None,
    )


def _fitted(key: str, classes: tuple[str, ...], texts: list[Text], bases: list[Base], given: Sequence[Label]) -> LinearModel:
    dense = np.array([dense_of(classes, base[key], base["mood"]) for base in bases], np.float32)
    which = np.array([classes.index(label.value) for label in given])
    return LinearModel.of(fit([text.features for text in texts], dense, which, len(classes), SIZE, COURSE), classes)


def said_by(own: OwnModel, key: str, text: Text, base: Base) -> str | None:
    """The value that an own model says, among all that are possible."""
    learned = own.probabilities(text.features, base[key], base["mood"])
    return best({value: one for value, one in base[key].items() if value not in learned} | learned)


def best(values: dict[str, float]) -> str | None:
    """The most probable value."""
    return max(sorted(values), key=values.__getitem__) if values else None


class Learn(msgspec.Struct, frozen=True, kw_only=True):
    """A key of an organisation that is to be learned."""

    key: str


async def learn(context: JobContext, payload: Learn) -> None:
    """Make a model of a key, and let it decide when it is better and nobody chose another."""
    assert context.organisation_id is not None
    organisation_id, key = context.organisation_id, payload.key
    async with context.runtime.database.read() as session:
        settings = await settings_of(session, context.runtime, organisation_id, "monitoring")
        departments = await department_views(session, organisation_id)
        analyst = await analyst_of(session, organisation_id, settings, departments, without_own=True)
        given = await labels(session, organisation_id, key)
        present = await _present(session, organisation_id, key)
    made = await asyncio.to_thread(learnt, analyst, key, given, present)
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        now = context.runtime.clock.now()
        choice = await choice_of(session, organisation_id, key, now)
        choice.labels_seen = len(given)
        result: dict[str, Any] = {"key": key, "labels": len(given), "model_id": None, "in_force": False}
        if made is not None:
            result |= await _stored(session, organisation_id, key, made, choice, now)
    await finished(context, result)


async def _stored(
    session: AsyncSession, organisation_id: UUID, key: str, made: Learnt, choice: Choice, now: datetime
) -> dict[str, Any]:
    of = select(func.max(OwnModelRow.number)).where(OwnModelRow.organisation_id == organisation_id, OwnModelRow.key == key)
    row = OwnModelRow(
        organisation_id=organisation_id,
        id=new_id(),
        key=key,
        number=((await session.execute(of)).scalar_one() or 0) + 1,
        classes=list(made.model.classes),
        trained_on=made.trained_on,
        judged=msgspec.to_builtins({"with_it": made.with_it, "without_it": made.without_it}),
        better=made.better,
        stored=made.model.written(),
        made_at=now,
    )
    session.add(row)
    await session.flush()
    in_force = made.better and choice.automatic
    if in_force:
        choice.chose(row.id, automatic=True, at=now)
    data = {"key": key, "number": row.number, "better": row.better, "in_force": in_force}
    fact = Fact(
        organisation_id=organisation_id, type="monitoring.learned", subject_type="own_model", subject_id=row.id, at=now, data=data
    )
    await record(session, fact)
    return {"model_id": str(row.id), "in_force": in_force}


async def _present(session: AsyncSession, organisation_id: UUID, key: str) -> OwnModel | None:
    choice = await session.get(Choice, (organisation_id, key))
    if choice is None or choice.model_id is None:
        return None
    row = await session.get_one(OwnModelRow, (organisation_id, choice.model_id))
    return OwnModel(LinearModel.read(row.stored), "")


async def choice_of(session: AsyncSession, organisation_id: UUID, key: str, now: datetime) -> Choice:
    """Which model decides about a key, locked; a new row when there was none."""
    made = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = {"organisation_id": organisation_id, "key": key, "automatic": True, "labels_seen": 0, "at": now, "version": 0}
    await session.execute(made(Choice).values(first).on_conflict_do_nothing())
    return await session.get_one(Choice, (organisation_id, key), with_for_update=True, populate_existing=True)


async def look_for_labels(context: JobContext, _: None) -> None:
    """Have a key learned when there are markedly more labels than the last time."""
    async with context.runtime.database.read() as session:
        organisations = (await session.scalars(select(Organisation.id))).all()
    for organisation_id in organisations:
        async with context.runtime.database.read() as session:
            numbers = await counted(session, organisation_id)
            of = select(Choice.key, Choice.labels_seen).where(Choice.organisation_id == organisation_id)
            seen = {row.key: row.labels_seen for row in (await session.execute(of)).all()}
        due = [key for key in LEARNED if numbers[key] >= max(FEWEST, GROWTH * seen.get(key, 0))]
        if not due:
            continue
        async with context.runtime.database.write() as session:
            now = context.runtime.clock.now()
            for key in due:
                same = f"monitoring.learn:{organisation_id}:{key}"
                await later(session, LEARN, Learn(key=key), now=now, organisation_id=organisation_id, key=same, dedupe_key=same)


LEARN = Job(name="monitoring.learn", handler=learn, payload=Learn, timeout=600.0, max_attempts=3)
LOOK = Job(name="monitoring.look_for_labels", handler=look_for_labels, timeout=120.0, max_attempts=1, every=900.0)
