"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from smhub.features import QueryField
from smhub.sdk import EventType, Interceptor, Job, Permission, Plugin, PluginContext, Subscriber
from smhub_monitoring.alerts import part as alerts
from smhub_monitoring.analysis import (
    analysis_api,
    annotating,
    keeping,
    learning,
    models,
    models_api,
    query_fields,
    recomputing,
    rules_api,
    schemas,
)
from smhub_monitoring.analysis.settings import MonitoringSettings
from smhub_monitoring.incidents import part as incidents
from smhub_monitoring.listening import api as listening
from smhub_monitoring.reports import part as reports

READERS = ("viewer", "agent", "editor", "approver", "department_lead", "admin")


class MonitoringPlugin(Plugin):
    """What is said about a company, understood."""

    id, title, version, stage = "monitoring", "Monitoring", "0.1.0", 1

    def register_permissions(self, context: PluginContext) -> Sequence[Permission]:
        return [
            Permission(name="monitoring:read", title="See rules, models and copies, and try the analysis", roles=READERS),
            Permission(
                name="monitoring:corrections", title="See who corrected the analysis, and contradictions", roles=("department_lead",)
            ),
            Permission(
                name="monitoring:write",
                title="Change rules, choose models, have mentions recomputed",
                roles=("department_lead", "admin"),
            ),
            *alerts.PERMISSIONS,
            *incidents.PERMISSIONS,
            *reports.PERMISSIONS,
        ]

    def register_settings(self, context: PluginContext) -> type[msgspec.Struct]:
        return MonitoringSettings

    def register_models(self, context: PluginContext) -> Sequence[type[Any]]:
        return [*models.TABLES, *alerts.TABLES, *incidents.TABLES, *reports.TABLES]

    def register_migrations(self, context: PluginContext) -> str:
        return "smhub_monitoring.migrations"

    def register_routes(self, context: PluginContext) -> Sequence[Any]:
        return [
            *rules_api.ROUTES,
            *models_api.ROUTES,
            *analysis_api.ROUTES,
            *listening.ROUTES,
            *alerts.ROUTES,
            *incidents.ROUTES,
            *reports.ROUTES,
        ]

    def register_events(self, context: PluginContext) -> Sequence[EventType]:
        return [
            EventType(name="monitoring.rules_changed", data=schemas.MonitoringRulesData, description="Other rules are in force."),
            EventType(
                name="monitoring.learned",
                data=schemas.MonitoringLearnedData,
                description="A model was made of the organisation's corrections.",
            ),
            EventType(
                name="monitoring.model_chosen",
                data=schemas.MonitoringChosenData,
                description="Somebody chose which own model decides about a key.",
            ),
            EventType(
                name="monitoring.recomputed", data=schemas.MonitoringRecomputedData, description="Old mentions were analysed again."
            ),
            *alerts.EVENTS,
            *incidents.EVENTS,
        ]

    def register_subscribers(self, context: PluginContext) -> Sequence[Subscriber]:
        return [keeping.FORGET]

    def register_interceptors(self, context: PluginContext) -> Sequence[Interceptor]:
        return [annotating.INTERCEPTOR]

    def register_jobs(self, context: PluginContext) -> Sequence[Job]:
        own = [learning.LEARN, learning.LOOK, recomputing.RECOMPUTE, recomputing.COUNT, keeping.PRUNE]
        return [*own, *alerts.JOBS, *incidents.JOBS, *reports.JOBS]

    def register_query_fields(self, context: PluginContext) -> Sequence[QueryField]:
        return [*query_fields.FIELDS, *incidents.QUERY_FIELDS]
