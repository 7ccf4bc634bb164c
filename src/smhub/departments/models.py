"""Who answers: a tree of departments with time zone, opening hours and public holidays."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to


class Department(Versioned, OrganisationRow):
    """A department. `path` is its slug behind those above it (`service/returns`).

    `opening_hours` lists spans (weekday 0 = Monday, from and to as HH:MM, to 24:00 at most); empty: always open. `country` and
    `subdivision` (ISO 3166) give the public holidays, `closed_days` adds days of its own. `keywords` bring mentions here.
    """

    __tablename__ = "core_department"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_department", "parent_id"),
        UniqueConstraint("organisation_id", "path"),
        Index("ix_core_department_parent", "organisation_id", "parent_id"),
    )

    parent_id: Mapped[UUID | None]
    name: Mapped[str]
    slug: Mapped[str]
    path: Mapped[str]
    time_zone: Mapped[str]
    country: Mapped[str | None]
    subdivision: Mapped[str | None]
    opening_hours: Mapped[list[Any]]
    closed_days: Mapped[list[Any]]
    keywords: Mapped[list[str]]
    created_at: Mapped[datetime]


class DepartmentMember(Base):
    """A member works in a department. What they may do there is a grant's matter."""

    __tablename__ = "core_department_member"
    __table_args__ = (
        refers_to("core_department", "department_id", on_delete="CASCADE"),
        refers_to("core_member", "member_id", on_delete="CASCADE"),
    )

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    department_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    member_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)


__all__ = ["Department", "DepartmentMember", "Json"]
