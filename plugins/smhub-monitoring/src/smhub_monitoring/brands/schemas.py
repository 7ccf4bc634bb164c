"""What brand sets look like on the wire."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.features import Moment, Name
from smhub_monitoring.brands.models import BrandSet


class MonitoringBrand(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A brand and the query that finds what is said of it."""

    name: Annotated[Name, Meta(examples=["Nordwind"])]
    ours: bool = False
    query: Annotated[str, Meta(min_length=1, max_length=2000, description="In the query language.", examples=["nordwind"])]


Brands = Annotated[
    list[MonitoringBrand],
    Meta(
        min_length=2,
        max_length=30,
        description="Ours and the competitors'; each name once.",
        examples=[[{"name": "Nordwind", "ours": True, "query": "nordwind"}, {"name": "Südwind", "query": "südwind"}]],
    ),
]


class MonitoringBrandSet(msgspec.Struct, kw_only=True):
    """Brands whose shares of voice are compared."""

    id: UUID
    name: Name
    members: Brands
    created_at: Moment
    version: int

    @classmethod
    def of(cls, row: BrandSet) -> MonitoringBrandSet:
        return msgspec.convert(row, cls, from_attributes=True)


class MonitoringBrandSets(msgspec.Struct, kw_only=True):
    """A page of brand sets."""

    items: list[MonitoringBrandSet]
    next_cursor: str | None


class MonitoringNewBrandSet(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A set to compare."""

    name: Name
    members: Brands


class MonitoringBrandSetChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays."""

    name: Name | UnsetType = UNSET
    members: Brands | UnsetType = UNSET
