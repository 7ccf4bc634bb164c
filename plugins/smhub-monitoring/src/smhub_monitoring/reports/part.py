"""What reports and brand sets bring to the plugin."""

from __future__ import annotations

from smhub.sdk import Permission
from smhub_monitoring.alerts.part import READERS
from smhub_monitoring.brands import api as brands_api
from smhub_monitoring.brands.models import BrandSet
from smhub_monitoring.reports import api, counting, files_api, filing, models, recounting, schedules_api, scheduling

PERMISSIONS = [
    Permission(name="monitoring:reports_read", title="See figures, reports and brand sets", roles=READERS),
    Permission(
        name="monitoring:reports_write",
        title="Change brand sets and schedules of reports, count anew",
        roles=("department_lead", "admin"),
    ),
]
TABLES = [BrandSet, models.Counted, models.Hourly, models.Counting, models.ReportFile, models.ReportSchedule, models.ReportRun]
ROUTES = [*brands_api.ROUTES, *api.ROUTES, *files_api.ROUTES, *schedules_api.ROUTES]
JOBS = [counting.COUNT, recounting.RECOUNT, filing.PICTURE, filing.STAGE_ONE, scheduling.LOOK, scheduling.TELL]
