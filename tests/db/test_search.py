"""Words as they are stored and looked up; the databases join in tests/query/test_both_databases.py."""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from sqlalchemy import create_engine, insert, select, text

from smhub.db.search import SQLITE_DDL, Every, Match, SearchDoc, Without, document, holds, search_from, terms, words

ACME, GLOBEX = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("language", ["de", "en", None, "fr"])
@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("Meine Verträge", "VERTRÄGE"),
        ("STRASSEN", "Straßen"),
        ("Die Straße", "strasse"),
        ("#Lieferung kam", "lieferung"),
        ("Danke @acme_support!", "support"),
        ("Danke @acme_support!", "@acme_support"),
        ("E-Mail kam nicht an", "e-mail"),
        ("schön 🎉", "🎉"),
    ],
)
def test_a_word_is_found_in_its_other_spellings(said, asked, language):
    assert holds(words(asked), terms(said, language))


@pytest.mark.parametrize(
    ("said", "language", "asked"),
    [
        ("Meine Verträge", "de", "Vertrag"),
        ("Meine Verträge", None, "Vertrags"),
        ("Zwei Häuser", "de", "Haus"),
        ("late deliveries", "en", "delivery"),
        ("late delivery", None, "deliveries"),
        ("running late", "en", "runs"),
    ],
)
def test_a_word_is_found_by_its_stem(said, language, asked):
    assert holds(words(asked), terms(said, language))


@pytest.mark.parametrize("language", ["de", "en", None])
def test_a_phrase_is_words_next_to_each_other_in_their_order(language):
    said = terms("Das Paket ist kaputt angekommen, die Lieferungen kamen spät", language)
    assert holds(words("kaputt angekommen"), said)
    assert not holds(words("angekommen kaputt"), said)
    assert not holds(words("paket kaputt"), said)
    assert not holds(words("spät das"), said)


@pytest.mark.parametrize("language", ["de", "en", None])
def test_a_prefix_finds_the_word_as_it_was_written(language):
    said = terms("Lieferung", language)
    assert holds(words("lieferun", prefix=True), said)
    assert holds(words("l", prefix=True), said)
    assert not holds(words("lieferungs", prefix=True), said)


def test_long_texts_take_no_longer_per_word():
    for said in ("lieferung " * 5000 + "7", "a" * 100_000 + "é", "1e5 " * 5000):
        started = time.perf_counter()
        terms(said)
        assert time.perf_counter() - started < 0.5


def test_signs_alone_are_no_words():
    assert words('") OR (*:') == words("or")
    assert words("&-!") is None
    assert terms("") == ""


def test_an_endless_text_gives_bounded_terms():
    assert len(terms("д" * 100_000)) <= 300_000
    assert len(terms(" ".join(map(str, range(50_000)))).split()) <= 15_002


def test_a_search_stays_inside_its_organisation():
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        SearchDoc.__table__.create(connection)
        for statement in SQLITE_DDL:
            connection.execute(text(statement))
        for organisation in (ACME, GLOBEX):
            said = document(organisation, f"Lieferung org{GLOBEX.hex} org{ACME.hex}")
            connection.execute(insert(SearchDoc).values(organisation_id=organisation, mention_id=UUID(int=9), terms=said))

        def found(expression):
            return connection.execute(search_from(select(SearchDoc.organisation_id), Match(ACME, expression))).scalars().all()

        assert found(words("lieferung")) == [ACME]
        assert found(Without(words("vertrag"))) == [ACME]
        assert found(Every((words("lieferung"), Without(words("lieferung"))))) == []
    engine.dispose()
