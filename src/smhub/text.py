"""Foreign text at the border: cleaned so that both databases take it, HTML kept as text plus a sanitised form."""

from __future__ import annotations

import html as _html
import re
import unicodedata
from functools import lru_cache

import nh3

# nh3 takes time quadratic in deeply nested input; 16 KB stays under a tenth of a second.
MAX_HTML = 16_384
MAX_TEXT = 100_000

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MARKS = re.compile(f"({_MARK}{{8}}){_MARK}+")
_BREAKS = re.compile(r"(?i)<\s*(?:br|/p|/div|/li|/h[1-6]|/tr|/blockquote|/pre)\b[^>]*>")
_DROPPED = re.compile(r"(?is)<(script|style|template|head|title|noscript)\b.*?(?:</\1\s*>|$)")
_TAG = re.compile(r"(?s)<!--.*?(?:-->|$)|<[!?/a-zA-Z][^>]*(?:>|$)")
_BLANKS = re.compile(r"[ \t\u00a0]+")
_LINES = re.compile(r" ?\n ?(?:\n ?)+")
_TAGS = {
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "i",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strong",
    "sub",
    "sup",
    "u",
    "ul",
}


def clean_text(value: str, limit: int = MAX_TEXT) -> str:
    """Text that SQLite and PostgreSQL both take: no NUL, control character or lone surrogate, at most `limit` code points, no towers
    of combining marks. Everything else, right-to-left and emoji included, comes back unchanged."""
    if value.isascii() and value.isprintable():
        return value[:limit]
    return _MARKS.sub(r"\1", _CONTROL.sub("", value.replace("\r\n", "\n").replace("\r", "\n")[:limit]))


def text_of_html(value: str) -> str:
    """What a person reads of an HTML fragment; paragraphs become blank lines, scripts and styles vanish."""
    text = _DROPPED.sub("", value[: MAX_TEXT * 4])
    text = _BREAKS.sub("\n", text.replace("\n", " "))
    text = _html.unescape(_TAG.sub("", text))
    return _LINES.sub("\n\n", _BLANKS.sub(" ", clean_text(text))).strip()


def safe_html(value: str) -> str | None:
    """The fragment with a strict set of elements: no image, script, style, event handler, only http(s) and mailto links. None when it
    is too large to clean cheaply."""
    if len(value) > MAX_HTML:
        return None
    cleaned = nh3.clean(
        clean_text(value, MAX_HTML),
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "span": set()},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
        url_relative="deny",
    )
    return cleaned if len(cleaned) <= 4 * MAX_HTML else None


def fold(value: str) -> str:
    """One spelling for comparing: NFKC, without case, ß as ss."""
    return unicodedata.normalize("NFKC", value).casefold().replace("ß", "ss")


@lru_cache(maxsize=1000)
def beginning_with(words: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the words or phrases at the beginning of a word of folded text, so that `liefer` finds Lieferung. In scripts that do not
    divide words by blanks, or that write articles onto them, it may stand anywhere."""
    phrases = sorted((parts for word in words if (parts := fold(word).split())), key=lambda parts: sum(map(len, parts)), reverse=True)
    begun = ["" if unicodedata.category(parts[0][0]) == "Lo" else r"(?<!\w)" for parts in phrases]
    found = [start + r"\s+".join(map(re.escape, parts)) for start, parts in zip(begun, phrases, strict=True)]
    return re.compile("|".join(found) or "(?!)")


@lru_cache(maxsize=1000)
def first_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """The first word of each phrase, folded: a text in which none of them stands has none of the phrases."""
    return tuple(sorted({parts[0] for word in words if (parts := fold(word).split())}))
