"""Where a feed was left: small, and never larger however long the feed runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import msgspec

# A remembered entry: five bytes of its id, three of its content. 240 of them, in base64, are 2,560 characters.
ID, SIZE = 5, 8
REMEMBERED = 240
_ADDRESS = re.compile(r"https?://[!-~]{1,790}", re.IGNORECASE)
_SENDABLE = re.compile(r"[ -~]{1,200}")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`source` tells whether the settings still mean the same feed; `first` is when it was first read and `since` how far
    back that went, in seconds since 1970."""

    source: str = ""
    first: int = 0
    since: int = 0
    etag: str = ""
    modified: str = ""
    digest: str = ""
    moved_to: str = ""
    known: bytes = b""

    def conditions(self) -> dict[str, str]:
        """The headers that ask for an answer only if something is new."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in headers.items() if value}


def digest(value: bytes, size: int) -> bytes:
    """A short fingerprint."""
    return hashlib.blake2b(value, digest_size=size).digest()


def mark(external_id: str, content: bytes) -> bytes:
    """How an entry is remembered."""
    return digest(external_id.encode("utf-8", "replace"), ID) + digest(content, SIZE - ID)


def pack(marks: Sequence[bytes]) -> bytes:
    """Remember the last ones: the newest, for they come last."""
    return b"".join(marks[-REMEMBERED:])


def unpack(known: bytes) -> frozenset[bytes]:
    """What is remembered."""
    return frozenset(known[at : at + SIZE] for at in range(0, len(known) - SIZE + 1, SIZE))


def ids(marks: Iterable[bytes]) -> frozenset[bytes]:
    """Their ids alone."""
    return frozenset(one[:ID] for one in marks)


def sendable(value: str | None) -> str:
    """A header's value, if we can send it back as it is; else nothing."""
    return value if value and _SENDABLE.fullmatch(value) else ""


def moved(asked: str, configured: str, permanent: str | None) -> str:
    """The address to use from now on, when it is another one. Nobody is moved from https to http for good."""
    before = "" if asked == configured else asked
    if not permanent or not _ADDRESS.fullmatch(permanent):
        return before
    if asked.lower().startswith("https:") and not permanent.lower().startswith("https:"):
        return before
    return "" if permanent == configured else permanent
