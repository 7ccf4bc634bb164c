"""Statements that are built anew for each request: those of one shape are compiled once, and each still finds its own."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import literal, select, true, union_all
from sqlalchemy.dialects import sqlite

import world
from smhub.db.read import _shapes, prepare

ROWS = [(number, word) for number, word in enumerate(["one", "two", "three", "four"])]
NUMBERS = union_all(*[select(literal(number).label("number"), literal(word).label("word")) for number, word in ROWS]).subquery()


def of(numbers: list[int] | None, above: int | None, word: str | None, limit: int) -> Any:
    statement = select(NUMBERS.c.number, NUMBERS.c.word).where(true()).order_by(NUMBERS.c.number).limit(limit)
    if numbers is not None:
        statement = statement.where(NUMBERS.c.number.in_(numbers))
    if above is not None:
        statement = statement.where(NUMBERS.c.number > above)
    return statement if word is None else statement.where(NUMBERS.c.word != word)


def expected(numbers: list[int] | None, above: int | None, word: str | None, limit: int) -> list[tuple[int, str]]:
    return [
        row
        for row in ROWS
        if (numbers is None or row[0] in numbers) and (above is None or row[0] > above) and (word is None or row[1] != word)
    ][:limit]


PARTS = st.tuples(
    st.none() | st.lists(st.integers(0, 4), max_size=4),
    st.none() | st.integers(-1, 4),
    st.none() | st.sampled_from([word for _, word in ROWS]),
    st.integers(1, 4),
)


async def test_every_statement_finds_what_it_asks_for_whatever_was_compiled_before_it(hub: world.Hub) -> None:
    reader = hub.runtime.database.reader
    asked: list[Any] = []
    given(PARTS)(lambda parts: asked.append(parts))()
    for parts in asked:
        assert [tuple(row) for row in await reader.rows(prepare(of(*parts)))] == expected(*parts)


def test_statements_of_one_shape_are_compiled_once() -> None:
    dialect = sqlite.dialect(paramstyle="qmark")
    one, other = prepare(of(None, 1, "two", 3)), prepare(of(None, 2, "four", 1))
    assert one.compiled(dialect) is other.compiled(dialect)
    assert one.values(dialect, {}) != other.values(dialect, {})


def test_lists_are_written_into_the_statement_so_it_is_not_kept() -> None:
    before = len(_shapes)
    assert prepare(of([1], None, None, 1)) is not prepare(of([1, 2], None, None, 1))
    assert len(_shapes) == before
