"""Wire types of files."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from smhub.deliveries.media_models import File, MediaFile
from smhub.deliveries.pictures import TYPES
from smhub.hub.web import Moment, known

MOST_FILES = 20
AlternativeText = Annotated[
    str,
    Meta(max_length=10_000, description="What is to be seen, for whoever does not see it.", examples=["Ein roter Wasserkessel"]),
]
MediaType = Annotated[str, known(*TYPES)]


class MediaInfo(msgspec.Struct, kw_only=True):
    """An uploaded file, as it goes out."""

    id: UUID
    media_type: MediaType
    size: Annotated[int, Meta(description="Bytes.")]
    digest: Annotated[str, Meta(description="SHA-256, in hex, of what goes out: of an image without EXIF.")]
    width: Annotated[int | None, Meta(description="Pixels; of images.")]
    height: Annotated[int | None, Meta(description="Pixels; of images.")]
    alternative_text: str
    created_by: UUID | None
    created_at: Moment
    uploaded_at: Annotated[
        Moment, Meta(description="When these bytes were last uploaded or chosen; what no delivery has a day later is removed.")
    ]

    @classmethod
    def of(cls, row: MediaFile) -> MediaInfo:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class MediaFiles(msgspec.Struct, kw_only=True):
    """A page of files, the newest first."""

    items: list[MediaInfo]
    next_cursor: str | None


class MediaChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Another alternative text, for deliveries that are written from now on."""

    alternative_text: AlternativeText


class MediaChoice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A file to say something with."""

    media_id: UUID
    alternative_text: Annotated[AlternativeText | None, Meta(description="null: the file's own.")] = None


Choices = Annotated[list[MediaChoice], Meta(max_length=MOST_FILES, description="Uploaded files, in the order in which they are shown.")]


class MediaOnDelivery(msgspec.Struct, kw_only=True):
    """A file that goes out with it."""

    media_id: UUID
    media_type: MediaType
    size: int
    digest: str
    width: int | None
    height: int | None
    alternative_text: str

    @classmethod
    def of(cls, one: File) -> MediaOnDelivery:
        return cls(**msgspec.structs.asdict(one))


def wanted(choices: list[MediaChoice]) -> list[tuple[UUID, str | None]]:
    """The choices as `media.chosen` takes them."""
    return [(one.media_id, one.alternative_text) for one in choices]
