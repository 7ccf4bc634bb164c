"""The list of mentions, on the short way: SQLAlchemy builds the statement, the driver runs it, its rows become the answer.

Without a query the statement is compiled once for the process. Order: by arrival (ids rise with it), or by the time of publishing.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Integer, Select, and_, bindparam, literal_column, select

from smhub.access.callers import Scope
from smhub.db.paging import after
from smhub.db.read import Prepared, Row, prepare, raw_json
from smhub.db.search import Match, arrival, search_from
from smhub.db.types import Id, UtcDateTime
from smhub.hub.runtime import Runtime
from smhub.mentions.models import Author, Mention
from smhub.mentions.schemas import AuthorBrief, MentionInfo, Mentions
from smhub.query import Fields, compile_sql, parse
from smhub.time import wire

COLUMNS = (
    Mention.id,
    Mention.network,
    Mention.scope,
    Mention.external_id,
    Mention.kind,
    Mention.visibility,
    Mention.title,
    Mention.text,
    Mention.html,
    Mention.language,
    Mention.url,
    Mention.author_id,
    Mention.thread_id,
    Mention.reply_to_external_id,
    Mention.channel_id,
    Mention.listener_id,
    Mention.department_id,
    Mention.routed_by,
    Mention.routing_reason,
    Mention.state,
    Mention.content_state,
    Mention.tags,
    Mention.labels,
    Mention.attachments,
    Mention.annotations,
    Mention.published_at,
    Mention.edited_at,
    Mention.first_seen_at,
    Mention.deleted_at,
    Mention.version,
    Author.handle,
    Author.name,
    Author.avatar_url,
)
_AUTHOR = and_(Author.organisation_id == Mention.organisation_id, Author.id == Mention.author_id)
_ORGANISATION = bindparam("organisation_id", type_=Id(), required=False)
ARRIVAL, PUBLISHED = "arrival", "published"
# As a literal, for the planner's sake.
_SHOWN = Mention.content_state != literal_column("'deleted'")
_KEY: Any = Mention.id
_BY_TIME: Any = (Mention.published_at, Mention.id)


def as_wire(row: Row) -> MentionInfo:
    """A row as it goes over the wire. Ids, times and JSON are handed on as the driver gave them: they encode to the same."""
    author = None if row[11] is None else AuthorBrief(id=row[11], handle=row[30], name=row[31], avatar_url=row[32])
    json = (raw_json(row[21]), raw_json(row[22]), raw_json(row[23]), raw_json(row[24]))
    cells: tuple[Any, ...] = (*row[:11], author, *row[12:21], *json, *row[25:30])
    return MentionInfo(*cells)


def _base() -> Select[Any]:
    return select(*COLUMNS).select_from(Mention).join(Author, _AUTHOR, isouter=True).where(Mention.organisation_id == _ORGANISATION)


@lru_cache(maxsize=512)
def _plain(by: str, rows: int, *, more: bool) -> Prepared:
    """Without a query. The number of rows is written into it: PostgreSQL keeps a plan only when it knows how many are wanted."""
    statement = _base().where(_SHOWN).limit(literal_column(str(rows), Integer()))
    if by == PUBLISHED:
        if more:
            at = (bindparam("at", type_=UtcDateTime()), bindparam("id", type_=Id()))
            statement = statement.where(after(_BY_TIME, at, descending=True))
        return Prepared(statement.order_by(Mention.published_at.desc(), Mention.id.desc()))
    if more:
        statement = statement.where(Mention.id < bindparam("id", type_=Id()))
    return Prepared(statement.order_by(Mention.id.desc()))


@lru_cache(maxsize=512)
def _of_words(rows: int, *, more: bool) -> Prepared:
    """For a query of words and nothing else."""
    statement = search_from(_base().where(_SHOWN), Match.given(_ORGANISATION), _KEY).add_columns(arrival())
    if more:
        statement = statement.where(arrival() < bindparam("place", type_=BigInteger()))
    return Prepared(statement.order_by(arrival().desc()).limit(literal_column(str(rows), Integer())))


async def list_page(
    runtime: Runtime,
    fields: Fields,
    *,
    organisation_id: UUID,
    scope: Scope,
    q: str,
    by: str,
    deleted: bool,
    zone: str,
    cursor: str | None,
    limit: int,
) -> Mentions:
    """One page."""
    purpose = f"mentions {by} {deleted} {q}"
    place = runtime.cursors.read(purpose, organisation_id, cursor) if cursor is not None else None
    if not q and scope.everywhere and not deleted:
        values: dict[str, Any] = {"organisation_id": organisation_id}
        if place is not None:
            values |= {"id": UUID(place[-1])} | ({"at": datetime.fromisoformat(place[0])} if by == PUBLISHED else {})
        rows = await runtime.database.reader.rows(_plain(by, limit + 1, more=place is not None), **values)
        return _page(runtime, purpose, organisation_id, rows, limit, by, matched=False)
    found = compile_sql(parse(q, fields), fields, organisation_id=organisation_id, now=runtime.clock.now(), time_zone=ZoneInfo(zone))
    matched = found.match is not None and by == ARRIVAL
    if matched and found.match is not None and found.where is None and scope.everywhere and not deleted:
        values = {"organisation_id": organisation_id, **found.match.values, "place": int(place[0]) if place is not None else None}
        rows = await runtime.database.reader.rows(_of_words(limit + 1, more=place is not None), **values)
        return _page(runtime, purpose, organisation_id, rows, limit, by, matched=True)
    statement = _base() if deleted else _base().where(_SHOWN)
    if (where := scope.where(Mention.department_id, Mention.channel_id)) is not None:
        statement = statement.where(where)
    statement = found.narrow(statement)
    statement = _ordered(statement, by, place, matched=matched)
    rows = await runtime.database.reader.rows(prepare(statement.limit(limit + 1)), organisation_id=organisation_id)
    return _page(runtime, purpose, organisation_id, rows, limit, by, matched=matched)


def _ordered(statement: Select[Any], by: str, place: list[Any] | None, *, matched: bool) -> Select[Any]:
    if matched:
        statement = statement.add_columns(arrival())
        return (statement if place is None else statement.where(arrival() < int(place[0]))).order_by(arrival().desc())
    if by == PUBLISHED:
        if place is not None:
            at = (datetime.fromisoformat(place[0]), UUID(place[1]))
            statement = statement.where(after(_BY_TIME, at, descending=True))
        return statement.order_by(Mention.published_at.desc(), Mention.id.desc())
    if place is not None:
        statement = statement.where(Mention.id < UUID(place[0]))
    return statement.order_by(Mention.id.desc())


def _page(runtime: Runtime, purpose: str, organisation_id: UUID, rows: list[Row], limit: int, by: str, *, matched: bool) -> Mentions:
    more = None
    if len(rows) > limit:
        last = rows[limit - 1]
        at = last[25] if isinstance(last[25], str) else wire(last[25])
        values = [int(last[33])] if matched else [at, str(last[0])] if by == PUBLISHED else [str(last[0])]
        more = runtime.cursors.make(purpose, organisation_id, values)
    return Mentions([as_wire(row) for row in rows[:limit]], more)


ONE = Prepared(_base().where(Mention.id == bindparam("mention_id", type_=Id())))
_THREAD = Prepared(
    _base()
    .add_columns(Mention.root_external_id)
    .where(Mention.thread_id == bindparam("thread_id", type_=Id()))
    .order_by(Mention.published_at, Mention.id)
    .limit(500)
)


async def one(runtime: Runtime, organisation_id: UUID, mention_id: UUID) -> Row | None:
    """One mention's row; its department stands in column 16, its channel in 14."""
    rows = await runtime.database.reader.rows(ONE, organisation_id=organisation_id, mention_id=mention_id)
    return rows[0] if rows else None


async def thread(runtime: Runtime, organisation_id: UUID, thread_id: UUID) -> list[Row]:
    """A conversation, the oldest first."""
    return await runtime.database.reader.rows(_THREAD, organisation_id=organisation_id, thread_id=thread_id)
