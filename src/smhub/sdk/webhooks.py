"""Incoming webhooks: the signature is declared, not coded. The hub checks it over the raw bytes, in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

import msgspec

from smhub.secret import Secret


class RawRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it came: header names in lower case, the body untouched."""

    method: str = "POST"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a handshake: sent back as it is."""

    body: str
    media_type: str = "text/plain"


class Hmac(msgspec.Struct, frozen=True, kw_only=True):
    """How a network signs its deliveries.

    `header` carries the signature, `prefix` stands before it (`sha256=`), `secret_field` names the setting with the secret. With
    `timestamp_header` the signed bytes are `<timestamp>.<body>` and older than `tolerance` seconds is refused.
    `delivery_header` names the header that identifies a delivery; without it the hash of the body does.
    """

    header: str
    secret_field: str
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    timestamp_header: str | None = None
    tolerance: float = 300.0
    delivery_header: str | None = None

    def verify(self, request: RawRequest, secret: Secret, now: float) -> bool:
        """Whether the delivery is signed with the secret and fresh; `now` in seconds since 1970."""
        signed = request.body
        if self.timestamp_header:
            stamp = request.headers.get(self.timestamp_header.lower(), "")
            if not stamp.isdecimal() or abs(now - int(stamp)) > self.tolerance:
                return False
            signed = stamp.encode() + b"." + signed
        digest = hmac.new(secret.reveal().encode(), signed, getattr(hashlib, self.algorithm)).digest()
        text = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()
        given = request.headers.get(self.header.lower(), "")
        return hmac.compare_digest(given.encode(), (self.prefix + text).encode())
