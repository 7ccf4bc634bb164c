"""How one asks about authors, and about the persons behind several profiles."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.db import paging
from smhub.errors import Conflict, CursorInvalid, NotFound, Stale
from smhub.events.log import record_deed
from smhub.hub.runtime import Runtime
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
    does,
    given_fields,
    reads,
    tagged,
)
from smhub.ids import new_id
from smhub.mentions import schemas
from smhub.mentions.models import Author, Person
from smhub.organisations.actions import found

TAG = "mentions"


@reads("/v1/authors", "authors:read", CursorInvalid, tag=TAG)
async def list_authors(
    caller: Asking,
    session: Session,
    runtime: Process,
    network: Annotated[str | None, QueryParameter(max_length=100, description="Only those on this network.")] = None,
    handle: Annotated[str | None, QueryParameter(max_length=200, description="Only those whose handle begins so.")] = None,
    person_id: Annotated[UUID | None, QueryParameter(description="Only those of this person.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Authors:
    """Profiles that have said something, the newest first."""
    caller.need_everywhere("authors:read")
    statement = select(Author).where(Author.organisation_id == caller.organisation_id)
    if network is not None:
        statement = statement.where(Author.network == network)
    if handle is not None:
        statement = statement.where(func.lower(Author.handle).startswith(handle.lower(), autoescape=True))
    if person_id is not None:
        statement = statement.where(Author.person_id == person_id)
    rows, more = await paging.page(
        session,
        statement,
        cursors=runtime.cursors,
        purpose="authors",
        organisation_id=caller.organisation_id,
        order=[Author.id],
        cursor=cursor,
        limit=limit,
    )
    return schemas.Authors(items=[schemas.AuthorInfo.of(row) for row in rows], next_cursor=more)


@reads("/v1/authors/{author_id:uuid}", "authors:read", NotFound, tag=TAG)
async def get_author(caller: Asking, session: Session, author_id: PathId) -> schemas.AuthorInfo:
    """One profile."""
    caller.need_everywhere("authors:read")
    return schemas.AuthorInfo.of(await found(session, Author, caller.organisation_id, author_id, "author"))


async def _authors(session: AsyncSession, caller: Caller, person_id: UUID) -> list[Author]:
    of = select(Author).where(Author.organisation_id == caller.organisation_id, Author.person_id == person_id).order_by(Author.id)
    return list((await session.scalars(of)).all())


async def _shown(session: AsyncSession, caller: Caller, row: Person) -> Response[schemas.PersonInfo]:
    await session.flush()
    return tagged(schemas.person(row, await _authors(session, caller, row.id)), row.version)


async def _give(session: AsyncSession, caller: Caller, person: Person, author_ids: list[UUID]) -> None:
    """These profiles belong to the person from now on."""
    for author_id in author_ids:
        (await found(session, Author, caller.organisation_id, author_id, "author")).person_id = person.id
    await session.flush()


@reads("/v1/persons", "authors:read", CursorInvalid, tag=TAG)
async def list_persons(caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None) -> schemas.Persons:
    """Persons with their profiles, the newest first."""
    caller.need_everywhere("authors:read")
    rows, more = await paging.page(
        session,
        select(Person).where(Person.organisation_id == caller.organisation_id),
        cursors=runtime.cursors,
        purpose="persons",
        organisation_id=caller.organisation_id,
        order=[Person.id],
        cursor=cursor,
        limit=limit,
    )
    items = [schemas.person(row, await _authors(session, caller, row.id)) for row in rows]
    return schemas.Persons(items=items, next_cursor=more)


async def _new_person(session: AsyncSession, runtime: Runtime, caller: Caller, name: str, note: str) -> Person:
    row = Person(organisation_id=caller.organisation_id, id=new_id(), name=name, note=note, created_at=runtime.clock.now(), version=1)
    session.add(row)
    await session.flush()
    return row


@creates("/v1/persons", "persons:write", NotFound, tag=TAG)
async def add_person(caller: Asking, session: Session, runtime: Process, data: Body[schemas.NewPerson]) -> Response[schemas.PersonInfo]:
    """Say that several profiles are one person."""
    caller.need_everywhere("persons:write")
    row = await _new_person(session, runtime, caller, data.name, data.note)
    await _give(session, caller, row, data.author_ids)
    audit.note(session, "person", row.id)
    await record_deed(session, runtime, caller, "person.added", row.id)
    return await _shown(session, caller, row)


@reads("/v1/persons/{person_id:uuid}", "authors:read", NotFound, tag=TAG)
async def get_person(caller: Asking, session: Session, person_id: PathId) -> Response[schemas.PersonInfo]:
    """One person with their profiles."""
    caller.need_everywhere("authors:read")
    return await _shown(session, caller, await found(session, Person, caller.organisation_id, person_id, "person"))


@changes("/v1/persons/{person_id:uuid}", "persons:write", NotFound, Stale, tag=TAG)
async def change_person(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    person_id: PathId,
    data: Body[schemas.PersonChange],
) -> Response[schemas.PersonInfo]:
    """Change a person's name or note."""
    caller.need_everywhere("persons:write")
    row = await found(session, Person, caller.organisation_id, person_id, "person", to_change=True)
    check_match(request, row.version)
    for name, value in given_fields(data).items():
        setattr(row, name, value)
    row.changed()
    audit.note(session, "person", row.id, fields=sorted(given_fields(data)))
    await record_deed(session, runtime, caller, "person.changed", row.id, fields=sorted(given_fields(data)))
    return await _shown(session, caller, row)


@does("/v1/persons/{person_id:uuid}/merge", "persons:write", NotFound, Conflict, tag=TAG)
async def merge_persons(
    caller: Asking, session: Session, runtime: Process, person_id: PathId, data: Body[schemas.PersonMerge]
) -> Response[schemas.PersonInfo]:
    """Two persons are one: the other's profiles move here, its note is added, and it is gone."""
    caller.need_everywhere("persons:write")
    row = await found(session, Person, caller.organisation_id, person_id, "person", to_change=True)
    other = await found(session, Person, caller.organisation_id, data.person_id, "person")
    if other.id == row.id:
        raise Conflict("A person cannot be merged with itself.", "Eine Person lässt sich nicht mit sich selbst zusammenführen.")
    await session.execute(
        update(Author)
        .where(Author.organisation_id == caller.organisation_id, Author.person_id == other.id)
        .values(person_id=row.id)
        .execution_options(synchronize_session=False)
    )
    row.note = "\n".join(part for part in (row.note, other.note) if part)[:10_000]
    row.changed()
    await session.delete(other)
    audit.note(session, "person", row.id, merged=str(other.id))
    await record_deed(session, runtime, caller, "person.merged", row.id, merged_id=str(other.id))
    return await _shown(session, caller, row)


@does("/v1/persons/{person_id:uuid}/split", "persons:write", NotFound, Conflict, tag=TAG)
async def split_person(
    caller: Asking, session: Session, runtime: Process, person_id: PathId, data: Body[schemas.PersonSplit]
) -> Response[schemas.PersonInfo]:
    """Some profiles are somebody else: they become a person of their own, who is returned."""
    caller.need_everywhere("persons:write")
    row = await found(session, Person, caller.organisation_id, person_id, "person", to_change=True)
    mine = {author.id for author in await _authors(session, caller, row.id)}
    for author_id in data.author_ids:
        if author_id not in mine:
            raise NotFound(what="author")
    if mine <= set(data.author_ids):
        raise Conflict("Leave at least one profile with this person.", "Mindestens ein Profil muss bei dieser Person bleiben.")
    new = await _new_person(session, runtime, caller, data.name, "")
    await _give(session, caller, new, data.author_ids)
    row.changed()
    audit.note(session, "person", row.id, split=str(new.id))
    await record_deed(session, runtime, caller, "person.split", row.id, new_id=str(new.id))
    return await _shown(session, caller, new)


ROUTES = [
    list_authors,
    get_author,
    list_persons,
    add_person,
    get_person,
    change_person,
    merge_persons,
    split_person,
]
