"""The hard wall: every row belongs to one organisation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base, Id, Versioned


class Organisation(Versioned, Base):
    """A company. `stage` is 1, 2 or 3: which feature plugins are open to it."""

    __tablename__ = "core_organisation"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    stage: Mapped[int] = mapped_column(Integer, default=1)
    language: Mapped[str] = mapped_column(default="de")
    time_zone: Mapped[str] = mapped_column(default="Europe/Berlin")
    created_at: Mapped[datetime]
