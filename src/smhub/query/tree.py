"""What a query is: a tree that can be compared, stored and printed. `parse` makes it, SQL and the predicate are made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

Operator: TypeAlias = Literal["is", "<", "<=", ">", ">=", "..", "any", "none"]


class Value(msgspec.Struct, frozen=True):
    """A value as it was written; `prefix` when a star follows."""

    text: str
    prefix: bool = False


class Term(msgspec.Struct, frozen=True, tag="term"):
    """A word of the text. One with marks inside (`e-mail`) means its parts next to each other."""

    text: str
    prefix: bool = False


class Phrase(msgspec.Struct, frozen=True, tag="phrase"):
    """Words next to each other."""

    text: str


class Condition(msgspec.Struct, frozen=True, tag="condition"):
    """A field and what it is to be: `is` one of the values, compared with one, between two (both included), any or none."""

    field: str
    operator: Operator
    values: tuple[Value, ...] = ()


class And(msgspec.Struct, frozen=True, tag="and"):
    parts: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True, tag="or"):
    parts: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True, tag="not"):
    part: Node


Node: TypeAlias = And | Or | Not | Term | Phrase | Condition


class Query(msgspec.Struct, frozen=True):
    """The whole of it. An empty query finds everything."""

    root: Node | None = None


def every(*parts: Node) -> Node:
    """All of the parts, flat."""
    return _joined(And, parts)


def either(*parts: Node) -> Node:
    """One of the parts, flat."""
    return _joined(Or, parts)


def without(part: Node) -> Node:
    """The opposite; the opposite of the opposite is the thing itself."""
    return part.part if isinstance(part, Not) else Not(part)


def _joined(kind: type[And | Or], parts: tuple[Node, ...]) -> Node:
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else (part,)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def leaves(node: Node | None) -> Iterator[Term | Phrase | Condition]:
    """Every word, phrase and condition, from left to right."""
    if isinstance(node, And | Or):
        for part in node.parts:
            yield from leaves(part)
    elif isinstance(node, Not):
        yield from leaves(node.part)
    elif node is not None:
        yield node


BARE_VALUE = re.compile(r'(?![<>])[^\s()",*]+')
"""A value that needs no quotes."""


def to_text(query: Query) -> str:
    """The query as one would write it: parsed, it gives the same tree."""
    return "" if query.root is None else _print(query.root)


def _print(node: Node) -> str:
    if isinstance(node, And):
        return " ".join(f"({_print(part)})" if isinstance(part, Or) else _print(part) for part in node.parts)
    if isinstance(node, Or):
        return " OR ".join(_print(part) for part in node.parts)
    if isinstance(node, Not):
        return f"-({_print(node.part)})" if isinstance(node.part, And | Or) else f"-{_print(node.part)}"
    if isinstance(node, Term):
        return node.text + ("*" if node.prefix else "")
    if isinstance(node, Phrase):
        return quoted(node.text)
    return f"{node.field}:{_print_values(node)}"


def _print_values(condition: Condition) -> str:
    match condition.operator:
        case "any" | "none":
            return condition.operator
        case "is":
            return ",".join(_print_value(value) for value in condition.values)
        case "..":
            return "..".join(value.text for value in condition.values)
        case operator:
            return operator + condition.values[0].text


def _print_value(value: Value) -> str:
    if value.prefix:
        return value.text + "*"
    plain = BARE_VALUE.fullmatch(value.text) and value.text not in ("any", "none")
    return value.text if plain else quoted(value.text)


def quoted(text: str) -> str:
    """In quotes, with a backslash before a quote or a backslash."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
