"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.features import QueryField
from smhub.sdk import EventType, Job, Permission, Plugin, PluginContext

from smhub_monitoring.alerts import api as alerts_api
from smhub_monitoring.alerts import models as alerts_models
from smhub_monitoring.alerts import targets_api, telling, watching
from smhub_monitoring.incidents import actions as incidents_actions
from smhub_monitoring.incidents import api as incidents_api
from smhub_monitoring.incidents import models as incidents_models
from smhub_monitoring.incidents import query_fields as incidents_fields

READERS = ("viewer", "agent", "editor", "approver", "department_lead", "admin")


class MonitoringPlugin(Plugin):
    """What is said about a company, understood."""

    id, title, version, stage = "monitoring", "Monitoring", "0.1.0", 1

    def register_permissions(self, context: PluginContext) -> Sequence[Permission]:
        return [
            Permission(name="monitoring:alerts_read", title="See alerts, their rules and whom they tell", roles=READERS),
            Permission(
                name="monitoring:alerts_write", title="Change alert rules and targets, acknowledge alerts", roles=("department_lead", "admin")
            ),
            Permission(name="monitoring:incidents_read", title="See incidents", roles=READERS),
            Permission(
                name="monitoring:incidents_write", title="Open, escalate, calm and close incidents", roles=("department_lead", "admin")
            ),
        ]

    def register_models(self, context: PluginContext) -> Sequence[type[Any]]:
        return [
            alerts_models.Target,
            alerts_models.AlertRule,
            alerts_models.Alert,
            alerts_models.Notice,
            incidents_models.Incident,
            incidents_models.IncidentMention,
            incidents_models.IncidentEntry,
        ]

    def register_migrations(self, context: PluginContext) -> str:
        return "smhub_monitoring.migrations"

    def register_routes(self, context: PluginContext) -> Sequence[Any]:
        return [*alerts_api.ROUTES, *incidents_api.ROUTES]

    def register_events(self, context: PluginContext) -> Sequence[EventType]:
        alert, incident = watching.MonitoringAlertData, incidents_actions.MonitoringIncidentData
        return [
            EventType(name="monitoring.alert_raised", data=alert, description="A rule came true."),
            EventType(name="monitoring.alert_acknowledged", data=alert, description="Somebody takes care of an alert."),
            EventType(name="monitoring.alert_cleared", data=alert, description="A rule is not true any more."),
            EventType(name="monitoring.incident_opened", data=incident, description="Something that may become a storm is watched."),
            EventType(name="monitoring.incident_escalated", data=incident, description="It is a storm; posts may be held."),
            EventType(name="monitoring.incident_changed", data=incident, description="Somebody changed an incident."),
            EventType(name="monitoring.incident_calmed", data=incident, description="A storm is over; what was held goes on."),
            EventType(name="monitoring.incident_closed", data=incident, description="An incident is closed."),
        ]

    def register_jobs(self, context: PluginContext) -> Sequence[Job]:
        return [watching.WATCH, telling.NOTIFY, targets_api.TEST_TARGET, incidents_actions.GATHER]

    def register_query_fields(self, context: PluginContext) -> Sequence[QueryField]:
        return incidents_fields.FIELDS
