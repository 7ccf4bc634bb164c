"""Work for later is a row, written in the caller's transaction: it exists when the change does, and not when it does not."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.upsert import upsert
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.sdk import Job as JobKind
from smhub.work.models import Job, JobLimit, Operation

__all__ = ["JobContext", "later", "limit", "start_operation"]


class JobContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler gets beside its payload. `alone`: it is suspected and runs by itself. `ending` is set when the worker is told to end:
    what goes on for ever then comes to an end."""

    runtime: Runtime
    job_id: UUID
    organisation_id: UUID | None
    attempt: int
    max_attempts: int
    alone: bool = False
    ending: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


async def later(
    session: AsyncSession,
    kind: JobKind,
    payload: Any,
    *,
    now: datetime,
    organisation_id: UUID | None = None,
    key: str | None = None,
    dedupe_key: str | None = None,
    run_at: datetime | None = None,
    priority: int = 0,
    suspect: bool = False,
) -> UUID | None:
    """Do it once this transaction has committed, and only if it does.

    `key` is what limits count by; `dedupe_key` makes a second one a no-op while the first is ready or running (then None is returned);
    a `suspect` runs alone.
    """
    job_id = new_id()
    row = {
        "id": job_id,
        "organisation_id": organisation_id,
        "name": kind.name,
        "key": key,
        "dedupe_key": dedupe_key,
        "payload": {} if payload is None else payload,
        "state": "ready",
        "priority": priority,
        "run_at": run_at or now,
        "attempt": 0,
        "max_attempts": kind.max_attempts,
        "suspect": suspect,
        "created_at": now,
    }
    if dedupe_key is None:
        await session.execute(insert(Job), [row])
        session.info["woke"] = True
        return job_id
    made = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    added = await session.execute(made(Job).values(row).on_conflict_do_nothing().returning(Job.id))
    session.info["woke"] = True
    return job_id if added.first() is not None else None


async def limit(
    session: AsyncSession, key: str, *, now: datetime, max_running: int = 1, per_second: float | None = None, burst: float = 1.0
) -> None:
    """Set how many jobs with this key may run at once and start in a second."""
    values = {"key": key, "max_running": max_running, "per_second": per_second, "burst": burst, "tokens": burst, "updated_at": now}
    await upsert(session, JobLimit, values, ("max_running", "per_second", "burst"))


async def start_operation(
    session: AsyncSession,
    kind: JobKind,
    payload: Any,
    *,
    now: datetime,
    organisation_id: UUID,
    subject_type: str,
    subject_id: UUID,
    created_by: UUID | None,
    key: str | None = None,
) -> Operation:
    """Long work that can be followed at /v1/operations: the job and the row that shows its progress, in one transaction."""
    job_id = await later(session, kind, payload, now=now, organisation_id=organisation_id, key=key)
    operation = Operation(
        organisation_id=organisation_id,
        id=new_id(),
        kind=kind.name,
        state="queued",
        subject_type=subject_type,
        subject_id=subject_id,
        job_id=job_id,
        done=0,
        created_by=created_by,
        created_at=now,
        updated_at=now,
    )
    session.add(operation)
    await session.flush()
    return operation
