"""What people write, what they meant, and what they are told when it cannot be understood."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smhub.errors import QueryInvalid
from smhub.query import Fields, QueryField, parse, predicate, to_text
from smhub.query.times import span

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("", ""),
        ("  a   b ", "a b"),
        ("a AND b OR NOT c", "a b OR -c"),
        ("a (b c) (d OR (e OR f))", "a b c (d OR e OR f)"),
        ("--a", "a"),
        ("-(a b)", "-(a b)"),
        ("net:FEED mood:Negative", "network:FEED mood:negative"),
        ('network:"a b","none",c', 'network:"a b","none",c'),
        ("tag:deliv*,b", "tag:deliv*,b"),
        ("likes:>=3 likes:<5 likes:3..7", "likes:>=3 likes:<5 likes:3..7"),
        ("mood:none -mood:any", "mood:none -mood:any"),
        ("after:2026-11-01 before:-7d on:today", "published:>=2026-11-01 published:<-7d published:today"),
        ("department:service/* department:/service/", "department:service/* department:service"),
        ("public:YES", "public:true"),
        ("https://x.y/z 12:30 Achtung: jetzt", "https://x.y/z 12:30 Achtung: jetzt"),
        (r'"sagt \"nein\" \\ immer"', r'"sagt \"nein\" \\ immer"'),
        ("größe 🎉 liefer* or", "größe 🎉 liefer* or"),
    ],
)
def test_a_query_is_understood_as_it_is_meant(acme_fields, written, printed):
    assert to_text(parse(written, acme_fields)) == printed
    assert to_text(parse(printed, acme_fields)) == printed


@pytest.mark.parametrize(
    ("written", "column", "says"),
    [
        ("a OR", 5, "missing at the end"),
        ("OR a", 1, "missing before OR"),
        ("a ()", 4, "missing before this parenthesis"),
        ("(a", 1, "never closed"),
        ("a)", 2, "never opened"),
        ('a "b', 3, "never closed"),
        ('tag:"b', 5, "never closed"),
        ("a netwrk:x", 3, "did you mean network?"),
        ("mood:angry", 6, "negative, neutral, positive"),
        ("mood:x*", 6, "one of"),
        ("mood:>3", 6, "cannot be compared"),
        ("likes:many", 7, "number"),
        ("likes:3..", 10, "missing"),
        ("likes:>", 8, "missing"),
        ("likes:3*", 7, "takes no star"),
        ("tag:a,", 7, "missing"),
        ("tag:a,none", 7, "stands alone"),
        ("tag:*", 5, "tag:any"),
        ("department:serv*", 12, "serv/*"),
        ("author:me", 8, "id"),
        ("public:maybe", 8, "true or false"),
        ("after:2026-13-01", 7, "2026-11-01"),
        ("after:9999-12-31", 7, "2026-11-01"),
        ("after:tomorrow", 7, "today"),
        ("&", 1, "no letter or digit"),
        ("a\x00b", 2, "control character"),
        ("a" * 2001, 2001, "2000 characters"),
        ("a " * 101, 201, "100 words"),
        ("(" * 21 + "a" + ")" * 21, 21, "20 deep"),
        ("-" * 21 + "a", 21, "20 deep"),
    ],
)
def test_a_mistake_is_explained_where_it_is(acme_fields, written, column, says):
    with pytest.raises(QueryInvalid) as caught:
        parse(written, acme_fields)
    assert caught.value.values["column"] == column
    assert says in str(caught.value.values["reason"])


pieces = st.sampled_from(
    [
        "(",
        ")",
        '"',
        "-",
        " ",
        ":",
        ",",
        "*",
        "..",
        "<",
        ">=",
        "\\",
        "OR",
        "AND",
        "NOT",
        "tag",
        "likes",
        "after",
        "published",
        "author",
        "2026-11-01",
        "-7d",
        "9999",
        "0000-00",
        "2026-10-25T25:61",
        "any",
        "none",
        "mood:",
        "department:",
        "3",
        "ü",
        "�",
        "İ",
        "́",
    ]
)


@settings(max_examples=600)
@given(st.text(max_size=60) | st.lists(pieces, max_size=25).map("".join))
@example("(" * 2000)
@example('"\\' * 1000)
@example("tag:" + "," * 1996)
@example("-(" * 1000)
@example("a:" * 1000)
@example("likes:" + "9" * 1990)
def test_any_text_is_a_query_or_a_mistake_with_a_place(acme_fields, written):
    try:
        query = parse(written, acme_fields)
    except QueryInvalid as mistake:
        assert 1 <= mistake.values["column"] <= len(written) + 1
        mistake.detail("de")
    else:
        assert parse(to_text(query), acme_fields) == query


def test_the_longest_queries_are_parsed_in_no_time(acme_fields):
    long = ("tag:deliv*,b -(lieferung OR " * 8 + "x" + ")" * 8 + ' "kaputt angekommen"') + " wort" * 60
    for written in (long, long[:300] + "(" * 1700, "a" * 2000, '"' + "wort " * 399 + '"', "tag:" + "a," * 99 + "a"):
        best = 1.0
        for _ in range(5):
            started = time.perf_counter()
            with suppress(QueryInvalid):
                parse(written[:2000], acme_fields)
            best = min(best, time.perf_counter() - started)
        assert best < 0.05


@pytest.mark.parametrize(
    ("written", "start", "end"),
    [
        ("2026-10-25", "2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"),
        ("2026-11", "2026-10-31T23:00:00+00:00", "2026-11-30T23:00:00+00:00"),
        ("2026", "2025-12-31T23:00:00+00:00", "2026-12-31T23:00:00+00:00"),
        ("2026-12", "2026-11-30T23:00:00+00:00", "2026-12-31T23:00:00+00:00"),
        ("today", "2026-11-01T23:00:00+00:00", "2026-11-02T23:00:00+00:00"),
        ("-7d", "2026-10-26T09:00:00+00:00", "2026-10-26T09:00:00.000001+00:00"),
        ("2026-11-01T09:30", "2026-11-01T08:30:00+00:00", "2026-11-01T08:30:00.000001+00:00"),
        ("2026-11-01T09:30:00Z", "2026-11-01T09:30:00+00:00", "2026-11-01T09:30:00.000001+00:00"),
    ],
)
def test_a_date_is_a_whole_day_where_the_asker_lives(written, start, end):
    found = span(written, NOW, ZoneInfo("Europe/Berlin"))
    assert [moment.isoformat() for moment in found] == [start, end]


def test_who_has_no_mood_is_not_negative(acme_fields):
    fits = predicate(parse("-mood:negative", acme_fields), acme_fields, now=NOW, time_zone=UTC)
    assert fits({"mood": None})
    assert not fits({"mood": "negative"})


def test_a_field_is_declared_once_and_soundly():
    field = QueryField(name="tag", kind="tags", title="Tag", column=lambda: None)
    with pytest.raises(ValueError, match="already declared by core"):
        Fields([field, QueryField(name="x", kind="tags", title="X", column=lambda: None, aliases=("tag",))])
    for wrong in (
        {"name": "Tag", "kind": "tags", "column": lambda: None},
        {"name": "after", "kind": "time", "column": lambda: None},
        {"name": "x", "kind": "keyword"},
        {"name": "x", "kind": "json", "column": lambda: None},
        {"name": "x", "kind": "json", "column": lambda: None, "path": ("a'b",)},
        {"name": "x", "kind": "keyword", "column": lambda: None, "many": True},
        {"name": "x", "kind": "keyword", "column": lambda: None, "open": False},
        {"name": "x", "kind": "keyword", "column": lambda: None, "path": ("a",)},
    ):
        with pytest.raises(ValueError, match="query field"):
            QueryField(title="X", **wrong)


def test_fields_describe_themselves(acme_fields):
    described = {field.name: field for field in acme_fields.describe()}
    assert sorted(described) == acme_fields.names()
    assert described["mood"].known_values == ["negative", "neutral", "positive"]
    assert described["tag"].many
    assert "subtree" in described["department"].operators


def test_a_list_without_text_refuses_words():
    fields = Fields([QueryField(name="name", kind="keyword", title="Name", column=lambda: None)])
    with pytest.raises(QueryInvalid, match="not searched by words"):
        parse("lieferung", fields)
    with pytest.raises(QueryInvalid, match="no time"):
        parse("after:2026-11-01", fields)
