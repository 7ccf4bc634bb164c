"""The authors of a page: new ones are added, changed profiles are brought up to date."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.many import inserts
from smhub.ids import new_id
from smhub.mentions.merging import author_key
from smhub.mentions.models import Author
from smhub.mentions.source import Key, Source
from smhub.sdk import Author as AuthorItem
from smhub.sdk import Item
from smhub.sdk import Mention as MentionItem
from smhub.text import clean_text

_ADD = inserts(Author)


async def store_authors(session: AsyncSession, source: Source, good: list[tuple[Key, Item]], now: datetime) -> dict[str, UUID]:
    told: dict[str, AuthorItem] = {
        author_id: item.author for _, item in good if isinstance(item, MentionItem) and item.author and (author_id := author_key(item))
    }
    if not told:
        return {}
    known = select(Author.external_id, Author.id, Author.handle, Author.name, Author.url, Author.avatar_url, Author.followers).where(
        Author.organisation_id == source.organisation_id, Author.network == source.network, Author.external_id.in_(sorted(told))
    )
    known = known.order_by(Author.external_id)
    ids: dict[str, UUID] = {}
    changed = []
    for external_id, id_, *old in await session.execute(known):
        ids[external_id] = id_
        new = _profile(told[external_id])
        if list(new.values()) != old:
            changed.append({"key_organisation": source.organisation_id, "key_id": id_, **new})
    if changed:
        where = update(Author).where(Author.organisation_id == bindparam("key_organisation"), Author.id == bindparam("key_id"))
        connection = await session.connection()
        await connection.execute(where.values({name: bindparam(name) for name in _profile_names()}), changed)
    rows = []
    for external_id in sorted(told.keys() - ids.keys()):
        ids[external_id] = new_id()
        rows.append(
            {
                "organisation_id": source.organisation_id,
                "id": ids[external_id],
                "network": source.network,
                "external_id": external_id,
                "person_id": None,
                "first_seen_at": now,
                **_profile(told[external_id]),
            }
        )
    await _ADD.run(session, rows)
    return ids


def _profile_names() -> tuple[str, ...]:
    return ("handle", "name", "url", "avatar_url", "followers")


def _profile(author: AuthorItem) -> dict[str, Any]:
    url = author.url if author.url and author.url.startswith(("http://", "https://")) else None
    avatar = author.avatar_url if author.avatar_url and author.avatar_url.startswith(("http://", "https://")) else None
    followers = author.followers if author.followers is not None and 0 <= author.followers < 2**31 else None
    return {
        "handle": clean_text(author.handle, 500),
        "name": clean_text(author.name, 500),
        "url": clean_text(url, 2000) if url else None,
        "avatar_url": clean_text(avatar, 2000) if avatar else None,
        "followers": followers,
    }
