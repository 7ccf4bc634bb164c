"""Taking a page in: authors, threads, mentions, versions, sightings, search, events and the new cursor in one transaction.

Everything is looked up and written in bulk, a page at a time. Two workers that meet in one row are kept apart by the unique keys:
the later one fails as a whole and finds the row when it tries again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import faults
from smhub.channels.models import BadItem as BadItemRow
from smhub.db.many import inserts
from smhub.db.search import SearchDoc, document
from smhub.events.log import Fact, record_all
from smhub.ids import new_id, thread_id
from smhub.mentions.authors import store_authors
from smhub.mentions.merging import Content, Version, merge
from smhub.mentions.models import Mention, MentionVersion, Sighting
from smhub.mentions.roots import find_roots
from smhub.mentions.sorting import sort_out
from smhub.mentions.source import Key, Source
from smhub.sdk import BadItem, Item
from smhub.sdk import Mention as MentionItem
from smhub.text import clean_text

MAX_BAD_ITEMS = 200
_ADD_MENTIONS = inserts(Mention)
_ADD_DOCS = inserts(SearchDoc, "organisation_id", "mention_id", "terms")
_ADD_SIGHTINGS = inserts(Sighting)


class Taken(msgspec.Struct, kw_only=True):
    """What a page brought. `to_look_at` are the mentions whose text is new or changed."""

    new: int = 0
    changed: int = 0
    deleted: int = 0
    sighted: int = 0
    bad: int = 0
    to_look_at: list[UUID] = msgspec.field(default_factory=list)


async def take_in(session: AsyncSession, source: Source, items: Iterable[Item], now: datetime) -> Taken:
    """Store the items of a page in the caller's transaction. Taking the same page in twice changes nothing."""
    good, bad = sort_out(items)
    taken = Taken()
    await _one_at_a_time(session, source, good)
    contents = await _load(session, source, good)
    for key, item in good:
        merge(contents[key], item, now)
    faults.point("take_in.merged")
    await find_roots(session, source, good, contents)
    authors = await store_authors(session, source, good, now)
    faults.point("take_in.authors")
    facts: list[Fact] = []
    await _store(session, source, contents, authors, now, taken, facts)
    faults.point("take_in.mentions")
    await _see(session, source, contents, now, taken, facts)
    faults.point("take_in.sightings")
    await _keep_bad(session, source, bad, now, taken)
    await record_all(session, facts)
    faults.point("take_in.events")
    return taken


async def _one_at_a_time(session: AsyncSession, source: Source, good: list[tuple[Key, Item]]) -> None:
    """Two pages with parts of one thread must see each other, else neither would join the parts. On SQLite there is one writer."""
    if session.get_bind().dialect.name == "sqlite":
        return
    for scope in sorted({key[0] for key, item in good if isinstance(item, MentionItem) and (item.reply_to or item.root)}):
        name = f"thread {source.organisation_id} {source.network} {scope}"
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 7362))))


_LOADED = (
    Mention.id,
    Mention.kind,
    Mention.visibility,
    Mention.title,
    Mention.text,
    Mention.html,
    Mention.language,
    Mention.url,
    Mention.root_external_id,
    Mention.reply_to_external_id,
    Mention.labels,
    Mention.attachments,
    Mention.published_at,
    Mention.edited_at,
    Mention.version_at,
    Mention.digest,
    Mention.content_state,
    Mention.deleted_at,
    Mention.raw,
    Mention.scope,
    Mention.external_id,
    Mention.author_id,
)


async def _load(session: AsyncSession, source: Source, good: list[tuple[Key, Item]]) -> dict[Key, Content]:
    """What is known of the page's mentions; an empty content for the others. In order of the keys, so that two pages lock alike."""
    contents: dict[Key, Content] = {key: Content(scope=key[0], external_id=key[1]) for key in sorted({key for key, _ in good})}
    for scope in sorted({scope for scope, _ in contents}):
        ids = [external_id for one, external_id in contents if one == scope]
        statement = (
            select(*_LOADED)
            .where(
                Mention.organisation_id == source.organisation_id,
                Mention.network == source.network,
                Mention.scope == scope,
                Mention.external_id.in_(ids),
            )
            .order_by(Mention.external_id)
            .with_for_update()
        )
        for row in await session.execute(statement):
            contents[row[19], row[20]] = Content(
                scope=row[19],
                external_id=row[20],
                id=row[0],
                kind=row[1],
                visibility=row[2],
                title=row[3],
                text=row[4],
                html=row[5],
                language=row[6],
                url=row[7],
                root=row[8],
                reply_to=row[9],
                labels=row[10],
                attachments=row[11],
                published_at=row[12],
                edited_at=row[13],
                version_at=row[14],
                digest=row[15],
                content_state=row[16],
                deleted_at=row[17],
                raw=row[18],
                has_author=row[21] is not None,
            )
    await _load_versions(session, source, contents)
    return contents


async def _load_versions(session: AsyncSession, source: Source, contents: dict[Key, Content]) -> None:
    edited = {content.id: content for content in contents.values() if content.id and content.content_state == "edited"}
    if not edited:
        return
    of = select(MentionVersion).where(MentionVersion.organisation_id == source.organisation_id, MentionVersion.mention_id.in_(edited))
    for row in await session.scalars(of):
        version = Version(at=row.version_at, digest=row.digest, title=row.title, text=row.text)
        edited[row.mention_id].older[version.digest] = version


async def _store(
    session: AsyncSession,
    source: Source,
    contents: dict[Key, Content],
    authors: dict[str, UUID],
    now: datetime,
    taken: Taken,
    facts: list[Fact],
) -> None:
    added: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    docs: list[dict[str, Any]] = []
    redone: list[dict[str, Any]] = []
    first = _first(source, now)
    for content in contents.values():
        new = content.id is None
        if not new and not content.touched:
            continue
        if content.id is None:
            content.id = new_id()
        row = _row(source, content, authors)
        if new:
            added.append({**row, **first, "id": content.id})
            docs.append(_doc(source, content))
            if content.content_state != "deleted":
                taken.to_look_at.append(content.id)
                facts.append(_fact(source, content, "mention.discovered", now))
            taken.new += 1
        else:
            changed.append({**row, "key_id": content.id, "author_id": authors.get(content.author or "")})
            if content.deleted_now:
                taken.deleted += 1
                facts.append(_fact(source, content, "mention.deleted", now))
            elif content.text_changed:
                taken.changed += 1
                taken.to_look_at.append(content.id)
                facts.append(_fact(source, content, "mention.content_changed", now))
            if content.deleted_now or content.text_changed:
                redone.append(_doc(source, content))
    await _ADD_MENTIONS.run(session, added)
    await _ADD_DOCS.run(session, docs)
    if changed:
        await _change(session, source, changed, redone)
    await _store_versions(session, source, contents, now)


def _row(source: Source, content: Content, authors: dict[str, UUID]) -> dict[str, Any]:
    return {
        "organisation_id": source.organisation_id,
        "network": source.network,
        "scope": content.scope,
        "external_id": content.external_id,
        "kind": content.kind,
        "visibility": content.visibility,
        "title": content.title,
        "text": content.text,
        "html": content.html,
        "language": content.language,
        "url": content.url,
        "author_id": authors.get(content.author) if content.author else None,
        "thread_id": thread_id(source.organisation_id, source.network, content.scope, content.root),
        "root_external_id": content.root,
        "reply_to_external_id": content.reply_to,
        "content_state": content.content_state,
        "labels": content.labels,
        "attachments": content.attachments,
        "published_at": content.published_at,
        "edited_at": content.edited_at,
        "version_at": content.version_at,
        "digest": content.digest,
        "deleted_at": content.deleted_at,
        "raw": content.raw,
    }


def _first(source: Source, now: datetime) -> dict[str, Any]:
    return {
        "channel_id": source.channel_id,
        "listener_id": source.listener_id,
        "department_id": source.department_id,
        "routed_by": "source" if source.department_id else None,
        "state": "new",
        "tags": [],
        "annotations": {},
        "routing_reason": None,
        "first_seen_at": now,
        "version": 1,
    }


def _doc(source: Source, content: Content) -> dict[str, Any]:
    words = f"{content.title}\n{content.text}" if content.title else content.text
    return {
        "organisation_id": source.organisation_id,
        "mention_id": content.id,
        "terms": document(source.organisation_id, words, content.language),
    }


async def _change(session: AsyncSession, source: Source, changed: list[dict[str, Any]], redone: list[dict[str, Any]]) -> None:
    connection = await session.connection()
    where = update(Mention).where(Mention.organisation_id == source.organisation_id, Mention.id == bindparam("key_id"))
    for row in changed:
        # An author that is not told again stays.
        if row["author_id"] is None:
            del row["author_id"]
        names = [name for name in row if name not in ("key_id", "organisation_id")]
        await connection.execute(where.values({name: bindparam(name) for name in names} | {"version": Mention.version + 1}), row)
    for doc in redone:
        await connection.execute(
            update(SearchDoc)
            .where(SearchDoc.organisation_id == source.organisation_id, SearchDoc.mention_id == doc["mention_id"])
            .values(terms=doc["terms"])
        )


async def _store_versions(session: AsyncSession, source: Source, contents: dict[Key, Content], now: datetime) -> None:
    rows = []
    touched = [content for content in contents.values() if content.touched and (content.older or content.deleted_now)]
    if not touched:
        return
    of = (MentionVersion.organisation_id == source.organisation_id, MentionVersion.mention_id.in_([content.id for content in touched]))
    await session.execute(delete(MentionVersion).where(*of).execution_options(synchronize_session=False))
    for content in touched:
        for version in content.older.values():
            rows.append(
                {
                    "organisation_id": source.organisation_id,
                    "mention_id": content.id,
                    "version_at": version.at,
                    "digest": version.digest,
                    "title": version.title,
                    "text": version.text,
                    "seen_at": now,
                }
            )
    if rows:
        await session.execute(insert(MentionVersion), rows)


async def _see(
    session: AsyncSession, source: Source, contents: dict[Key, Content], now: datetime, taken: Taken, facts: list[Fact]
) -> None:
    """This intake saw these mentions; the first sighting by another intake is a fact of its own."""
    ids = {content.id: content for content in contents.values() if content.id is not None}
    if not ids:
        return
    by_now = select(Sighting.mention_id).where(
        Sighting.organisation_id == source.organisation_id, Sighting.intake_id == source.intake_id, Sighting.mention_id.in_(list(ids))
    )
    known = set((await session.scalars(by_now)).all())
    fresh = [id_ for id_ in ids if id_ not in known]
    discovered = {fact.subject_id for fact in facts if fact.type == "mention.discovered"}
    rows = [
        {"organisation_id": source.organisation_id, "mention_id": id_, "intake_id": source.intake_id, "seen_at": now} for id_ in fresh
    ]
    await _ADD_SIGHTINGS.run(session, rows)
    for id_ in fresh:
        if id_ not in discovered and ids[id_].content_state != "deleted":
            taken.sighted += 1
            facts.append(_fact(source, ids[id_], "mention.sighted", now))


def _fact(source: Source, content: Content, type_: str, now: datetime) -> Fact:
    return Fact(
        organisation_id=source.organisation_id,
        type=type_,
        subject_type="mention",
        subject_id=content.id,  # type: ignore[arg-type]
        at=now,
        data={
            "network": source.network,
            "intake_id": str(source.intake_id),
            "channel_id": str(source.channel_id) if source.channel_id else None,
            "listener_id": str(source.listener_id) if source.listener_id else None,
        },
    )


async def _keep_bad(session: AsyncSession, source: Source, bad: list[BadItem], now: datetime, taken: Taken) -> None:
    if not bad:
        return
    digests = {blake2b(item.raw, digest_size=16).hexdigest(): item for item in bad[:MAX_BAD_ITEMS]}
    of = (BadItemRow.organisation_id == source.organisation_id, BadItemRow.intake_id == source.intake_id)
    known = set((await session.scalars(select(BadItemRow.digest).where(*of, BadItemRow.digest.in_(list(digests))))).all())
    rows = [
        {
            "organisation_id": source.organisation_id,
            "id": new_id(),
            "intake_id": source.intake_id,
            "digest": digest,
            "error": clean_text(item.error, 500),
            "raw": item.raw[:20_000],
            "seen_at": now,
        }
        for digest, item in digests.items()
        if digest not in known
    ]
    taken.bad = len(rows)
    if rows:
        await session.execute(insert(BadItemRow), rows)
