"""Takes secrets and people out of what a network answered. What is alike stays alike, so that a recording still hangs together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

PEOPLE = frozenset(
    {
        "account",
        "actor",
        "author",
        "by",
        "creator",
        "from",
        "owner",
        "person",
        "profile",
        "sender",
        "user",
        "users",
        "member",
        "members",
        "mentions",
    }
)
"""Objects below these names are people: every text and id in them is replaced."""

NAMES = frozenset(
    {
        "acct",
        "address",
        "avatar",
        "bio",
        "birthday",
        "display_name",
        "displayname",
        "email",
        "first_name",
        "full_name",
        "handle",
        "last_name",
        "location",
        "login",
        "name",
        "nick",
        "nickname",
        "note",
        "phone",
        "screen_name",
        "signature",
        "username",
    }
)
"""Fields that name somebody wherever they stand."""

WORDS = re.compile(r"[\s@<>]")
ADDRESS = re.compile(r"https?://\S*")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.,]+(Z|[+-]\d\d:?\d\d)?")
PLACE = "https://recorded.invalid/"


class Scrubber:
    """`learn` everything first: a name that stands in one answer is then replaced in all. Texts with spaces, addresses and what stands below
    a person are replaced; ids, numbers, times and single words elsewhere stay."""

    def __init__(self, secrets: Sequence[str], instead: Mapping[str, str] = MappingProxyType({})) -> None:
        longest = sorted({one for secret in secrets for one in (secret, quote(secret, safe=""))}, key=len, reverse=True)
        self._instead_of = {one: "***" for one in longest if one} | dict(instead)
        self._known: dict[str, str] = {}

    def plain(self, text: str) -> str:
        """Without secrets and the server's own address; an address or a header."""
        for word, other in self._instead_of.items():
            text = text.replace(word, other)
        return text

    def learn(self, data: Any) -> None:
        """Look for people."""
        self.scrubbed(data)

    def scrubbed(self, data: Any, key: str = "", person: bool = False) -> Any:
        """The same data without secrets and people."""
        person = person or key in PEOPLE
        if isinstance(data, dict):
            return {self.plain(name): self.scrubbed(value, name.lower(), person) for name, value in data.items()}
        if isinstance(data, list):
            return [self.scrubbed(one, key, person) for one in data]
        if isinstance(data, int) and not isinstance(data, bool) and person and key.endswith("id"):
            return int(self._instead(str(data), "id").rpartition("-")[2])
        return self._text(data, key, person) if isinstance(data, str) else data

    def _text(self, text: str, key: str, person: bool) -> str:
        if text in self._known:
            return self._known[text]
        if not text or TIME.fullmatch(text):
            return text
        if ADDRESS.fullmatch(text):
            return self._instead(text, PLACE)
        if person or key in NAMES:
            return self._instead(text, "person")
        if WORDS.search(text):
            return self._instead(text, "text")
        return self.plain(text)

    def _instead(self, text: str, kind: str) -> str:
        number = len(self._known) + 1
        made = f"{kind}{number}" if kind == PLACE else f"{kind}-{number}"
        return self._known.setdefault(text, made)
