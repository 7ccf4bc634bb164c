"""How one follows the log of facts."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from sqlalchemy import func, select

from smhub.events import schemas
from smhub.events.log import following, settled
from smhub.events.models import Event
from smhub.events.types import CORE_EVENTS
from smhub.hub.web import ANYBODY, Asking, Limit, Process, Session, reads
from smhub.sdk import EventType

TAG = "events"
After = Annotated[
    int, QueryParameter(ge=0, le=2**53 - 1, description="Only what follows this `seq`: the `last_seq` of the answer before; 0: all.")
]
OfType = Annotated[str | None, QueryParameter(max_length=100, description="Only this type, for example mention.discovered.")]
OfSubject = Annotated[UUID | None, QueryParameter(description="Only about this.")]


@reads("/v1/events", "events:read", tag=TAG)
async def list_events(
    caller: Asking,
    session: Session,
    runtime: Process,
    after: After = 0,
    limit: Limit = 100,
    type: OfType = None,
    subject_id: OfSubject = None,
) -> schemas.Events:
    """Events in the order in which they happened.

    Ask again with `last_seq` as `after`: nothing is left out, however many write at the same time. A department's rights do not
    suffice: the permission must hold in the whole organisation."""
    caller.need_everywhere("events:read")
    dialect = runtime.database.dialect
    # Before the rows are read: what is settled now is surely looked at below, what settles meanwhile comes next time.
    newest = select(func.max(Event.seq)).where(Event.organisation_id == caller.organisation_id, settled(dialect))
    seen = (await session.execute(newest)).scalar_one() or 0
    statement = following(dialect, caller.organisation_id, after, limit)
    if type is not None:
        statement = statement.where(Event.type == type)
    if subject_id is not None:
        statement = statement.where(Event.subject_id == subject_id)
    rows = (await session.scalars(statement)).all()
    last = rows[-1].seq if rows else after
    return schemas.Events(items=[schemas.EventInfo.of(row) for row in rows], last_seq=last if len(rows) == limit else max(last, seen))


@reads("/v1/event-types", ANYBODY, tag=TAG)
async def list_event_types(runtime: Process) -> schemas.EventTypes:
    """Every kind of event that this hub may write, its plugins' included."""
    core = [_described(one, None) for one in CORE_EVENTS]
    more = [_described(one, one.name.split(".", maxsplit=1)[0]) for one in runtime.hub.events.values()]
    return schemas.EventTypes(items=sorted(core + more, key=lambda one: one.name))


def _described(one: EventType, plugin: str | None) -> schemas.EventTypeInfo:
    return schemas.EventTypeInfo(name=one.name, description=one.description, plugin=plugin, data_schema=_schema(one.data))


@lru_cache(maxsize=256)
def _schema(data: type[msgspec.Struct]) -> dict[str, Any]:
    return msgspec.json.schema(data)


ROUTES = [list_events, list_event_types]
