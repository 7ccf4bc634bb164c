"""What schedules of reports look like on the wire."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.features import Moment, Name, known, shaped
from smhub_monitoring.reports.asking import GroupName, MetricName, Minutes, MonitoringQuestion, Period
from smhub_monitoring.reports.models import RUN_STATES, ReportRun, ReportSchedule
from smhub_monitoring.reports.schemas import MonitoringStageOne


class MonitoringScheduledFigures(msgspec.Struct, tag="figures", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """Figures of the week or month, beside those of the one before; as words, and as CSV where the target takes files."""

    metrics: Annotated[list[MetricName], Meta(min_length=1, max_length=12)]
    query: Annotated[str, Meta(max_length=2000)] = ""
    group_by: Annotated[list[GroupName], Meta(max_length=2)] = []
    brand_set_id: UUID | None = None
    goal_minutes: Minutes = 240
    window_minutes: Minutes = 10_080

    def question(self, department_id: UUID | None, period: Period) -> MonitoringQuestion:
        """What it asks of a period."""
        return MonitoringQuestion(
            metrics=self.metrics,
            begins_at=period.begins,
            ends_at=period.ends,
            query=self.query,
            department_id=department_id,
            group_by=self.group_by,
            brand_set_id=self.brand_set_id,
            goal_minutes=self.goal_minutes,
            window_minutes=self.window_minutes,
        )


class MonitoringScheduledStageOne(msgspec.Struct, tag="stage_one", tag_field="kind", kw_only=True, forbid_unknown_fields=True):
    """The report on stage 1 as PDF, as things stand then."""

    starts_at: Moment | None = None
    days: Annotated[int, Meta(ge=7, le=366)] = 90
    brand_set_id: UUID | None = None
    goal_minutes: Minutes = 240

    def asked(self, department_id: UUID | None, language: str) -> MonitoringStageOne:
        """What is to be made, in the target's language."""
        return MonitoringStageOne(
            starts_at=self.starts_at,
            days=self.days,
            department_id=department_id,
            brand_set_id=self.brand_set_id,
            goal_minutes=self.goal_minutes,
            language=language,
        )


Scheduled = MonitoringScheduledFigures | MonitoringScheduledStageOne
Every = Annotated[str, shaped("(week|month)", description="week or month.", examples=["week"])]
Weekday = Annotated[int, Meta(ge=0, le=6, description="For a week: 0 is Monday.")]
Day = Annotated[int, Meta(ge=1, le=28, description="For a month.")]
Hour = Annotated[int, Meta(ge=0, le=23, description="On the organisation's wall.")]
Targets = Annotated[list[UUID], Meta(min_length=1, max_length=20, description="Whom to tell: see /v1/monitoring/targets.")]


class MonitoringReportSchedule(msgspec.Struct, kw_only=True):
    """A report that people get regularly. It tells of the week or month that ended with the day on which it is sent."""

    id: UUID
    name: Name
    what: Scheduled
    department_id: UUID | None
    every: Annotated[str, known("week", "month")]
    weekday: Weekday | None
    day: Day | None
    hour: Hour
    target_ids: Targets
    enabled: bool
    next_at: Moment | None
    created_at: Moment
    version: int

    @classmethod
    def of(cls, row: ReportSchedule) -> MonitoringReportSchedule:
        return msgspec.convert(row, cls, from_attributes=True)


class MonitoringReportSchedules(msgspec.Struct, kw_only=True):
    """A page of schedules."""

    items: list[MonitoringReportSchedule]
    next_cursor: str | None


class MonitoringNewReportSchedule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A report to send from now on."""

    name: Name
    what: Scheduled
    target_ids: Targets
    department_id: UUID | None = None
    every: Every = "week"
    weekday: Weekday | None = None
    day: Day | None = None
    hour: Hour = 7
    enabled: bool = True


class MonitoringReportScheduleChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. The department stays for ever."""

    name: Name | UnsetType = UNSET
    what: Scheduled | UnsetType = UNSET
    target_ids: Targets | UnsetType = UNSET
    every: Every | UnsetType = UNSET
    weekday: Weekday | UnsetType | None = UNSET
    day: Day | UnsetType | None = UNSET
    hour: Hour | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class MonitoringReportRun(msgspec.Struct, kw_only=True):
    """One period of a schedule, told to one target."""

    id: UUID
    schedule_id: UUID
    target_id: UUID
    begins_at: Moment
    ends_at: Moment
    state: Annotated[str, known(*RUN_STATES, example="made")]
    reason: Annotated[str | None, Meta(description="Why it was not told; while it waits, why not yet.")]
    attempts: int
    told_at: Moment | None

    @classmethod
    def of(cls, row: ReportRun) -> MonitoringReportRun:
        return msgspec.convert(row, cls, from_attributes=True)


class MonitoringReportRuns(msgspec.Struct, kw_only=True):
    """A page of runs."""

    items: list[MonitoringReportRun]
    next_cursor: str | None
