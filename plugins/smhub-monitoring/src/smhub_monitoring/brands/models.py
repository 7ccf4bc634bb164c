"""A set of brands whose shares of voice are compared."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from smhub.features import Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation


class BrandSet(Versioned, OrganisationRow):
    """`members`: [{"name": …, "ours": true or false, "query": …}, …], in the order in which they are shown."""

    __tablename__ = "monitoring_brand_set"
    __table_args__ = (belongs_to_organisation(),)

    name: Mapped[str]
    members: Mapped[list[Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
