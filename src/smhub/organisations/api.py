"""How one asks about the organisation, its people and who changed what."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import select

from smhub.access import audit
from smhub.access.models import AuditEntry, Member
from smhub.db import paging
from smhub.errors import AlreadyExists, Conflict, NotFound, Stale
from smhub.events.log import record_deed
from smhub.hub.web import (
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
    tagged,
)
from smhub.organisations import actions, keys_api, roles_api, schemas
from smhub.organisations.models import Organisation

TAG = "organisations"


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


@reads("/v1/audit-entries", "audit:read", tag=TAG)
async def list_audit_entries(
    caller: Asking,
    session: Session,
    runtime: Process,
    subject_id: Annotated[UUID | None, QueryParameter(description="Only about this.")] = None,
    member_id: schemas.MemberFilter = None,
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
    *roles_api.ROUTES,
    *keys_api.ROUTES,
    list_organisations,
    add_organisation,
    get_organisation,
    change_organisation,
    list_members,
    add_member,
    add_service_account,
    get_member,
    change_member,
    list_audit_entries,
]
