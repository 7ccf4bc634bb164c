"""What a network accepts, as data: served by the API, and the same function that guards a delivery.

The six ways to count a text:
  code_points  Unicode code points (Python's len)
  utf16        UTF-16 code units (JavaScript's length)
  graphemes    user-perceived characters (Unicode UAX #29, extended grapheme clusters)
  bytes        bytes of UTF-8
  x_weight     X: 1 for U+0000-10FF, 2000-200D, 2010-201F, 2032-2037, else 2; an emoji sequence 2; a link 23 (X developer docs,
               "Counting characters")
  mastodon     graphemes; what becomes a link counts `url_weight` (23), and of @user@host only @user (Mastodon source,
               StatusLengthValidator)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
import regex

Count = Literal["code_points", "utf16", "graphemes", "bytes", "x_weight", "mastodon"]

_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_LINK = re.compile(r"(?<![\w@#＠＃$/.-])https?://[^\s<>\"]+", re.IGNORECASE)
_AFTER_LINK = ".,:;!?'\"“”‘’»«…)]}>*_~"
_LONGEST_LINK = 4096
_REMOTE = re.compile(r"(?<![\w/])(@\w+(?:[.-]+\w+)*)@([A-Za-z0-9.-]{1,253}[A-Za-z0-9])(?![A-Za-z0-9.-]*[A-Za-z0-9])", re.ASCII)
_GRAPHEME = regex.compile(r"\X")
_EMOJI = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20e3")
_LIGHT = ((0x0000, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))


class MediaLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One media type (`image/png`, `image/*`) and how large it may be."""

    media_type: str
    max_bytes: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    max_seconds: float | None = None

    def takes(self, media_type: str) -> bool:
        """Whether this rule is for files of that type."""
        kind, _, rest = self.media_type.partition("/")
        return media_type == self.media_type or (rest == "*" and media_type.startswith(f"{kind}/"))


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a draft cannot go out as it is. `field`: text, media.0, …; `limit` and `actual` where there are numbers."""

    field: str
    code: str
    detail: str
    limit: int | None = None
    actual: int | None = None


class File(Protocol):
    """What is to be known of a file that is to go out: `size` in bytes, `width` and `height` in pixels where it has them."""

    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def alt_text(self) -> str: ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`max` counted as `count`; `max_bytes` in addition where a network has both. None: no such limit."""

    max: int | None = None
    count: Count = "code_points"
    max_bytes: int | None = None
    url_weight: int = 23
    max_media: int = 0
    media: tuple[MediaLimit, ...] = ()
    max_alt_text: int | None = None
    max_hashtags: int | None = None

    def length(self, text: str) -> int:
        """How long the network would say that the text is."""
        return length(text, self.count, self.url_weight)

    def check(self, text: str) -> list[Violation]:
        """Every limit that the text breaks; empty when it may go out. Nothing is ever cut."""
        found = []
        if self.max is not None and (actual := self.length(text)) > self.max:
            found.append(_too_long(actual, self.max, self.count))
        if self.max_bytes is not None and (actual := len(text.encode())) > self.max_bytes:
            found.append(_too_long(actual, self.max_bytes, "bytes"))
        if self.max_hashtags is not None and (tags := len(re.findall(r"(?<!\w)#\w+", text))) > self.max_hashtags:
            detail = f"{tags} hashtags, {self.max_hashtags} are allowed"
            found.append(Violation(field="text", code="too_many_hashtags", detail=detail, limit=self.max_hashtags, actual=tags))
        return found

    def check_media(self, files: Sequence[File]) -> list[Violation]:
        """Every limit that the files break, each told at its place: `media.0`, … No rule for a type means that the type is not taken."""
        found = []
        if len(files) > self.max_media:
            detail = f"{len(files)} files, {self.max_media} are allowed"
            found.append(Violation(field="media", code="too_many_files", detail=detail, limit=self.max_media, actual=len(files)))
        for number, file in enumerate(files):
            found += self._check_file(f"media.{number}", file)
        return found

    def _check_file(self, field: str, file: File) -> list[Violation]:
        found = []
        rules = [one for one in self.media if one.takes(file.media_type)]
        if self.media and not rules:
            types = ", ".join(one.media_type for one in self.media)
            found.append(Violation(field=field, code="type_not_taken", detail=f"{file.media_type} is not taken, only {types}"))
        for rule in rules[:1]:
            for code, unit, limit, actual in (
                ("file_too_large", "bytes", rule.max_bytes, file.size),
                ("too_wide", "pixels", rule.max_width, file.width),
                ("too_high", "pixels", rule.max_height, file.height),
            ):
                if limit is not None and actual is not None and actual > limit:
                    detail = f"{actual} {unit}, {limit} are allowed"
                    found.append(Violation(field=field, code=code, detail=detail, limit=limit, actual=actual))
        if self.max_alt_text is not None and (actual := len(file.alt_text)) > self.max_alt_text:
            detail = f"{actual} code points, {self.max_alt_text} are allowed"
            at = f"{field}.alternative_text"
            found.append(Violation(field=at, code="too_long", detail=detail, limit=self.max_alt_text, actual=actual))
        return found


def _too_long(actual: int, limit: int, count: str) -> Violation:
    detail = f"{actual} {count}, {limit} are allowed"
    return Violation(field="text", code="too_long", detail=detail, limit=limit, actual=actual)


def length(text: str, count: Count, url_weight: int = 23) -> int:
    """The length of a text as a network counts it; see the module's list."""
    match count:
        case "code_points":
            return len(text)
        case "utf16":
            return len(text.encode("utf-16-le")) // 2
        case "graphemes":
            return len(_GRAPHEME.findall(text))
        case "bytes":
            return len(text.encode())
        case "mastodon":
            return len(_GRAPHEME.findall(_REMOTE.sub(r"\1", _LINK.sub(lambda link: _as_linked(link[0], url_weight), text))))
        case "x_weight":
            return _x_weight(text, url_weight)


def _as_linked(found: str, weight: int) -> str:
    """A link for Mastodon: no concession to one that is too long to be linked, and none to the punctuation after it."""
    link = found.rstrip(_AFTER_LINK)
    if "(" in link and found[len(link) :].startswith(")"):
        link += ")"
    host = link.partition("://")[2]
    if len(link) > _LONGEST_LINK or "." not in host.partition("/")[0]:
        return found
    return "x" * weight + found[len(link) :]


def _x_weight(text: str, url_weight: int) -> int:
    links = len(_URL.findall(text))
    rest = _URL.sub("", text)
    total = 0
    for cluster in _GRAPHEME.findall(rest):
        if _EMOJI.search(cluster):
            total += 2
        else:
            total += sum(1 if any(low <= ord(char) <= high for low, high in _LIGHT) else 2 for char in cluster)
    return total + links * url_weight
