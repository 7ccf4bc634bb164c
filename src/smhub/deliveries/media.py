"""What people and the worker do with files: keep, choose for a delivery, read, remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import and_, delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.upsert import add_unless_there
from smhub.deliveries import models
from smhub.deliveries.media_models import File, MediaFile, MediaPiece, MediaUse
from smhub.deliveries.models import Delivery
from smhub.deliveries.pictures import Seen
from smhub.errors import Conflict, FieldError, Invalid, NotFound
from smhub.ids import new_id
from smhub.sdk import Draft, Job, Media
from smhub.work.queue import JobContext

PIECE = 512 * 1024
UNUSED = timedelta(days=1)
AT_ONCE = 100
AT_REST = (models.PUBLISHED, models.CANCELLED, models.ABANDONED, models.DELETED)
"""States of deliveries that send their files no more. What is refused or too late may still be queued again."""


class FileGone(Exception):
    """A file of the delivery is not there any more."""


async def the_file(session: AsyncSession, organisation_id: UUID, media_id: UUID, *, to_change: bool = False) -> MediaFile:
    """A file of the organisation; NotFound otherwise."""
    that = select(MediaFile).where(MediaFile.organisation_id == organisation_id, MediaFile.id == media_id)
    row = (await session.scalars(that.with_for_update() if to_change else that)).one_or_none()
    if row is None:
        raise NotFound(what="media")
    return row


async def keep(
    session: AsyncSession, organisation_id: UUID, seen: Seen, alternative_text: str | None, by: UUID | None, now: datetime
) -> MediaFile:
    """Store the file, unless the organisation has these bytes already: then it is that one, and its day begins anew."""
    values = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "digest": seen.digest,
        "media_type": seen.media_type,
        "size": len(seen.content),
        "width": seen.width,
        "height": seen.height,
        "alternative_text": alternative_text or "",
        "created_by": by,
        "created_at": now,
        "uploaded_at": now,
        "version": 1,
    }
    if await add_unless_there(session, MediaFile, values, ("organisation_id", "digest")):
        of = {"organisation_id": organisation_id, "media_id": values["id"]}
        for number, begin in enumerate(range(0, len(seen.content), PIECE)):
            await session.execute(insert(MediaPiece).values(**of, number=number, content=seen.content[begin : begin + PIECE]))
    that = select(MediaFile).where(MediaFile.organisation_id == organisation_id, MediaFile.digest == seen.digest)
    row = (await session.scalars(that.with_for_update())).one()
    row.uploaded_at = now
    if alternative_text is not None and alternative_text != row.alternative_text:
        row.alternative_text = alternative_text
        row.changed()
    await session.flush()
    return row


async def content_of(session: AsyncSession, organisation_id: UUID, digest: str) -> bytes:
    """The whole file. Raises FileGone."""
    pieces = (
        select(MediaPiece.content)
        .join(MediaFile, and_(MediaFile.organisation_id == MediaPiece.organisation_id, MediaFile.id == MediaPiece.media_id))
        .where(MediaFile.organisation_id == organisation_id, MediaFile.digest == digest)
        .order_by(MediaPiece.number)
    )
    found = (await session.scalars(pieces)).all()
    if not found:
        raise FileGone(digest)
    return b"".join(found)


async def with_content(session: AsyncSession, organisation_id: UUID, draft: Draft) -> Draft:
    """The draft with the bytes of its files. Raises FileGone."""
    filled: list[Media] = []
    for one in draft.media:
        filled.append(msgspec.structs.replace(one, content=await content_of(session, organisation_id, one.digest)))
    return msgspec.structs.replace(draft, media=tuple(filled))


async def chosen(session: AsyncSession, organisation_id: UUID, wanted: Sequence[tuple[UUID, str | None]]) -> list[File]:
    """The files that a delivery is to have, each with the text given for it, else its own. NotFound for one that is not there."""
    if len({media_id for media_id, _ in wanted}) < len(wanted):
        raise Invalid(fields=[FieldError(field="media", code="given_twice", detail="name each file once")])
    found = []
    for media_id, text in wanted:
        row = await the_file(session, organisation_id, media_id)
        found.append(
            File(
                media_id=row.id,
                media_type=row.media_type,
                size=row.size,
                digest=row.digest,
                width=row.width,
                height=row.height,
                alternative_text=row.alternative_text if text is None else text,
            )
        )
    return found


async def attach(session: AsyncSession, row: Delivery, files: Sequence[File]) -> None:
    """The delivery has these files from now on, and no others. Nobody removes one of them meanwhile."""
    for media_id in sorted(one.media_id for one in files):
        file = await the_file(session, row.organisation_id, media_id, to_change=True)
        # Its day begins anew: whoever is about to forget it sees that.
        file.uploaded_at = max(file.uploaded_at, row.updated_at)
    row.media = msgspec.to_builtins(files)
    await session.flush()
    await session.execute(delete(MediaUse).where(MediaUse.organisation_id == row.organisation_id, MediaUse.delivery_id == row.id))
    for one in files:
        await session.execute(insert(MediaUse).values(organisation_id=row.organisation_id, delivery_id=row.id, media_id=one.media_id))


async def remove(session: AsyncSession, row: MediaFile) -> None:
    """Forget the file. Conflict while a delivery that may still go out needs it."""
    needs = (
        select(Delivery)
        .join(MediaUse, and_(MediaUse.organisation_id == Delivery.organisation_id, MediaUse.delivery_id == Delivery.id))
        .where(MediaUse.organisation_id == row.organisation_id, MediaUse.media_id == row.id, Delivery.state.not_in(AT_REST))
    )
    waiting = (await session.scalars(needs.limit(1))).first()
    if waiting is not None:
        other = {"id": waiting.id, "state": waiting.state, "created_by": waiting.created_by, "created_at": waiting.created_at}
        raise Conflict(
            f"The delivery {waiting.id} still needs this file.",
            f"Die Auslieferung {waiting.id} braucht diese Datei noch.",
            extra={"in_the_way": other},
        )
    await session.delete(row)
    await session.flush()


async def forget_unused(context: JobContext, _: None) -> None:
    """Uploads of a day ago that no delivery has."""
    before = context.runtime.clock.now() - UNUSED
    used = exists().where(MediaUse.organisation_id == MediaFile.organisation_id, MediaUse.media_id == MediaFile.id)
    async with context.runtime.database.write() as session:
        unused = select(MediaFile).where(MediaFile.uploaded_at < before, ~used).order_by(MediaFile.uploaded_at).limit(AT_ONCE)
        for row in (await session.scalars(unused.with_for_update(skip_locked=True, of=MediaFile))).all():
            await session.delete(row)


FORGET = Job(name="media.forget", handler=forget_unused, timeout=300.0, max_attempts=1, every=600.0)
