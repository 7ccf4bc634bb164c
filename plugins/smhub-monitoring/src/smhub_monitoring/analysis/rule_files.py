"""Rules as people write them: YAML, read strictly. What is wrong is told with its line and column, and what would be right."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
import yaml

KEYS: dict[str, tuple[str, ...]] = {
    "mood": ("negative", "neutral", "positive"),
    "intent": ("question", "complaint", "praise", "request", "spam", "application", "idea"),
    "urgency": ("low", "normal", "high"),
    "topic": (),
}
"""What rules may say; a topic is any word."""
FIELDS = ("key", "value", "weight", "words", "unless")
MAX_BYTES = 100_000
MAX_RULES = 500
MAX_WORDS = 5_000
MAX_DEPTH = 5
MAX_PARTS = 8
_VALUE = re.compile(r"[\w-]{1,40}")


class RuleError(ValueError):
    """A rule file that cannot be read. Line and column begin at 1."""

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.line, self.column, self.reason = line, column, reason


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Where one of `words` stands and none of `unless`, `key` is `value`, as sure as `weight`."""

    key: str
    value: str
    weight: float
    words: tuple[str, ...]
    unless: tuple[str, ...] = ()


def read_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a file; RuleError with the place of the first fault."""
    if len(text.encode()) > MAX_BYTES:
        raise RuleError(1, 1, f"the file is larger than {MAX_BYTES:,} bytes")
    root = _composed(text)
    if root is None:
        return ()
    fields = _mapping(root, ("rules",), "the file")
    if "rules" not in fields:
        raise _wrong(root, "the file needs `rules:`, a list")
    items = _list(fields["rules"], "rules", MAX_RULES)
    rules = tuple(_rule(one) for one in items)
    if sum(len(rule.words) + len(rule.unless) for rule in rules) > MAX_WORDS:
        raise _wrong(fields["rules"], f"more than {MAX_WORDS:,} words in all")
    return rules


def _composed(text: str) -> yaml.Node | None:
    """The tree of the file. Anchors, aliases and tags are refused before anything is built: a short file must not become a large one."""
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            line, column = _place(event.start_mark)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise RuleError(line, column, "anchors and aliases (& and *) are not allowed; put words with a star into quotes")
            if getattr(event, "tag", None) is not None:
                raise RuleError(line, column, "tags (!) are not allowed; put the word into quotes")
            if depth > MAX_DEPTH:
                raise RuleError(line, column, "nested too deep")
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise RuleError(*_place(mark), f"not YAML: {error.problem or error.context}") from error
    except RuleError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # An escape beyond Unicode is a ValueError or OverflowError to the parser.
        raise RuleError(1, 1, f"not YAML: {' '.join(str(error).split())[:200]}") from error


def _place(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _wrong(node: yaml.Node, reason: str) -> RuleError:
    return RuleError(*_place(node.start_mark), reason)


def _mapping(node: yaml.Node, allowed: tuple[str, ...], what: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(node, f"{what} must be fields with values; allowed: {', '.join(allowed)}")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1)
            meant = f" (meant: {near[0]}?)" if near else ""
            raise _wrong(key, f"{what} has no {name!r}{meant}; allowed: {', '.join(allowed)}")
        if name in found:
            raise _wrong(key, f"{name!r} stands twice")
        found[name] = value
    return found


def _list(node: yaml.Node, name: str, most: int) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise _wrong(node, f"{name} must be a list")
    if len(node.value) > most:
        raise _wrong(node, f"{name} may have {most:,} entries at most")
    return list(node.value)


def _text(node: yaml.Node, name: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise _wrong(node, f"{name} must be a word")
    return str(node.value).strip()


def _rule(node: yaml.Node) -> Rule:
    fields = _mapping(node, FIELDS, "a rule")
    if "key" not in fields:
        raise _wrong(node, "the rule needs 'key'")
    key = _one_of(fields["key"], "key", tuple(KEYS))
    for needed in ("value", "words"):
        if needed not in fields:
            raise _wrong(node, f"the rule needs {needed!r}")
    value = _one_of(fields["value"], "value", KEYS[key]) if KEYS[key] else _topic(fields["value"])
    words = _words(fields["words"], "words")
    if not words:
        raise _wrong(fields["words"], "words needs one word at least")
    unless = _words(fields["unless"], "unless") if "unless" in fields else ()
    return Rule(key=key, value=value, weight=_weight(fields.get("weight")), words=words, unless=unless)


def _one_of(node: yaml.Node, name: str, allowed: tuple[str, ...]) -> str:
    value = _text(node, name)
    if value not in allowed:
        raise _wrong(node, f"{value!r} is no {name}; allowed: {', '.join(allowed)}")
    return value


def _topic(node: yaml.Node) -> str:
    value = _text(node, "value")
    if not _VALUE.fullmatch(value):
        raise _wrong(node, "a topic is one word of at most 40 letters, digits, - and _")
    return value


def _weight(node: yaml.Node | None) -> float:
    if node is None:
        return 0.6
    try:
        value = float(_text(node, "weight"))
    except ValueError:
        value = -1.0
    if not 0.05 <= value <= 0.99:
        raise _wrong(node, "weight must be a number from 0.05 to 0.99")
    return value


def _words(node: yaml.Node, name: str) -> tuple[str, ...]:
    return tuple(_pattern(one) for one in _list(node, name, MAX_WORDS))


def _pattern(node: yaml.Node) -> str:
    """A word, a stem with a star, or several; `..` stands for up to three words between. There is no other sign that means something."""
    parts = _text(node, "a word").split()
    if len(parts) > MAX_PARTS:
        raise _wrong(node, f"a phrase may have {MAX_PARTS} parts at most")
    if parts[0] == ".." or parts[-1] == ".." or parts.count("..") > 2:
        raise _wrong(node, "`..` stands between words, twice at most")
    for part in parts:
        stem = part.strip("*")
        if "*" in stem or (part != stem and len(stem) < 3):
            raise _wrong(node, f"{part!r}: a star stands at the beginning or end of a stem of three letters or more")
        if part.startswith("*") and len(parts) > 1:
            raise _wrong(node, f"{part!r}: a star at the beginning is for single words only")
    return " ".join(parts)
