"""Charts as Vega-Lite specifications. Whoever draws them, here or in a browser, draws the same."""

from __future__ import annotations

from typing import Any

from smhub_monitoring.reports.metrics import METRICS
from smhub_monitoring.reports.schemas import MonitoringFigures

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
FONT = "Source Sans Pro"
INK, GREY, LINE = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ["#0b6e99", "#b8c4ce", "#d9822b", "#3f8f5f", "#8e4f9e", "#c23b4e", "#6b7c93"]
WORDS = {
    "de": {"now": "Zeitraum", "before": "Davor", "none": "ohne Angabe", "period": "Zeitraum"},
    "en": {"now": "Period", "before": "Before", "none": "not said", "period": "Period"},
}
OVER_TIME, MOST = ("day", "week", "month"), 40
CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": "white",
    "view": {"stroke": None},
    "range": {"category": COLOURS},
    "axis": {
        "labelColor": GREY,
        "titleColor": GREY,
        "gridColor": LINE,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "labelFontSize": 11,
    },
    "legend": {"orient": "top", "title": None, "labelColor": INK, "labelFontSize": 11, "symbolType": "square"},
    "title": {"color": INK, "fontSize": 13, "anchor": "start", "fontWeight": 600},
}


def chart(
    answer: MonitoringFigures, metric: str, group_by: list[str], language: str, *, width: int = 640, height: int = 260
) -> dict[str, Any]:
    """One metric by what the question tells apart; beside the period before where there is no second group."""
    words, definition = WORDS[language], METRICS[metric]
    by_day = bool(group_by) and group_by[0] in OVER_TIME
    values = _values(answer, metric, group_by, words, both=not by_day)
    title = definition.title_de if language == "de" else definition.title_en
    spec: dict[str, Any] = {
        "$schema": SCHEMA,
        "title": title,
        "width": width,
        "height": height,
        "data": {"values": values},
        "config": CONFIG,
        "encoding": _encoding(group_by, by_day, words),
    }
    spec["mark"] = {"type": "line", "strokeWidth": 2, "point": len(values) < MOST} if by_day else {"type": "bar", "cornerRadiusEnd": 2}
    if definition.unit == "points":
        spec["encoding"]["y"]["scale"] = {"domain": [-100, 100]}
    return spec


def _values(answer: MonitoringFigures, metric: str, group_by: list[str], words: dict[str, str], *, both: bool) -> list[dict[str, Any]]:
    found = []
    for row in answer.rows:
        group = [_name(row.titles.get(one) or row.group[one], words) for one in group_by]
        periods = [("now", row.figures), ("before", row.before)] if both and len(group_by) < 2 else [("now", row.figures)]
        for period, figures in periods:
            if figures is None:
                continue
            one = figures.get(metric)
            found.append(
                {
                    "group": group[0] if group else words["period"],
                    "series": group[1] if len(group) > 1 else words[period],
                    "value": None if one is None else one.value,
                    "n": 0 if one is None else one.n,
                }
            )
    return found


def _name(value: str | None, words: dict[str, str]) -> str:
    return words["none"] if value is None else value


def _encoding(group_by: list[str], by_day: bool, words: dict[str, str]) -> dict[str, Any]:
    x: dict[str, Any] = {"field": "group", "title": None}
    if by_day:
        x |= {"type": "temporal", "axis": {"grid": False, "labelOverlap": True, "format": "%d.%m.", "tickCount": 8}}
    else:
        x |= {
            "type": "nominal",
            "sort": None,
            "axis": {"labelAngle": 0, "labelOverlap": True, "labelLimit": 120},
        }
    encoding: dict[str, Any] = {
        "x": x,
        "y": {"field": "value", "type": "quantitative", "title": None},
        "color": {"field": "series", "type": "nominal", "sort": [words["now"], words["before"]]},
    }
    if not by_day:
        encoding["xOffset"] = {"field": "series", "sort": [words["now"], words["before"]]}
    return encoding
