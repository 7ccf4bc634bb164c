"""In which of the organisation's languages a text is written; None where that is not clear."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from smhub_monitoring.analysis.text import letters

NEIGHBOURS = ("de", "en", "es", "fr", "it", "nl", "pl", "pt", "tr")
"""Languages that are told apart from the organisation's. Many more would make mistakes between those that nobody uses."""
FEWEST_LETTERS = 8
LONGEST = 400
LEAST = 0.5

_loading = threading.Lock()


@lru_cache(maxsize=16)
def _identifier(languages: tuple[str, ...]) -> Any:
    # Imported when the first text comes: it takes a second, and a process that only serves the API never needs it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    with _loading:
        identifier = _loaded(LanguageIdentifier, MODEL_FILE)
    known = set(identifier.labels)
    chosen = sorted({*NEIGHBOURS, *languages} & known)
    # What is large is shared between all that are made; only the columns of the languages are copied.
    made = LanguageIdentifier(*_parts(identifier), norm_probs=True, tk_row=identifier.tk_row)
    made.set_languages(chosen)
    return made


@lru_cache(maxsize=1)
def _loaded(identifier: Any, file: str) -> Any:
    return identifier.from_model_file(file, norm_probs=True)


def _parts(identifier: Any) -> tuple[Any, ...]:
    table, prior, classes = identifier.nb_ptc, identifier.nb_pc, identifier.nb_classes
    return table, prior, classes, identifier.tk_nextmove, identifier.tk_output


def language_of(plain_text: str, languages: tuple[str, ...]) -> tuple[str, float] | None:
    """The language and how probable it is. A text of few letters, or in a language that is not the organisation's, has none."""
    text = plain_text[:LONGEST]
    if letters(text) < FEWEST_LETTERS:
        return None
    language, probability = _identifier(languages).classify(text)
    if language not in languages or probability < LEAST:
        return None
    return language, float(probability)
