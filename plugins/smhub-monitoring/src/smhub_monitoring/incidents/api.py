"""How one asks about incidents."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response
from litestar.params import QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Asking,
    Body,
    Caller,
    Conflict,
    Cursor,
    Department,
    Invalid,
    Limit,
    NotFound,
    PathId,
    Process,
    Session,
    Stale,
    changes,
    check_match,
    creates,
    does,
    fields_of,
    found,
    given_fields,
    new_id,
    note,
    own_page,
    page,
    parse,
    reads,
    tagged,
)
from smhub_monitoring.alerts.models import Alert, AlertRule
from smhub_monitoring.incidents import actions, schemas
from smhub_monitoring.incidents.models import CLOSED, WATCH, Incident, IncidentEntry

ID = TAG = "monitoring"
READ, WRITE = "monitoring:incidents_read", "monitoring:incidents_write"
InState = Annotated[
    str | None, QueryParameter(name="state", max_length=40, description="Only those in this state: watch, active, review or closed.")
]
Answer = Response[schemas.MonitoringIncident]


def _shown(row: Incident) -> Answer:
    return tagged(schemas.MonitoringIncident.of(row), row.version)


async def _the_incident(session: AsyncSession, caller: Caller, id_: UUID, permission: str, *, to_change: bool = False) -> Incident:
    row = await found(session, Incident, caller.organisation_id, id_, "incident", to_change=to_change)
    caller.need_for(permission, "incident", row.department_id, None)
    return row


@reads("/incidents", READ, tag=TAG, plugin=ID)
async def monitoring_list_incidents(
    caller: Asking, session: Session, runtime: Process, in_state: InState = None, limit: Limit = 50, cursor: Cursor = None
) -> schemas.MonitoringIncidents:
    """Incidents, the newest first."""
    statement = select(Incident)
    if (where := caller.scope(READ).where(Incident.department_id, None)) is not None:
        statement = statement.where(where)
    if in_state is not None:
        statement = statement.where(Incident.state == in_state)
    rows, more = await own_page(session, runtime, caller, Incident, statement, cursor, limit)
    return schemas.MonitoringIncidents(items=[schemas.MonitoringIncident.of(row) for row in rows], next_cursor=more)


@creates("/incidents", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_open_incident(
    caller: Asking, session: Session, runtime: Process, data: Body[schemas.MonitoringNewIncident]
) -> Answer:
    """Watch something that may become a storm: its mentions are gathered. Escalate it when it is one."""
    query, department_id, since = data.query, data.department_id, data.since
    if data.alert_id is not None:
        alert = await found(session, Alert, caller.organisation_id, data.alert_id, "alert")
        caller.need_for(WRITE, "alert", alert.department_id, None)
        rule = await session.get_one(AlertRule, (caller.organisation_id, alert.rule_id))
        query, department_id, since = query or rule.query, alert.department_id, since or alert.raised_at - actions.BEFORE_AN_ALERT
    if not query:
        raise Invalid.field("query", "say which mentions belong to it")
    parse(query, fields_of(runtime.hub))
    if department_id is None:
        caller.need_everywhere(WRITE)
    else:
        await found(session, Department, caller.organisation_id, department_id, "department")
        caller.need_for(WRITE, "department", department_id, None)
    now = runtime.clock.now()
    row = Incident(
        organisation_id=caller.organisation_id,
        id=new_id(),
        name=data.name,
        query=query,
        department_id=department_id,
        state=WATCH,
        holding_answer=data.holding_answer,
        alert_id=data.alert_id,
        since=since or now,
        mentions=0,
        opened_at=now,
        opened_by=caller.member_id,
        version=1,
    )
    session.add(row)
    await session.flush()
    await actions.tell(session, row, "opened", now, by=caller.member_id, alert_id=str(data.alert_id) if data.alert_id else None)
    note(session, "monitoring_incident", row.id)
    return _shown(row)


@reads("/incidents/{incident_id:uuid}", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_incident(caller: Asking, session: Session, incident_id: PathId) -> Answer:
    """One incident."""
    return _shown(await _the_incident(session, caller, incident_id, READ))


@changes("/incidents/{incident_id:uuid}", WRITE, NotFound, Conflict, Stale, tag=TAG, plugin=ID)
async def monitoring_change_incident(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    incident_id: PathId,
    data: Body[schemas.MonitoringIncidentChange],
) -> Answer:
    """Change what is gathered, the holding answer, or what was learned."""
    row = await _the_incident(session, caller, incident_id, WRITE, to_change=True)
    check_match(request, row.version)
    change = given_fields(data)
    if row.state == CLOSED and change.keys() - {"review"}:
        raise Conflict("The incident is closed.", "Der Vorfall ist abgeschlossen.")
    if "query" in change:
        parse(change["query"], fields_of(runtime.hub))
        row.seen_at = None
    for name, value in change.items():
        setattr(row, name, value)
    row.changed()
    await actions.tell(session, row, "changed", runtime.clock.now(), by=caller.member_id, fields=sorted(change))
    note(session, "monitoring_incident", row.id, fields=sorted(change))
    return _shown(row)


@does("/incidents/{incident_id:uuid}/escalate", WRITE, NotFound, Conflict, tag=TAG, plugin=ID)
async def monitoring_escalate_incident(
    caller: Asking, session: Session, runtime: Process, incident_id: PathId, data: Body[schemas.MonitoringEscalation]
) -> Answer:
    """It is a storm: posts of its department, or of the whole organisation, are held from now on. Replies go on."""
    row = await _the_incident(session, caller, incident_id, WRITE, to_change=True)
    await actions.escalate(session, row, runtime.clock.now(), caller.member_id, hold=data.hold)
    note(session, "monitoring_incident", row.id)
    return _shown(row)


@does("/incidents/{incident_id:uuid}/calm", WRITE, NotFound, Conflict, tag=TAG, plugin=ID)
async def monitoring_calm_incident(caller: Asking, session: Session, runtime: Process, incident_id: PathId) -> Answer:
    """The storm is over: what was held goes on, what is too late expires. What is to be learned of it?"""
    row = await _the_incident(session, caller, incident_id, WRITE, to_change=True)
    await actions.calm(session, runtime, row, runtime.clock.now(), caller.member_id)
    note(session, "monitoring_incident", row.id)
    return _shown(row)


@does("/incidents/{incident_id:uuid}/close", WRITE, NotFound, Conflict, tag=TAG, plugin=ID)
async def monitoring_close_incident(
    caller: Asking, session: Session, runtime: Process, incident_id: PathId, data: Body[schemas.MonitoringClosing]
) -> Answer:
    """Close it. One that was a storm needs its review."""
    row = await _the_incident(session, caller, incident_id, WRITE, to_change=True)
    await actions.close(session, row, data.review, runtime.clock.now(), caller.member_id)
    note(session, "monitoring_incident", row.id)
    return _shown(row)


@reads("/incidents/{incident_id:uuid}/timeline", READ, NotFound, tag=TAG, plugin=ID)
async def monitoring_get_timeline(
    caller: Asking, session: Session, runtime: Process, incident_id: PathId, limit: Limit = 50, cursor: Cursor = None
) -> schemas.MonitoringTimeline:
    """What happened, the oldest first."""
    row = await _the_incident(session, caller, incident_id, READ)
    rows, more = await page(
        session,
        select(IncidentEntry).where(IncidentEntry.organisation_id == row.organisation_id, IncidentEntry.incident_id == row.id),
        cursors=runtime.cursors,
        purpose=f"monitoring_timeline {row.id}",
        organisation_id=row.organisation_id,
        order=[IncidentEntry.id],
        cursor=cursor,
        limit=limit,
        descending=False,
    )
    return schemas.MonitoringTimeline(items=[schemas.MonitoringEntry.of(one) for one in rows], next_cursor=more)


@creates("/incidents/{incident_id:uuid}/timeline", WRITE, NotFound, tag=TAG, plugin=ID)
async def monitoring_add_entry(
    caller: Asking, session: Session, runtime: Process, incident_id: PathId, data: Body[schemas.MonitoringNewEntry]
) -> schemas.MonitoringEntry:
    """Write down what happened."""
    row = await _the_incident(session, caller, incident_id, WRITE)
    entry = await actions.tell(session, row, "note", runtime.clock.now(), text=data.text, by=caller.member_id, event=False)
    note(session, "monitoring_incident", row.id)
    return schemas.MonitoringEntry.of(entry)


ROUTES = [
    monitoring_list_incidents,
    monitoring_open_incident,
    monitoring_get_incident,
    monitoring_change_incident,
    monitoring_escalate_incident,
    monitoring_calm_incident,
    monitoring_close_incident,
    monitoring_get_timeline,
    monitoring_add_entry,
]
