"""Full text on both databases behind one `Match`: the words are folded and stemmed here, the databases only look them up.

One row of `core_search_doc` holds the terms of one mention, in parts divided by a term of their own:

    org<hex>  <stem of each word, German>  zzzz  <stem of each word, English>  zzzz  <words as written, where no stem equals them>

A part keeps one term per word and its order, so a phrase is right in each part by itself: it is asked for as "German stems next to
each other" or "English stems next to each other", and needs no look at the text afterwards. A text whose language is known has one
part of stems. The words as written serve prefixes: `lieferun*` finds "Lieferung", whose stem is shorter than that.

Accents and umlauts count, except where a stemmer drops them; ß is ss. Letters that the two databases might judge differently are
written in ASCII, so both cut the terms at blanks and nowhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import Stemmer
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Join,
    Select,
    Text,
    UniqueConstraint,
    bindparam,
    column,
    table,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from smhub.db.types import Base, BigId
from smhub.text import fold

MAX_WORDS = 5_000
"""Words of a text that are indexed. Three parts of them stay below the 16,383 positions of PostgreSQL."""
MAX_TERMS_LENGTH = 300_000
"""Characters of terms: below the megabyte that a tsvector may have."""
MAX_REPEATS = 255
"""PostgreSQL forgets positions of a term beyond this; so we forget them on both."""

_BREAK = "zzzz"
_GERMAN, _ENGLISH = Stemmer.Stemmer("german"), Stemmer.Stemmer("english")
# Scripts without blanks between words, and emoji: each character is a word, several are a phrase.
_SINGLE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_SINGLE += "\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
_WORDS = re.compile(rf"[^\W_{_SINGLE}]{{1,64}}|[{_SINGLE}]")
_LETTER = "a-z\u00df-\u00f6\u00f8-\u024f\u0386-\u03ce\u0400-\u0481\u048a-\u04ff"
_ODD = re.compile(rf"[^{_LETTER}0-9 ]|(?:^| )[0-9]")
_STRANGE = re.compile(rf"[^{_LETTER}0-9 ]")
_LEADING_DIGIT = re.compile(r"(?<![^ ])(?=[0-9])")


def _stemmers(language: str | None) -> tuple[Any, ...]:
    short = (language or "")[:2].lower()
    return {"de": (_GERMAN,), "en": (_ENGLISH,)}.get(short, (_GERMAN, _ENGLISH))


def _spell(joined: str) -> str:
    """Terms in letters that both databases see as letters; each begins with one, because PostgreSQL reads 1e5 as a number."""
    if _ODD.search(joined) is None:
        return joined
    return _LEADING_DIGIT.sub("n", _STRANGE.sub(lambda found: f"x{ord(found[0]):05x}", joined))


def terms(text: str, language: str | None = None) -> str:
    """The words of a text as they are looked up: folded, stemmed by its language (both languages when it is another or unknown)."""
    words = _WORDS.findall(fold(text))
    if len(words) > MAX_WORDS:
        del words[MAX_WORDS:]
    parts: list[str] = []
    found: list[str] = []
    for stemmer in _stemmers(language):
        stems = stemmer.stemWords(words)
        if stems != found:
            if parts:
                parts.append(_BREAK)
            parts += stems
            found = stems
    rest = dict.fromkeys(words)
    for stem in parts:
        rest.pop(stem, None)
    if rest:
        parts.append(_BREAK)
        parts += rest
    if len(parts) > MAX_REPEATS:
        _limit_repeats(parts)
    joined = _spell(" ".join(parts))
    return joined if len(joined) <= MAX_TERMS_LENGTH else joined[:MAX_TERMS_LENGTH].rpartition(" ")[0]


def _limit_repeats(parts: list[str]) -> None:
    frequent = {term for term, count in Counter(parts).items() if count > MAX_REPEATS}
    seen: Counter[str] = Counter()
    for place, term in enumerate(parts if frequent else ()):
        if term in frequent:
            seen[term] += 1
            if seen[term] > MAX_REPEATS:
                parts[place] = _BREAK


def organisation_term(organisation_id: UUID) -> str:
    """The term that every document of an organisation carries and every search of it asks for."""
    return "org" + organisation_id.hex


def document(organisation_id: UUID, text: str, language: str | None = None) -> str:
    """What belongs into `SearchDoc.terms`. Every mention has a document, one without text too: a search for what a mention does *not*
    say finds it there."""
    return f"{organisation_term(organisation_id)} {terms(text, language)}".rstrip()


class SearchDoc(Base):
    """The searchable terms of one mention. `seq` is the order of arrival."""

    __tablename__ = "core_search_doc"
    __table_args__ = (UniqueConstraint("organisation_id", "mention_id"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    organisation_id: Mapped[UUID]
    mention_id: Mapped[UUID]
    terms: Mapped[str] = mapped_column(Text)


SQLITE_DDL = (
    "CREATE VIRTUAL TABLE core_search_fts USING fts5("
    "terms, content='core_search_doc', content_rowid='seq', tokenize='unicode61 remove_diacritics 0')",
    "CREATE TRIGGER core_search_doc_ai AFTER INSERT ON core_search_doc BEGIN "
    "INSERT INTO core_search_fts(rowid, terms) VALUES (new.seq, new.terms); END",
    "CREATE TRIGGER core_search_doc_ad AFTER DELETE ON core_search_doc BEGIN "
    "INSERT INTO core_search_fts(core_search_fts, rowid, terms) VALUES ('delete', old.seq, old.terms); END",
    "CREATE TRIGGER core_search_doc_au AFTER UPDATE ON core_search_doc BEGIN "
    "INSERT INTO core_search_fts(core_search_fts, rowid, terms) VALUES ('delete', old.seq, old.terms); "
    "INSERT INTO core_search_fts(rowid, terms) VALUES (new.seq, new.terms); END",
)
POSTGRESQL_DDL = (
    "ALTER TABLE core_search_doc ADD COLUMN tsv tsvector GENERATED ALWAYS AS (to_tsvector('simple', terms)) STORED",
    "CREATE INDEX ix_core_search_doc_tsv ON core_search_doc USING gin (tsv)",
)


# What is looked for: a small tree.


class Words(msgspec.Struct, frozen=True):
    """Terms next to each other, in one of several spellings (stems); with `prefix` the last one may go on."""

    spellings: tuple[tuple[str, ...], ...]
    prefix: bool = False


class Every(msgspec.Struct, frozen=True):
    parts: tuple[Expression, ...]


class Either(msgspec.Struct, frozen=True):
    parts: tuple[Expression, ...]


class Without(msgspec.Struct, frozen=True):
    part: Expression


Expression: TypeAlias = Words | Every | Either | Without


def words(text: str, prefix: bool = False) -> Words | None:
    """What to look for when somebody writes `text`: one word, or several that stand next to each other. None when there is no word
    in it."""
    found = _WORDS.findall(fold(text))
    if not found:
        return None
    last = found.pop() if prefix else None
    spellings: dict[tuple[str, ...], None] = {}
    for stemmer in _stemmers(None):
        stems = stemmer.stemWords(found) + ([last] if last else [])
        spellings[tuple(_spell(" ".join(stems)).split(" "))] = None
    return Words(tuple(spellings), prefix)


def holds(expression: Expression, terms_of_text: str) -> bool:
    """Whether a text with these terms is found: the meaning of `Match`, in memory."""
    return _holds(expression, terms_of_text.split(" "), f" {terms_of_text} ")


def _holds(expression: Expression, found: list[str], padded: str) -> bool:
    if isinstance(expression, Words):
        end = "" if expression.prefix else " "
        return any(f" {' '.join(spelling)}{end}" in padded for spelling in expression.spellings)
    if isinstance(expression, Without):
        return not _holds(expression.part, found, padded)
    test = all if isinstance(expression, Every) else any
    return test(_holds(part, found, padded) for part in expression.parts)


def _inside_out(expression: Expression, negative: bool = False) -> Expression:
    """The same with `Without` around words only: FTS5 knows "a but not b", and its parser has a small stack."""
    if isinstance(expression, Without):
        return _inside_out(expression.part, not negative)
    if isinstance(expression, Words):
        return Without(expression) if negative else expression
    kind = Every if isinstance(expression, Every) != negative else Either
    return kind(tuple(_inside_out(part, negative) for part in expression.parts))


def _fts5(expression: Expression, organisation: str) -> str:
    if isinstance(expression, Words):
        star = " *" if expression.prefix else ""
        any_of = [f'"{" ".join(spelling)}"{star}' for spelling in expression.spellings]
        return any_of[0] if len(any_of) == 1 else f"({' OR '.join(any_of)})"
    if isinstance(expression, Without):
        return f'("{organisation}" NOT {_fts5(expression.part, organisation)})'
    joint = " AND " if isinstance(expression, Every) else " OR "
    return f"({joint.join(_fts5(part, organisation) for part in expression.parts)})"


def _tsquery(expression: Expression) -> str:
    if isinstance(expression, Words):
        star = ":*" if expression.prefix else ""
        any_of = [" <-> ".join(f"'{term}'" for term in spelling) + star for spelling in expression.spellings]
        return f"({' | '.join(any_of)})"
    if isinstance(expression, Without):
        return f"!{_tsquery(expression.part)}"
    joint = " & " if isinstance(expression, Every) else " | "
    return f"({joint.join(_tsquery(part) for part in expression.parts)})"


_Traversal = list[tuple[str, InternalTraversal]]


class Match(ColumnElement[bool]):
    """The documents of one organisation that hold an expression. Stands in a statement made by `search_from`."""

    __visit_name__ = "smhub_match"
    inherit_cache = True
    _traverse_internals: _Traversal = [
        ("fts5", InternalTraversal.dp_clauseelement),
        ("tsquery", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, organisation_id: UUID | BindParameter[UUID], expression: Expression | None) -> None:
        self.organisation_id = organisation_id
        self.type = Boolean()
        if expression is None:
            self.fts5, self.tsquery = bindparam("fts5", type_=Text()), bindparam("tsquery", type_=Text())
            return
        assert isinstance(organisation_id, UUID)
        organisation = organisation_term(organisation_id)
        inner = _inside_out(expression)
        self.fts5 = bindparam("match", f'"{organisation}" AND {_fts5(inner, organisation)}', Text, unique=True)
        self.tsquery = bindparam("match", f"'{organisation}' & {_tsquery(inner)}", Text, unique=True)

    @classmethod
    def given(cls, organisation_id: BindParameter[UUID]) -> Match:
        """For a statement that is compiled once: what is looked for comes with each run, as `values` of another."""
        return cls(organisation_id, None)

    @property
    def values(self) -> dict[str, Any]:
        """What `given` takes."""
        return {"fts5": self.fts5.value, "tsquery": self.tsquery.value}

    def self_group(self, against: Any = None) -> Match:
        return self  # as a ColumnElement it would become "MATCH ? = 1" on SQLite

    @property
    def _from_objects(self) -> list[Any]:
        return [_SEARCHED]


class Arrival(ColumnElement[int]):
    """The order of arrival in a statement made by `search_from`: select it, order by it, compare it with the last page's."""

    __visit_name__ = "smhub_arrival"
    inherit_cache = True
    _traverse_internals: _Traversal = []
    type = BigInteger()

    @property
    def _from_objects(self) -> list[Any]:
        return [_SEARCHED]


class _Searched(Join):
    """The documents, on SQLite joined with their index."""

    inherit_cache = True


_doc = SearchDoc.__table__
_fts = table("core_search_fts", column("rowid", BigInteger))
_SEARCHED = _Searched(_doc, _fts, _fts.c.rowid == _doc.c.seq)


@compiles(Match, "sqlite")
def _match_fts5(element: Match, compiler: SQLCompiler, **more: Any) -> str:
    return f"core_search_fts MATCH {compiler.process(element.fts5, **more)}"


@compiles(Match, "postgresql")
def _match_tsquery(element: Match, compiler: SQLCompiler, **more: Any) -> str:
    return f"core_search_doc.tsv @@ CAST({compiler.process(element.tsquery, **more)} AS tsquery)"


@compiles(Arrival, "sqlite")
def _arrival_fts5(element: Arrival, compiler: SQLCompiler, **more: Any) -> str:
    # FTS5 walks its rows in this order only when asked by its own rowid.
    return "core_search_fts.rowid"


@compiles(Arrival)
def _arrival(element: Arrival, compiler: SQLCompiler, **more: Any) -> str:
    return "core_search_doc.seq"


@compiles(_Searched, "sqlite")
def _searched_fts5(element: _Searched, compiler: SQLCompiler, **more: Any) -> str:
    return str(compiler.visit_join(element, **more))  # type: ignore[no-untyped-call]


@compiles(_Searched)
def _searched(element: _Searched, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(element.left, **{**more, "asfrom": True})


def search_from(statement: Select[Any], match: Match, key: ColumnElement[Any] | None = None) -> Select[Any]:
    """The statement with its rows narrowed to what matches. `key` is its column with the id of the mention; without it the statement
    is about the documents themselves."""
    narrowed = statement.select_from(_SEARCHED).where(match, SearchDoc.organisation_id == match.organisation_id)
    return narrowed if key is None else narrowed.where(SearchDoc.mention_id == key)


@lru_cache(maxsize=1)
def arrival() -> Arrival:
    """The one `Arrival`."""
    return Arrival()


__all__ = [
    "POSTGRESQL_DDL",
    "SQLITE_DDL",
    "Arrival",
    "Either",
    "Every",
    "Expression",
    "Match",
    "SearchDoc",
    "Without",
    "Words",
    "arrival",
    "document",
    "holds",
    "organisation_term",
    "search_from",
    "terms",
    "words",
]
