"""How one asks about keys."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.access.models import ApiKey
from smhub.errors import Conflict, NotFound
from smhub.events.log import record_deed
from smhub.hub.web import (
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    creates,
    does,
    own_page,
    reads,
    removes,
)
from smhub.organisations import actions, schemas

TAG = "organisations"


@reads("/v1/keys", "keys:own", tag=TAG)
async def list_keys(
    caller: Asking, session: Session, runtime: Process, member_id: schemas.MemberFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Keys:
    """Keys without their secrets: one's own, and everybody's for those who may see them."""
    statement = select(ApiKey)
    if not caller.scope("keys:read").everywhere:
        statement = statement.where(ApiKey.member_id == caller.member_id)
    if member_id is not None:
        statement = statement.where(ApiKey.member_id == member_id)
    rows, more = await own_page(session, runtime, caller, ApiKey, statement, cursor, limit)
    return schemas.Keys(items=[schemas.KeyInfo.of(row) for row in rows], next_cursor=more)


@creates("/v1/keys", "keys:own", NotFound, Conflict, tag=TAG)
async def make_key(caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewKey]) -> schemas.KeyMade:
    """Make a key; its text is shown this once. It never allows more than the key that makes it."""
    row, text = await actions.make_key(
        session,
        caller,
        runtime.keyring,
        runtime.permissions,
        name=data.name,
        member_id=data.member_id,
        scopes=data.scopes,
        days=data.expires_in_days,
        now=runtime.clock.now(),
    )
    audit.note(session, "key", row.id, member_id=str(row.member_id))
    await record_deed(session, runtime, caller, "key.made", row.id)
    return schemas.KeyMade(key=schemas.KeyInfo.of(row), text=text.reveal())


async def _key(session: AsyncSession, caller: Caller, key_id: UUID, permission: str) -> ApiKey:
    row = await actions.found(session, ApiKey, caller.organisation_id, key_id, "key")
    if row.member_id != caller.member_id and not caller.scope(permission).everywhere:
        raise NotFound(what="key")
    return row


@reads("/v1/keys/{key_id:uuid}", "keys:own", NotFound, tag=TAG)
async def get_key(caller: Asking, session: Session, key_id: PathId) -> schemas.KeyInfo:
    """One key without its secret."""
    return schemas.KeyInfo.of(await _key(session, caller, key_id, "keys:read"))


@does("/v1/keys/{key_id:uuid}/rotate", "keys:own", NotFound, Conflict, tag=TAG)
async def rotate_key(
    caller: Asking, session: Session, runtime: Process, key_id: PathId, data: Body[schemas.KeyRotation]
) -> schemas.KeyMade:
    """Make a successor with the same rights; the old key goes on working for the overlap."""
    old = await _key(session, caller, key_id, "keys:write")
    now = runtime.clock.now()
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Conflict("This key has ended; make a new one.", "Dieser Schlüssel ist beendet; einen neuen anlegen.")
    row, text = await actions.make_key(
        session,
        caller,
        runtime.keyring,
        runtime.permissions,
        name=old.name,
        member_id=old.member_id,
        scopes=old.scopes,
        days=data.expires_in_days,
        now=now,
        replaces=old.id,
    )
    old.expires_at = min(old.expires_at or actions.later(now, data.overlap_hours), actions.later(now, data.overlap_hours))
    audit.note(session, "key", row.id, replaces=str(old.id))
    await record_deed(session, runtime, caller, "key.rotated", row.id)
    return schemas.KeyMade(key=schemas.KeyInfo.of(row), text=text.reveal())


@removes("/v1/keys/{key_id:uuid}", "keys:own", NotFound, tag=TAG)
async def revoke_key(caller: Asking, session: Session, runtime: Process, key_id: PathId) -> None:
    """End a key; it stops working with the next request."""
    row = await _key(session, caller, key_id, "keys:write")
    row.revoke(runtime.clock.now())
    audit.note(session, "key", row.id)
    await record_deed(session, runtime, caller, "key.revoked", row.id)


ROUTES = [
    list_keys,
    make_key,
    get_key,
    rotate_key,
    revoke_key,
]
