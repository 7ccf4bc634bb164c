"""Figures as CSV, one line for each group and metric, that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io

from smhub_monitoring.reports.figures import MonitoringFigure
from smhub_monitoring.reports.metrics import METRICS
from smhub_monitoring.reports.schemas import MonitoringFigures

FORMULA = ("=", "+", "-", "@", "\t", "\r")
FIGURE = ("value", "p90", "mean", "n", "coverage", "why")


def cell(text: str) -> str:
    """Text that a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(FORMULA) else text


def as_csv(answer: MonitoringFigures, group_by: list[str]) -> str:
    """UTF-8 with commas. Numbers are numbers: those below zero stay as they are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    head = [*group_by, "from", "to", "metric", "version", "unit", *FIGURE]
    compared = answer.before_from is not None
    writer.writerow([*head, *(f"{name}_before" for name in FIGURE)] if compared else head)
    times = [answer.begins_at.isoformat(), answer.ends_at.isoformat()]
    for row in answer.rows:
        group = [cell(row.titles.get(name) or value or "") for name, value in row.group.items()]
        for name in {**row.figures, **(row.before or {})}:
            metric = METRICS[name]
            line = [*group, *times, name, metric.version, metric.unit, *_figure(row.figures.get(name))]
            writer.writerow([*line, *_figure((row.before or {}).get(name))] if compared else line)
    return out.getvalue()


def _figure(figure: MonitoringFigure | None) -> list[object]:
    return [""] * len(FIGURE) if figure is None else ["" if (one := getattr(figure, name)) is None else one for name in FIGURE]
