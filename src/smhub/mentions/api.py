"""How one asks about mentions, threads and the query language."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from sqlalchemy import column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.db.read import as_id
from smhub.db.types import Id
from smhub.errors import CursorInvalid, NotFound, QueryInvalid, Stale
from smhub.events.log import Fact, record
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
    does,
    given_fields,
    reads,
    tagged,
)
from smhub.mentions import backfill_api, listing, persons_api, schemas
from smhub.mentions.annotations import annotate
from smhub.mentions.models import Annotation, Mention, MentionVersion, Sighting
from smhub.organisations.actions import check_time_zone, found
from smhub.query import Fields, parse, to_text
from smhub.query.tree import Condition, leaves
from smhub.sdk import Annotation as Said

TAG = "mentions"
Searchable: TypeAlias = NamedDependency[SkipValidation[Fields]]


class Reading(msgspec.Struct, frozen=True):
    """What the list needs, in one piece: several dependencies would each cost a task, and this is the hub's hottest path."""

    caller: Caller
    runtime: Runtime
    fields: Fields


Reads: TypeAlias = NamedDependency[SkipValidation[Reading]]
Q = Annotated[
    str,
    QueryParameter(
        max_length=2000,
        description="A query, for example `network:feeds -tag:spam (lieferung OR versand)`; fields: GET /v1/query-fields.",
        schema_extra={"examples": ["lieferung"]},
    ),
]
Order = Annotated[
    str,
    QueryParameter(pattern=r"^(arrival|published)\Z", description="The newest first, by arrival here (`arrival`) or by `published`."),
]
Zone = Annotated[str, QueryParameter(max_length=64, description="The time zone in which dates of the query are meant.")]
Deleted = Annotated[bool, QueryParameter(description="Also those whose text is gone because they were deleted on the network.")]
_DEPARTMENT = table("core_department", column("organisation_id", Id()), column("id", Id()))


@reads("/v1/mentions", "mentions:read", QueryInvalid, CursorInvalid, tag=TAG)
async def list_mentions(
    reading: Reads,
    q: Q = "",
    order: Order = listing.ARRIVAL,
    deleted: Deleted = False,
    time_zone: Zone = "UTC",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Mentions:
    """Mentions, the newest first, narrowed down by a query."""
    if time_zone != "UTC":
        check_time_zone(time_zone)
    return await listing.list_page(
        reading.runtime,
        reading.fields,
        organisation_id=reading.caller.organisation_id,
        scope=reading.caller.scope("mentions:read"),
        q=q,
        by=order,
        deleted=deleted,
        zone=time_zone,
        cursor=cursor,
        limit=limit,
    )


async def _visible(runtime: Runtime, caller: Caller, mention_id: UUID, permission: str) -> Any:
    """A mention's row, when it lies within one's scope."""
    row = await listing.one(runtime, caller.organisation_id, mention_id)
    if row is None:
        raise NotFound(what="mention")
    scope = caller.scope(permission)
    if not scope.everywhere:
        department = None if row[16] is None else as_id(row[16])
        caller.need_for(permission, "mention", department, None if row[14] is None else as_id(row[14]))
    return row


@reads("/v1/mentions/{mention_id:uuid}", "mentions:read", NotFound, tag=TAG)
async def get_mention(caller: Asking, runtime: Process, mention_id: PathId) -> Response[schemas.MentionInfo]:
    """One mention."""
    info = listing.as_wire(await _visible(runtime, caller, mention_id, "mentions:read"))
    return tagged(info, info.version)


async def _mention(session: AsyncSession, caller: Caller, mention_id: UUID, permission: str) -> Mention:
    row = await found(session, Mention, caller.organisation_id, mention_id, "mention", to_change=True)
    caller.need_for(permission, "mention", row.department_id, row.channel_id)
    return row


@changes("/v1/mentions/{mention_id:uuid}", "mentions:write", NotFound, Stale, tag=TAG)
async def change_mention(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    mention_id: PathId,
    data: Body[schemas.MentionChange],
) -> Response[schemas.MentionInfo]:
    """Triage, tag, or hand over to a department. What a person decides, no rule changes."""
    row = await _mention(session, caller, mention_id, "mentions:write")
    check_match(request, row.version)
    change = given_fields(data)
    facts: list[tuple[str, dict[str, Any]]] = []
    if "department_id" in change and change["department_id"] != row.department_id:
        await _check_department(session, caller, change["department_id"])
        row.department_id, row.routed_by, row.routing_reason = change["department_id"], "member", None
        facts.append(("mention.routed", {"department_id": change["department_id"]}))
    if "state" in change and change["state"] != row.state:
        row.state = change["state"]
    if "tags" in change:
        row.tags = sorted(set(change["tags"]))
    row.changed()
    await session.flush()
    audit.note(session, "mention", row.id, fields=sorted(change))
    now = runtime.clock.now()
    if change:
        facts.append(("mention.changed", {"fields": sorted(change)}))
    await record(session, *(_fact(caller, type_, row.id, now, said) for type_, said in facts))
    return tagged(await _as_wire(session, caller, row.id), row.version)


async def _as_wire(session: AsyncSession, caller: Caller, mention_id: UUID) -> schemas.MentionInfo:
    """A mention after a change, read inside the change's own transaction."""
    statement = listing.ONE.statement
    values = {"organisation_id": caller.organisation_id, "mention_id": mention_id}
    row = (await session.execute(statement, values)).one()
    cells: list[Any] = list(row[:30])
    cells[11] = schemas.AuthorBrief(id=row[11], handle=row[30], name=row[31], avatar_url=row[32]) if row[11] else None
    return schemas.MentionInfo(*cells)


async def _check_department(session: AsyncSession, caller: Caller, department_id: UUID | None) -> None:
    if department_id is None:
        return
    there = select(_DEPARTMENT.c.id).where(_DEPARTMENT.c.organisation_id == caller.organisation_id, _DEPARTMENT.c.id == department_id)
    if (await session.execute(there)).first() is None:
        raise NotFound(what="department")


def _fact(caller: Caller, type_: str, mention_id: UUID, now: Any, data: dict[str, Any]) -> Fact:
    return Fact(
        organisation_id=caller.organisation_id,
        type=type_,
        subject_type="mention",
        subject_id=mention_id,
        at=now,
        actor_id=caller.member_id,
        data=data,
    )


@reads("/v1/mentions/{mention_id:uuid}/versions", "mentions:read", NotFound, tag=TAG)
async def list_mention_versions(caller: Asking, session: Session, runtime: Process, mention_id: PathId) -> schemas.MentionVersions:
    """The earlier texts of a mention that was edited."""
    await _visible(runtime, caller, mention_id, "mentions:read")
    of = select(MentionVersion).where(MentionVersion.organisation_id == caller.organisation_id, MentionVersion.mention_id == mention_id)
    rows = (await session.scalars(of.order_by(MentionVersion.version_at.desc(), MentionVersion.digest))).all()
    return schemas.MentionVersions(items=[schemas.MentionVersionInfo.of(row) for row in rows])


@reads("/v1/mentions/{mention_id:uuid}/sightings", "mentions:read", NotFound, tag=TAG)
async def list_sightings(caller: Asking, session: Session, runtime: Process, mention_id: PathId) -> schemas.Sightings:
    """Which intakes saw a mention, and when first."""
    await _visible(runtime, caller, mention_id, "mentions:read")
    of = select(Sighting).where(Sighting.organisation_id == caller.organisation_id, Sighting.mention_id == mention_id)
    rows = (await session.scalars(of.order_by(Sighting.seen_at, Sighting.intake_id))).all()
    return schemas.Sightings(items=[schemas.SightingInfo.of(row) for row in rows])


@reads("/v1/mentions/{mention_id:uuid}/annotations", "mentions:read", NotFound, tag=TAG)
async def list_annotations(caller: Asking, session: Session, runtime: Process, mention_id: PathId) -> schemas.Annotations:
    """What every producer says about a mention."""
    await _visible(runtime, caller, mention_id, "mentions:read")
    of = select(Annotation).where(Annotation.organisation_id == caller.organisation_id, Annotation.mention_id == mention_id)
    rows = (await session.scalars(of.order_by(Annotation.key, Annotation.producer))).all()
    return schemas.Annotations(items=[schemas.AnnotationInfo.of(row) for row in rows])


@does("/v1/mentions/{mention_id:uuid}/annotations", "mentions:annotate", NotFound, tag=TAG)
async def annotate_mention(
    caller: Asking, session: Session, runtime: Process, mention_id: PathId, data: Body[schemas.NewAnnotation]
) -> Response[schemas.MentionInfo]:
    """Say what a mention is about; a person's word is in force, whatever a program says."""
    await _mention(session, caller, mention_id, "mentions:annotate")
    now = runtime.clock.now()
    said = [Said(key=data.key, value=data.value)]
    await annotate(session, caller.organisation_id, mention_id, said, producer=f"member:{caller.member_id}", now=now, human=True)
    audit.note(session, "mention", mention_id, key=data.key)
    await record(session, _fact(caller, "mention.annotated", mention_id, now, {"keys": [data.key]}))
    info = await _as_wire(session, caller, mention_id)
    return tagged(info, info.version)


@reads("/v1/threads/{thread_id:uuid}", "mentions:read", NotFound, tag=TAG)
async def get_thread(caller: Asking, runtime: Process, thread_id: PathId) -> schemas.Thread:
    """A conversation as the network tells it, the oldest first; only what lies within one's scope."""
    rows = await listing.thread(runtime, caller.organisation_id, thread_id)
    scope = caller.scope("mentions:read")
    if not scope.everywhere:
        rows = [row for row in rows if scope.covers(_id_or_none(row[16]), _id_or_none(row[14]))]
    if not rows:
        raise NotFound(what="thread")
    items = [listing.as_wire(row) for row in rows]
    return schemas.Thread(id=thread_id, network=rows[0][1], root_external_id=rows[0][33], items=items)


def _id_or_none(value: Any) -> UUID | None:
    return None if value is None else as_id(value)


@reads("/v1/query-fields", "mentions:read", tag=TAG)
async def list_query_fields(fields: Searchable) -> schemas.QueryFields:
    """The fields that a query may name."""
    return schemas.QueryFields(items=[schemas.QueryFieldInfo.of(one) for one in fields.describe()])


@reads("/v1/query", "mentions:read", QueryInvalid, tag=TAG)
async def explain_query(fields: Searchable, q: Q = "") -> schemas.QueryUnderstood:
    """How the hub reads a query; a wrong one is answered with the column of the fault."""
    query = parse(q, fields)
    named = list(leaves(query.root))
    return schemas.QueryUnderstood(
        canonical=to_text(query),
        fields=sorted({one.field for one in named if isinstance(one, Condition)}),
        searches_text=any(not isinstance(one, Condition) for one in named),
    )


ROUTES = [
    list_mentions,
    get_mention,
    change_mention,
    list_mention_versions,
    list_sightings,
    list_annotations,
    annotate_mention,
    get_thread,
    list_query_fields,
    explain_query,
    *persons_api.ROUTES,
    *backfill_api.ROUTES,
]
