"""Broken in webhooks and counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from smhub.sdk import Challenge, Gone, Hmac, Item, Metrics, RawRequest, Secret
from smhub.testing.mutants.reference import Reference, item
from smhub.testing.mutants.registry import breaks

SIGNED: dict[str, Any] = {"header": "X-Signature", "secret_field": "hook_secret", "prefix": "v1=", "timestamp_header": "X-Timestamp"}


@breaks(59)
class WrongHeader(Reference):
    """It looks for the signature in a header that the network does not send."""

    webhook = Hmac(**{**SIGNED, "header": "X-Hub-Signature"})


@breaks(59)
class ReadsAFileInBetween(Reference):
    """Reading a delivery opens a file."""

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        Path("/dev/null").read_bytes()
        return super().parse_webhook(request)


class Trusting(Hmac, frozen=True, kw_only=True):
    def verify(self, request: RawRequest, secret: Secret, now: float) -> bool:
        return True


@breaks(60)
class TrustsAll(Reference):
    """Every delivery is good."""

    webhook: ClassVar[Hmac] = Trusting(**SIGNED)


class OverTheMeaning(Hmac, frozen=True, kw_only=True):
    def verify(self, request: RawRequest, secret: Secret, now: float) -> bool:
        return super().verify(msgspec.structs.replace(request, body=request.body.strip()), secret, now)


@breaks(61)
class SignsWhatItRead(Reference):
    """The signature is checked over what was read, not over the bytes that came."""

    webhook: ClassVar[Hmac] = OverTheMeaning(**SIGNED)


@breaks(62)
class AnyTime(Reference):
    """A delivery is good for ever."""

    webhook = Hmac(**SIGNED, tolerance=float("inf"))


@breaks(67)
class KnowsOnlyMentions(Reference):
    """A delivery of another kind is an error."""

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        if request.method == "GET":
            return super().parse_webhook(request)
        return [item(bytes(raw)) for raw in msgspec.json.decode(request.body, type=list[msgspec.Raw])]


@breaks(68)
class NoHandshake(Reference):
    """A handshake is taken for a delivery."""

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        return super().parse_webhook(msgspec.structs.replace(request, method="POST"))


@breaks(71)
class Differences(Reference):
    """It tells what came since the last time."""

    told: ClassVar[dict[str, dict[str, int]]] = {}

    async def metrics(self, external_ids: Sequence[str]) -> list[Metrics]:
        found = []
        for one in await super().metrics(external_ids):
            before = self.told.get(one.external_id, {})
            self.told[one.external_id] = one.values
            values = {name: value - before.get(name, 0) for name, value in one.values.items()}
            found.append(msgspec.structs.replace(one, values=values))
        return found


@breaks(72)
class OneForAll(Reference):
    """One post that is gone fails all the others."""

    async def metrics(self, external_ids: Sequence[str]) -> list[Metrics]:
        found = await super().metrics(external_ids)
        if len(found) < len(external_ids):
            raise Gone("one of them is gone")
        return found
