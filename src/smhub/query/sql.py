"""A query as SQL, for both databases. Every value is a parameter; queries of one shape are one statement.

A row without a value is not equal to anything, so `-mood:negative` finds it too: negation is pushed down to the conditions, and each
negated condition says what becomes of NULL. That is what the predicate in memory does as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, ColumnElement, Double, Select, Text, and_, func, literal, not_, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine

from smhub.db import search
from smhub.db.search import Match, SearchDoc, search_from
from smhub.db.types import UtcDateTime
from smhub.query.fields import ColumnTest, Fields, QueryField
from smhub.query.times import span
from smhub.query.tree import And, Condition, Node, Not, Or, Phrase, Query, Term, Value


@dataclass(frozen=True, slots=True)
class Compiled:
    """`where` is None when every row fits, `match` is None when the whole query says nothing of words (or only beside an OR)."""

    where: ColumnElement[bool] | None
    match: Match | None
    key: ColumnElement[Any] | None = None

    def narrow(self, statement: Select[Any]) -> Select[Any]:
        """The statement, narrowed to what the query finds. With `match` it is joined with the documents, so that it can be ordered
        by `search.arrival()`."""
        if self.match is not None:
            statement = search_from(statement, self.match, self.key)
        return statement if self.where is None else statement.where(self.where)


def compile_sql(query: Query, fields: Fields, *, organisation_id: UUID, now: datetime, time_zone: tzinfo) -> Compiled:
    """The query for one organisation. The statement's own condition on the organisation stays the caller's: this one narrows only."""
    key = fields.key() if fields.key else None
    making = _Making(fields, key, organisation_id, now, time_zone)
    root = query.root
    parts: Sequence[Node] = () if root is None else root.parts if isinstance(root, And) else (root,)
    texts, others = _divide(parts)
    where = and_(*(making.where(part) for part in others)) if others else None
    return Compiled(where, Match(organisation_id, _one(search.Every, texts)) if texts else None, key)


def expression_of(node: Node) -> search.Expression | None:
    """What a tree of words and nothing else looks for in the text; None when it speaks of fields."""
    if isinstance(node, Term | Phrase):
        found = search.words(node.text, isinstance(node, Term) and node.prefix)
        assert found is not None, "the parser refuses a word without a letter or digit"
        return found
    if isinstance(node, Not):
        part = expression_of(node.part)
        return None if part is None else search.Without(part)
    if isinstance(node, Condition):
        return None
    parts = [expression_of(part) for part in node.parts]
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts):
        return None
    return search.Every(known) if isinstance(node, And) else search.Either(known)


def _divide(parts: Sequence[Node]) -> tuple[list[search.Expression], list[Node]]:
    texts: list[search.Expression] = []
    others: list[Node] = []
    for part in parts:
        expression = expression_of(part)
        if expression is None:
            others.append(part)
        else:
            texts.append(expression)
    return texts, others


def _one(kind: type[search.Every | search.Either], parts: list[search.Expression]) -> search.Expression:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


@dataclass(frozen=True, slots=True)
class _Making:
    fields: Fields
    key: ColumnElement[Any] | None
    organisation_id: UUID
    now: datetime
    zone: tzinfo

    def where(self, node: Node, negative: bool = False) -> ColumnElement[bool]:
        if isinstance(node, Condition):
            return self.condition(node, negative)
        if isinstance(node, Not):
            return self.where(node.part, not negative)
        assert isinstance(node, And | Or), "words are taken out before"
        texts, others = _divide(node.parts)
        made = [self.where(part, negative) for part in others]
        if texts:
            kind = search.Every if isinstance(node, And) else search.Either
            made.insert(0, self.among_documents(_one(kind, texts), negative))
        return and_(*made) if isinstance(node, And) != negative else or_(*made)

    def among_documents(self, expression: search.Expression, negative: bool) -> ColumnElement[bool]:
        assert self.key is not None, "the parser refuses words where there is no text"
        found = search_from(select(SearchDoc.mention_id), Match(self.organisation_id, expression))
        return self.key.not_in(found) if negative else self.key.in_(found)

    def condition(self, condition: Condition, negative: bool) -> ColumnElement[bool]:
        field = self.fields[condition.field]
        if condition.operator == "none":
            return self.condition(Condition(condition.field, "any"), not negative)
        test = self.test(field, condition)
        if field.expression is not None:
            found = field.expression(test)
            return not_(found) if negative else found
        assert field.column is not None
        column = field.column()
        if not negative:
            return test(column)
        base = _inside(field, column)
        if condition.operator == "any" and field.kind != "tags":
            return base.is_(None)
        return or_(base.is_(None), not_(test(column)))

    def test(self, field: QueryField, condition: Condition) -> ColumnTest:
        if condition.operator == "any":
            return lambda column: _has_tag(column) if field.kind == "tags" else _inside(field, column).is_not(None)
        make = self.make(field, condition)
        return lambda column: make(_inside(field, column))

    def make(self, field: QueryField, condition: Condition) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
        values = condition.values
        match field.kind:
            case "number":
                return lambda column: _number(column, condition)
            case "time":
                spans = [span(value.text, self.now, self.zone) for value in values]
                return lambda column: _time(column, condition, spans)
            case "tags":
                return lambda column: or_(*(_has_tag(column, value) for value in values))
            case "text":
                return lambda column: _text(column, values)
            case "boolean":
                return lambda column: or_(*(column == literal(value.text == "true", Boolean) for value in values))
            case "id":
                return lambda column: _is(column, [UUID(value.text) for value in values])
            case kind:
                return lambda column: _spelled(column, values, subtree=kind == "path")


def _is(column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    return column == values[0] if len(values) == 1 else column.in_(values)


def _spelled(column: ColumnElement[Any], values: Sequence[Value], *, subtree: bool) -> ColumnElement[bool]:
    exact = [value.text for value in values if not value.prefix]
    beginnings = [value.text for value in values if value.prefix]
    tests = [_is(column, exact)] if exact else []
    for beginning in beginnings:
        # Not LIKE: it ignores case on SQLite.
        tests.append(func.substr(column, 1, len(beginning)) == literal(beginning, Text))
        if subtree:
            tests.append(column == beginning[:-1])
    return or_(*tests)


def _text(column: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
    padded = literal(" ", Text) + column + literal(" ", Text)
    patterns: list[str] = []
    for value in values:
        found = search.words(value.text, value.prefix)
        assert found is not None, "the parser refuses a value without a letter or digit"
        patterns += (f"% {' '.join(spelling)}{'' if value.prefix else ' '}%" for spelling in found.spellings)
    return or_(*(padded.like(literal(pattern, Text)) for pattern in patterns))


def _number_value(value: Value) -> ColumnElement[Any]:
    number = as_number(value.text)
    return literal(number, BigInteger) if isinstance(number, int) else literal(number, Double)


def as_number(text: str) -> int | float:
    """A whole number as int: an integer column is then compared by its index."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _number(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    values = [_number_value(value) for value in condition.values]
    match condition.operator:
        case "<":
            return column < values[0]
        case "<=":
            return column <= values[0]
        case ">":
            return column > values[0]
        case ">=":
            return column >= values[0]
        case "..":
            return and_(column >= values[0], column <= values[1])
        case _:
            return or_(*(column == value for value in values))


def _time(column: ColumnElement[Any], condition: Condition, spans: Sequence[tuple[datetime, datetime]]) -> ColumnElement[bool]:
    def at(moment: datetime) -> ColumnElement[Any]:
        return literal(moment, UtcDateTime)

    start, end = spans[0]
    match condition.operator:
        case "<":
            return column < at(start)
        case "<=":
            return column < at(end)
        case ">":
            return column >= at(end)
        case ">=":
            return column >= at(start)
        case "..":
            return and_(column >= at(start), column < at(spans[1][1]))
        case _:
            return or_(*(and_(column >= at(start), column < at(end)) for start, end in spans))


# What the two databases write differently.


class InJson(ColumnElement[Any]):
    """The value at a path inside a Json column, NULL when it is of another kind (`json`: text, `number`, `boolean`):
    `InJson(Mention.annotations, "json", ("mood", "value"))`."""

    inherit_cache = True
    _traverse_internals: list[tuple[str, InternalTraversal]] = [
        ("column", InternalTraversal.dp_clauseelement),
        ("kind", InternalTraversal.dp_string),
        ("keys", InternalTraversal.dp_string),
    ]

    def __init__(self, column: ColumnElement[Any], kind: str, path: tuple[str, ...]) -> None:
        types: dict[str, TypeEngine[Any]] = {"json": Text(), "number": Double(), "boolean": Boolean()}
        self.column, self.kind, self.type = column, kind, types[kind]
        self.keys = ".".join(path)

    @property
    def _from_objects(self) -> list[Any]:
        return list(self.column._from_objects)


class _HasTag(ColumnElement[bool]):
    """Whether a Json list has a string (one that begins so, any at all). The column is not NULL."""

    inherit_cache = True
    _traverse_internals: list[tuple[str, InternalTraversal]] = [
        ("column", InternalTraversal.dp_clauseelement),
        ("value", InternalTraversal.dp_clauseelement),
        ("how", InternalTraversal.dp_string),
    ]

    def __init__(self, column: ColumnElement[Any], value: str, how: str) -> None:
        self.column, self.value, self.how, self.type = column, literal(value, Text), how, Boolean()

    def self_group(self, against: Any = None) -> _HasTag:
        return self  # as a ColumnElement it would become "EXISTS … = 1" on SQLite

    @property
    def _from_objects(self) -> list[Any]:
        return list(self.column._from_objects)


def _has_tag(column: ColumnElement[Any], value: Value | None = None) -> ColumnElement[bool]:
    if value is None:
        return _HasTag(column, "", "any")
    return _HasTag(column, value.text, "prefix" if value.prefix else "is")


def _inside(field: QueryField, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return InJson(column, field.kind, field.path) if field.path else column


@compiles(InJson, "sqlite")
def _in_json_sqlite(element: InJson, compiler: SQLCompiler, **more: Any) -> str:
    column = compiler.process(element.column, **more)
    path = "'$." + ".".join(f'"{key}"' for key in element.keys.split(".")) + "'"
    match element.kind:
        case "json":
            return f"(CASE WHEN json_type({column}, {path}) = 'text' THEN json_extract({column}, {path}) END)"
        case "number":
            return f"(CASE WHEN json_type({column}, {path}) IN ('integer', 'real') THEN json_extract({column}, {path}) END)"
        case _:
            return f"(CASE json_type({column}, {path}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)"


@compiles(InJson)
def _in_json(element: InJson, compiler: SQLCompiler, **more: Any) -> str:
    column = compiler.process(element.column, **more)
    path = "'{" + element.keys.replace(".", ",") + "}'"
    kind, cast = {"json": ("string", "text"), "number": ("number", "double precision"), "boolean": ("boolean", "boolean")}[element.kind]
    return f"(CASE WHEN jsonb_typeof({column} #> {path}) = '{kind}' THEN CAST({column} #>> {path} AS {cast}) END)"


@compiles(_HasTag, "sqlite")
def _has_tag_sqlite(element: _HasTag, compiler: SQLCompiler, **more: Any) -> str:
    column = compiler.process(element.column, **more)
    if element.how == "any":
        return f"(EXISTS (SELECT 1 FROM json_each({column})))"  # noqa: S608
    value = compiler.process(element.value, **more)
    tag = "tag.value" if element.how == "is" else f"substr(tag.value, 1, length({value}))"
    return f"(EXISTS (SELECT 1 FROM json_each({column}) AS tag WHERE {tag} = {value}))"  # noqa: S608


@compiles(_HasTag)
def _has_tag_postgresql(element: _HasTag, compiler: SQLCompiler, **more: Any) -> str:
    column = compiler.process(element.column, **more)
    if element.how == "any":
        return f"({column} <> '[]')"
    value = compiler.process(element.value, **more)
    if element.how == "is":
        return f"({column} @> jsonb_build_array(CAST({value} AS text)))"
    return f"(EXISTS (SELECT 1 FROM jsonb_array_elements_text({column}) AS tag(value) WHERE starts_with(tag.value, {value})))"  # noqa: S608
