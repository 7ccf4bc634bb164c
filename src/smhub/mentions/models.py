"""What was said, by whom, who saw it, and what is said about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Float, Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to


class Person(Versioned, OrganisationRow):
    """A human or company behind several profiles."""

    __tablename__ = "core_person"
    __table_args__ = (belongs_to_organisation(),)

    name: Mapped[str]
    note: Mapped[str]
    created_at: Mapped[datetime]


class Author(OrganisationRow):
    """A profile on one network."""

    __tablename__ = "core_author"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_person", "person_id"),
        UniqueConstraint("organisation_id", "network", "external_id"),
        Index("ix_core_author_person", "organisation_id", "person_id"),
    )

    network: Mapped[str]
    external_id: Mapped[str]
    handle: Mapped[str]
    name: Mapped[str]
    url: Mapped[str | None]
    avatar_url: Mapped[str | None]
    followers: Mapped[int | None] = mapped_column(Integer)
    person_id: Mapped[UUID | None]
    first_seen_at: Mapped[datetime]


class Mention(Versioned, OrganisationRow):
    """One external object, as it stands on the network now.

    `state` (triage): new, in_case, ignored, answered_elsewhere. `content_state`: live, edited, deleted. `version_at` is the time of the
    text on the network; a text with an older one never replaces it. `annotations` holds the value in force for each key.
    """

    __tablename__ = "core_mention"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_author", "author_id"),
        refers_to("core_department", "department_id"),
        refers_to("core_channel", "channel_id"),
        refers_to("core_listener", "listener_id"),
        UniqueConstraint("organisation_id", "network", "scope", "external_id"),
        Index("ix_core_mention_published", "organisation_id", "published_at", "id"),
        Index("ix_core_mention_root", "organisation_id", "network", "scope", "root_external_id"),
        Index("ix_core_mention_thread", "organisation_id", "thread_id"),
        Index("ix_core_mention_department", "organisation_id", "department_id", "id"),
        Index("ix_core_mention_author", "organisation_id", "author_id"),
        Index("ix_core_mention_channel", "organisation_id", "channel_id"),
        Index("ix_core_mention_listener", "organisation_id", "listener_id"),
    )

    network: Mapped[str]
    scope: Mapped[str]
    external_id: Mapped[str]
    kind: Mapped[str]
    visibility: Mapped[str]
    title: Mapped[str | None]
    text: Mapped[str]
    html: Mapped[str | None]
    language: Mapped[str | None]
    url: Mapped[str | None]
    author_id: Mapped[UUID | None]
    thread_id: Mapped[UUID]
    root_external_id: Mapped[str]
    reply_to_external_id: Mapped[str | None]
    channel_id: Mapped[UUID | None]
    listener_id: Mapped[UUID | None]
    department_id: Mapped[UUID | None]
    routed_by: Mapped[str | None]
    routing_reason: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="new")
    content_state: Mapped[str] = mapped_column(default="live")
    tags: Mapped[list[str]]
    labels: Mapped[list[str]]
    attachments: Mapped[list[Any]]
    annotations: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    version_at: Mapped[datetime]
    digest: Mapped[str]
    first_seen_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)


class MentionVersion(Base):
    """An earlier text of a mention."""

    __tablename__ = "core_mention_version"
    __table_args__ = (refers_to("core_mention", "mention_id", on_delete="CASCADE"),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    version_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str | None]
    text: Mapped[str]
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Sighting(Base):
    """An intake saw a mention. The same post found by three listeners is one mention with three sightings."""

    __tablename__ = "core_sighting"
    __table_args__ = (
        refers_to("core_mention", "mention_id", on_delete="CASCADE"),
        refers_to("core_intake", "intake_id", on_delete="CASCADE"),
        Index("ix_core_sighting_intake", "organisation_id", "intake_id"),
    )

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    intake_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Annotation(Base):
    """What one producer says about a mention under one key. A human's is in force for ever; content is never overwritten."""

    __tablename__ = "core_annotation"
    __table_args__ = (refers_to("core_mention", "mention_id", on_delete="CASCADE"),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    producer: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(Json, nullable=True)
    confidence: Mapped[float | None] = mapped_column(Float)
    producer_version: Mapped[str]
    human: Mapped[bool] = mapped_column(Boolean, default=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
