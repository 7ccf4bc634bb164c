"""The page of the report on stage 1: all that stands on it but the charts, as text."""

from __future__ import annotations

from typing import Any

from smhub_monitoring.reports import phrases
from smhub_monitoring.reports.figures import MonitoringFigure
from smhub_monitoring.reports.metrics import METRICS
from smhub_monitoring.reports.page_charts import CHARTS
from smhub_monitoring.reports.phrases import TEXTS, called, change, day, duration, number, share, shown
from smhub_monitoring.reports.schemas import MonitoringStageOne
from smhub_monitoring.reports.stage_one import METRICS as SHOWN
from smhub_monitoring.reports.stage_one import Findings

LONGEST_NAME, LONGEST_WORD = 70, 40
CARDS = (
    ("awareness", "mentions", "mentions_label"),
    ("image", "net_sentiment", "net_label"),
    ("reputation", "complaint_share", "complaints_label"),
    ("response", "answered_within_goal", "goal_label"),
)


def page(found: Findings, asked: MonitoringStageOne) -> dict[str, Any]:
    """All that stands on the page but the charts."""
    language, texts = asked.language, TEXTS[asked.language]
    begins, ends = found.figures.begins_at, found.figures.ends_at
    assert found.figures.before_from is not None and found.figures.before_to is not None

    def on(at: Any) -> str:
        return day(at.astimezone(found.zone), language)

    return {
        "language": language,
        "title": texts["title"],
        "organisation": _short(found.organisation, LONGEST_NAME),
        "subtitle": texts["subtitle"],
        "before": texts["before"].format(on(found.figures.before_from), on(found.figures.before_to)),
        "after": texts["after"].format(on(begins), on(ends)),
        "made": texts["made"].format(on(found.made_at)),
        "cards": [_card(found, asked, *one) for one in CARDS],
        "charts": [{"name": name, "title": texts[f"chart_{name}"], "empty": texts["empty"]} for name in CHARTS],
        "table": {"title": texts["table"], "head": _head(language), "rows": _rows(found, asked)},
        "examples": {"title": texts["examples"], "items": _examples(found, language) or [texts["no_examples"]]},
        "topics": {"title": texts["topics"], "items": _topics(found, language) or [texts["no_topics"]]},
        "notes": _notes(found, language),
    }


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _card(found: Findings, asked: MonitoringStageOne, section: str, name: str, label: str) -> dict[str, str]:
    language, texts = asked.language, TEXTS[asked.language]
    now, before = _both(found, name)
    unit = METRICS[name].unit
    note = [texts["n"].format(number(now.n, language))]
    if now.coverage is not None and name != "mentions":
        note.append(texts["coverage"].format(share(now.coverage, language)))
    return {
        "section": texts[section],
        "label": texts[label].format(duration(asked.goal_minutes * 60, language)),
        "value": shown(now, unit, language),
        "change": change(now, before, unit, language),
        "note": ", ".join(note),
    }


def _both(found: Findings, name: str) -> tuple[MonitoringFigure, MonitoringFigure]:
    assert found.total.before is not None
    return found.total.figures[name], found.total.before[name]


def _head(language: str) -> list[str]:
    return [TEXTS[language][f"head_{one}"] for one in ("metric", "before", "after", "n", "coverage")]


def _rows(found: Findings, asked: MonitoringStageOne) -> list[list[str]]:
    language = asked.language
    rows = [
        _row(METRICS[name].title_de if language == "de" else METRICS[name].title_en, name, *_both(found, name), language)
        for name in SHOWN
    ]
    if found.voice is not None:
        title = METRICS["share_of_voice"].title_de if language == "de" else METRICS["share_of_voice"].title_en
        for row in found.voice.rows[:4]:
            assert row.before is not None
            brand = _short(row.group["brand"] or "", LONGEST_WORD)
            figures = (row.figures["share_of_voice"], row.before["share_of_voice"])
            rows.append(_row(f"{title}: {brand}", "share_of_voice", *figures, language))
    return rows


def _row(title: str, name: str, now: MonitoringFigure, before: MonitoringFigure, language: str) -> list[str]:
    unit = METRICS[name].unit
    n = f"{number(before.n, language)} / {number(now.n, language)}"
    coverage = f"{share(before.coverage, language)} / {share(now.coverage, language)}"
    return [title, shown(before, unit, language), shown(now, unit, language), n, coverage]


def _examples(found: Findings, language: str) -> list[str]:
    texts, lines = TEXTS[language], []
    for one in found.examples:
        what = [called(one.intent, language)]
        what += [called(one.mood, language)] if one.mood else []
        what += (
            [f"„{_short(one.topic, LONGEST_WORD)}“" if language == "de" else f"“{_short(one.topic, LONGEST_WORD)}”"]
            if one.topic
            else []
        )
        reply = texts["open"] if one.reply_seconds is None else texts["answered"].format(duration(one.reply_seconds, language))
        lines.append(f"{day(one.at.astimezone(found.zone), language)}, {one.network}: {', '.join(what)} – {reply}")
    return lines


def _topics(found: Findings, language: str) -> list[str]:
    return [f"{_short(topic, LONGEST_WORD)}: {number(n, language)}" for topic, n in found.topics]


def _notes(found: Findings, language: str) -> list[str]:
    texts = TEXTS[language]
    assert found.total.before is not None
    whys = [one.why for one in (*found.total.figures.values(), *found.total.before.values()) if one.why]
    notes = [texts["note_n"]]
    if whys:
        notes.append(texts["note_null"].format(", ".join(dict.fromkeys(phrases.WHY[language][why] for why in whys))))
    return [*notes, texts["note_back"], texts["note_mood"], texts["note_delay"]]
