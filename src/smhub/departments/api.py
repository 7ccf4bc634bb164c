"""How one asks about departments, their members, hours and holidays."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import select

from smhub.access import audit
from smhub.db import paging
from smhub.departments import actions, hours, schemas
from smhub.departments.models import Department, DepartmentMember
from smhub.errors import AlreadyExists, Conflict, Invalid, NotFound, Stale
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
    reads,
    removes,
    sets,
    tagged,
)

TAG = "departments"
READ, WRITE, STAFF = "departments:read", "departments:write", "departments:staff"
At = Annotated[datetime | None, QueryParameter(description="The moment to look at, with its offset; left out: now.")]
Days = Annotated[int, QueryParameter(ge=1, le=31, description="For how many days to list when it is open (1 to 31).")]
InCountry = Annotated[str, QueryParameter(max_length=2, description="ISO 3166-1 alpha-2, for example DE.")]
InSubdivision = Annotated[str | None, QueryParameter(max_length=40, description="A part of the country, for example BY.")]
OfYear = Annotated[
    int | None, QueryParameter(ge=hours.FIRST_YEAR, le=hours.LAST_YEAR, description="The year; left out: the present one, in UTC.")
]
InLanguage = Annotated[
    str | None,
    QueryParameter(max_length=10, description="The language of the names, for example de or en; left out: the country's own."),
]


@reads("/v1/departments", READ, tag=TAG)
async def list_departments(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Departments:
    """Departments in the order of the tree: each one before those below it."""
    statement = select(Department).where(Department.organisation_id == caller.organisation_id)
    if (where := caller.scope(READ).where(Department.id, None)) is not None:
        statement = statement.where(where)
    rows, more = await paging.page(
        session,
        statement,
        cursors=runtime.cursors,
        purpose="departments",
        organisation_id=caller.organisation_id,
        order=[Department.path],
        cursor=cursor,
        limit=limit,
        descending=False,
    )
    return schemas.Departments(items=[schemas.DepartmentInfo.of(row) for row in rows], next_cursor=more)


@creates("/v1/departments", WRITE, NotFound, AlreadyExists, Conflict, tag=TAG)
async def add_department(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewDepartment]
) -> Response[schemas.DepartmentInfo]:
    """Add a department, below another or at the top."""
    organisation = await actions.hold_tree(session, caller.organisation_id)
    parent = await actions.place_below(session, caller, data.parent_id)
    row = await actions.add_department(session, organisation, parent, data, runtime.clock.now())
    audit.note(session, "department", row.id)
    await record_deed(session, runtime, caller, "department.added", row.id)
    return tagged(schemas.DepartmentInfo.of(row), row.version)


@reads("/v1/departments/{department_id:uuid}", READ, NotFound, tag=TAG)
async def get_department(caller: Asking, session: Session, department_id: PathId) -> Response[schemas.DepartmentInfo]:
    """One department."""
    row = await actions.department(session, caller, department_id, READ)
    return tagged(schemas.DepartmentInfo.of(row), row.version)


@changes("/v1/departments/{department_id:uuid}", WRITE, NotFound, AlreadyExists, Conflict, Stale, tag=TAG)
async def change_department(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    department_id: PathId,
    data: Body[schemas.DepartmentChange],
) -> Response[schemas.DepartmentInfo]:
    """Change a department, or move it with everything below it.

    The paths of those below change with it, and so do their versions."""
    await actions.hold_tree(session, caller.organisation_id)
    row = await actions.department(session, caller, department_id, WRITE)
    check_match(request, row.version)
    change = given_fields(data)
    if change.get("parent_id", row.parent_id) != row.parent_id:
        parent = await actions.place_below(session, caller, change["parent_id"])
    else:
        parent = None if row.parent_id is None else await session.get_one(Department, (caller.organisation_id, row.parent_id))
    moved = await actions.change_department(session, row, change, parent)
    audit.note(session, "department", row.id, fields=sorted(change))
    await record_deed(session, runtime, caller, "department.changed", row.id, fields=sorted(change))
    await record_deed(session, runtime, caller, "department.changed", *moved, fields=["path"])
    return tagged(schemas.DepartmentInfo.of(row), row.version)


@removes("/v1/departments/{department_id:uuid}", WRITE, NotFound, Conflict, Stale, tag=TAG)
async def remove_department(
    request: Request[Any, Any, Any], caller: Asking, session: Session, runtime: Process, department_id: PathId
) -> None:
    """Remove a department that nothing belongs to.

    The roles that were given for it go with it."""
    await actions.hold_tree(session, caller.organisation_id)
    row = await actions.department(session, caller, department_id, WRITE)
    check_match(request, row.version)
    audit.note(session, "department", row.id)
    await actions.remove_department(session, row)
    await record_deed(session, runtime, caller, "department.removed", row.id)


@reads("/v1/departments/{department_id:uuid}/members", READ, NotFound, tag=TAG)
async def list_department_members(
    caller: Asking, session: Session, runtime: Process, department_id: PathId, limit: Limit = 50, cursor: Cursor = None
) -> schemas.DepartmentMembers:
    """Who works in a department."""
    row = await actions.department(session, caller, department_id, READ)
    of = (DepartmentMember.organisation_id == caller.organisation_id, DepartmentMember.department_id == row.id)
    rows, more = await paging.page(
        session,
        select(DepartmentMember).where(*of),
        cursors=runtime.cursors,
        purpose=f"department members {row.id}",
        organisation_id=caller.organisation_id,
        order=[DepartmentMember.member_id],
        cursor=cursor,
        limit=limit,
    )
    return schemas.DepartmentMembers(items=[schemas.DepartmentMemberInfo.of(one) for one in rows], next_cursor=more)


@sets("/v1/departments/{department_id:uuid}/members/{member_id:uuid}", STAFF, NotFound, tag=TAG)
async def put_department_member(
    caller: Asking, session: Session, runtime: Process, department_id: PathId, member_id: PathId
) -> schemas.DepartmentMemberInfo:
    """Put a member into a department. What they may do there is given by grants."""
    await actions.hold_tree(session, caller.organisation_id)
    row = await actions.department(session, caller, department_id, STAFF)
    one, new = await actions.put_member(session, row, member_id, runtime.clock.now())
    audit.note(session, "department", row.id, member_id=str(member_id))
    if new:
        await record_deed(session, runtime, caller, "department.member_added", row.id, member_id=str(member_id))
    return schemas.DepartmentMemberInfo.of(one)


@removes("/v1/departments/{department_id:uuid}/members/{member_id:uuid}", STAFF, NotFound, tag=TAG)
async def remove_department_member(
    caller: Asking, session: Session, runtime: Process, department_id: PathId, member_id: PathId
) -> None:
    """Take a member out of a department."""
    await actions.hold_tree(session, caller.organisation_id)
    row = await actions.department(session, caller, department_id, STAFF)
    await actions.remove_member(session, row, member_id)
    audit.note(session, "department", row.id, member_id=str(member_id))
    await record_deed(session, runtime, caller, "department.member_removed", row.id, member_id=str(member_id))


@reads("/v1/departments/{department_id:uuid}/hours", READ, NotFound, tag=TAG)
async def get_department_hours(
    caller: Asking, session: Session, runtime: Process, department_id: PathId, at: At = None, days: Days = 7
) -> schemas.DepartmentHours:
    """Whether a department is open, when that changes, and when it is open in the next days."""
    row = await actions.department(session, caller, department_id, READ)
    when = at or runtime.clock.now()
    if when.tzinfo is None:
        raise Invalid.field("at", "give the offset too, for example 2026-11-02T09:00:00Z")
    if not hours.FIRST_YEAR < when.year < hours.LAST_YEAR - 2:
        raise Invalid.field("at", f"choose a year from {hours.FIRST_YEAR + 1} to {hours.LAST_YEAR - 3}")
    of = hours.Hours.of(row)
    now = hours.moment(of, when)
    return schemas.DepartmentHours(
        at=when,
        time_zone=row.time_zone,
        open=now.open,
        closed_because=now.closed_because,
        day_name=now.day_name,
        next_opening=now.next_opening,
        next_closing=now.next_closing,
        intervals=[
            schemas.OpenInterval(from_=begins, to=ends) for begins, ends in hours.open_intervals(of, *hours.local_days(of, when, days))
        ],
    )


@reads("/v1/holidays", READ, tag=TAG)
async def list_holidays(
    runtime: Process, country: InCountry, subdivision: InSubdivision = None, year: OfYear = None, language: InLanguage = None
) -> schemas.Holidays:
    """The public holidays of a country, or of a part of it, in a year."""
    hours.check_place(country, subdivision)
    year = year or runtime.clock.now().year
    found = hours.public_holidays(country, subdivision, year, hours.language_of(country, language))
    return schemas.Holidays(
        country=country,
        subdivision=subdivision,
        year=year,
        items=[schemas.Holiday(date=day, name=name) for day, name in found.items()],
    )


ROUTES = [
    list_departments,
    add_department,
    get_department,
    change_department,
    remove_department,
    list_department_members,
    put_department_member,
    remove_department_member,
    get_department_hours,
    list_holidays,
]
