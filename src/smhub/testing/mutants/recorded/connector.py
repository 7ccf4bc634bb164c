"""Connectors that were compared with what the network really says."""

from __future__ import annotations

from typing import Any

import msgspec

from smhub.sdk import Account
from smhub.testing.mutants.reference import Reference
from smhub.testing.mutants.registry import breaks


class Recorded(Reference):
    """It reads the recording."""


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str


@breaks(74)
class KnowsOnlyItsFake(Reference):
    """The real network says more of us than the fake does, and that is an error."""

    async def verify(self) -> Account:
        me = await self.http.get("/me", Strict)
        return Account(external_id=me.id, handle=me.name)


@breaks(74)
class ReadsNothing(Reference):
    """Every element is one that nobody can read."""

    async def rows(self, **params: str | int) -> list[bytes]:
        found: Any = await super().rows(**params)
        return [raw.replace(b'"at"', b'"when"') for raw in found]
