"""What a listener looks for. A query says it whole; networks are asked for the words that every match must have, and what else the query
says is looked at here, before anything is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from smhub.channels.models import Listener
from smhub.db.search import terms
from smhub.errors import Invalid
from smhub.query import And, Condition, Fields, Node, Not, Or, Phrase, Query, QueryField, Term, parse, predicate
from smhub.query.grammar import wrong
from smhub.sdk import KINDS, VISIBILITIES, Mention, Search
from smhub.text import beginning_with, fold, text_of_html

MAX_WORDS = 50
AIMED = ("query", "words", "languages")
"""What `aim` changes of a listener."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a network is asked for: any of `words`, none of `excluded`, in these languages (all, when there is none)."""

    words: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


def _text(item: Mention) -> str:
    said = text_of_html(item.html) if isinstance(item.html, str) else item.text
    return f"{item.title}\n{said}" if item.title else said


FIELDS = Fields(
    (
        QueryField(
            name="language", kind="keyword", title="Language", column=lambda: None, get=lambda item: item.language, aliases=("lang",)
        ),
        QueryField(name="kind", kind="keyword", title="Kind", column=lambda: None, get=lambda item: item.kind, known_values=KINDS),
        QueryField(
            name="visibility",
            kind="keyword",
            title="Visibility",
            column=lambda: None,
            get=lambda item: item.visibility,
            known_values=VISIBILITIES,
        ),
        QueryField(
            name="author",
            kind="keyword",
            title="Author",
            description="The handle.",
            column=lambda: None,
            get=lambda item: item.author.handle if item.author else None,
        ),
        QueryField(
            name="followers",
            kind="number",
            title="Followers of the author",
            column=lambda: None,
            get=lambda item: item.author.followers if item.author else None,
        ),
        QueryField(name="label", kind="tags", title="Label", column=lambda: None, get=lambda item: item.labels),
    ),
    # The item is no row: these fields are asked in memory only.
    document=lambda item: terms(_text(item), item.language),
)
"""What a network tells of a mention before it is stored: a listener's query names these and no others."""


def looked_for(text: str) -> Looked:
    """Read a listener's query. Raises QueryInvalid where it is none, or says no word that every match must have."""
    query = parse(text, FIELDS)
    words = _needed(query.root) if query.root is not None else None
    if not words:
        raise wrong(0, "a listener needs a word or phrase that every match must have, for networks are searched by words")
    if len(words) > MAX_WORDS:
        raise wrong(0, f"networks are asked for at most {MAX_WORDS} words, and these are {len(words)}")
    parts = query.root.parts if isinstance(query.root, And) else (query.root,)
    languages = [part.values for part in parts if isinstance(part, Condition) and (part.field, part.operator) == ("language", "is")]
    excluded = [part.part.text for part in parts if isinstance(part, Not) and isinstance(part.part, Term | Phrase)]
    plain = len(languages) == 1 and not any(value.prefix for value in languages[0])
    return Looked(
        words=tuple(dict.fromkeys(words)),
        excluded=tuple(dict.fromkeys(excluded)),
        languages=tuple(value.text for value in languages[0]) if plain else (),
    )


def aim(row: Listener, change: Mapping[str, Any]) -> None:
    """Let a listener look for something else: for a `query`, or for `words`; `languages` where they are told, else those of the query."""
    query, words = change.get("query"), change.get("words")
    if query and words:
        raise Invalid.field("query", "give either a query or words")
    if words:
        row.query, row.words = None, list(words)
    if query:
        looked = looked_for(query)
        row.query, row.words, row.languages = query, list(looked.words), list(looked.languages)
    languages = change.get("languages")
    if languages or (languages is not None and not query):
        row.languages = list(languages)


def _needed(node: Node) -> tuple[str, ...] | None:
    """Words of which every match has at least one; None when there are none such."""
    if isinstance(node, Term | Phrase):
        return (node.text,)
    if isinstance(node, Or):
        each = [_needed(part) for part in node.parts]
        return None if any(one is None for one in each) else tuple(word for one in each for word in one or ())
    if isinstance(node, And):
        known = [one for part in node.parts if (one := _needed(part))]
        return min(known, key=lambda words: (len(words), -min(map(len, words))), default=None)
    return None


def search_of(row: Listener) -> Search:
    """What the network is asked for."""
    excluded = _parsed(row.query).excluded if row.query is not None else ()
    return Search(words=tuple(row.words), languages=tuple(row.languages), excluded=excluded)


_parsed = lru_cache(maxsize=1000)(looked_for)


def fits(row: Listener) -> Callable[[Mention], bool]:
    """Whether what a network brought is what the listener looks for."""
    if row.query is not None:
        return _predicate(row.query)
    words = beginning_with(tuple(row.words))
    return lambda item: words.search(fold(_text(item))) is not None


@lru_cache(maxsize=1000)
def _predicate(text: str) -> Callable[[Mention], bool]:
    query: Query = parse(text, FIELDS)
    # Nothing in these fields is a time.
    return predicate(query, FIELDS, now=datetime(1970, 1, 1, tzinfo=UTC), time_zone=UTC)
