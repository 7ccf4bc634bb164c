"""What the page says, in German and English: numbers as people write them, changes in words, reasons why there is no figure."""

from __future__ import annotations

from datetime import datetime

from smhub_monitoring.reports.figures import MonitoringFigure

FEW = 30
"""Below this n a share says little."""
NONE = "–"
TEXTS = {
    "de": {
        "title": "Zuhören und antworten",
        "subtitle": "Bericht zur Stufe 1",
        "before": "Davor: {0} bis {1}",
        "after": "Seit dem Start: {0} bis {1}",
        "made": "Erstellt am {0}",
        "awareness": "Bekanntheit",
        "image": "Image",
        "reputation": "Ruf",
        "response": "Reaktion",
        "mentions_label": "Erwähnungen",
        "net_label": "Stimmungssaldo, von −100 bis +100",
        "complaints_label": "Anteil der Beschwerden",
        "goal_label": "Öffentlich beantwortet in {0}",
        "chart_mentions": "Erwähnungen je Woche",
        "chart_net": "Stimmungssaldo je Woche",
        "chart_intents": "Worum es den Menschen geht",
        "chart_goal": "Im Ziel beantwortet, in Prozent je Woche",
        "chart_networks": "Erwähnungen nach Netzwerk",
        "empty": "Dazu wurde noch nichts gemessen.",
        "table": "Alle Zahlen",
        "head_metric": "Kennzahl",
        "head_before": "davor",
        "head_after": "seit dem Start",
        "head_n": "n",
        "head_coverage": "Abdeckung",
        "examples": "Beispiele ohne Namen und Wortlaut",
        "no_examples": "Seit dem Start gab es keine Erwähnung mit erkanntem Anliegen.",
        "topics": "Themen seit dem Start",
        "no_topics": "Kein Thema wurde erkannt.",
        "answered": "beantwortet nach {0}",
        "open": "ohne Antwort",
        "n": "n = {0}",
        "coverage": "Abdeckung {0}",
        "few": "wenige Fälle",
        "new": "davor nicht messbar",
        "gone": "zuletzt nicht messbar",
        "same": "unverändert",
        "up": "{0} mehr als davor",
        "down": "{0} weniger als davor",
        "times": "{0}-mal so viele wie davor",
        "points_up": "{0} Punkte besser als davor",
        "points_down": "{0} Punkte schlechter als davor",
        "share_up": "{0} Prozentpunkte mehr als davor",
        "share_down": "{0} Prozentpunkte weniger als davor",
        "faster": "{0} schneller als davor",
        "slower": "{0} langsamer als davor",
        "note_n": "n ist die Zahl der Fälle hinter einer Kennzahl, die Abdeckung der Anteil, der sich messen ließ.",
        "note_null": "Ein Strich heißt: nicht messbar ({0}); er heißt nie null.",
        "note_back": "Was vor der ersten Verbindung gesagt wurde, zählt nur, soweit die Netzwerke es noch zeigten.",
        "note_mood": "Stimmung und Anliegen erkennt ein Programm; was ein Mensch berichtigt hat, gilt.",
        "note_delay": "Antwortzeiten laufen rund um die Uhr; nur Antworten von Menschen zählen.",
    },
    "en": {
        "title": "Listening and answering",
        "subtitle": "Report on stage 1",
        "before": "Before: {0} to {1}",
        "after": "Since the start: {0} to {1}",
        "made": "Made on {0}",
        "awareness": "Awareness",
        "image": "Image",
        "reputation": "Reputation",
        "response": "Response",
        "mentions_label": "Mentions",
        "net_label": "Net sentiment, from −100 to +100",
        "complaints_label": "Share of complaints",
        "goal_label": "Answered publicly within {0}",
        "chart_mentions": "Mentions per week",
        "chart_net": "Net sentiment per week",
        "chart_intents": "What people want",
        "chart_goal": "Answered within the goal, per cent per week",
        "chart_networks": "Mentions by network",
        "empty": "Nothing has been measured yet.",
        "table": "All figures",
        "head_metric": "Figure",
        "head_before": "before",
        "head_after": "since the start",
        "head_n": "n",
        "head_coverage": "Coverage",
        "examples": "Examples, without names and words",
        "no_examples": "Since the start there was no mention whose intent was recognised.",
        "topics": "Topics since the start",
        "no_topics": "No topic was recognised.",
        "answered": "answered after {0}",
        "open": "not answered",
        "n": "n = {0}",
        "coverage": "coverage {0}",
        "few": "few cases",
        "new": "could not be measured before",
        "gone": "could not be measured lately",
        "same": "as before",
        "up": "{0} more than before",
        "down": "{0} fewer than before",
        "times": "{0} times as many as before",
        "points_up": "{0} points better than before",
        "points_down": "{0} points worse than before",
        "share_up": "{0} percentage points more than before",
        "share_down": "{0} percentage points less than before",
        "faster": "{0} faster than before",
        "slower": "{0} slower than before",
        "note_n": "n is the number of cases behind a figure, coverage the share that could be measured.",
        "note_null": "A dash means: could not be measured ({0}); it never means nought.",
        "note_back": "What was said before the first connection counts only as far as the networks still showed it.",
        "note_mood": "Mood and intent are recognised by a program; what a person corrected holds.",
        "note_delay": "Response times run around the clock; only replies written by people count.",
    },
}
WHY = {
    "de": {
        "nothing_counted": "nichts gezählt",
        "no_followers_known": "Reichweite unbekannt",
        "no_mood": "keine Stimmung erkannt",
        "no_intent": "kein Anliegen erkannt",
        "no_brand_named": "keine Marke genannt",
        "nothing_to_answer": "nichts zu beantworten",
        "not_over_yet": "Frist läuft noch",
        "no_reply": "keine Antwort",
        "no_department": "keine Abteilung",
    },
    "en": {
        "nothing_counted": "nothing counted",
        "no_followers_known": "reach not known",
        "no_mood": "no mood recognised",
        "no_intent": "no intent recognised",
        "no_brand_named": "no brand named",
        "nothing_to_answer": "nothing to answer",
        "not_over_yet": "time not over yet",
        "no_reply": "no reply",
        "no_department": "no department",
    },
}
VALUES = {
    "de": {
        "question": "Frage",
        "complaint": "Beschwerde",
        "praise": "Lob",
        "request": "Bitte",
        "spam": "Spam",
        "application": "Bewerbung",
        "idea": "Idee",
        "positive": "positiv",
        "negative": "negativ",
        "neutral": "neutral",
    },
    "en": {},
}


def number(value: float, language: str, digits: int = 0) -> str:
    """With the thousands apart, as the language writes them."""
    text = f"{abs(value):,.{digits}f}"
    if language == "de":
        text = text.translate(str.maketrans(",.", ".,"))
    return f"−{text}" if value < 0 and text.strip("0.,") else text


def duration(seconds: float, language: str) -> str:
    """The two largest units at most."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min" if seconds >= 60 else f"{round(seconds)} s"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{number(minutes / 1440, language, 1)} {'Tage' if language == 'de' else 'days'}"


def day(at: datetime, language: str) -> str:
    return f"{at:%d.%m.%Y}" if language == "de" else f"{at.day} {at:%b %Y}"


def shown(figure: MonitoringFigure, unit: str, language: str) -> str:
    """A figure as it stands on the page; a dash is one that could not be measured."""
    value = figure.value
    if value is None:
        return NONE
    if unit == "percent":
        return f"{number(value, language, 0 if value in (0, 100) else 1)} %"
    if unit == "seconds":
        return duration(value, language)
    if unit == "points":
        return f"{'+' if value > 0.05 else ''}{number(value, language, 1)}"
    return number(value, language)


def share(value: float | None, language: str) -> str:
    return NONE if value is None else f"{number(value * 100, language, 0)} %"


def change(now: MonitoringFigure, before: MonitoringFigure, unit: str, language: str) -> str:
    """From before to now, in words; with a warning where few cases stand behind it."""
    texts = TEXTS[language]
    if now.value is None or before.value is None:
        if now.value is None:
            return WHY[language].get(now.why or "", "") if before.value is None else texts["gone"]
        return texts["new"]
    words = _words(now.value, before.value, unit, language)
    return f"{words} ({texts['few']})" if min(now.n, before.n) < FEW else words


def _words(now: float, before: float, unit: str, language: str) -> str:
    texts, by = TEXTS[language], now - before
    up = by > 0
    if unit == "points":
        name, amount = ("points_up" if up else "points_down"), number(abs(by), language, 1)
    elif unit == "percent":
        name, amount = ("share_up" if up else "share_down"), number(abs(by), language, 1)
    elif unit == "seconds":
        name, amount = ("slower" if up else "faster"), duration(abs(by), language)
    elif before and now / before >= 2:
        name, amount = "times", number(now / before, language, 1)
    else:
        name, amount = ("up" if up else "down"), f"{number(abs(by) / before * 100, language, 0)} %"
    return texts["same"] if abs(by) < 0.05 else texts[name].format(amount)


def called(value: str, language: str) -> str:
    """A mood or an intent in the reader's language."""
    return VALUES[language].get(value, value)
