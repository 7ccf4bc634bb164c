"""How one listens on several networks, and tries a query first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, literal_column, select

from smhub.features import (
    Asking,
    Body,
    Conflict,
    Invalid,
    Looked,
    Mention,
    NewListener,
    NotFound,
    Organisation,
    Process,
    Session,
    compile_sql,
    creates,
    does,
    fields_of,
    looked_for,
    parse,
    save_listener,
)
from smhub.sdk import Searches, StreamsSearches
from smhub_monitoring.listening import schemas

ID = TAG = "monitoring"
EXAMPLES, LONGEST = 10, 300
_LIVE = Mention.content_state != literal_column("'deleted'")


def _asked(looked: Looked) -> schemas.MonitoringAsked:
    return schemas.MonitoringAsked(words=list(looked.words), excluded=list(looked.excluded), languages=list(looked.languages))


def _days(now: datetime, count: int, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The local days that the last so many days touch, the oldest first."""
    first = (now - timedelta(days=count)).astimezone(zone).date()
    for number in range(count + 1):
        begins, ends = (datetime.combine(first + timedelta(days=number + one), time(), zone).astimezone(UTC) for one in (0, 1))
        yield begins, ends


@creates("/listeners", "listeners:write", NotFound, Conflict, tag=TAG, plugin=ID)
async def monitoring_listen(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringNewListeners]
) -> schemas.MonitoringListeners:
    """Listen for one query on several networks. What a network cannot do is refused, and nothing is made then."""
    networks = [one.network for one in data.networks]
    if twice := [network for network, count in Counter(networks).items() if count > 1]:
        raise Invalid.field("networks", f"{twice[0]} is named twice")
    for number, network in enumerate(networks):
        if network not in runtime.hub.connectors:
            raise Invalid.field(f"networks.{number}.network", f"no plugin speaks {network}")
    made = [
        await save_listener(
            session,
            runtime,
            caller,
            NewListener(
                network=one.network,
                name=data.name,
                purpose=data.purpose,
                legal_basis=data.legal_basis,
                query=data.query,
                settings=one.settings,
                department_id=data.department_id,
                poll_seconds=one.poll_seconds,
                daily_budget=one.daily_budget,
            ),
        )
        for one in data.networks
    ]
    items = [schemas.MonitoringListener(listener_id=row.id, network=row.network) for row in made]
    return schemas.MonitoringListeners(asked=_asked(looked_for(data.query)), items=items)


@does("/listeners/try", "mentions:read", tag=TAG, plugin=ID)
async def monitoring_try_listener(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringTry]
) -> schemas.MonitoringTried:
    """What a query would have found in the last days, with counts and examples. Nothing is stored, no network is asked."""
    looked = looked_for(data.query)
    zone = ZoneInfo((await session.get_one(Organisation, caller.organisation_id)).time_zone)
    now = runtime.clock.now()
    seen: list[Any] = [Mention.organisation_id == caller.organisation_id, Mention.published_at > now - timedelta(days=data.days), _LIVE]
    if (where := caller.scope("mentions:read").where(Mention.department_id, Mention.channel_id)) is not None:
        seen.append(where)
    fields = fields_of(runtime.hub)
    query = parse(data.query, fields)
    fitting = compile_sql(query, fields, organisation_id=caller.organisation_id, now=now, time_zone=zone)
    whole = (await session.execute(select(func.count()).select_from(Mention).where(*seen))).scalar_one()
    counted: Any = select(Mention.network, func.count()).where(*seen)
    found = fitting.narrow(counted).group_by(Mention.network)
    by_network: dict[str, int] = {one[0]: one[1] for one in await session.execute(found)}
    newest: Any = fitting.narrow(select(Mention).where(*seen)).order_by(Mention.published_at.desc(), Mention.id.desc()).limit(EXAMPLES)
    examples = (await session.scalars(newest)).all()
    total = sum(by_network.values())
    days = []
    for begins, ends in _days(now, data.days, zone) if total else ():
        on: Any = fitting.narrow(
            select(func.count()).select_from(Mention).where(*seen, Mention.published_at >= begins, Mention.published_at < ends)
        )
        days.append((begins.astimezone(zone).date(), (await session.execute(on)).scalar_one()))
    return schemas.MonitoringTried(
        asked=_asked(looked),
        looked_at=whole,
        found=total,
        a_day=round(total / data.days, 1) if whole else None,
        networks=[
            schemas.MonitoringOnNetwork(
                network=network,
                count=by_network.get(network, 0),
                searches=issubclass(connector, Searches),
                streams=issubclass(connector, StreamsSearches),
            )
            for network, connector in sorted(runtime.hub.connectors.items())
        ],
        days=[schemas.MonitoringDay(day=day, count=count) for day, count in days if count],
        examples=[
            schemas.MonitoringExample(mention_id=row.id, network=row.network, text=row.text[:LONGEST], published_at=row.published_at)
            for row in examples
        ],
    )


ROUTES = [monitoring_listen, monitoring_try_listener]
