"""What one organisation's analysis says about a text: rules, shipped models and its own models, combined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from smhub.sdk import DepartmentView
from smhub_monitoring.analysis import shipped
from smhub_monitoring.analysis.english import english_mood
from smhub_monitoring.analysis.features import Indices, features
from smhub_monitoring.analysis.keywords import Background, keywords, words_of
from smhub_monitoring.analysis.language import language_of
from smhub_monitoring.analysis.likeness import Signature, signature_of
from smhub_monitoring.analysis.linear import LinearModel
from smhub_monitoring.analysis.matching import Hit, Matcher
from smhub_monitoring.analysis.rule_files import Rule
from smhub_monitoring.analysis.settings import MonitoringSettings
from smhub_monitoring.analysis.text import bare, plain, prepared, tokens

ANY = "any"
MOODS = ("negative", "neutral", "positive")
LEARNED = ("mood", "intent", "urgency", "topic", "offence", "relevant", "department")
"""The keys for which an organisation's corrections can make a model."""
LEAST_SUGGESTION = 0.2
SUGGESTIONS = ("suggested_department", "suggested_department_2", "suggested_department_3")

Base = dict[str, dict[str, float]]
"""For each key how sure the rules and shipped models are of each value."""


class RuleSet(msgspec.Struct, frozen=True):
    """The rules in force for a language, and what annotations call them."""

    matcher: Matcher
    version: str


class OwnModel(msgspec.Struct, frozen=True):
    """What an organisation's corrections made."""

    linear: LinearModel
    version: str

    def probabilities(self, found: Indices, base: Mapping[str, float], mood: Mapping[str, float]) -> dict[str, float]:
        """How probable each value is, by the text and by what is said without this model."""
        return self.linear.probabilities(found, dense_of(self.linear.classes, base, mood))


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One thing said about a text. `because` names rules' words and models, for people."""

    key: str
    value: str | bool
    confidence: float
    version: str
    because: tuple[str, ...] = ()


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text with all that is worked out of it once."""

    prepared: str
    tokens: list[str]
    features: Indices
    language: str | None
    sure: float | None


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said about a text, and what is kept of it."""

    said: list[Said]
    keywords: list[tuple[str, float]]
    signature: Signature | None


class Analyst:
    """Made for one organisation and used for many texts."""

    def __init__(
        self,
        settings: MonitoringSettings,
        rules: Mapping[str, RuleSet],
        departments: Iterable[DepartmentView] = (),
        own: Mapping[str, OwnModel] | None = None,
        background: Background | None = None,
        linear: Callable[[str], LinearModel] = shipped.linear,
    ) -> None:
        self.settings = settings
        self._linear = linear
        self._rules = rules
        self._own = own or {}
        self._background = background or Background()
        self._paths = {str(one.id): one.path for one in departments}
        self._departments = Matcher(_of_department(one, word) for one in departments for word in one.keywords)
        self._names = Matcher([Rule(key="relevant", value="true", weight=0.9, words=_clean(settings.names))])

    def text(self, text: str, title: str | None = None, told: str | None = None) -> Text:
        """A text made ready; `told` is the language that the network names."""
        folded = prepared(text, title)
        words = tokens(folded)
        found = language_of(plain(text if not title else f"{title} {text}"), self.settings.languages)
        language, sure = found or (None, None)
        if language is None and told is not None and told[:2].lower() in self.settings.languages:
            language = told[:2].lower()
        return Text(prepared=folded, tokens=words, features=features(folded, words), language=language, sure=sure)

    def analyse(self, text: Text, *, ours: bool | None = None) -> Analysis:
        """What is said. `ours`: it came by a channel of our own (True), by a listener (False), or nobody knows."""
        hits = self._hits(text)
        base = self._base(text, hits, ours)
        said = [self._decided(key, text, base, hits) for key in LEARNED if key != "department"]
        if text.language is not None and text.sure is not None:
            said.append(Said(key="language", value=text.language, confidence=text.sure, version="py3langid"))
        words = keywords(words_of(text.tokens), self._background)
        every = [*(one for one in said if one is not None), *self._suggested(text, base)]
        return Analysis(said=every, keywords=words, signature=signature_of(bare(text.prepared)))

    def base(self, text: Text, ours: bool | None = None) -> Base:
        """What is said without the organisation's own models: what those learn from, and are measured against."""
        return self._base(text, self._hits(text), ours)

    def _hits(self, text: Text) -> dict[str, list[tuple[Hit, str]]]:
        languages = (ANY, text.language) if text.language in self._rules else (ANY, *sorted(set(self._rules) - {ANY}))
        if text.language is not None and text.language not in self._rules:
            languages = (ANY,)
        found: dict[str, list[tuple[Hit, str]]] = {}
        for language in languages:
            rules = self._rules.get(language or ANY)
            for hit in rules.matcher.hits(text.prepared, text.tokens) if rules else ():
                found.setdefault(hit.rule.key, []).append((hit, rules.version if rules else ""))
        return found

    def _base(self, text: Text, hits: Mapping[str, list[tuple[Hit, str]]], ours: bool | None) -> Base:
        base = {key: scores(hit for hit, _ in hits.get(key, ())) for key in ("intent", "urgency", "topic")}
        base["mood"] = self._mood(text, [hit for hit, _ in hits.get("mood", ())])
        rude = self._linear("offence-de").probabilities(text.features)["OFFENSE"] if text.language == "de" else None
        base["offence"] = {} if rude is None else {"true": rude, "false": 1 - rude}
        base["relevant"] = self._relevant(text, ours)
        base["department"] = scores(self._departments.hits(text.prepared, text.tokens))
        return base

    def _mood(self, text: Text, hits: list[Hit]) -> dict[str, float]:
        """A model's probabilities, moved by emoji and rules; without a model what the rules say alone."""
        if text.language == "de":
            mood = self._linear("mood-de").probabilities(text.features)
        elif text.language == "en":
            mood = english_mood(text.prepared)
        else:
            return scores(hits)
        for hit in hits:
            mood[hit.rule.value] *= 1 + 4 * hit.rule.weight
        whole = sum(mood.values())
        return {value: one / whole for value, one in mood.items()}

    def _relevant(self, text: Text, ours: bool | None) -> dict[str, float]:
        if self._names.hits(text.prepared, text.tokens):
            return {"true": 0.9, "false": 0.1}
        if ours:
            return {"true": 0.8, "false": 0.2}
        return {"true": 0.35, "false": 0.65} if self.settings.names and ours is False else {}

    def _decided(self, key: str, text: Text, base: Base, hits: Mapping[str, list[tuple[Hit, str]]]) -> Said | None:
        """The most probable value, when it is probable enough. Offence is said, its absence is not."""
        values = self._values(key, text, base)
        if not values:
            return None
        value = max(sorted(values), key=values.__getitem__)
        confidence = min(0.99, values[value])
        if confidence < self.settings.least_confidence or (key == "offence" and value == "false"):
            return None
        because = tuple(dict.fromkeys(hit.word for hit, _ in hits.get(key, ()) if hit.rule.value == value))
        plainly: str | bool = value == "true" if key in ("offence", "relevant") else value
        version = self._version(key, text, [version for _, version in hits.get(key, ())])
        return Said(key=key, value=plainly, confidence=round(confidence, 4), version=version, because=because)

    def _values(self, key: str, text: Text, base: Base) -> dict[str, float]:
        """The organisation's own model decides between the values that it has seen; others keep what they had."""
        own = self._own.get(key)
        if own is None:
            return base[key]
        learned = own.probabilities(text.features, base[key], base["mood"])
        return {value: one for value, one in base[key].items() if value not in learned} | learned

    def _version(self, key: str, text: Text, rules: list[str]) -> str:
        parts = list(dict.fromkeys(rules))
        if key in ("mood", "offence") and f"{key}-{text.language}" in shipped.NAMES:
            parts.append(shipped.version(f"{key}-{text.language}"))
        if key == "relevant":
            parts.append("names")
        if key in self._own:
            parts.append(self._own[key].version)
        return "+".join(parts)

    def _suggested(self, text: Text, base: Base) -> list[Said]:
        """Up to three departments, the likeliest first."""
        values = {
            id_: one for id_, one in self._values("department", text, base).items() if id_ in self._paths and one >= LEAST_SUGGESTION
        }
        best = sorted(values, key=lambda id_: (-values[id_], self._paths[id_]))[: len(SUGGESTIONS)]
        version = "keywords" + (f"+{self._own['department'].version}" if "department" in self._own else "")
        return [
            Said(key=key, value=self._paths[id_], confidence=round(min(0.99, values[id_]), 4), version=version)
            for key, id_ in zip(SUGGESTIONS, best, strict=False)
        ]


def scores(hits: Iterable[Hit]) -> dict[str, float]:
    """How sure rules are of each value: several that say the same are surer than one."""
    doubt: dict[str, float] = {}
    for hit in hits:
        doubt[hit.rule.value] = doubt.get(hit.rule.value, 1.0) * (1 - hit.rule.weight)
    return {value: 1 - one for value, one in doubt.items()}


def dense_of(classes: tuple[str, ...], base: Mapping[str, float], mood: Mapping[str, float]) -> list[float]:
    """What an own model sees of the others' opinions."""
    return [*(base.get(one, 0.0) for one in classes), *(mood.get(one, 0.0) for one in MOODS)]


def _of_department(department: DepartmentView, word: str) -> Rule:
    clean = _clean((word,))
    return Rule(key="department", value=str(department.id), weight=0.45, words=tuple(f"{one}*" for one in clean))


def _clean(words: Iterable[Any]) -> tuple[str, ...]:
    """Words of people's own, in which a star or two dots mean nothing."""
    pieces = (" ".join(piece for piece in str(word).replace("*", " ").split() if piece != "..") for word in words)
    return tuple(piece for piece in pieces if piece)
