"""How one asks about roles, and who holds them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response
from sqlalchemy import column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.access.models import Grant, Role
from smhub.db.types import Id
from smhub.errors import AlreadyExists, Conflict, NotFound, Stale
from smhub.events.log import record_deed
from smhub.hub.runtime import Runtime
from smhub.hub.web import (
    ANYBODY,
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    changes,
    check_match,
    creates,
    given_fields,
    own_page,
    reads,
    removes,
    tagged,
)
from smhub.ids import new_id
from smhub.organisations import actions, schemas

TAG = "organisations"


@reads("/v1/permissions", ANYBODY, tag=TAG)
async def list_permissions(runtime: Process) -> schemas.PermissionList:
    """Everything that may be allowed, and which system roles hold it."""
    every = runtime.permissions
    return schemas.PermissionList(
        items=[
            schemas.PermissionInfo(name=name, title=one.title, roles=[role for role, held in every.system.items() if name in held])
            for name, one in sorted(every.all.items())
        ]
    )


@reads("/v1/roles", "roles:read", tag=TAG)
async def list_roles(caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None) -> schemas.Roles:
    """Roles: those of the system and your own."""
    rows, more = await own_page(session, runtime, caller, Role, select(Role), cursor, limit)
    return schemas.Roles(items=[_role(row, runtime) for row in rows], next_cursor=more)


def _role(row: Role, runtime: Runtime) -> schemas.RoleInfo:
    return schemas.RoleInfo.of(row, actions.rights_of(row, runtime.permissions) if row.system else None)


@creates("/v1/roles", "roles:write", AlreadyExists, tag=TAG)
async def add_role(caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewRole]) -> Response[schemas.RoleInfo]:
    """Make a role of your own."""
    caller.need_everywhere("roles:write")
    actions.check_permissions(runtime.permissions, data.permissions)
    same = select(Role.id).where(Role.organisation_id == caller.organisation_id, Role.name == data.name)
    if (await session.execute(same)).first():
        raise AlreadyExists(what="role", field="name")
    actions.may_give(caller, frozenset(data.permissions), runtime.permissions, department_id=None, channel_id=None)
    row = Role(
        organisation_id=caller.organisation_id,
        id=new_id(),
        name=data.name,
        title=data.title,
        permissions=sorted(set(data.permissions)),
        system=False,
        created_at=runtime.clock.now(),
        version=1,
    )
    session.add(row)
    audit.note(session, "role", row.id)
    await session.flush()
    return tagged(_role(row, runtime), row.version)


@reads("/v1/roles/{role_id:uuid}", "roles:read", NotFound, tag=TAG)
async def get_role(caller: Asking, session: Session, runtime: Process, role_id: PathId) -> Response[schemas.RoleInfo]:
    """One role with its permissions."""
    row = await actions.found(session, Role, caller.organisation_id, role_id, "role")
    return tagged(_role(row, runtime), row.version)


@changes("/v1/roles/{role_id:uuid}", "roles:write", NotFound, Conflict, Stale, tag=TAG)
async def change_role(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    role_id: PathId,
    data: Body[schemas.RoleChange],
) -> Response[schemas.RoleInfo]:
    """Change a role of your own; everybody who holds it is affected with their next request."""
    caller.need_everywhere("roles:write")
    row = await actions.found(session, Role, caller.organisation_id, role_id, "role", to_change=True)
    check_match(request, row.version)
    _own_role(row)
    change = given_fields(data)
    if "permissions" in change:
        actions.check_permissions(runtime.permissions, change["permissions"])
        actions.may_give(caller, frozenset(change["permissions"]), runtime.permissions, department_id=None, channel_id=None)
        change["permissions"] = sorted(set(change["permissions"]))
    for name, value in change.items():
        setattr(row, name, value)
    row.changed()
    audit.note(session, "role", row.id, fields=sorted(change))
    await session.flush()
    return tagged(_role(row, runtime), row.version)


@removes("/v1/roles/{role_id:uuid}", "roles:write", NotFound, Conflict, tag=TAG)
async def remove_role(caller: Asking, session: Session, role_id: PathId) -> None:
    """Remove a role of your own that nobody holds."""
    caller.need_everywhere("roles:write")
    row = await actions.found(session, Role, caller.organisation_id, role_id, "role")
    _own_role(row)
    held = select(Grant.id).where(Grant.organisation_id == caller.organisation_id, Grant.role_id == role_id).limit(1)
    if (await session.execute(held)).first():
        raise Conflict("Somebody holds this role. Take it from them first.", "Diese Rolle ist vergeben. Zuerst entziehen.")
    audit.note(session, "role", row.id)
    await session.delete(row)


def _own_role(row: Role) -> None:
    if row.system:
        raise Conflict("System roles cannot be changed. Make a role of your own.", "Systemrollen sind fest. Eine eigene Rolle anlegen.")


@reads("/v1/grants", "grants:read", tag=TAG)
async def list_grants(
    caller: Asking, session: Session, runtime: Process, member_id: schemas.MemberFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Grants:
    """Who holds which role, and where."""
    statement = select(Grant)
    scope = caller.scope("grants:read")
    if (where := scope.where(Grant.department_id, Grant.channel_id)) is not None:
        statement = statement.where(where)
    if member_id is not None:
        statement = statement.where(Grant.member_id == member_id)
    rows, more = await own_page(session, runtime, caller, Grant, statement, cursor, limit)
    return schemas.Grants(items=[schemas.GrantInfo.of(row) for row in rows], next_cursor=more)


_PLACES = {name: table(f"core_{name}", column("organisation_id", Id()), column("id", Id())) for name in ("department", "channel")}


async def _exists(session: AsyncSession, caller: Caller, what: str, id_: UUID | None) -> None:
    if id_ is None:
        return
    place = _PLACES[what]
    there = select(place.c.id).where(place.c.organisation_id == caller.organisation_id, place.c.id == id_)
    if (await session.execute(there)).first() is None:
        raise NotFound(what=what)


@creates("/v1/grants", "grants:write", NotFound, AlreadyExists, tag=TAG)
async def give_role(caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewGrant]) -> schemas.GrantInfo:
    """Give a member a role. Nobody gives more than they have themselves; an admin gives every role but the operator's."""
    await _exists(session, caller, "department", data.department_id)
    await _exists(session, caller, "channel", data.channel_id)
    row = await actions.give_role(
        session,
        caller,
        runtime.permissions,
        member_id=data.member_id,
        role_id=data.role_id,
        department_id=data.department_id,
        channel_id=data.channel_id,
        now=runtime.clock.now(),
    )
    audit.note(session, "grant", row.id, member_id=str(row.member_id), role_id=str(row.role_id))
    await record_deed(session, runtime, caller, "grant.given", row.id)
    return schemas.GrantInfo.of(row)


@removes("/v1/grants/{grant_id:uuid}", "grants:write", NotFound, Conflict, tag=TAG)
async def take_role(caller: Asking, session: Session, runtime: Process, grant_id: PathId) -> None:
    """Take a role from a member; it is gone with their next request."""
    row = await actions.found(session, Grant, caller.organisation_id, grant_id, "grant")
    caller.need_for("grants:write", "grant", row.department_id, row.channel_id)
    audit.note(session, "grant", row.id, member_id=str(row.member_id), role_id=str(row.role_id))
    await actions.take_role(session, caller, runtime.permissions, row)
    await record_deed(session, runtime, caller, "grant.taken", row.id)


ROUTES = [
    list_permissions,
    list_roles,
    add_role,
    get_role,
    change_role,
    remove_role,
    list_grants,
    give_role,
    take_role,
]
