"""The log of facts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base, Id


class Event(Base):
    """A fact that happened. `seq` orders them and is never given twice; `subject_type` and `subject_id` say to what."""

    __tablename__ = "core_event"
    __table_args__ = (Index("ix_core_event_organisation", "organisation_id", "seq"),)

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)
    organisation_id: Mapped[UUID]
    type: Mapped[str]
    at: Mapped[datetime]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID] = mapped_column(Id)
    actor_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]]


class EventCounter(Base):
    """One row. SQLite: the last seq given out. PostgreSQL: what is added to the seq made from the transaction id."""

    __tablename__ = "core_event_counter"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(BigInteger)
