"""A connection for networks that do not speak HTTP. The guard, TLS, deadlines, byte caps and the fence before what acts are in it."""

from __future__ import annotations

from typing import Protocol


class Wire(Protocol):
    """One open connection, from `http.wire`. Every method raises errors of `smhub.sdk.errors` and nothing else.

    A `write` begins a question: it and its answer together have the wire's `deadline` and `max_bytes`, as a request has.
    """

    async def line(self, max_bytes: int = 8192, *, silence: float | None = None) -> bytes:
        """The next line without its end (CR LF or LF). PayloadMalformed when it is longer. `silence`: seconds to wait for this line, in
        place of the deadline: for an answer that does not end."""
        ...

    async def exactly(self, count: int) -> bytes:
        """So many bytes. PayloadMalformed when the answer would be larger than its cap, before anything of it is read."""
        ...

    async def write(self, data: bytes, *, acts: bool = False) -> None:
        """Send it. `acts`: with these bytes the other side may do what we want said or changed, so the hub looks once more whether it may
        still be said, and a broken connection is OutcomeUnknown until the next line has come."""
        ...

    async def start_tls(self) -> None:
        """From now on encrypted, the certificate verified for the host. PayloadMalformed when something unencrypted came in advance."""
        ...
