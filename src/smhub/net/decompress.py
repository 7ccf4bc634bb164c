"""Decompression that a small answer cannot turn into a large one: piece by piece, and never beyond the cap."""

from __future__ import annotations

import zlib

from smhub.sdk.errors import PayloadMalformed

ACCEPTED = "gzip, deflate"
"""What we ask for. Brotli and zstandard are not asked for, and refused when they come anyway."""

PIECE = 64 * 1024
MOST_LAYERS = 2
MOST_MEMBERS = 100


class Decompressor:
    """Give it the raw bytes with `feed`, then take the whole with `finish`. Raises PayloadMalformed."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        names = [name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")]
        if len(names) > MOST_LAYERS:
            raise PayloadMalformed("The answer is compressed more than twice.")
        for name in names:
            if name not in ("gzip", "x-gzip", "deflate"):
                raise PayloadMalformed("The answer is compressed in a way that was not asked for.")
        self._layers = [_Layer(deflate=name == "deflate", max_bytes=max_bytes) for name in reversed(names)]
        self._max_bytes = max_bytes
        self._whole = bytearray()
        self._fed = False

    def feed(self, data: bytes) -> None:
        """Take in raw bytes as they come."""
        self._fed = self._fed or bool(data)
        self._through(data, 0)

    def finish(self) -> bytes:
        """The whole, once there are no more raw bytes. Nothing at all is fine: an answer to HEAD is like that."""
        if self._fed and not all(layer.complete for layer in self._layers):
            raise PayloadMalformed("The compressed answer ends in the middle.")
        return bytes(self._whole)

    def _through(self, data: bytes, depth: int) -> None:
        if depth < len(self._layers):
            layer = self._layers[depth]
            layer.give(data)
            while piece := layer.piece():
                self._through(piece, depth + 1)
            return
        if len(self._whole) + len(data) > self._max_bytes:
            raise too_large(self._max_bytes)
        self._whole += data


class _Layer:
    """One gzip or deflate around the content."""

    def __init__(self, *, deflate: bool, max_bytes: int) -> None:
        self._deflate = deflate
        self._max_bytes = max_bytes
        self._waiting = b""
        self._made = 0
        self._members = 0
        self._zlib: zlib._Decompress | None = None

    @property
    def complete(self) -> bool:
        return self._zlib is not None and self._zlib.eof and not self._waiting

    def give(self, data: bytes) -> None:
        self._waiting += data

    def piece(self) -> bytes:
        """The next piece of at most PIECE bytes; empty when more raw bytes are needed."""
        while self._ready():
            assert self._zlib is not None
            try:
                made = self._zlib.decompress(self._waiting, PIECE)
            except zlib.error:
                raise PayloadMalformed("The compressed answer cannot be unpacked.") from None
            self._waiting = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            self._made += len(made)
            if self._made > self._max_bytes:
                raise too_large(self._max_bytes)
            if made:
                return made
            if not self._zlib.eof:
                return b""
        return b""

    def _ready(self) -> bool:
        """Open the next member when the last one has ended; gzip may have several, deflate has one."""
        if self._zlib is not None and not self._zlib.eof:
            return True
        if not self._waiting or (self._deflate and self._zlib is None and len(self._waiting) < 2):
            return False
        self._members += 1
        if self._members > (1 if self._deflate else MOST_MEMBERS):
            raise PayloadMalformed("The compressed answer goes on behind its end.")
        self._zlib = zlib.decompressobj(self._window())
        return True

    def _window(self) -> int:
        if not self._deflate:
            return 16 + zlib.MAX_WBITS
        first, second = self._waiting[0], self._waiting[1]
        wrapped = first & 15 == zlib.DEFLATED and (first * 256 + second) % 31 == 0
        return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS


def too_large(max_bytes: int) -> PayloadMalformed:
    """The one sentence for all caps."""
    return PayloadMalformed(f"The answer is larger than {max_bytes} bytes.")
