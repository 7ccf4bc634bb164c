"""Templates made ready: what is said in a language, and who says it."""

from __future__ import annotations

from string import Formatter
from types import ModuleType
from typing import NamedTuple

from smhub_simulator import english, german

LANGUAGES: dict[str, ModuleType] = {"de": german, "en": english}
TOPICS = ("delivery", "invoice", "app", "service", "product")
_FIRST = [
    "frosch",
    "kaffee",
    "nordlicht",
    "wolken",
    "kiesel",
    "radler",
    "garten",
    "pixel",
    "regen",
    "sofa",
    "turbo",
    "mond",
    "keks",
    "hafen",
    "berg",
    "nacht",
    "tee",
    "wald",
]
_SECOND = [
    "tante",
    "fan",
    "kapitän",
    "mensch",
    "eule",
    "igel",
    "freund",
    "post",
    "welt",
    "pirat",
    "fuchs",
    "lampe",
    "held",
    "liebe",
    "zeit",
    "vogel",
]


class Line(NamedTuple):
    """One template: literal text and slot names in turn."""

    topic: str
    intent: str
    parts: tuple[tuple[str, str | None], ...]
    raw: bytes


class Voice:
    """Everything of one language."""

    def __init__(self, module: ModuleType) -> None:
        self.lines = _lines(module.LINES)
        self.replies = _lines(module.REPLIES)
        self.angry = {topic: [one for one in self.lines if one[:2] == (topic, "complaint")] for topic in TOPICS}
        self.words: dict[str, list[str]] = {name: words for name, words in module.WORDS.items() if name not in ("start", "end")}
        self.starts = [_parts(one) for one in module.WORDS["start"]]
        self.ends = [_parts(one) for one in module.WORDS["end"]]
        self.tags: dict[str, str] = module.TAGS
        self.edits: tuple[str, ...] = module.EDITED
        self.titles: tuple[str, ...] = module.TITLES
        self.pictures: tuple[str, ...] = module.PICTURE


def _parts(text: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((literal, name) for literal, name, _, _ in Formatter().parse(text))


def _lines(block: str) -> list[Line]:
    found = []
    for row in block.strip().splitlines():
        topic, intent, text = row.split(" ", 2)
        found.append(Line(topic, intent, _parts(text), f'{{"topic":"{topic}","intent":"{intent}"}}'.encode()))
    return found


def handle(number: int) -> str:
    """A made-up name for a profile."""
    rest, first = divmod(number, len(_FIRST))
    rest, second = divmod(rest, len(_SECOND))
    return f"{_FIRST[first]}{_SECOND[second]}{rest % 97 or ''}"


VOICES = {code: Voice(module) for code, module in LANGUAGES.items()}
