"""In which of the organisation's languages a text is written; None where that is not clear."""

from __future__ import annotations

import copy
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


@lru_cache(maxsize=1)
def _whole() -> Any:
    # Imported when the first text comes: it takes a while, and a process that only serves the API never needs it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=8)
def _identifier(languages: tuple[str, ...]) -> Any:
    """One for these languages. What is large, the automaton, is the same for all."""
    whole = _whole()
    made = copy.copy(whole)
    made.set_languages(sorted({*NEIGHBOURS, *languages} & set(whole.labels)))
    return made


def language_of(plain_text: str, languages: tuple[str, ...]) -> tuple[str, float] | None:
    """The language and how probable it is. A text of few letters, or in a language that is not the organisation's, has none."""
    text = plain_text[:LONGEST]
    if letters(text) < FEWEST_LETTERS:
        return None
    with _loading:
        identifier = _identifier(languages)
    language, probability = identifier.classify(text)
    if language not in languages or probability < LEAST:
        return None
    return language, float(probability)
