"""What the analysis keeps: rules, own models and which of them decides, likeness and keywords of mentions, the background of words."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smhub.features import Base, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to


class RuleSetRow(Base):
    """One version of an organisation's rules for a language. The highest number is in force; `shipped`: those of the package are."""

    __tablename__ = "monitoring_rule_set"
    __table_args__ = (belongs_to_organisation(),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    shipped: Mapped[bool] = mapped_column(Boolean)
    yaml: Mapped[str]
    member_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class OwnModelRow(OrganisationRow):
    """A model made of an organisation's corrections. `judged` compares it, on newer corrections than it learned from, with what was said
    without it. Never changed."""

    __tablename__ = "monitoring_own_model"
    __table_args__ = (belongs_to_organisation(), UniqueConstraint("organisation_id", "key", "number"))

    key: Mapped[str]
    number: Mapped[int] = mapped_column(Integer)
    classes: Mapped[list[str]]
    trained_on: Mapped[int] = mapped_column(Integer)
    judged: Mapped[dict[str, Any]]
    better: Mapped[bool] = mapped_column(Boolean)
    stored: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]


class Choice(Versioned, Base):
    """Which own model decides about a key, None: none. `automatic`: a newer one takes its place by itself when it is better."""

    __tablename__ = "monitoring_choice"
    __table_args__ = (belongs_to_organisation(), refers_to("monitoring_own_model", "model_id"))

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[UUID | None]
    automatic: Mapped[bool] = mapped_column(Boolean, default=True)
    labels_seen: Mapped[int] = mapped_column(Integer, default=0)
    at: Mapped[datetime] = mapped_column(UtcDateTime)

    def chose(self, model_id: UUID | None, *, automatic: bool, at: datetime) -> None:
        self.model_id, self.automatic, self.at = model_id, automatic, at
        self.changed()


class Cluster(OrganisationRow):
    """Mentions that are copies of one another, or nearly so."""

    __tablename__ = "monitoring_cluster"
    __table_args__ = (belongs_to_organisation(), Index("ix_monitoring_cluster_size", "organisation_id", "size"))

    size: Mapped[int] = mapped_column(Integer)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class Likeness(Base):
    """The MinHash signature of a mention and the cluster that it belongs to."""

    __tablename__ = "monitoring_likeness"
    __table_args__ = (
        refers_to("core_mention", "mention_id", on_delete="CASCADE"),
        Index("ix_monitoring_likeness_cluster", "organisation_id", "cluster_id"),
    )

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    cluster_id: Mapped[UUID]
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class Band(Base):
    """A key under which likely copies of a mention are found. Kept for DAYS_KEPT; copies come soon or never."""

    __tablename__ = "monitoring_band"
    __table_args__ = (
        refers_to("core_mention", "mention_id", on_delete="CASCADE"),
        Index("ix_monitoring_band_mention", "organisation_id", "mention_id"),
    )

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)


class Keyword(Base):
    """A word that a mention is about."""

    __tablename__ = "monitoring_keyword"
    __table_args__ = (
        refers_to("core_mention", "mention_id", on_delete="CASCADE"),
        Index("ix_monitoring_keyword_word", "organisation_id", "word"),
    )

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    word: Mapped[str] = mapped_column(primary_key=True)
    weight: Mapped[float] = mapped_column(Float)


class Words(Base):
    """In how many of an organisation's texts each word stands; counted anew from time to time."""

    __tablename__ = "monitoring_words"
    __table_args__ = (belongs_to_organisation(),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    texts: Mapped[int] = mapped_column(Integer)
    words: Mapped[dict[str, Any]] = mapped_column(Json)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


TABLES = (RuleSetRow, OwnModelRow, Choice, Cluster, Likeness, Band, Keyword, Words)
