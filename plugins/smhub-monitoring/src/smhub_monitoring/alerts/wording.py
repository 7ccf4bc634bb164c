"""What a notice says, in German and English. No text of people is in it: it leaves the house."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

Example = tuple[str, str | None, datetime]

SEVERITY = {
    "de": {"info": "Hinweis", "warning": "Warnung", "critical": "Kritisch"},
    "en": {"info": "Notice", "warning": "Warning", "critical": "Critical"},
}
OVER = {"de": "Vorbei", "en": "Over"}
BECAUSE = {
    "de": {
        "threshold": "{count} Erwähnungen",
        "spike": "{count} Erwähnungen, üblich sind {usual:g} (Grenze {bound:g})",
        "mood_drop": "Stimmung {net:+g} statt {net_before:+g} (n = {n})",
        "influential_author": "Es äußerten sich: {authors}",
        "new_word": "Neue Wörter: {words}",
        "silence": "Nichts kam mehr an, zuletzt: {last_seen_at}",
        "intake_ill": "Eingänge, denen etwas fehlt: {intakes}",
    },
    "en": {
        "threshold": "{count} mentions",
        "spike": "{count} mentions, {usual:g} are usual (bound {bound:g})",
        "mood_drop": "Mood {net:+g} instead of {net_before:+g} (n = {n})",
        "influential_author": "Heard from: {authors}",
        "new_word": "New words: {words}",
        "silence": "Nothing came in any more, last: {last_seen_at}",
        "intake_ill": "Intakes that are not well: {intakes}",
    },
}
LINES = {
    "de": {"since": "Seit {at:%d.%m.%Y %H:%M}", "until": "Vorbei seit {at:%d.%m.%Y %H:%M}", "examples": "Beispiele", "more": "Mehr"},
    "en": {"since": "Since {at:%Y-%m-%d %H:%M}", "until": "Over since {at:%Y-%m-%d %H:%M}", "examples": "Examples", "more": "More"},
}


def because(language: str, kind: str, figures: dict[str, Any]) -> str:
    """Why an alert was raised, in a line."""
    shown = {
        **figures,
        "authors": ", ".join(f"{name} ({count:,})" for name, count in figures.get("authors", {}).items()),
        "words": ", ".join(f"{word} ({count})" for word, count in figures.get("words", {}).items()),
        "intakes": ", ".join(f"{one['network']}: {one['reason_code'] or one['state']}" for one in figures.get("intakes", [])),
        "last_seen_at": figures.get("last_seen_at") or "–",
    }
    return BECAUSE[language][kind].format(**shown)


def words(
    language: str,
    *,
    what: str,
    name: str,
    severity: str,
    kind: str,
    figures: dict[str, Any],
    raised_at: datetime,
    cleared_at: datetime | None,
    examples: Sequence[Example],
    address: str,
) -> tuple[str, str]:
    """Title and body of a notice."""
    lines = LINES[language]
    begun = lines["since"].format(at=raised_at)
    if what == "cleared":
        over = lines["until"].format(at=cleared_at) if cleared_at else OVER[language]
        return f"{OVER[language]}: {name}", f"{over}\n{begun}\n\n{lines['more']}: {address}"
    body = [because(language, kind, figures), begun]
    if examples:
        body += ["", f"{lines['examples']}:", *(f"- {network} {at:%H:%M} {url or ''}".rstrip() for network, url, at in examples)]
    return f"{SEVERITY[language][severity]}: {name}", "\n".join([*body, "", f"{lines['more']}: {address}"])
