"""How one uploads files, describes and removes them."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException
from sqlalchemy import select

from smhub.access import audit
from smhub.deliveries import media
from smhub.deliveries import media_schemas as schemas
from smhub.deliveries.media_models import MediaFile
from smhub.deliveries.pictures import NotTaken, look_at
from smhub.errors import Conflict, FieldError, Invalid, MalformedBody, NotFound, Stale, TooLarge, Unavailable
from smhub.hub.web import (
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    changes,
    check_match,
    own_page,
    reads,
    removes,
    tagged,
    takes_files,
)
from smhub.text import clean_text

TAG = "deliveries"
READ, WRITE = "media:read", "media:write"
LONGEST_TEXT = 10_000
BYTES = "application/octet-stream"
KEPT_TO_ITSELF = {
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
"""A browser that is led here shows nothing and runs nothing."""


@takes_files("/v1/media", WRITE, tag=TAG)
async def upload_media(request: Request[Any, Any, Any], caller: Asking, session: Session, runtime: Process) -> schemas.MediaInfo:
    """Upload a file. What it is, its bytes decide; images lose EXIF, and with it the place where they were taken.

    The same bytes twice are one file. What no delivery has a day later is removed.
    """
    file, declared, text = await _form(request)
    most = runtime.settings.media_max_mb << 20
    if len(file) > most:
        raise TooLarge(limit=most)
    try:
        seen = await asyncio.to_thread(look_at, file, declared)
    except NotTaken as error:
        raise Invalid(fields=[FieldError(field="file", code=error.code, detail=error.detail)]) from error
    row = await media.keep(session, caller.organisation_id, seen, text, caller.member_id, runtime.clock.now())
    audit.note(session, "media", row.id)
    return schemas.MediaInfo.of(row)


async def _form(request: Request[Any, Any, Any]) -> tuple[bytes, str | None, str | None]:
    """The file, its declared type, and the alternative text where one is given."""
    try:
        form = await request.form()
    except (HTTPException, UnicodeDecodeError, LookupError, ValueError) as error:
        raise MalformedBody(reason="it is not valid multipart/form-data") from error
    given = list(form.multi_items())
    wrong = [
        FieldError(field=name[:100], code="unknown_field", detail="known are file, alternative_text")
        for name, _ in given
        if name not in ("file", "alternative_text")
    ]
    names = [name for name, _ in given]
    wrong += [
        FieldError(field=name, code="given_twice", detail="give it once")
        for name in ("file", "alternative_text")
        if names.count(name) > 1
    ]
    file, text = form.get("file"), form.get("alternative_text")
    if not isinstance(file, UploadFile):
        wrong.append(FieldError(field="file", code="missing", detail="a part called file, with a file name"))
    if text is not None and (not isinstance(text, str) or len(text) > LONGEST_TEXT):
        wrong.append(FieldError(field="alternative_text", code="invalid", detail=f"text of at most {LONGEST_TEXT} characters"))
    if wrong or not isinstance(file, UploadFile):
        raise Invalid(fields=wrong)
    return await file.read(), file.content_type, clean_text(text, LONGEST_TEXT) if isinstance(text, str) else None


@reads("/v1/media", READ, tag=TAG)
async def list_media(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> schemas.MediaFiles:
    """Uploaded files, the newest first."""
    rows, more = await own_page(session, runtime, caller, MediaFile, select(MediaFile), cursor, limit)
    return schemas.MediaFiles(items=[schemas.MediaInfo.of(row) for row in rows], next_cursor=more)


@reads("/v1/media/{media_id:uuid}", READ, NotFound, tag=TAG)
async def get_media(caller: Asking, session: Session, media_id: PathId) -> Response[schemas.MediaInfo]:
    """One file, without its bytes."""
    row = await media.the_file(session, caller.organisation_id, media_id)
    return tagged(schemas.MediaInfo.of(row), row.version)


@reads("/v1/media/{media_id:uuid}/content", READ, NotFound, Unavailable, tag=TAG, media_type=BYTES)
async def get_media_content(caller: Asking, session: Session, media_id: PathId) -> Response[bytes]:
    """The bytes, as they go out. `media_type` of the file says what they are."""
    row = await media.the_file(session, caller.organisation_id, media_id)
    content = await media.content_of(session, caller.organisation_id, row.digest)
    return Response(content, media_type=BYTES, headers=KEPT_TO_ITSELF)


@changes("/v1/media/{media_id:uuid}", WRITE, NotFound, Stale, tag=TAG)
async def change_media(
    request: Request[Any, Any, Any], caller: Asking, session: Session, media_id: PathId, data: Body[schemas.MediaChange]
) -> Response[schemas.MediaInfo]:
    """Describe a file in other words, for deliveries that are written from now on."""
    row = await media.the_file(session, caller.organisation_id, media_id, to_change=True)
    check_match(request, row.version)
    row.alternative_text = data.alternative_text
    row.changed()
    await session.flush()
    audit.note(session, "media", row.id)
    return tagged(schemas.MediaInfo.of(row), row.version)


@removes("/v1/media/{media_id:uuid}", WRITE, NotFound, Conflict, Stale, tag=TAG)
async def remove_media(request: Request[Any, Any, Any], caller: Asking, session: Session, media_id: PathId) -> None:
    """Forget a file. Deliveries that are at rest keep its description."""
    row = await media.the_file(session, caller.organisation_id, media_id, to_change=True)
    check_match(request, row.version)
    await media.remove(session, row)
    audit.note(session, "media", media_id)


ROUTES = [upload_media, list_media, get_media, get_media_content, change_media, remove_media]
