"""What one does with organisations, members, roles, grants and keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.callers import Caller
from smhub.access.keyring import Keyring
from smhub.access.keys import KeyText, hash_secret, new_key
from smhub.access.models import ApiKey, Grant, Member, Role
from smhub.access.permissions import ADMIN, LEAD, OPERATOR, ROLES, Permissions
from smhub.db.types import OrganisationRow
from smhub.errors import AlreadyExists, Conflict, Invalid, NotFound, NotPermitted
from smhub.ids import new_id
from smhub.organisations.models import Organisation
from smhub.secret import Secret

T = TypeVar("T", bound=OrganisationRow)


def check_time_zone(name: str, field: str = "time_zone") -> ZoneInfo:
    """The zone; Invalid when IANA knows no such name."""
    if name not in _zones():
        raise Invalid.field(field, f"{name!r} is not an IANA time zone, for example Europe/Berlin")
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    """The zones that this machine knows; looking for them reads hundreds of files."""
    return frozenset(available_timezones())


async def found(session: AsyncSession, model: type[T], organisation_id: UUID, id_: UUID, what: str, *, to_change: bool = False) -> T:
    """A row of the organisation; NotFound when there is none, whoever else may have one. `to_change`: nobody else changes it meanwhile."""
    row = await session.get(model, (organisation_id, id_), with_for_update={"key_share": True} if to_change else None)
    if row is None:
        raise NotFound(what=what)
    return row


async def found_organisation(
    session: AsyncSession, *, name: str, slug: str, now: datetime, language: str = "de", time_zone: str = "Europe/Berlin"
) -> Organisation:
    """A new organisation with its system roles."""
    check_time_zone(time_zone)
    if (await session.execute(select(Organisation.id).where(Organisation.slug == slug))).first():
        raise AlreadyExists(what="organisation", field="slug")
    row = Organisation(id=new_id(), slug=slug, name=name, stage=1, language=language, time_zone=time_zone, created_at=now, version=1)
    session.add(row)
    await session.flush()
    for role, title in ROLES.items():
        session.add(
            Role(organisation_id=row.id, id=new_id(), name=role, title=title, permissions=[], system=True, created_at=now, version=1)
        )
    await session.flush()
    return row


async def add_first_admin(
    session: AsyncSession,
    organisation: Organisation,
    keyring: Keyring,
    *,
    name: str,
    now: datetime,
    operator: bool,
    key: KeyText | None = None,
) -> Secret:
    """Somebody has to be first: a member with the roles admin and department lead, and a key that does not expire."""
    admin = Member(
        organisation_id=organisation.id, id=new_id(), kind="person", name=name, email=None, state="active", created_at=now, version=1
    )
    session.add(admin)
    await session.flush()
    wanted = (ADMIN, LEAD, OPERATOR) if operator else (ADMIN, LEAD)
    roles = await session.scalars(select(Role).where(Role.organisation_id == organisation.id, Role.name.in_(wanted)))
    for role in roles.all():
        session.add(Grant(organisation_id=organisation.id, id=new_id(), member_id=admin.id, role_id=role.id, created_at=now))
    made = key or new_key()
    session.add(
        ApiKey(
            organisation_id=organisation.id,
            id=made.id,
            member_id=admin.id,
            name="first admin key",
            secret_hash=hash_secret(made.secret, keyring),
            pepper_id=keyring.newest,
            scopes=None,
            created_at=now,
        )
    )
    await session.flush()
    return made.text()


async def add_member(session: AsyncSession, organisation_id: UUID, *, kind: str, name: str, email: str | None, now: datetime) -> Member:
    """A person or a service account, without rights yet."""
    if email is not None:
        await _email_is_free(session, organisation_id, email)
    row = Member(
        organisation_id=organisation_id, id=new_id(), kind=kind, name=name, email=email, state="active", created_at=now, version=1
    )
    session.add(row)
    await session.flush()
    return row


async def _email_is_free(session: AsyncSession, organisation_id: UUID, email: str, but: UUID | None = None) -> None:
    taken = select(Member.id).where(Member.organisation_id == organisation_id, func.lower(Member.email) == email.lower())
    if any(id_ != but for id_ in (await session.scalars(taken)).all()):
        raise AlreadyExists(what="member", field="email")


async def change_member(session: AsyncSession, row: Member, *, name: str | None, email: str | None, state: str | None) -> None:
    """Change what is given; None stays. The last admin cannot be disabled."""
    if name is not None:
        row.name = name
    if email is not None:
        await _email_is_free(session, row.organisation_id, email, row.id)
        row.email = email
    if state == "disabled" and row.state != "disabled":
        row.disable()
        await keep_an_admin(session, row.organisation_id)
    elif state == "active" and row.state != "active":
        row.enable()
    elif name is not None or email is not None:
        row.changed()


async def keep_an_admin(session: AsyncSession, organisation_id: UUID) -> None:
    """Raise Conflict when nobody is left who runs the organisation. One at a time may ask, so that two do not remove each other."""
    await session.flush()
    await session.execute(select(Organisation.id).where(Organisation.id == organisation_id).with_for_update(key_share=True))
    admins = (
        select(func.count())
        .select_from(Grant)
        .join(Role, (Role.organisation_id == Grant.organisation_id) & (Role.id == Grant.role_id))
        .join(Member, (Member.organisation_id == Grant.organisation_id) & (Member.id == Grant.member_id))
        .where(
            Grant.organisation_id == organisation_id,
            Grant.department_id.is_(None),
            Grant.channel_id.is_(None),
            Role.name == ADMIN,
            Role.system.is_(True),
            Member.state == "active",
            Member.kind == "person",
        )
    )
    if (await session.execute(admins)).scalar_one() == 0:
        raise Conflict(
            "This is the last admin. Make somebody else an admin first.",
            "Das ist der letzte Admin. Zuerst jemand anderen zum Admin machen.",
        )


def check_permissions(permissions: Permissions, wanted: Sequence[str], field: str = "permissions") -> None:
    """Raise Invalid for a permission that does not exist."""
    for number, name in enumerate(wanted):
        if name not in permissions.all:
            raise Invalid.field(f"{field}.{number}", f"there is no permission {name}; GET /v1/permissions lists them")


def rights_of(role: Role, permissions: Permissions) -> frozenset[str]:
    """What a role allows now."""
    return permissions.system.get(role.name, frozenset()) if role.system else frozenset(role.permissions)


def may_give(
    caller: Caller, rights: frozenset[str], permissions: Permissions, *, department_id: UUID | None, channel_id: UUID | None
) -> None:
    """Nobody gives more than they have there; an admin gives every role but the operator's. Raises NotPermitted."""
    beyond = permissions.system[OPERATOR] - permissions.system[ADMIN]
    if caller.scope("grants:any").everywhere and all(caller.scope(right).everywhere for right in rights & beyond):
        return
    for right in sorted(rights | {"grants:write"}):
        scope = caller.scope(right)
        if not scope.everywhere and not ((department_id or channel_id) and scope.covers(department_id, channel_id)):
            raise NotPermitted(permission=right, extra={"permission": right})


async def give_role(
    session: AsyncSession,
    caller: Caller,
    permissions: Permissions,
    *,
    member_id: UUID,
    role_id: UUID,
    department_id: UUID | None,
    channel_id: UUID | None,
    now: datetime,
) -> Grant:
    """A member gets a role; twice the same is a Conflict. Department and channel have been looked up."""
    if department_id is not None and channel_id is not None:
        raise Invalid.field("channel_id", "name a department or a channel, not both")
    organisation_id = caller.organisation_id
    await found(session, Member, organisation_id, member_id, "member", to_change=True)
    role = await found(session, Role, organisation_id, role_id, "role")
    may_give(caller, rights_of(role, permissions), permissions, department_id=department_id, channel_id=channel_id)
    same: list[ColumnElement[bool]] = [Grant.organisation_id == organisation_id, Grant.member_id == member_id, Grant.role_id == role_id]
    same.append(Grant.department_id.is_(None) if department_id is None else Grant.department_id == department_id)
    same.append(Grant.channel_id.is_(None) if channel_id is None else Grant.channel_id == channel_id)
    if (await session.execute(select(Grant.id).where(*same))).first():
        raise AlreadyExists(what="grant", field="member_id")
    row = Grant(
        organisation_id=organisation_id,
        id=new_id(),
        member_id=member_id,
        role_id=role_id,
        department_id=department_id,
        channel_id=channel_id,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return row


async def take_role(session: AsyncSession, caller: Caller, permissions: Permissions, row: Grant) -> None:
    """A member loses a role, with the next request; the last admin keeps theirs."""
    role = await session.get_one(Role, (row.organisation_id, row.role_id))
    may_give(caller, rights_of(role, permissions), permissions, department_id=row.department_id, channel_id=row.channel_id)
    await session.delete(row)
    await keep_an_admin(session, row.organisation_id)


async def make_key(
    session: AsyncSession,
    caller: Caller,
    keyring: Keyring,
    permissions: Permissions,
    *,
    name: str,
    member_id: UUID | None,
    scopes: list[str] | None,
    days: int,
    now: datetime,
    replaces: UUID | None = None,
) -> tuple[ApiKey, Secret]:
    """A key of one's own, or of a service account. It never reaches further than its maker's own key."""
    owner = await found(session, Member, caller.organisation_id, member_id or caller.member_id, "member")
    if owner.id != caller.member_id:
        caller.need_everywhere("keys:write")
        if owner.kind != "service_account":
            raise Conflict("People make their own keys.", "Personen legen ihre Schlüssel selbst an.")
        await _not_above(session, caller, permissions, owner)
    if scopes is not None:
        check_permissions(permissions, scopes, "scopes")
        for scope in scopes:
            caller.need(scope)
    elif caller.key_scopes is not None:
        scopes = list(caller.key_scopes)
    made = new_key()
    row = ApiKey(
        organisation_id=caller.organisation_id,
        id=made.id,
        member_id=owner.id,
        name=name,
        secret_hash=hash_secret(made.secret, keyring),
        pepper_id=keyring.newest,
        scopes=scopes,
        created_at=now,
        expires_at=now + timedelta(days=days),
        replaces_id=replaces,
    )
    session.add(row)
    await session.flush()
    return row, made.text()


async def _not_above(session: AsyncSession, caller: Caller, permissions: Permissions, owner: Member) -> None:
    """Whoever makes a key for an account gets at its rights; so they must be rights that they could give."""
    roles = (
        select(Role, Grant.department_id, Grant.channel_id)
        .join(Grant, (Grant.organisation_id == Role.organisation_id) & (Grant.role_id == Role.id))
        .where(Grant.organisation_id == owner.organisation_id, Grant.member_id == owner.id)
    )
    for role, department_id, channel_id in await session.execute(roles):
        may_give(caller, rights_of(role, permissions), permissions, department_id=department_id, channel_id=channel_id)


def later(now: datetime, hours: int) -> datetime:
    """The time so many hours on."""
    return now + timedelta(hours=hours)
