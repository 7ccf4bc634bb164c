"""Server-sent events as bytes come in: lines to messages, within a cap (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

from collections.abc import Iterator

from smhub.sdk.errors import PayloadMalformed
from smhub.sdk.http import ServerEvent

LARGEST = 1024 * 1024
"""Bytes of one message, or of one line. Whoever sends more is cut off."""
LONGEST_ID = 1024
MARK = b"\xef\xbb\xbf"


class EventReader:
    """Feed it what comes. What was begun and not ended when the connection breaks is thrown away, as the standard says."""

    def __init__(self) -> None:
        self._left = bytearray()
        self._begun = False
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The messages that this piece completes. Raises PayloadMalformed when one is too large."""
        ended = b"\n" in piece or b"\r" in piece or self._left.endswith(b"\r")
        self._left += piece
        if not self._begun:
            if len(self._left) < len(MARK) and MARK.startswith(self._left):
                return
            self._begun, self._left = True, self._left.removeprefix(MARK)
        # A line that comes byte by byte is not looked through at every byte.
        if not ended:
            lines = []
        else:
            *lines, rest = _lines(bytes(self._left))
            self._left = bytearray(rest)
        for line in lines:
            found = self._line(line)
            if found is not None:
                yield found
        if self._size + len(self._left) > LARGEST:
            raise PayloadMalformed(f"A message of the stream is larger than {LARGEST} bytes.")

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._ended()
        self._size += len(line)
        if self._size > LARGEST:
            raise PayloadMalformed(f"A message of the stream is larger than {LARGEST} bytes.")
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        match name:
            case b"event":
                self._name = text
            case b"data":
                self._data.append(text)
            case b"id" if "\0" not in text and len(text) <= LONGEST_ID:
                self._id = text
            case b"":
                # A comment: how most servers say that they are still there. Many of them are no message.
                self._size -= len(line)
        return None

    def _ended(self) -> ServerEvent | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        return ServerEvent(name=name or "message", data="\n".join(data), id=self._id) if data else None


def _lines(raw: bytes) -> list[bytes]:
    """Split at CR LF, LF and CR; the last one is not ended yet. A CR at the very end may be half of a CR LF."""
    held = b"\r" if raw.endswith(b"\r") else b""
    parts = raw[: len(raw) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    parts[-1] += held
    return parts
