"""The grammar, in two halves: `Scanner` cuts the text into words, conditions and signs, lark puts them together (LALR).

The scanner holds the limits too, so that nothing behind it meets a query that is too long, too deep or has too many parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from lark import Lark, Token
from lark.lexer import Lexer

from smhub.errors import QueryInvalid

MAX_LENGTH = 2_000
MAX_TERMS = 100
MAX_DEPTH = 20

GRAMMAR = r"""
start: [or_]
?or_: and_ (OR and_)*
?and_: not_ (AND? not_)*
?not_: NOT not_ -> opposite
     | LEFT or_ RIGHT -> inner
     | WORD -> word
     | PHRASE -> phrase
     | CONDITION -> condition

%declare OR AND NOT LEFT RIGHT WORD PHRASE CONDITION
"""

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BLANK = re.compile(r"\s+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ITEM = r'(?:"(?:[^"\\]|\\.)*"|[^\s()",]+)'
# name:value, but not https://…, and not a colon at the end of a word.
_CONDITION = re.compile(rf"([A-Za-z][A-Za-z0-9_.]*):(?!//)((?:[<>]=?)?(?:{_ITEM}(?:,{_ITEM})*,?)?)", re.DOTALL)
_WORD = re.compile(r'[^\s()"]+')
_SIGNS = {"OR", "AND", "NOT"}


def wrong(position: int, reason: str) -> QueryInvalid:
    """The error at a place counted from 0."""
    return QueryInvalid(column=position + 1, reason=reason)


def unquote(text: str) -> str:
    """What stands between the quotes."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


class Scanner(Lexer):
    """Cuts a query into tokens; each knows where it stands. A condition's token is its text from name to last value."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, text: str) -> Iterator[Token]:  # type: ignore[override]
        if len(text) > MAX_LENGTH:
            raise wrong(MAX_LENGTH, f"a query has {MAX_LENGTH} characters at most")
        if unfit := _UNFIT.search(text):
            raise wrong(unfit.start(), "a control character cannot be searched for")
        return self._tokens(text)

    def _tokens(self, text: str) -> Iterator[Token]:
        position, terms, nots, before = 0, 0, 0, ""
        open_at: list[tuple[int, int]] = []
        while position < len(text):
            if blank := _BLANK.match(text, position):
                position = blank.end()
                continue
            kind, end = self._next(text, position)
            if kind == "LEFT":
                nots -= before == "NOT"  # -( is one level
                open_at.append((position, nots))
            elif kind == "RIGHT":
                if not open_at:
                    raise wrong(position, "this parenthesis was never opened")
                nots = open_at.pop()[1]
            if kind == "NOT":
                nots += 1
            elif kind in ("WORD", "PHRASE", "CONDITION", "RIGHT"):
                nots = open_at[-1][1] if open_at else 0
            if kind in ("LEFT", "NOT") and len(open_at) + nots > MAX_DEPTH:
                raise wrong(position, f"a query is nested {MAX_DEPTH} deep at most")
            if kind in ("WORD", "PHRASE", "CONDITION"):
                terms += 1 if kind != "CONDITION" else 1 + text.count(",", position, end)
                if terms > MAX_TERMS:
                    raise wrong(position, f"a query has {MAX_TERMS} words and values at most")
            yield Token(kind, text[position:end], start_pos=position, column=position + 1, end_pos=end)
            position, before = end, kind
        if open_at:
            raise wrong(open_at[-1][0], "this parenthesis is never closed")

    def _next(self, text: str, at: int) -> tuple[str, int]:
        sign = text[at]
        if sign in "()":
            return ("LEFT" if sign == "(" else "RIGHT"), at + 1
        if sign == '"':
            phrase = _QUOTED.match(text, at)
            if phrase is None:
                raise wrong(at, "this quote is never closed")
            return "PHRASE", phrase.end()
        if sign == "-" and at + 1 < len(text) and not text[at + 1].isspace() and text[at + 1] != ")":
            return "NOT", at + 1
        condition = _CONDITION.match(text, at)
        if condition and condition[2]:
            return "CONDITION", condition.end()
        if condition and text[condition.end() : condition.end() + 1] == '"':
            raise wrong(condition.end(), "this quote is never closed")
        word = _WORD.match(text, at)
        assert word is not None
        end = word.end()
        return (word[0] if word[0] in _SIGNS else "WORD"), end


@cache
def lark() -> Lark:
    """The parser; made when the first query comes."""
    return Lark(GRAMMAR, parser="lalr", lexer=Scanner, maybe_placeholders=False)
