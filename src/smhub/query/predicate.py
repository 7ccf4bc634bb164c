"""A query as a function of one object in memory: what rules and alerts ask of a mention that has just come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any, TypeAlias

from smhub.db import search
from smhub.query.fields import Fields, QueryField
from smhub.query.sql import as_number, expression_of
from smhub.query.times import span
from smhub.query.tree import And, Condition, Node, Not, Or, Query, Value
from smhub.time import to_utc

Predicate: TypeAlias = Callable[[Any], bool]


def predicate(query: Query, fields: Fields, *, now: datetime, time_zone: tzinfo) -> Predicate:
    """Whether an object is found by the query, as `compile_sql` finds its row. Made once, asked often."""
    return _all_fit if query.root is None else _of(query.root, fields, now, time_zone)


def _all_fit(_: Any) -> bool:
    return True


def _of(node: Node, fields: Fields, now: datetime, zone: tzinfo) -> Predicate:
    expression = expression_of(node)
    if expression is not None:
        document, found = fields.document, expression
        if document is None:
            raise ValueError("these fields do not tell the words of an object in memory")
        return lambda thing: search.holds(found, document(thing))
    if isinstance(node, Condition):
        return _condition(fields[node.field], node, now, zone)
    if isinstance(node, Not):
        inner = _of(node.part, fields, now, zone)
        return lambda thing: not inner(thing)
    assert isinstance(node, And | Or), "words are answered above"
    parts = [_of(part, fields, now, zone) for part in node.parts]
    if isinstance(node, And):
        return lambda thing: all(part(thing) for part in parts)
    return lambda thing: any(part(thing) for part in parts)


def _condition(field: QueryField, condition: Condition, now: datetime, zone: tzinfo) -> Predicate:
    get = field.get
    if get is None:
        raise ValueError(f"the query field {field.name} is known to the database only")
    several = field.many or field.kind == "tags"

    def values(thing: Any) -> Sequence[Any]:
        value = get(thing)
        if field.path and not _of_its_kind(field.kind, value):
            return ()
        if several:
            return [each for each in value or () if each is not None]
        return () if value is None else (value,)

    if condition.operator == "any":
        return lambda thing: bool(values(thing))
    if condition.operator == "none":
        return lambda thing: not values(thing)
    test = _test(field, condition, now, zone)
    return lambda thing: any(test(value) for value in values(thing))


def _of_its_kind(kind: str, value: Any) -> bool:
    """Whether a value from JSON is what the field says; another one counts as none, as in SQL."""
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, str) if kind == "json" else kind == "number" and isinstance(value, int | float)


def _test(field: QueryField, condition: Condition, now: datetime, zone: tzinfo) -> Predicate:
    wanted = condition.values
    match field.kind:
        case "number":
            numbers = [as_number(value.text) for value in wanted]
            return lambda value: _compared(condition, value if isinstance(value, int) else float(value), numbers)
        case "time":
            spans = [span(value.text, now, zone) for value in wanted]
            return lambda value: _within(condition, to_utc(value), spans)
        case "text":
            expressions = [found for value in wanted if (found := search.words(value.text, value.prefix))]
            return lambda value: any(search.holds(found, value) for found in expressions)
        case "boolean":
            truths = {value.text == "true" for value in wanted}
            return lambda value: bool(value) in truths
        case "id":
            ids = {value.text for value in wanted}
            return lambda value: str(value) in ids
        case kind:
            return lambda value: any(_spelled(value, one, kind == "path") for one in wanted)


def _spelled(value: str, wanted: Value, subtree: bool) -> bool:
    if not wanted.prefix:
        return value == wanted.text
    return value.startswith(wanted.text) or (subtree and value == wanted.text[:-1])


def _compared(condition: Condition, value: float, wanted: Sequence[float]) -> bool:
    match condition.operator:
        case "<":
            return value < wanted[0]
        case "<=":
            return value <= wanted[0]
        case ">":
            return value > wanted[0]
        case ">=":
            return value >= wanted[0]
        case "..":
            return wanted[0] <= value <= wanted[1]
        case _:
            return value in wanted


def _within(condition: Condition, value: datetime, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    start, end = spans[0]
    match condition.operator:
        case "<":
            return value < start
        case "<=":
            return value < end
        case ">":
            return value >= end
        case ">=":
            return value >= start
        case "..":
            return start <= value < spans[1][1]
        case _:
            return any(start <= value < end for start, end in spans)
