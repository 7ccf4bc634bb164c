"""How one asks about the organisation, its people and their rights."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.access.models import ApiKey, AuditEntry, Grant, Member, Role
from smhub.db import paging
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
    does,
    given_fields,
    own_page,
    reads,
    removes,
    tagged,
)
from smhub.ids import new_id
from smhub.organisations import actions, schemas
from smhub.organisations.models import Organisation

TAG = "organisations"
MemberFilter = Annotated[UUID | None, QueryParameter(description="Only those of this member.")]


@reads("/v1/organisations", "organisations:read", tag=TAG)
async def list_organisations(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Organisations:
    """The organisations of this hub, for its operator."""
    caller.need_everywhere("organisations:read")
    rows, more = await paging.page(
        session,
        select(Organisation),
        cursors=runtime.cursors,
        purpose="organisations",
        organisation_id=None,
        order=[Organisation.id],
        cursor=cursor,
        limit=limit,
    )
    return schemas.Organisations(items=[schemas.Organisation.of(row) for row in rows], next_cursor=more)


@creates("/v1/organisations", "organisations:create", AlreadyExists, tag=TAG)
async def add_organisation(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewOrganisation]
) -> schemas.OrganisationAdded:
    """Add a company to the hub, with its system roles and its first admin."""
    caller.need_everywhere("organisations:create")
    now = runtime.clock.now()
    row = await actions.found_organisation(
        session, name=data.name, slug=data.slug, now=now, language=data.language, time_zone=data.time_zone
    )
    key = await actions.add_first_admin(session, row, runtime.keyring, name=data.admin_name, now=now, operator=False)
    audit.note(session, "organisation", row.id)
    return schemas.OrganisationAdded(organisation=schemas.Organisation.of(row), admin_key=key.reveal())


@reads("/v1/organisation", "organisation:read", tag=TAG)
async def get_organisation(caller: Asking, session: Session) -> Response[schemas.Organisation]:
    """The organisation that the key belongs to."""
    row = await session.get_one(Organisation, caller.organisation_id)
    return tagged(schemas.Organisation.of(row), row.version)


@changes("/v1/organisation", "organisation:write", Stale, tag=TAG)
async def change_organisation(
    request: Request[Any, Any, Any], caller: Asking, session: Session, runtime: Process, data: Body[schemas.OrganisationChange]
) -> Response[schemas.Organisation]:
    """Change the organisation's name, language, time zone or stage."""
    caller.need_everywhere("organisation:write")
    row = await session.get_one(Organisation, caller.organisation_id, with_for_update=True)
    check_match(request, row.version)
    change = given_fields(data)
    if "time_zone" in change:
        actions.check_time_zone(change["time_zone"])
    for name, value in change.items():
        setattr(row, name, value)
    row.changed()
    audit.note(session, "organisation", row.id, fields=sorted(change))
    await record_deed(session, runtime, caller, "organisation.changed", row.id)
    return tagged(schemas.Organisation.of(row), row.version)


@reads("/v1/members", "members:read", tag=TAG)
async def list_members(caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None) -> schemas.Members:
    """People and service accounts, the newest first."""
    rows, more = await own_page(session, runtime, caller, Member, select(Member), cursor, limit)
    return schemas.Members(items=[schemas.MemberInfo.of(row) for row in rows], next_cursor=more)


@creates("/v1/members", "members:write", AlreadyExists, tag=TAG)
async def add_member(caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewMember]) -> Response[schemas.MemberInfo]:
    """Add a person. What they may do is given by grants."""
    caller.need_everywhere("members:write")
    now = runtime.clock.now()
    row = await actions.add_member(session, caller.organisation_id, kind="person", name=data.name, email=data.email, now=now)
    audit.note(session, "member", row.id)
    await record_deed(session, runtime, caller, "member.added", row.id)
    return tagged(schemas.MemberInfo.of(row), row.version)


@creates("/v1/service-accounts", "service_accounts:write", tag=TAG)
async def add_service_account(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewServiceAccount]
) -> Response[schemas.MemberInfo]:
    """Add a program as a member of its own, so that its keys do not depend on a person."""
    caller.need_everywhere("service_accounts:write")
    now = runtime.clock.now()
    row = await actions.add_member(session, caller.organisation_id, kind="service_account", name=data.name, email=None, now=now)
    audit.note(session, "member", row.id)
    await record_deed(session, runtime, caller, "member.added", row.id)
    return tagged(schemas.MemberInfo.of(row), row.version)


@reads("/v1/members/{member_id:uuid}", "members:read", NotFound, tag=TAG)
async def get_member(caller: Asking, session: Session, member_id: PathId) -> Response[schemas.MemberInfo]:
    """One member."""
    row = await actions.found(session, Member, caller.organisation_id, member_id, "member")
    return tagged(schemas.MemberInfo.of(row), row.version)


@changes("/v1/members/{member_id:uuid}", "members:write", NotFound, AlreadyExists, Conflict, Stale, tag=TAG)
async def change_member(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    member_id: PathId,
    data: Body[schemas.MemberChange],
) -> Response[schemas.MemberInfo]:
    """Change a member, or disable them: their keys stop working with the next request."""
    caller.need_everywhere("members:write")
    row = await actions.found(session, Member, caller.organisation_id, member_id, "member", to_change=True)
    check_match(request, row.version)
    change = given_fields(data)
    await actions.change_member(session, row, name=change.get("name"), email=change.get("email"), state=change.get("state"))
    if "email" in change and change["email"] is None:
        row.email = None
        row.changed()
    audit.note(session, "member", row.id, fields=sorted(change))
    await record_deed(session, runtime, caller, "member.changed", row.id)
    await session.flush()
    return tagged(schemas.MemberInfo.of(row), row.version)


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
    caller: Asking, session: Session, runtime: Process, member_id: MemberFilter = None, limit: Limit = 50, cursor: Cursor = None
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


@reads("/v1/keys", "keys:own", tag=TAG)
async def list_keys(
    caller: Asking, session: Session, runtime: Process, member_id: MemberFilter = None, limit: Limit = 50, cursor: Cursor = None
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


@reads("/v1/audit-entries", "audit:read", tag=TAG)
async def list_audit_entries(
    caller: Asking,
    session: Session,
    runtime: Process,
    subject_id: Annotated[UUID | None, QueryParameter(description="Only about this.")] = None,
    member_id: MemberFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.AuditRecords:
    """Who changed what, the newest first."""
    caller.need_everywhere("audit:read")
    statement = select(AuditEntry)
    if subject_id is not None:
        statement = statement.where(AuditEntry.subject_id == subject_id)
    if member_id is not None:
        statement = statement.where(AuditEntry.member_id == member_id)
    rows, more = await own_page(session, runtime, caller, AuditEntry, statement, cursor, limit)
    return schemas.AuditRecords(items=[schemas.AuditRecord.of(row) for row in rows], next_cursor=more)


ROUTES = [
    list_organisations,
    add_organisation,
    get_organisation,
    change_organisation,
    list_members,
    add_member,
    add_service_account,
    get_member,
    change_member,
    list_permissions,
    list_roles,
    add_role,
    get_role,
    change_role,
    remove_role,
    list_grants,
    give_role,
    take_role,
    list_keys,
    make_key,
    get_key,
    rotate_key,
    revoke_key,
    list_audit_entries,
]
