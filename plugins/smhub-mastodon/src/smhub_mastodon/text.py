"""Texts as people write them and as servers give them back: who is addressed, and whether two texts are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from html.parser import HTMLParser
from urllib.parse import unquote

HANDLE = re.compile(r"(?<![\w/@])@(\w+(?:[.-]+\w+)*)(@\w+(?:[.-]+\w+)*)?")
BREAKS = frozenset({"br", "p", "div", "li", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6"})
UNSAID = frozenset({"script", "style", "template"})


class _Reader(HTMLParser):
    """What a person reads of a status; links that the server shortened come back whole."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._link: tuple[str, int] | None = None
        self._unsaid = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSAID:
            self._unsaid += 1
        elif tag in BREAKS:
            self.parts.append("\n")
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self.parts))

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSAID:
            self._unsaid = max(0, self._unsaid - 1)
        elif tag in BREAKS:
            self.parts.append("\n")
        elif tag == "a" and self._link is not None:
            href, begin = self._link
            shown = "".join(self.parts[begin:])
            if shown.endswith(("…", "...")) and href:
                self.parts[begin:] = [href]
            self._link = None

    def handle_data(self, data: str) -> None:
        if not self._unsaid:
            self.parts.append(data)


def plain(html: str) -> str:
    """The text of a status."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return "".join(reader.parts).strip()


def same_form(text: str) -> str:
    """One form for texts that a server may write in another way: NFC, single blanks, handles without their host."""
    return " ".join(HANDLE.sub(r"@\1", unicodedata.normalize("NFC", text)).split())


def loose_form(text: str) -> str:
    """Only letters and digits: what is left when a server made markup, typographic quotes or emoji of the rest."""
    return re.sub(r"[\W_]+", "", unquote(same_form(text))).casefold()


def addressed(text: str, people: Sequence[str]) -> str:
    """The text with everybody it is for in front, as clients do; who is named in it already is not named twice."""
    named = {found[0].removeprefix("@").casefold() for found in HANDLE.finditer(text)}
    front: list[str] = []
    for acct in people:
        if acct.casefold() not in named:
            named.add(acct.casefold())
            front.append(f"@{acct}")
    return " ".join([*front, text]) if front else text


def addressees(html: str, accts: Sequence[str]) -> list[str]:
    """Those of `accts` who stand in front of what the status says."""
    names = set()
    for word in plain(html).split():
        found = HANDLE.fullmatch(word.rstrip(",:"))
        if found is None:
            break
        names.add(found[1].casefold())
    return [acct for acct in accts if acct.partition("@")[0].casefold() in names]
