"""How one asks about brand sets. They belong to the whole organisation."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response
from sqlalchemy import select

from smhub.features import (
    Asking,
    Body,
    Cursor,
    Invalid,
    Limit,
    NotFound,
    PathId,
    Process,
    Runtime,
    Session,
    Stale,
    changes,
    check_match,
    creates,
    fields_of,
    found,
    given_fields,
    new_id,
    note,
    page,
    parse,
    reads,
    removes,
    tagged,
)
from smhub_monitoring.brands import schemas
from smhub_monitoring.brands.models import BrandSet

ID = TAG = "monitoring"
READ, WRITE = "monitoring:reports_read", "monitoring:reports_write"


def _check(runtime: Runtime, members: list[schemas.MonitoringBrand]) -> list[Any]:
    names = [one.name for one in members]
    if len(set(names)) < len(names):
        raise Invalid.field("members", "each name once")
    for one in members:
        parse(one.query, fields_of(runtime.hub))
    stored: list[Any] = msgspec.to_builtins(members)
    return stored


@reads("/brand-sets", READ, tag=TAG, plugin=ID)
async def monitoring_list_brand_sets(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schemas.MonitoringBrandSets:
    """Brand sets, the newest first."""
    rows, more = await page(
        session,
        select(BrandSet).where(BrandSet.organisation_id == caller.organisation_id),
        cursors=runtime.cursors,
        purpose=BrandSet.__tablename__,
        organisation_id=caller.organisation_id,
        order=[BrandSet.id],
        cursor=cursor,
        limit=limit,
    )
    return schemas.MonitoringBrandSets(items=[schemas.MonitoringBrandSet.of(row) for row in rows], next_cursor=more)


@creates("/brand-sets", WRITE, tag=TAG, plugin=ID)
async def monitoring_add_brand_set(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringNewBrandSet]
) -> Response[schemas.MonitoringBrandSet]:
    """Name brands to compare."""
    caller.need_everywhere(WRITE)
    row = BrandSet(
        organisation_id=caller.organisation_id,
        id=new_id(),
        name=data.name,
        members=_check(runtime, data.members),
        created_at=runtime.clock.now(),
        version=1,
    )
    session.add(row)
    await session.flush()
    note(session, "monitoring_brand_set", row.id)
    return tagged(schemas.MonitoringBrandSet.of(row), row.version)


@reads("/brand-sets/{brand_set_id:uuid}", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_brand_set(caller: Asking, session: Session, brand_set_id: PathId) -> Response[schemas.MonitoringBrandSet]:
    """One brand set."""
    row = await found(session, BrandSet, caller.organisation_id, brand_set_id, "brand set")
    return tagged(schemas.MonitoringBrandSet.of(row), row.version)


@changes("/brand-sets/{brand_set_id:uuid}", WRITE, NotFound, Stale, tag=TAG, plugin=ID)
async def monitoring_change_brand_set(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    brand_set_id: PathId,
    data: Body[schemas.MonitoringBrandSetChange],
) -> Response[schemas.MonitoringBrandSet]:
    """Change a brand set; reports that are made from then on use it."""
    caller.need_everywhere(WRITE)
    row = await found(session, BrandSet, caller.organisation_id, brand_set_id, "brand set", to_change=True)
    check_match(request, row.version)
    change = given_fields(data)
    row.name = change.get("name", row.name)
    if "members" in change:
        row.members = _check(runtime, change["members"])
    row.changed()
    await session.flush()
    note(session, "monitoring_brand_set", row.id, fields=sorted(change))
    return tagged(schemas.MonitoringBrandSet.of(row), row.version)


@removes("/brand-sets/{brand_set_id:uuid}", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_remove_brand_set(caller: Asking, session: Session, brand_set_id: PathId) -> None:
    """Forget a brand set."""
    caller.need_everywhere(WRITE)
    row = await found(session, BrandSet, caller.organisation_id, brand_set_id, "brand set", to_change=True)
    await session.delete(row)
    note(session, "monitoring_brand_set", row.id)


ROUTES = [
    monitoring_list_brand_sets,
    monitoring_add_brand_set,
    monitoring_get_brand_set,
    monitoring_change_brand_set,
    monitoring_remove_brand_set,
]
