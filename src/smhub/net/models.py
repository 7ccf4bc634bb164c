"""The table of budgets. It belongs to no organisation: a limit by app or by ip holds for all of them together."""

from __future__ import annotations

from sqlalchemy import Double, Text
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base


class RateBudget(Base):
    """A bucket of calls. The moments are seconds since 1970, so that both databases can compute with them."""

    __tablename__ = "core_rate_budget"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    tokens: Mapped[float] = mapped_column(Double)
    updated_at: Mapped[float] = mapped_column(Double)
    blocked_until: Mapped[float | None] = mapped_column(Double)
