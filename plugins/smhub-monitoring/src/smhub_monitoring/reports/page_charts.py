"""The four charts of the report on stage 1."""

from __future__ import annotations

from typing import Any

from smhub_monitoring.reports.charts import COLOURS, CONFIG, GREY, SCHEMA
from smhub_monitoring.reports.phrases import TEXTS, called
from smhub_monitoring.reports.schemas import MonitoringFigures, MonitoringStageOne
from smhub_monitoring.reports.stage_one import Findings

CHARTS = ("mentions", "net", "intents", "goal")
WIDTH, HEIGHT = 400, 172
INTENTS_SHOWN = 5
TIME_AXIS = {"grid": False, "labelOverlap": True, "format": "%d.%m.", "tickCount": 8}


def charts(found: Findings, asked: MonitoringStageOne) -> dict[str, dict[str, Any]]:
    """The four charts, as far as there is something to draw."""
    language = asked.language
    made = {
        "mentions": _over_time(found, "mentions", language, "bar"),
        "net": _over_time(found, "net_sentiment", language, "line"),
        "intents": _intents(found.intents, language),
        "goal": _over_time(found, "answered_within_goal", language, "bar"),
    }
    return {name: spec for name, spec in made.items() if spec is not None}


def _over_time(found: Findings, name: str, language: str, mark: str) -> dict[str, Any] | None:
    texts = TEXTS[language]
    values = [
        {"at": row.group["week"], "value": row.figures[name].value, "n": row.figures[name].n}
        for row in found.over_time[name].rows
        if row.figures[name].value is not None
    ]
    if not values:
        return None
    start = found.starts_at.astimezone(found.zone).date().isoformat()
    first_day = min(str(one["at"]) for one in values)
    for one in values:
        one["when"] = texts["head_after"] if str(one["at"]) >= start else texts["head_before"]
    y: dict[str, Any] = {"field": "value", "type": "quantitative", "title": None, "axis": {"tickCount": 4}}
    if name == "net_sentiment":
        y["scale"] = {"domain": [-100, 100]}
    if name == "answered_within_goal":
        y["scale"] = {"domain": [0, 100]}
    drawn = _bars(len(values)) if mark == "bar" else {"type": "line", "strokeWidth": 2, "point": {"size": 28}, "color": COLOURS[0]}
    x = {"field": "at", "type": "temporal", "title": None, "axis": TIME_AXIS}
    layers: list[dict[str, Any]] = [{"mark": drawn, "encoding": {"x": x, "y": y, **_colour(mark, texts)}}]
    if first_day < start:
        rule = {"data": {"values": [{"at": start}]}, "mark": {"type": "rule", "strokeDash": [3, 3], "color": GREY}}
        layers.append({**rule, "encoding": {"x": {"field": "at", "type": "temporal"}}})
    return _spec({"data": {"values": values}, "layer": layers})


def _bars(count: int) -> dict[str, Any]:
    return {"type": "bar", "size": max(3, min(22, int(WIDTH * 0.7 / max(count, 1)))), "cornerRadiusEnd": 1}


def _colour(mark: str, texts: dict[str, str]) -> dict[str, Any]:
    if mark == "line":
        return {}
    domain = [texts["head_before"], texts["head_after"]]
    return {
        "color": {"field": "when", "type": "nominal", "legend": None, "scale": {"domain": domain, "range": [COLOURS[1], COLOURS[0]]}}
    }


def _intents(answer: MonitoringFigures, language: str) -> dict[str, Any] | None:
    texts = TEXTS[language]
    values = []
    rows = [row for row in answer.rows if row.group["intent"] is not None]
    for row in sorted(rows, key=lambda one: -one.figures["mentions"].n if one.figures else 0)[:INTENTS_SHOWN]:
        name = called(str(row.group["intent"]), language)
        for when, figures in ((texts["head_before"], row.before), (texts["head_after"], row.figures)):
            values.append({"intent": name, "when": when, "value": figures["mentions"].n if figures and "mentions" in figures else 0})
    if not values:
        return None
    domain = [texts["head_before"], texts["head_after"]]
    colour = {"field": "when", "type": "nominal", "scale": {"domain": domain, "range": [COLOURS[1], COLOURS[0]]}}
    encoding = {
        "y": {"field": "intent", "type": "nominal", "sort": None, "title": None},
        "x": {"field": "value", "type": "quantitative", "title": None, "axis": {"tickCount": 4}},
        "yOffset": {"field": "when", "sort": domain},
        "color": colour,
    }
    return _spec({"data": {"values": values}, "mark": {"type": "bar", "cornerRadiusEnd": 1}, "encoding": encoding})


def _spec(more: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": SCHEMA, "width": WIDTH, "height": HEIGHT, "config": CONFIG, **more}
