"""Who is asking, and what they may: looked up afresh at each request, so that a right that was taken is gone at once."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, column, false, or_, select, table

from smhub.access.keyring import Keyring
from smhub.access.keys import hash_secret, parse_key
from smhub.access.models import ApiKey, Grant, Member, Role
from smhub.access.permissions import Permissions
from smhub.db.read import Prepared, Reader, as_id
from smhub.db.types import Id
from smhub.errors import NotFound, NotPermitted


class Holding(msgspec.Struct, frozen=True):
    """Permissions and where they hold: a channel, a department with those below it, or (both None) the whole organisation."""

    permissions: frozenset[str]
    department_id: UUID | None = None
    channel_id: UUID | None = None
    below: frozenset[UUID] = frozenset()


class Scope(msgspec.Struct, frozen=True):
    """Where one permission holds."""

    everywhere: bool
    departments: frozenset[UUID] = frozenset()
    channels: frozenset[UUID] = frozenset()

    def covers(self, department_id: UUID | None, channel_id: UUID | None) -> bool:
        """Whether a row with this department and channel lies in it."""
        return self.everywhere or department_id in self.departments or channel_id in self.channels

    def where(self, department: ColumnElement[Any] | Any, channel: ColumnElement[Any] | Any) -> ColumnElement[bool] | None:
        """The condition on a table's columns; None when there is nothing to leave out. Pass None for a column it lacks."""
        return None if self.everywhere else self.inside(department, channel)

    def inside(self, department: ColumnElement[Any] | Any, channel: ColumnElement[Any] | Any) -> ColumnElement[bool]:
        """As `where`, for a scope that does not hold everywhere."""
        parts: list[ColumnElement[bool]] = []
        if self.departments and department is not None:
            parts.append(department.in_(sorted(self.departments)))
        if self.channels and channel is not None:
            parts.append(channel.in_(sorted(self.channels)))
        return or_(*parts) if parts else false()


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A member with the key that was used. `scopes` of the key narrow every holding."""

    organisation_id: UUID
    member_id: UUID
    member_name: str
    member_kind: str
    key_id: UUID
    key_scopes: tuple[str, ...] | None
    key_expires_at: datetime | None
    holdings: tuple[Holding, ...]
    roles: tuple[str, ...]

    @property
    def permissions(self) -> frozenset[str]:
        """Everything that holds somewhere."""
        return frozenset().union(*(holding.permissions for holding in self.holdings))

    def may(self, permission: str) -> bool:
        """Whether it holds somewhere."""
        return any(permission in holding.permissions for holding in self.holdings)

    def scope(self, permission: str) -> Scope:
        """Where it holds."""
        holding = [one for one in self.holdings if permission in one.permissions]
        if any(one.department_id is None and one.channel_id is None for one in holding):
            return Scope(True)
        departments = frozenset().union(*(one.below for one in holding))
        return Scope(False, departments, frozenset(one.channel_id for one in holding if one.channel_id))

    def need(self, permission: str) -> None:
        """Raise NotPermitted unless it holds somewhere."""
        if not self.may(permission):
            raise NotPermitted(permission=permission, extra={"permission": permission})

    def need_everywhere(self, permission: str) -> None:
        """Raise NotPermitted unless it holds in the whole organisation."""
        if not self.scope(permission).everywhere:
            raise NotPermitted(permission=permission, extra={"permission": permission})

    def need_for(self, permission: str, what: str, department_id: UUID | None, channel_id: UUID | None) -> None:
        """What is outside one's scope does not exist for one: NotFound."""
        if not self.scope(permission).covers(department_id, channel_id):
            raise NotFound(what=what)


_LOOKUP = Prepared(
    select(
        ApiKey.organisation_id,
        ApiKey.member_id,
        ApiKey.secret_hash,
        ApiKey.pepper_id,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        Member.state,
        Member.kind,
        Member.name,
        Role.name,
        Role.system,
        Role.permissions,
        Grant.department_id,
        Grant.channel_id,
    )
    .join(Member, and_(Member.organisation_id == ApiKey.organisation_id, Member.id == ApiKey.member_id))
    .join(Grant, and_(Grant.organisation_id == ApiKey.organisation_id, Grant.member_id == ApiKey.member_id), isouter=True)
    .join(Role, and_(Role.organisation_id == Grant.organisation_id, Role.id == Grant.role_id), isouter=True)
    .where(ApiKey.id == bindparam("key_id", type_=Id()))
)

_DEPARTMENT = table("core_department", column("organisation_id", Id()), column("id", Id()), column("path"))
_ABOVE = _DEPARTMENT.alias("above")
_GRANTED = and_(_ABOVE.c.organisation_id == _DEPARTMENT.c.organisation_id, _ABOVE.c.id == bindparam("department_id", type_=Id()))
_BELOW = Prepared(
    select(_DEPARTMENT.c.id)
    .join(_ABOVE, _GRANTED)
    .where(
        _DEPARTMENT.c.organisation_id == bindparam("organisation_id", type_=Id()),
        or_(_DEPARTMENT.c.path == _ABOVE.c.path, _DEPARTMENT.c.path.startswith(_ABOVE.c.path + "/")),
    )
)


async def authenticate(text: str, *, reader: Reader, keyring: Keyring, permissions: Permissions, now: datetime) -> Caller | None:
    """The caller behind a key, None when the key is not valid now. Takes the same time for a wrong secret as for a right one."""
    key = parse_key(text)
    if key is None:
        return None
    rows = await reader.rows(_LOOKUP, key_id=key.id)
    if not rows:
        return None
    secret_hash, pepper_id = rows[0][2:4]
    if pepper_id not in keyring.ids or not hmac.compare_digest(hash_secret(key.secret, keyring, pepper_id), secret_hash):
        return None
    return await _caller(key.id, rows, reader, permissions, now)


async def caller_again(key_id: UUID, *, reader: Reader, permissions: Permissions, now: datetime) -> Caller | None:
    """Who showed this key a while ago, with the rights of now; None when it would not be accepted any more."""
    rows = await reader.rows(_LOOKUP, key_id=key_id)
    return await _caller(key_id, rows, reader, permissions, now) if rows else None


async def _caller(
    key_id: UUID, rows: Sequence[Sequence[Any]], reader: Reader, permissions: Permissions, now: datetime
) -> Caller | None:
    organisation_id, member_id, _, _, scopes, expires_at, revoked_at, state, kind, name = rows[0][:10]
    expires = datetime.fromisoformat(expires_at) if isinstance(expires_at, str) else expires_at
    if revoked_at is not None or state != "active" or (expires is not None and expires <= now):
        return None
    organisation_id = as_id(organisation_id)
    allowed = None if scopes is None else frozenset(msgspec.json.decode(scopes, type=list[str]))
    holdings = [await _holding(row[10:], allowed, organisation_id, reader, permissions) for row in rows if row[10] is not None]
    return Caller(
        organisation_id=organisation_id,
        member_id=as_id(member_id),
        member_name=name,
        member_kind=kind,
        key_id=key_id,
        key_scopes=None if allowed is None else tuple(sorted(allowed)),
        key_expires_at=expires,
        holdings=tuple(holdings),
        roles=tuple(sorted({row[10] for row in rows if row[10] is not None})),
    )


async def _holding(
    row: Sequence[Any], allowed: frozenset[str] | None, organisation_id: UUID, reader: Reader, permissions: Permissions
) -> Holding:
    role, system, stored, department, channel = row
    held = permissions.system.get(role, frozenset()) if system else frozenset(msgspec.json.decode(stored, type=list[str]))
    held = held & permissions.all.keys() if allowed is None else held & allowed
    department_id = None if department is None else as_id(department)
    below: frozenset[UUID] = frozenset()
    if department_id is not None:
        found = await reader.rows(_BELOW, department_id=department_id, organisation_id=organisation_id)
        below = frozenset(as_id(one[0]) for one in found)
    return Holding(frozenset(held), department_id, None if channel is None else as_id(channel), below)
