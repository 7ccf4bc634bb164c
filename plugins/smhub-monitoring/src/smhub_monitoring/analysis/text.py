"""Text made ready: one spelling, and addresses, names and digits as what they are, not as what they say."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 2_000
"""Code points that are looked at; who says more has said what it is about before."""

_URL = re.compile(r"(?:https?://|www\.)\S+")
_NAME = re.compile(r"(?<![\w@.])@[\w.-]+(?:@[\w.-]+)?")
_REPOST = re.compile(r"^\s*rt\s+(?:usr\b\s*:?\s*)?")
_DIGITS = re.compile(r"\d")
_REPEATED = re.compile(r"(.)\1{2,}")
_BLANKS = re.compile(r"\s+")
_TOKEN = re.compile(r"[\w#]+(?:['’][\w]+)*|[^\w\s]")
_WORD = re.compile(r"[^\W_]+")


def prepared(text: str, title: str | None = None) -> str:
    """The text for rules and models: folded, with `url`, `usr` and `0` for addresses, names and digits; three of a kind become two."""
    whole = f"{title}\n{text}" if title else text
    folded = unicodedata.normalize("NFKC", whole[:LONGEST]).casefold()
    folded = _NAME.sub(" usr ", _URL.sub(" url ", folded))
    folded = _REPEATED.sub(r"\1\1", _DIGITS.sub("0", folded))
    return _BLANKS.sub(" ", folded).strip()


def tokens(prepared_text: str) -> list[str]:
    """Words, signs and emoji, in order."""
    return _TOKEN.findall(prepared_text)


def bare(prepared_text: str) -> str:
    """Only the words, without a repost's head, addresses and names: two copies of one post look alike."""
    words = _WORD.findall(_REPOST.sub("", prepared_text))
    return " ".join(word for word in words if word not in ("url", "usr"))


def plain(text: str) -> str:
    """The text for finding its language: without addresses, names and digits, as it was written."""
    return _BLANKS.sub(" ", _DIGITS.sub(" ", _NAME.sub(" ", _URL.sub(" ", text)))).strip()


def letters(text: str) -> int:
    """How many letters there are."""
    return sum(map(str.isalpha, text))
