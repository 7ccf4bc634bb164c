"""What figures look like on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from smhub.features import Moment, known, shaped
from smhub_monitoring.reports.asking import Asked, MonitoringQuestion
from smhub_monitoring.reports.figures import MonitoringFigure
from smhub_monitoring.reports.measuring import Key, Measured
from smhub_monitoring.reports.metrics import GROUPS, METRICS
from smhub_monitoring.reports.models import ReportFile

Language = Annotated[str, shaped("(de|en)", description="de or en.", examples=["de"])]


class MonitoringMetric(msgspec.Struct, kw_only=True):
    """What a figure means. Another definition gets another version."""

    name: Annotated[str, known(*METRICS, example="mentions")]
    version: int
    title_de: str
    title_en: str
    formula: str
    unit: Annotated[str, known("mentions", "people", "points", "percent", "seconds")]
    groups: Annotated[list[str], Meta(description=f"By what it can be told apart: {', '.join(GROUPS)}.")]
    from_rows: Annotated[bool, Meta(description="It cannot be added up out of hours, and takes longer.")]


class MonitoringMetrics(msgspec.Struct, kw_only=True):
    """All metrics."""

    items: list[MonitoringMetric]


class MonitoringFigureRow(msgspec.Struct, kw_only=True):
    """The figures of one group."""

    group: Annotated[
        dict[str, str | None], Meta(description="Its value for each of group_by; null: not said. Departments and channels by id.")
    ]
    titles: Annotated[dict[str, str], Meta(description="How people call these values, where that is something else.")]
    figures: Annotated[dict[str, MonitoringFigure], Meta(description="By the metric's name.")]
    before: Annotated[dict[str, MonitoringFigure] | None, Meta(description="The same of the period before.")]


class MonitoringFigures(msgspec.Struct, kw_only=True):
    """The answer to a question."""

    begins_at: Moment = msgspec.field(name="from")
    ends_at: Moment = msgspec.field(name="to")
    before_from: Moment | None
    before_to: Moment | None
    time_zone: str
    summed: Annotated[bool, Meta(description="Whether the sums of whole hours answered at least one metric.")]
    rows: list[MonitoringFigureRow]


def answer(asked: Asked, measured: Measured, titles: dict[str, str]) -> MonitoringFigures:
    """Figures with the names of what they are told apart by."""
    by = asked.question.group_by

    def row(key: Key) -> MonitoringFigureRow:
        before = None if measured.before is None else measured.before.get(key, {})
        return MonitoringFigureRow(
            group=dict(zip(by, key, strict=True)),
            titles={group: titles[value] for group, value in zip(by, key, strict=True) if value is not None and value in titles},
            figures=measured.now.get(key, {}),
            before=before,
        )

    return MonitoringFigures(
        begins_at=asked.now.begins,
        ends_at=asked.now.ends,
        before_from=asked.before.begins if asked.before else None,
        before_to=asked.before.ends if asked.before else None,
        time_zone=asked.zone.key,
        summed=measured.summed,
        rows=[row(key) for key in measured.keys],
    )


class MonitoringChartQuestion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be drawn: the first of the question's metrics."""

    question: MonitoringQuestion
    language: Language = "de"


class MonitoringPictureQuestion(MonitoringChartQuestion, kw_only=True, forbid_unknown_fields=True):
    """What is to be drawn, and as what."""

    format: Annotated[str, shaped("(svg|png)", description="svg or png.", examples=["svg"])] = "svg"


class MonitoringChart(msgspec.Struct, kw_only=True):
    """A chart as a Vega-Lite specification, with its data."""

    spec: dict[str, Any]


class MonitoringStageOne(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The report on stage 1: awareness, image, reputation and response, before and after the start."""

    starts_at: Annotated[Moment | None, Meta(description="When the company began; null: when its first channel was connected.")] = None
    days: Annotated[int, Meta(ge=7, le=366, description="How many days before and after the start are compared, at most.")] = 90
    department_id: Annotated[UUID | None, Meta(description="Only what belongs to it and those below it.")] = None
    brand_set_id: Annotated[UUID | None, Meta(description="Adds the share of voice.")] = None
    goal_minutes: Annotated[int, Meta(ge=1, le=129_600)] = 240
    language: Language = "de"
    format: Annotated[str, shaped("(pdf|html)", description="pdf or html.", examples=["pdf"])] = "pdf"


class MonitoringRecount(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which time is to be counted anew."""

    begins_at: Moment = msgspec.field(name="from")
    ends_at: Moment = msgspec.field(name="to")


class MonitoringReportFile(msgspec.Struct, kw_only=True):
    """A report that was made."""

    id: UUID
    department_id: UUID | None
    name: str
    media_type: Annotated[str, known("application/pdf", "text/html", "image/svg+xml", "image/png")]
    size: int
    made_at: datetime
    made_by: UUID | None

    @classmethod
    def of(cls, row: ReportFile) -> MonitoringReportFile:
        return msgspec.convert(row, cls, from_attributes=True)


class MonitoringReportFiles(msgspec.Struct, kw_only=True):
    """A page of files."""

    items: list[MonitoringReportFile]
    next_cursor: str | None
