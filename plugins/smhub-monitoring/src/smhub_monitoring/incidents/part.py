"""What incidents bring to the plugin."""

from __future__ import annotations

from smhub.sdk import EventType, Permission
from smhub_monitoring.alerts.part import READERS
from smhub_monitoring.incidents import actions, api, models, query_fields

PERMISSIONS = [
    Permission(name="monitoring:incidents_read", title="See incidents", roles=READERS),
    Permission(name="monitoring:incidents_write", title="Open, escalate, calm and close incidents", roles=("department_lead", "admin")),
]
TABLES = [models.Incident, models.IncidentMention, models.IncidentEntry]
ROUTES = api.ROUTES
_DATA = actions.MonitoringIncidentData
EVENTS = [
    EventType(name="monitoring.incident_opened", data=_DATA, description="Something that may become a storm is watched."),
    EventType(name="monitoring.incident_escalated", data=_DATA, description="It is a storm; posts may be held."),
    EventType(name="monitoring.incident_changed", data=_DATA, description="Somebody changed an incident."),
    EventType(name="monitoring.incident_calmed", data=_DATA, description="A storm is over; what was held goes on."),
    EventType(name="monitoring.incident_closed", data=_DATA, description="An incident is closed."),
]
JOBS = [actions.GATHER]
QUERY_FIELDS = query_fields.FIELDS
