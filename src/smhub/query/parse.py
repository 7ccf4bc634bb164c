"""From text to tree. Whatever is wrong is `QueryInvalid` with the column of the first wrong character."""

from __future__ import annotations

import re
from uuid import UUID

from lark import Token, Tree
from lark.exceptions import UnexpectedToken

from smhub.db import search
from smhub.errors import QueryInvalid
from smhub.query import times
from smhub.query.fields import RESERVED, Fields, QueryField
from smhub.query.grammar import lark, unquote, wrong
from smhub.query.tree import Condition, Node, Operator, Phrase, Query, Term, Value, either, every, without
from smhub.text import fold

MAX_NUMBER = 10**15

_NUMBER = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,9})?")
_BOOLEANS = {"true": "true", "yes": "true", "false": "false", "no": "false"}
_OPERATOR = re.compile(r"[<>]=?")
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s()",]+)', re.DOTALL)
_TIME_WORDS: dict[str, Operator] = {"after": ">=", "before": "<", "on": "is"}


def parse(text: str, fields: Fields) -> Query:
    """The tree of a query. Raises QueryInvalid, and nothing else, for every text that is not one."""
    try:
        found = lark().parse(text)
    except UnexpectedToken as error:
        raise _unexpected(error.token, len(text)) from None
    children = found.children
    return Query(_node(children[0], fields)) if children else Query()


def _unexpected(token: Token, length: int) -> QueryInvalid:
    if token.type == "$END":
        return wrong(length, "something is missing at the end")
    position = token.start_pos or 0
    if token.type == "RIGHT":
        return wrong(position, "something is missing before this parenthesis")
    return wrong(position, f"something is missing before {token}; put it in quotes to search for the word")


def _node(tree: Tree[Token] | Token, fields: Fields) -> Node:
    assert isinstance(tree, Tree)
    match tree.data:
        case "or_":
            return either(*(_node(part, fields) for part in tree.children if isinstance(part, Tree)))
        case "and_":
            return every(*(_node(part, fields) for part in tree.children if isinstance(part, Tree)))
        case "inner":
            return _node(tree.children[1], fields)
        case "opposite":
            return without(_node(tree.children[1], fields))
        case "word":
            return _word(_token(tree), fields)
        case "phrase":
            return _phrase(_token(tree), fields)
        case _:
            return _condition(_token(tree), fields)


def _token(tree: Tree[Token]) -> Token:
    token = tree.children[0]
    assert isinstance(token, Token)
    return token


def _at(token: Token) -> int:
    return token.start_pos or 0


def _word(token: Token, fields: Fields) -> Term:
    text = str(token)
    prefix = text.endswith("*")
    text = text.rstrip("*")
    _check_text(text, _at(token), fields, str(token))
    return Term(text, prefix)


def _phrase(token: Token, fields: Fields) -> Phrase:
    text = unquote(token[1:-1])
    _check_text(text, _at(token), fields, str(token))
    return Phrase(text)


def _check_text(text: str, position: int, fields: Fields, written: str) -> None:
    if not fields.searches_text:
        raise wrong(position, "this list is not searched by words; name a field, as in field:value")
    if search.words(text) is None:
        raise wrong(position, f"there is no letter or digit in {written} to search for")


def _condition(token: Token, fields: Fields) -> Condition:
    at = _at(token)
    name, _, rest = token.partition(":")
    at_value = at + len(name) + 1
    name = name.lower()
    if name in RESERVED:
        return _time_word(name, rest, at, at_value, fields)
    field = fields.get(name)
    if field is None:
        nearest = fields.nearest(name)
        hint = f"did you mean {nearest}?" if nearest else "GET /v1/query-fields lists them."
        raise wrong(at, f'there is no field "{name}"; {hint} Put it in quotes to search for the text')
    if rest in ("any", "none"):
        return Condition(field.name, "any" if rest == "any" else "none")
    if operator := _OPERATOR.match(rest):
        return _comparison(field, _as_operator(operator[0]), rest[operator.end() :], at_value, at_value + operator.end())
    if field.kind in ("number", "time") and ".." in rest and '"' not in rest and "," not in rest:
        return _range(field, rest, at_value)
    return Condition(field.name, "is", _values(field, rest, at_value))


def _as_operator(text: str) -> Operator:
    operators: dict[str, Operator] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
    return operators[text]


def _time_word(name: str, rest: str, at: int, at_value: int, fields: Fields) -> Condition:
    if fields.time is None:
        raise wrong(at, f"this list has no time for {name}:")
    field = fields[fields.time]
    if name == "on" and ".." in rest and "," not in rest:
        return _range(field, rest, at_value)
    if name == "on" and not _OPERATOR.match(rest):
        return Condition(field.name, "is", _values(field, rest, at_value))
    return Condition(field.name, _TIME_WORDS[name], (_single(field, rest, at_value),))


def _comparison(field: QueryField, operator: Operator, rest: str, at_operator: int, at: int) -> Condition:
    if field.kind not in ("number", "time"):
        raise wrong(at_operator, f"{field.name} is a {field.kind} and cannot be compared by {operator}")
    return Condition(field.name, operator, (_single(field, rest, at),))


def _range(field: QueryField, rest: str, at: int) -> Condition:
    low, _, high = rest.partition("..")
    return Condition(field.name, "..", (_single(field, low, at), _single(field, high, at + len(low) + 2)))


def _single(field: QueryField, rest: str, at: int) -> Value:
    if not rest:
        raise wrong(at, "a value is missing here")
    found = _VALUE.match(rest)
    if found is None or found.end() != len(rest):
        raise wrong(at, "one value is wanted here")
    return _value(field, unquote(found[1]) if found[1] is not None else rest, at)


def _values(field: QueryField, rest: str, at: int) -> tuple[Value, ...]:
    values: dict[Value, None] = {}
    position = 0
    while True:
        found = _VALUE.match(rest, position)
        if found is None:
            raise wrong(at + position, "a value is missing here")
        values[_listed(field, found, at + position)] = None
        position = found.end()
        if position >= len(rest):
            return tuple(values)
        if rest[position] != ",":
            raise wrong(at + position, "a comma or a blank is missing here")
        position += 1


def _listed(field: QueryField, found: re.Match[str], at: int) -> Value:
    if found[1] is not None:
        return _value(field, unquote(found[1]), at)
    text = found[2]
    if text in ("any", "none"):
        raise wrong(at, f"{text} stands alone: write ({field.name}:{text} OR {field.name}:…), or put it in quotes")
    stem = text.rstrip("*")
    if stem == text:
        return _value(field, text, at)
    if not stem:
        raise wrong(at, f"write {field.name}:any for every value")
    return _prefix(field, stem, at)


def _prefix(field: QueryField, stem: str, at: int) -> Value:
    if "*" in stem or any(sign in stem for sign in "<>"):
        raise wrong(at, "a star stands at the end of a value only; put it in quotes if you mean the sign")
    if field.kind == "path":
        if not stem.endswith("/") or not stem.strip("/"):
            raise wrong(at, f"write {field.name}:{stem.strip('/') or 'service'}/* for one and all below it")
        return Value(stem.strip("/") + "/", prefix=True)
    if field.kind in ("number", "time", "boolean", "id"):
        raise wrong(at, f"{field.name} is a {field.kind} and takes no star")
    if field.kind == "text":
        _check_words(field, stem, at)
    elif not field.open:
        wanted = fold(stem)
        if not any(fold(known).startswith(wanted) for known in field.known_values):
            raise _unknown_value(field, stem, at)
        stem = wanted if any(known.startswith(wanted) for known in field.known_values) else stem
    return Value(stem, prefix=True)


def _value(field: QueryField, text: str, at: int) -> Value:
    match field.kind:
        case "number":
            if not _NUMBER.fullmatch(text) or abs(float(text)) > MAX_NUMBER:
                raise wrong(at, f"{field.name} is a number, for example 3 or 0.5, at most 10^15")
        case "time":
            if not times.check(text):
                raise wrong(at, f"{field.name} is a time: {times.HELP}")
        case "boolean":
            if text.lower() not in _BOOLEANS:
                raise wrong(at, f"{field.name} is true or false")
            text = _BOOLEANS[text.lower()]
        case "id":
            try:
                text = str(UUID(text))
            except ValueError:
                raise wrong(at, f"{field.name} is an id, for example 0192f3c1-7d2e-7c4b-9a55-2f6f6c3d9b11") from None
        case "path":
            text = text.strip("/")
            if not text:
                raise wrong(at, f"{field.name} is a path, for example service/returns")
        case "text":
            _check_words(field, text, at)
    return Value(_known(field, text, at))


def _check_words(field: QueryField, text: str, at: int) -> None:
    if search.words(text) is None:
        raise wrong(at, f"there is no letter or digit to search for in {field.name}")


def _known(field: QueryField, text: str, at: int) -> str:
    """The value in its own spelling where it is a known one."""
    if not field.known_values or text in field.known_values:
        return text
    wanted = fold(text)
    for known in field.known_values:
        if fold(known) == wanted:
            return known
    if not field.open:
        raise _unknown_value(field, text, at)
    return text


def _unknown_value(field: QueryField, text: str, at: int) -> QueryInvalid:
    return wrong(at, f'{field.name} knows no "{text}"; it is one of: {", ".join(field.known_values)}')
