"""Incoming webhooks: the signature is declared, not coded. The hub checks it over the raw bytes, in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from smhub.secret import Secret

LONGEST_STAMP = 20
NAMED = frozenset({"sha1", "sha256", "sha384", "sha512"})


class RawRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it came: header names in lower case, the body untouched."""

    method: str = "POST"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a handshake: sent back as it is. `lease_seconds`: with it the network confirmed that it delivers, for so long."""

    body: str
    media_type: str = "text/plain"
    lease_seconds: float | None = None


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub knows of the deliveries to one of its addresses.

    `secret`: the secret of ours, where `Hmac` names no setting. `confirmed_until`: until when the network said that it delivers, by a
    `Challenge` with a lease. `ending`: the network was asked to stop, or is about to be.
    """

    secret: Secret | None = None
    confirmed_until: datetime | None = None
    ending: bool = False


class Hmac(msgspec.Struct, frozen=True, kw_only=True):
    """How a network signs its deliveries.

    `header` carries the signature, `prefix` stands before it (`sha256=`), `secret_field` names the setting with the secret; without one the
    hub makes a secret, and `context.subscription` shows it to `subscribe`. With `timestamp_header` (seconds since 1970) the signed bytes
    are `<timestamp>.<body>`, and what is more than `tolerance` seconds away from now is refused. `delivery_header` names the header that
    identifies a delivery; without it the hash of the body does, for `tolerance` seconds.

    `signed` for networks that sign something else: a text with `{body}` at its end, and before it `{timestamp}` and `{delivery}`.
    `separator` stands between several signatures in one header; one that fits is enough. With `secret_prefix` the secret is base64, with or
    without that in front. The algorithm `plain` is no signature: the header carries the secret itself. With `named`
    the network chooses, and says so in front: `sha1=`, `sha256=`, `sha384=` or `sha512=`.
    """

    header: str
    secret_field: str = ""
    algorithm: Literal["sha1", "sha256", "sha384", "sha512", "named", "plain"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    timestamp_header: str | None = None
    tolerance: float = 300.0
    delivery_header: str | None = None
    signed: str | None = None
    separator: str = ""
    secret_prefix: str = ""

    @classmethod
    def standard(cls, secret_field: str, *, tolerance: float = 300.0) -> Hmac:
        """Standard Webhooks (standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature`, secrets as `whsec_…`."""
        return cls(
            header="webhook-signature",
            secret_field=secret_field,
            encoding="base64",
            prefix="v1,",
            timestamp_header="webhook-timestamp",
            tolerance=tolerance,
            delivery_header="webhook-id",
            signed="{delivery}.{timestamp}.{body}",
            separator=" ",
            secret_prefix="whsec_",  # noqa: S106
        )

    def verify(self, request: RawRequest, secret: Secret, now: float) -> bool:
        """Whether the delivery is signed with the secret and fresh; `now` in seconds since 1970."""
        stamp, delivery = self._header(request, self.timestamp_header), self._header(request, self.delivery_header)
        if self.timestamp_header and not self._fresh(stamp, now):
            return False
        form = self.signed or ("{timestamp}.{body}" if self.timestamp_header else "{body}")
        if "{delivery}" in form and not delivery:
            return False
        given = self._header(request, self.header)
        algorithm = self.algorithm if self.algorithm != "named" else given.removeprefix(self.prefix).partition("=")[0]
        if self.algorithm == "named" and algorithm not in NAMED:
            return False
        try:
            expected = self.prefix + self.sign(request.body, secret, timestamp=stamp, delivery=delivery, algorithm=algorithm)
        except ValueError:
            return False
        found = given.split(self.separator) if self.separator else [given]
        return any(hmac.compare_digest(one.encode(), expected.encode()) for one in found)

    def sign(self, body: bytes, secret: Secret, *, timestamp: str = "", delivery: str = "", algorithm: str = "sha256") -> str:
        """The signature, without the prefix: for what we send, and for tests. `algorithm` where the network chooses. Raises ValueError when
        the secret is not base64."""
        if self.algorithm == "plain":
            return secret.reveal()
        form = self.signed or ("{timestamp}.{body}" if self.timestamp_header else "{body}")
        front = form.removesuffix("{body}").replace("{timestamp}", timestamp).replace("{delivery}", delivery)
        name = algorithm if self.algorithm == "named" else self.algorithm
        digest = hmac.new(self._key(secret), front.encode() + body, getattr(hashlib, name)).digest()
        told = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()
        return f"{name}={told}" if self.algorithm == "named" else told

    def _fresh(self, stamp: str, now: float) -> bool:
        plain = stamp.isascii() and stamp.isdecimal() and len(stamp) <= LONGEST_STAMP
        return plain and abs(now - int(stamp)) <= self.tolerance

    def _key(self, secret: Secret) -> bytes:
        text = secret.reveal()
        if not self.secret_prefix:
            return text.encode()
        try:
            return base64.b64decode(text.removeprefix(self.secret_prefix), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the secret is not base64") from None

    @staticmethod
    def _header(request: RawRequest, name: str | None) -> str:
        return request.headers.get(name.lower(), "") if name else ""
