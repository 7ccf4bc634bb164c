"""Files that go out with what is said: their bytes in pieces, in the database, so that every process and every backup has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to
from smhub.deliveries.models import Delivery
from smhub.sdk import Media


class MediaFile(OrganisationRow, Versioned):
    """One uploaded file, once for each organisation: `digest` is the SHA-256 of what goes out. `width` and `height` of images, in pixels.

    `uploaded_at` is when these bytes were last uploaded or chosen: what nothing uses a day later is removed.
    """

    __tablename__ = "core_media"
    __table_args__ = (
        belongs_to_organisation(),
        UniqueConstraint("organisation_id", "digest"),
        Index("ix_core_media_uploaded", "uploaded_at"),
    )

    digest: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(Integer)
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    alternative_text: Mapped[str]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MediaPiece(Base):
    """A part of a file's bytes."""

    __tablename__ = "core_media_piece"
    __table_args__ = (refers_to("core_media", "media_id", on_delete="CASCADE"),)

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    media_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class MediaUse(Base):
    """This delivery has that file."""

    __tablename__ = "core_delivery_media"
    __table_args__ = (
        refers_to("core_delivery", "delivery_id", on_delete="CASCADE"),
        refers_to("core_media", "media_id", on_delete="CASCADE"),
        Index("ix_core_delivery_media_media", "organisation_id", "media_id"),
    )

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    media_id: Mapped[UUID] = mapped_column(primary_key=True)


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file as one delivery has it, with the alternative text that goes out with it."""

    media_id: UUID
    media_type: str
    size: int
    digest: str
    width: int | None = None
    height: int | None = None
    alternative_text: str = ""


def files_of(delivery: Delivery) -> tuple[File, ...]:
    """The delivery's files, in their order."""
    return msgspec.convert(delivery.media, tuple[File, ...])


def media_of(files: Sequence[File]) -> tuple[Media, ...]:
    """The files as the connector knows them, without their bytes."""
    return tuple(
        Media(
            media_type=one.media_type,
            content=b"",
            alt_text=one.alternative_text,
            size=one.size,
            width=one.width,
            height=one.height,
            digest=one.digest,
        )
        for one in files
    )
