"""How one follows the log of facts."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter, SkipValidation
from litestar.response import Stream
from sqlalchemy import func, select

from smhub.errors import Invalid
from smhub.events import schemas
from smhub.events.log import following, settled
from smhub.events.models import Event
from smhub.events.stream import PERMISSION, Live, Wanted
from smhub.events.types import CORE_EVENTS
from smhub.hub.web import ANYBODY, Asking, Limit, Process, Session, reads
from smhub.sdk import EventType
from smhub.secret import Secret

TAG = "events"
MOST = 2**53 - 1
After = Annotated[
    int, QueryParameter(ge=0, le=MOST, description="Only what follows this `seq`: the `last_seq` of the answer before; 0: all.")
]
FromHere = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=MOST,
        # Litestar drops a bound of 0 from what may be left out.
        schema_extra={"minimum": 0},
        description="Begin after this `seq`; left out: with what happens from now on.",
    ),
]
LastSeen = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        schema_extra={"pattern": "^[0-9]{1,16}$"},
        description="The `id` of the last event that arrived: what a browser sends by itself when it connects again. It wins over `after`.",
    ),
]
Streams = NamedDependency[SkipValidation[Live]]
OfType = Annotated[str | None, QueryParameter(max_length=100, description="Only this type, for example mention.discovered.")]
OfSubject = Annotated[UUID | None, QueryParameter(description="Only about this.")]


@reads("/v1/events", PERMISSION, tag=TAG)
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
    caller.need_everywhere(PERMISSION)
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


@reads("/v1/events/stream", PERMISSION, tag=TAG, media_type="text/event-stream")
async def stream_events(
    request: Request[Any, Any, Any],
    caller: Asking,
    streams: Streams,
    after: FromHere = None,
    type: OfType = None,
    subject_id: OfSubject = None,
    last_event_id: LastSeen = None,
) -> Stream:
    """Events as they happen, as Server-Sent Events.

    Each has its `seq` as `id`, its type as `event`, and as `data` what GET /v1/events gives for it, in the same order and without a gap:
    connect again with the last `id` as `Last-Event-ID`. A comment comes every 15 seconds when nothing happens. The hub ends a stream with
    `event: end` and `data: {"code": …}`, and no `id`: `unauthenticated` or `not_permitted` within seconds after the right was taken;
    `unavailable` or `shutting_down`: connect again."""
    caller.need_everywhere(PERMISSION)
    wanted = Wanted(organisation_id=caller.organisation_id, type=type, subject_id=subject_id)
    key = Secret(request.headers["authorization"][7:].strip())
    reader = await streams.join(wanted, key, after if last_event_id is None else _seq(last_event_id))
    # No proxy may keep anything back or change it.
    headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
    return Stream(reader, headers=headers, media_type="text/event-stream", background=BackgroundTask(streams.leave, reader))


def _seq(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) <= 16 and int(given) <= MOST):
        raise Invalid.field("Last-Event-ID", f"the `id` of an event: a whole number from 0 to {MOST}")
    return int(given)


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


ROUTES = [list_events, stream_events, list_event_types]
