"""Idempotency-Key: the same request sent again gets the first answer again, and is done once.

The record is written in the transaction of the change, so both exist or neither. Only answers below 400 are kept: what failed may be
tried again with the same key. An answer may hold a new key's text, so it is sealed like every other secret.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.callers import Caller
from smhub.access.keyring import Keyring, Unreadable
from smhub.access.models import IdempotencyRecord
from smhub.errors import IdempotencyMismatch, IdempotencyRunning
from smhub.hub.runtime import Runtime
from smhub.sdk import Job, Secret
from smhub.work.queue import JobContext

MAX_KEY = 255
KEPT = timedelta(hours=24)


class Replay(Exception):
    """The answer that was given the first time."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__("replay")
        self.status, self.headers, self.body = status, {**headers, "idempotency-replayed": "true"}, body


async def begin(session: AsyncSession, runtime: Runtime, caller: Caller, key: str, fingerprint: str) -> None:
    """Claim the key in the request's transaction. Raises Replay, IdempotencyMismatch or IdempotencyRunning."""
    if runtime.database.dialect == "postgresql":
        name = f"{caller.organisation_id}{caller.member_id}{key}"
        free = text("select pg_try_advisory_xact_lock(hashtextextended(:name, 7363))")
        if not (await session.execute(free, {"name": name})).scalar_one():
            raise IdempotencyRunning(retry_after=1)
    row = (await session.execute(select(IdempotencyRecord).where(*_of(caller, key)))).scalar_one_or_none()
    now = runtime.clock.now()
    if row is not None and row.created_at < now - KEPT:
        await session.execute(delete(IdempotencyRecord).where(*_of(caller, key)))
        session.expunge(row)
        row = None
    if row is not None:
        if row.fingerprint != fingerprint:
            raise IdempotencyMismatch
        try:
            raise Replay(row.status, row.headers, _open(runtime.keyring, caller, key, row.body))
        except Unreadable as error:
            raise IdempotencyMismatch from error
    values = {
        "organisation_id": caller.organisation_id,
        "member_id": caller.member_id,
        "key": key,
        "fingerprint": fingerprint,
        "status": 0,
        "headers": {},
        "body": b"",
        "created_at": now,
    }
    await session.execute(insert(IdempotencyRecord), [values])


async def remember(
    session: AsyncSession, keyring: Keyring, caller: Caller, key: str, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Keep the answer with the change."""
    kept = {name.decode(): value.decode() for name, value in headers if name in (b"content-type", b"etag", b"location")}
    await session.execute(
        update(IdempotencyRecord)
        .where(*_of(caller, key))
        .values(status=status, headers=kept, body=_seal(keyring, caller, key, body))
        .execution_options(synchronize_session=False)
    )


def _seal(keyring: Keyring, caller: Caller, key: str, body: bytes) -> bytes:
    key_id, sealed = keyring.seal(Secret(body.decode()), **_place(caller, key))
    return key_id.encode() + b":" + sealed


def _open(keyring: Keyring, caller: Caller, key: str, body: bytes) -> bytes:
    key_id, _, sealed = body.partition(b":")
    return keyring.open(key_id.decode(), sealed, **_place(caller, key)).reveal().encode()


def _place(caller: Caller, key: str) -> dict[str, Any]:
    return {"organisation_id": caller.organisation_id, "table": "core_idempotency", "row_id": caller.member_id, "column": key}


def _of(caller: Caller, key: str) -> list[Any]:
    return [
        IdempotencyRecord.organisation_id == caller.organisation_id,
        IdempotencyRecord.member_id == caller.member_id,
        IdempotencyRecord.key == key,
    ]


async def _forget(context: JobContext, _: None) -> None:
    async with context.runtime.database.write() as session:
        old = context.runtime.clock.now() - KEPT
        await session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < old))


FORGET = Job(name="idempotency.forget", handler=_forget, every=3600.0, max_attempts=1)
JOBS = (FORGET,)
