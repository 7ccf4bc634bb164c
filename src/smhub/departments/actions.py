"""What one does with departments: the tree, its hours, and who works where."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import column, func, literal, select, table, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.callers import Caller
from smhub.access.models import Member
from smhub.db.types import Id
from smhub.departments import hours, schemas
from smhub.departments.models import Department, DepartmentMember
from smhub.errors import AlreadyExists, Conflict, FieldError, Invalid, NotFound
from smhub.ids import new_id
from smhub.organisations.actions import check_time_zone, found
from smhub.organisations.models import Organisation

MAX_DEPTH = 8
REFERRING = {
    what: table(f"core_{what}", column("organisation_id", Id()), column("department_id", Id()))
    for what in ("channel", "listener", "mention", "delivery")
}


async def hold_tree(session: AsyncSession, organisation_id: UUID) -> Organisation:
    """One at a time changes the tree, so that two moves cannot make a circle."""
    locked = select(Organisation).where(Organisation.id == organisation_id).with_for_update(key_share=True)
    return (await session.scalars(locked)).one()


async def department(session: AsyncSession, caller: Caller, id_: UUID, permission: str) -> Department:
    """A department in the scope of the permission; NotFound otherwise."""
    caller.need_for(permission, "department", id_, None)
    return await found(session, Department, caller.organisation_id, id_, "department")


async def place_below(session: AsyncSession, caller: Caller, parent_id: UUID | None) -> Department | None:
    """The parent to be, where one may add departments; None is the top, for who may do so in the whole organisation."""
    if parent_id is None:
        caller.need_everywhere("departments:write")
        return None
    return await department(session, caller, parent_id, "departments:write")


async def add_department(
    session: AsyncSession, organisation: Organisation, parent: Department | None, new: schemas.NewDepartment, now: datetime
) -> Department:
    """A new department below another, or at the top."""
    check_settings(msgspec.structs.asdict(new))
    hours.check_place(new.country, new.subdivision)
    path = await _free_path(session, organisation.id, parent, new.slug)
    if path.count("/") >= MAX_DEPTH:
        raise _too_deep()
    row = Department(
        organisation_id=organisation.id,
        id=new_id(),
        parent_id=parent.id if parent else None,
        name=new.name,
        slug=new.slug,
        path=path,
        time_zone=new.time_zone or organisation.time_zone,
        country=new.country,
        subdivision=new.subdivision,
        opening_hours=msgspec.to_builtins(new.opening_hours),
        closed_days=msgspec.to_builtins(new.closed_days),
        keywords=new.keywords,
        created_at=now,
        version=1,
    )
    session.add(row)
    await session.flush()
    return row


def check_settings(given: dict[str, Any]) -> None:
    """Raise Invalid for a zone that does not exist, spans that overlap, and days that are named twice."""
    if given.get("time_zone") is not None:
        check_time_zone(given["time_zone"])
    hours.check_spans([(span.weekday, span.from_, span.to) for span in given.get("opening_hours", ())])
    days = [day.date for day in given.get("closed_days", ())]
    twice = [number for number, day in enumerate(days) if day in days[:number]]
    if twice:
        raise Invalid(fields=[FieldError(field=f"closed_days.{n}.date", code="invalid", detail="it is there twice") for n in twice])


async def change_department(session: AsyncSession, row: Department, change: dict[str, Any], parent: Department | None) -> list[UUID]:
    """Change what is given; `parent` is where it shall be. Returns the departments below whose paths changed with it."""
    check_settings(change)
    if "country" in change and change["country"] is None:
        change.setdefault("subdivision", None)
    hours.check_place(change.get("country", row.country), change.get("subdivision", row.subdivision))
    moved: list[UUID] = []
    if "parent_id" in change or "slug" in change:
        moved = await _move(session, row, parent, change.get("slug", row.slug))
    for name, value in change.items():
        if name != "parent_id":
            setattr(row, name, msgspec.to_builtins(value))
    row.changed()
    await session.flush()
    return moved


async def _move(session: AsyncSession, row: Department, parent: Department | None, slug: str) -> list[UUID]:
    """Hang it below another, and everything below it too."""
    old, below = row.path, f"{row.path}/"
    if parent is not None and (parent.id == row.id or parent.path.startswith(below)):
        raise Conflict("A department cannot lie below itself.", "Eine Abteilung kann nicht unter sich selbst liegen.")
    if old == (f"{parent.path}/{slug}" if parent else slug):
        return []
    path = await _free_path(session, row.organisation_id, parent, slug)
    of = (Department.organisation_id == row.organisation_id, Department.path.startswith(below))
    rows = (await session.execute(select(Department.id, Department.path).where(*of))).all()
    deepest = max((one.count("/") for _, one in rows), default=old.count("/")) - old.count("/")
    if path.count("/") + deepest >= MAX_DEPTH:
        raise _too_deep()
    row.parent_id, row.path = parent.id if parent else None, path
    await session.execute(
        update(Department)
        .where(*of)
        .values(path=literal(path) + func.substr(Department.path, len(old) + 1), version=Department.version + 1)
        .execution_options(synchronize_session=False)
    )
    return [id_ for id_, _ in rows]


async def _free_path(session: AsyncSession, organisation_id: UUID, parent: Department | None, slug: str) -> str:
    path = f"{parent.path}/{slug}" if parent else slug
    taken = select(Department.id).where(Department.organisation_id == organisation_id, Department.path == path)
    if (await session.execute(taken)).first():
        raise AlreadyExists(what="department", field="slug")
    return path


def _too_deep() -> Conflict:
    return Conflict(f"Departments lie at most {MAX_DEPTH} deep.", f"Abteilungen liegen höchstens {MAX_DEPTH} tief.")


async def remove_department(session: AsyncSession, row: Department) -> None:
    """Remove what nothing refers to; with it go its members and the roles that were given for it."""
    children = select(Department.id).where(Department.organisation_id == row.organisation_id, Department.parent_id == row.id).limit(1)
    if (await session.execute(children)).first():
        raise Conflict("There are departments below it. Move them first.", "Darunter liegen Abteilungen. Zuerst diese verschieben.")
    for what, place in REFERRING.items():
        used = (
            select(place.c.department_id)
            .where(place.c.organisation_id == row.organisation_id, place.c.department_id == row.id)
            .limit(1)
        )
        if (await session.execute(used)).first():
            raise Conflict(
                f"A {what} belongs to it. Give it to another department first.",
                f"Ein Objekt „{what}“ gehört dazu. Zuerst einer anderen Abteilung geben.",
            )
    await session.delete(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("It was given something just now.", "Ihr wurde eben etwas zugeteilt.") from error


async def put_member(session: AsyncSession, row: Department, member_id: UUID, now: datetime) -> tuple[DepartmentMember, bool]:
    """A member works there; also whether that is new."""
    await found(session, Member, row.organisation_id, member_id, "member")
    there = await session.get(DepartmentMember, (row.organisation_id, row.id, member_id))
    if there is not None:
        return there, False
    one = DepartmentMember(organisation_id=row.organisation_id, department_id=row.id, member_id=member_id, since=now)
    session.add(one)
    await session.flush()
    return one, True


async def remove_member(session: AsyncSession, row: Department, member_id: UUID) -> None:
    """A member no longer works there."""
    one = await session.get(DepartmentMember, (row.organisation_id, row.id, member_id))
    if one is None:
        raise NotFound(what="member")
    await session.delete(one)
