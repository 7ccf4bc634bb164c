"""What alerts bring to the plugin."""

from __future__ import annotations

from smhub.sdk import EventType, Permission
from smhub_monitoring.alerts import api, models, targets_api, telling, watching

READERS = ("viewer", "agent", "editor", "approver", "department_lead", "admin")
PERMISSIONS = [
    Permission(name="monitoring:alerts_read", title="See alerts, their rules and whom they tell", roles=READERS),
    Permission(
        name="monitoring:alerts_write", title="Change alert rules and targets, acknowledge alerts", roles=("department_lead", "admin")
    ),
]
TABLES = [models.Target, models.AlertRule, models.Alert, models.Notice]
ROUTES = api.ROUTES
_DATA = watching.MonitoringAlertData
EVENTS = [
    EventType(name="monitoring.alert_raised", data=_DATA, description="A rule came true."),
    EventType(name="monitoring.alert_acknowledged", data=_DATA, description="Somebody takes care of an alert."),
    EventType(name="monitoring.alert_cleared", data=_DATA, description="A rule is not true any more."),
]
JOBS = [watching.WATCH, telling.NOTIFY, targets_api.TEST_TARGET]
