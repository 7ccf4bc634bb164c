"""A small feature plugin that uses every door: members keep favourites among the mentions. It belongs to stage 2."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from smhub.features import (
    Asking,
    Base,
    Body,
    Event,
    Fact,
    Id,
    JobContext,
    Mention,
    NotFound,
    Process,
    QueryField,
    Session,
    UtcDateTime,
    creates,
    found,
    note,
    reads,
    record,
    refers_to,
    still_ours,
)
from smhub.sdk import (
    Annotation,
    EventType,
    Interceptor,
    InterceptorContext,
    Job,
    MentionView,
    Metric,
    Permission,
    Plugin,
    PluginContext,
    Subscriber,
)

ID = "favourites"


class Favourite(Base):
    __tablename__ = "favourites_favourite"
    __table_args__ = (refers_to("core_mention", "mention_id", on_delete="CASCADE"),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class FavouritesSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    word: Annotated[str, Meta(min_length=1, max_length=50, title="The word that makes a favourite")] = "danke"


class FavouritesNew(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A mention to keep."""

    mention_id: UUID
    reason: Annotated[str, Meta(max_length=200)] = ""


class FavouritesItem(msgspec.Struct, kw_only=True):
    """A mention that is kept."""

    mention_id: UUID
    reason: str
    at: datetime


class FavouritesList(msgspec.Struct, kw_only=True):
    """All that are kept."""

    items: list[FavouritesItem]


class FavouritesAdded(msgspec.Struct, kw_only=True):
    """What the event tells."""

    reason: str


@reads("/", "favourites:read", tag=ID, plugin=ID)
async def favourites_list(caller: Asking, session: Session) -> FavouritesList:
    """The favourites."""
    rows = await session.scalars(
        select(Favourite).where(Favourite.organisation_id == caller.organisation_id).order_by(Favourite.mention_id)
    )
    return FavouritesList(items=[FavouritesItem(mention_id=row.mention_id, reason=row.reason, at=row.at) for row in rows])


@creates("/", "favourites:write", NotFound, tag=ID, plugin=ID)
async def favourites_add(caller: Asking, session: Session, runtime: Process, data: Body[FavouritesNew]) -> FavouritesItem:
    """Keep a mention."""
    await found(session, Mention, caller.organisation_id, data.mention_id, "mention")
    row = await keep(session, caller.organisation_id, data.mention_id, data.reason, runtime.clock.now())
    note(session, "mention", data.mention_id)
    return FavouritesItem(mention_id=row.mention_id, reason=row.reason, at=row.at)


async def keep(session: AsyncSession, organisation_id: UUID, mention_id: UUID, reason: str, now: datetime) -> Favourite:
    row = await session.get(Favourite, (organisation_id, mention_id))
    if row is None:
        row = Favourite(organisation_id=organisation_id, mention_id=mention_id, reason=reason, at=now)
        session.add(row)
        fact = Fact(
            organisation_id=organisation_id,
            type="favourites.added",
            subject_type="mention",
            subject_id=mention_id,
            at=now,
            data={"reason": reason},
        )
        await record(session, fact)
        await session.flush()
    return row


async def read_word(session: AsyncSession, context: InterceptorContext, mentions: Sequence[MentionView]) -> str:
    """The word in capitals, when as many are kept as the hub says: so it was read by this session, for this page."""
    kept = (await session.execute(select(func.count()).select_from(Favourite))).scalar_one()
    word = context.settings.word if context.settings is not None else "danke"
    return f"{word}{'!' * kept}"


async def praise(context: InterceptorContext, mention: MentionView) -> list[Annotation]:
    word = context.prepared.rstrip("!")
    said = Annotation(key="mood", value="positive", confidence=0.9, version=context.prepared)
    return [said] if word in mention.text.lower() else []


async def keep_marked(session: AsyncSession, context: InterceptorContext, mentions: Sequence[MentionView]) -> None:
    """Keep what says so; a mention that says "kaputt" breaks it after it has written."""
    for mention in mentions:
        if "merken" in mention.text.lower():
            await keep(session, context.organisation_id, mention.id, "says so", context.clock.now())
    if any("kaputt" in mention.text.lower() for mention in mentions):
        raise RuntimeError("broken")


async def on_discovered(context: JobContext, event: Event) -> None:
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        mention = await session.get_one(Mention, (event.organisation_id, event.subject_id))
        if "danke" in mention.text.lower():
            await keep(session, event.organisation_id, event.subject_id, "says thank you", context.runtime.clock.now())


COUNTED: list[int] = []


async def count(context: JobContext, _: Any) -> None:
    async with context.runtime.database.read() as session:
        COUNTED.append((await session.execute(select(func.count()).select_from(Favourite))).scalar_one())


async def gauge(session: AsyncSession) -> list[tuple[dict[str, str], float]]:
    return [({}, float((await session.execute(select(func.count()).select_from(Favourite))).scalar_one()))]


class FavouritesPlugin(Plugin):
    id, title, stage, version = ID, "Favourites", 2, "1.0"

    def register_permissions(self, context: PluginContext) -> Sequence[Permission]:
        return [
            Permission(name="favourites:read", title="See favourites", roles=("viewer", "department_lead")),
            Permission(name="favourites:write", title="Keep favourites", roles=("department_lead",)),
        ]

    def register_models(self, context: PluginContext) -> Sequence[type[Any]]:
        return [Favourite]

    def register_migrations(self, context: PluginContext) -> str:
        return "favourites.migrations"

    def register_routes(self, context: PluginContext) -> Sequence[Any]:
        return [favourites_list, favourites_add]

    def register_settings(self, context: PluginContext) -> type[msgspec.Struct]:
        return FavouritesSettings

    def register_events(self, context: PluginContext) -> Sequence[EventType]:
        return [EventType(name="favourites.added", data=FavouritesAdded, description="A mention was kept.")]

    def register_subscribers(self, context: PluginContext) -> Sequence[Subscriber]:
        return [Subscriber(event="mention.discovered", handler=on_discovered, name="thanks")]

    def register_interceptors(self, context: PluginContext) -> Sequence[Interceptor]:
        return [
            Interceptor(point="mention.annotate", handler=praise, name="praise", prepare=read_word, keep=keep_marked, on_error="skip")
        ]

    def register_jobs(self, context: PluginContext) -> Sequence[Job]:
        return [Job(name="favourites.count", handler=count, every=60.0)]

    def register_query_fields(self, context: PluginContext) -> Sequence[QueryField]:
        def kept(test: Any) -> Any:
            of = (Favourite.organisation_id == Mention.organisation_id, Favourite.mention_id == Mention.id)
            return exists().where(*of, test(Favourite.reason))

        return [QueryField(name="favourites.reason", kind="keyword", title="Kept because", plugin=ID, expression=kept)]

    def register_metrics(self, context: PluginContext) -> Sequence[Metric]:
        return [Metric(name="kept", description="Favourites.", read=gauge)]
