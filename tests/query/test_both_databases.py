"""The promise: SQLite, PostgreSQL and the predicate in memory find the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from smhub.db import search
from smhub.query import compile_sql, parse, predicate, to_text
from smhub.query.tree import Condition, Phrase, Query, Term, Value, either, every, without

ACME, GLOBEX = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

WORDS = ["Lieferung", "lieferungen", "Vertrag", "Verträge", "Straße", "STRASSE", "deliveries", "delivery", "kaputt", "angekommen"]
WORDS += ["#kaputt", "@acme_support", "e-mail", "1e5", "007", "🎉", "Привет", "日本", "naïve", "zzzz", "don't", "ÆØ", "İstanbul"]
KEYWORDS = ["mastodon", "feed", "Feed", "fee%", "f_ed", "any", "none", "a b", 'say "hi"', "back\\slash", "müsli", "<3", "x*", ""]
PATHS = ["service", "service/returns", "services", "sales", "service/returns/eu"]
IDS = [UUID(int=number) for number in (11, 12)]
DAY = datetime(2026, 10, 25, tzinfo=UTC)
TIMES = [DAY, DAY - timedelta(hours=2), DAY + timedelta(hours=23), NOW, NOW - timedelta(days=7), NOW - timedelta(microseconds=1)]


def maybe(strategy: Any) -> Any:
    return st.none() | strategy


texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
annotations = st.fixed_dictionaries(
    {},
    optional={
        "intent": st.sampled_from([{"value": "buy"}, {"value": "Buy"}, {"value": 3}, {"value": None}, {}, "buy"]),
        "urgency": st.sampled_from([{"value": 3}, {"value": 2.5}, {"value": "3"}, {}]),
        "answered": st.sampled_from([True, False, None]),
    },
)
notes = st.fixed_dictionaries(
    {
        "organisation_id": st.sampled_from([ACME, ACME, GLOBEX]),
        "network": st.sampled_from(KEYWORDS),
        "mood": maybe(st.sampled_from(["negative", "positive"])),
        "likes": maybe(st.integers(-3, 5)),
        "score": maybe(st.sampled_from([0.0, 0.5, 2.5, -1.25, 3.0])),
        "published_at": maybe(st.sampled_from(TIMES)),
        "public": maybe(st.booleans()),
        "author_id": maybe(st.sampled_from(IDS)),
        "department": maybe(st.sampled_from(PATHS)),
        "tags": maybe(st.lists(st.sampled_from(KEYWORDS), max_size=3)),
        "annotations": maybe(annotations),
        "title_terms": maybe(texts.map(search.terms)),
        "text": texts,
        "language": st.sampled_from([None, "de", "en", "fr"]),
        "labels": st.lists(st.sampled_from(KEYWORDS), max_size=2, unique=True),
    }
)
rows = st.lists(notes, min_size=1, max_size=8).map(
    lambda found: [{"id": UUID(int=100 + place), **note} for place, note in enumerate(found)]
)

exact = st.sampled_from(KEYWORDS).map(Value)
prefixed = st.sampled_from(["f", "fee", "mast", "mü", "a", "back\\"]).map(lambda text: Value(text, prefix=True))


def conditions(names: list[str], values: Any) -> Any:
    listed = st.lists(values, min_size=1, max_size=3, unique=True).map(tuple)
    some = st.builds(Condition, st.sampled_from(names), st.just("is"), listed)
    return some | st.builds(Condition, st.sampled_from(names), st.sampled_from(["any", "none"]))


def comparisons(names: list[str], values: Any) -> Any:
    name = st.sampled_from(names)
    one = st.builds(Condition, name, st.sampled_from(["<", "<=", ">", ">="]), st.tuples(values))
    return one | st.builds(Condition, name, st.just(".."), st.tuples(values, values)) | conditions(names, values)


moments = ["2026-10-25", "2026-10", "2026", "2026-10-25T00:00:00Z", "2026-10-25T23:00:00+01:00", "2026-10-25T01:30"]
moments += ["-7d", "-12h", "-1w", "today", "yesterday", "now"]
terms = st.sampled_from(WORDS)
leaf = (
    terms.map(Term)
    | st.sampled_from(["lieferun", "kap", "del", "e-ma", "str", "00", "При", "acme_sup"]).map(lambda text: Term(text, prefix=True))
    | st.lists(terms, min_size=1, max_size=3).map(lambda found: Phrase(" ".join(found)))
    | conditions(["network", "tag", "label"], exact | prefixed)
    | conditions(["intent"], st.sampled_from([Value("buy"), Value("Buy"), Value("b", prefix=True), Value("3")]))
    | conditions(["mood"], st.sampled_from([Value("negative"), Value("positive"), Value("n", prefix=True)]))
    | conditions(
        ["department"], st.sampled_from([Value("service"), Value("service/", prefix=True), Value("service/returns/", prefix=True)])
    )
    | conditions(["author"], st.sampled_from(IDS).map(lambda found: Value(str(found))))
    | conditions(["public", "answered"], st.sampled_from([Value("true"), Value("false")]))
    | conditions(["title"], st.sampled_from([Value("Lieferung"), Value("liefer", prefix=True), Value("kaputt angekommen")]))
    | comparisons(["likes", "score", "urgency"], st.sampled_from(["-1", "0", "2.5", "3", "3.0", "1000000000000"]).map(Value))
    | comparisons(["published"], st.sampled_from(moments).map(Value))
)
trees = st.recursive(
    leaf,
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: every(*parts))
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: either(*parts))
        | inner.map(without)
    ),
    max_leaves=6,
)
queries = st.none().map(Query) | trees.map(Query)


def hits(store: Any, query: Query, fields: Any) -> list[UUID]:
    note = fields.key().class_
    compiled = compile_sql(query, fields, organisation_id=ACME, now=NOW, time_zone=BERLIN)
    statement = compiled.narrow(select(note.id).where(note.organisation_id == ACME))
    return sorted(store.run(statement), key=lambda row: row.id)


@settings(max_examples=120)
@given(rows=rows, asked=st.lists(queries, min_size=6, max_size=6))
def test_both_databases_find_what_the_predicate_finds(query_stores, acme_fields, rows, asked):
    for store in query_stores:
        store.fill(rows)
    for query in asked:
        fits = predicate(query, acme_fields, now=NOW, time_zone=BERLIN)
        wanted = [row["id"] for row in rows if row["organisation_id"] == ACME and fits(row)]
        for store in query_stores:
            found = [row.id for row in hits(store, query, acme_fields)]
            assert found == wanted, (store.name, to_text(query))


@settings(max_examples=200)
@given(query=queries)
def test_a_printed_query_parses_to_the_same_tree(acme_fields, query):
    assert parse(to_text(query), acme_fields) == query


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)


@settings(max_examples=30)
@given(found=st.lists(words, min_size=1, max_size=8))
def test_any_word_of_any_script_finds_its_own_text(query_stores, acme_fields, found):
    note = {"id": UUID(int=1), "organisation_id": ACME, "network": "feed", "text": " ".join(found), "language": None, "labels": []}
    empty = dict.fromkeys(
        ["mood", "likes", "score", "published_at", "public", "author_id", "department", "tags", "annotations", "title_terms"], None
    )
    asked = [Query(Term(word)) for word in found if search.words(word)]
    if search.words(" ".join(found)):
        asked.append(Query(Phrase(" ".join(found))))
        asked.append(Query(Term(" ".join(found), prefix=True)))
    for store in query_stores:
        store.fill([{**empty, **note}])
        for query in asked:
            assert hits(store, query, acme_fields), (store.name, query)


def filled(query_stores, texts, language=None):
    empty = dict.fromkeys(
        ["mood", "likes", "score", "published_at", "public", "author_id", "department", "tags", "annotations", "title_terms"], None
    )
    made = [
        {
            **empty,
            "id": UUID(int=place + 1),
            "organisation_id": ACME,
            "network": "feed",
            "text": text,
            "language": language,
            "labels": [],
        }
        for place, text in enumerate(texts)
    ]
    for store in query_stores:
        store.fill(made)


def numbers(store, text, fields):
    return [row.id.int for row in hits(store, parse(text, fields), fields)]


def test_pages_in_order_of_arrival_have_no_gap_and_no_double(query_stores, acme_fields):
    filled(query_stores, [f"Lieferung {number}" if number % 3 else "nichts" for number in range(40)])
    compiled = compile_sql(parse("lieferung", acme_fields), acme_fields, organisation_id=ACME, now=NOW, time_zone=UTC)
    note = acme_fields.key().class_
    for store in query_stores:
        seen, last = [], 10**15
        while True:
            page = compiled.narrow(select(note.id, search.arrival().label("seq"))).where(search.arrival() < last)
            found = store.run(page.order_by(search.arrival().desc()).limit(7))
            if not found:
                break
            seen += [row.id.int - 1 for row in found]
            last = found[-1].seq
        assert seen == [number for number in reversed(range(40)) if number % 3]


def test_a_search_is_one_statement_for_all_words(query_stores, acme_fields):
    for one, other in (
        ("vertrag", '"kaputt angekommen" -straße'),
        ("tag:a mood:none", "tag:b mood:none"),
        ("(x OR likes:3)", "(y OR likes:4)"),
    ):
        for store in query_stores:
            sql = {
                str(
                    compile_sql(parse(text, acme_fields), acme_fields, organisation_id=ACME, now=NOW, time_zone=UTC)
                    .narrow(select(acme_fields.key()))
                    .compile(dialect=store.engine.dialect)
                )
                for text in (one, other)
            }
            assert len(sql) == 1


def test_fts5_walks_in_the_order_of_arrival_without_sorting(query_stores, acme_fields):
    compiled = compile_sql(parse("vertrag", acme_fields), acme_fields, organisation_id=ACME, now=NOW, time_zone=UTC)
    statement = compiled.narrow(select(acme_fields.key())).order_by(search.arrival().desc()).limit(5)
    store = query_stores[0]
    from sqlalchemy import text

    sql = str(statement.compile(dialect=store.engine.dialect, compile_kwargs={"literal_binds": True}))
    plan = " | ".join(str(row[3]) for row in store.run(text("EXPLAIN QUERY PLAN " + sql)))
    assert "TEMP B-TREE" not in plan
    assert plan.startswith("SCAN core_search_fts")


def test_the_deepest_and_longest_query_runs(query_stores, acme_fields):
    filled(query_stores, ["Lieferung"])
    deep = "".join(f"-(w{level} OR " for level in range(20)) + "lieferung" + ")" * 20
    mixed = "".join(f"-(w{level} likes:{level} OR " for level in range(20)) + "lieferung" + ")" * 20
    long = " OR ".join(f"wort{number}" for number in range(99)) + " OR lieferung"
    for store in query_stores:
        assert numbers(store, deep, acme_fields) == [1]
        assert numbers(store, mixed, acme_fields) == [1]
        assert numbers(store, long, acme_fields) == [1]


def test_a_changed_and_a_deleted_document_change_the_index(query_stores, acme_fields):
    from sqlalchemy import delete, update

    filled(query_stores, ["alt", "bleibt"])
    doc = search.SearchDoc
    for store in query_stores:
        store.run(update(doc).where(doc.mention_id == UUID(int=1)).values(terms=search.document(ACME, "neu")))
        store.run(delete(doc).where(doc.mention_id == UUID(int=2)))
        assert [numbers(store, text, acme_fields) for text in ("alt", "neu", "bleibt")] == [[], [1], []]


def test_a_word_repeated_a_thousand_times_keeps_phrases_equal(query_stores, acme_fields):
    filled(query_stores, ["die " * 1000 + "lieferung kam", "x" * 5000, " ".join(f"wört{n}" for n in range(30_000)), "д" * 90_000])
    for store in query_stores:
        assert numbers(store, '"die lieferung"', acme_fields) == []
        assert numbers(store, '"lieferung kam"', acme_fields) == [1]
        assert numbers(store, "wört10", acme_fields) == [3]
