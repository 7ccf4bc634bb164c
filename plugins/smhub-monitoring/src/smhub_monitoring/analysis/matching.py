"""Finding rules in a text. Words are looked up, nothing is tried out: the time grows with the text and with nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from smhub_monitoring.analysis.rule_files import Rule
from smhub_monitoring.analysis.text import prepared, tokens

GAP = 3
Parts = tuple[tuple[str, bool], ...]
"""The parts of a pattern after the first: a word, and whether it is only a beginning."""
Place = tuple[int, bool, Parts]
"""The number of a rule, whether it speaks for it, and what has to follow."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that fits, and the word by which it was found."""

    rule: Rule
    word: str


class Matcher:
    """Rules made ready for looking up."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._words: dict[str, list[Place]] = {}
        self._stems: dict[str, list[Place]] = {}
        self._inside: list[tuple[str, int, bool]] = []
        for number, rule in enumerate(self.rules):
            for word in rule.words:
                self._add(number, True, word)
            for word in rule.unless:
                self._add(number, False, word)
        self._lengths = sorted({len(stem) for stem in self._stems})
        # Most words begin like no stem at all, and one look tells.
        self._shortest = self._lengths[0] if self._lengths else 0
        self._heads = {stem[: self._shortest] for stem in self._stems}

    def _add(self, number: int, speaks_for: bool, word: str) -> None:
        if word.startswith("*"):
            self._inside.append((prepared(word.strip("*")), number, speaks_for))
            return
        parts = [part for piece in word.split() for part in _parts(piece)]
        if not parts:
            return
        (first, begins), *rest = parts
        into = self._stems if begins else self._words
        into.setdefault(first, []).append((number, speaks_for, tuple(rest)))

    def hits(self, prepared_text: str, words: list[str]) -> list[Hit]:
        """The rules that fit, each once, in their order."""
        found: dict[int, str] = {}
        against: set[int] = set()
        for inside, number, speaks_for in self._inside:
            if inside in prepared_text:
                found.setdefault(number, inside) if speaks_for else against.add(number)
        for at, word in enumerate(words):
            if word not in self._words and word[: self._shortest] not in self._heads:
                continue
            for number, speaks_for, rest in self._starting(word):
                if not rest or _follows(words, at + 1, rest):
                    found.setdefault(number, word) if speaks_for else against.add(number)
        return [Hit(rule=self.rules[number], word=found[number]) for number in sorted(found) if number not in against]

    def _starting(self, word: str) -> Iterable[Place]:
        yield from self._words.get(word, ())
        for length in self._lengths:
            if length > len(word):
                break
            yield from self._stems.get(word[:length], ())


def _parts(piece: str) -> list[tuple[str, bool]]:
    """A piece of a pattern as the text has it: folded, and divided where texts are."""
    if piece == "..":
        return [("..", False)]
    begins = piece.endswith("*")
    divided = tokens(prepared(piece.rstrip("*")))
    return [(part, begins and number == len(divided) - 1) for number, part in enumerate(divided)]


def _follows(words: list[str], at: int, rest: Parts) -> bool:
    (part, begins), *more = rest
    if part == "..":
        return any(_follows(words, at + skipped, tuple(more)) for skipped in range(GAP + 1))
    if at >= len(words) or not (words[at].startswith(part) if begins else words[at] == part):
        return False
    return not more or _follows(words, at + 1, tuple(more))
