"""Threads in the making: each mention finds the outermost one above it, and those that took it for their root move along."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.ids import thread_id
from smhub.mentions.merging import Content
from smhub.mentions.models import Mention
from smhub.mentions.source import Key, Source
from smhub.sdk import Item
from smhub.sdk import Mention as MentionItem


async def find_roots(session: AsyncSession, source: Source, good: list[tuple[Key, Item]], contents: dict[Key, Content]) -> None:
    """Every mention knows the outermost one above it that anybody has told of."""
    explicit = {key: item.root for key, item in good if isinstance(item, MentionItem) and item.root}
    for key, content in contents.items():
        if content.touched and content.root == key[1] and (content.reply_to or key in explicit):
            content.root = ""  # it was known by its deletion only; now we hear what it answered
    above = {key: explicit.get(key) or content.reply_to or key[1] for key, content in contents.items() if not content.root}
    known = await _roots_of(session, source, {(key[0], one) for key, one in above.items() if (key[0], one) not in contents})
    for key, one in above.items():
        contents[key].root = known.get((key[0], one)) or one
    for key, content in contents.items():
        content.root = _outermost(key[0], content.root, contents)
    moved = {key: content.root for key, content in contents.items() if content.touched and content.root != key[1]}
    for key in await _taken_for_roots(session, source, moved):
        await _follow(session, source, key, moved[key])


def _outermost(scope: str, root: str, contents: dict[Key, Content]) -> str:
    seen = {root}
    while (above := contents.get((scope, root))) is not None and above.root and above.root not in seen:
        root = above.root
        seen.add(root)
    return root


async def _roots_of(session: AsyncSession, source: Source, keys: set[Key]) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for scope in sorted({scope for scope, _ in keys}):
        statement = select(Mention.external_id, Mention.root_external_id).where(
            Mention.organisation_id == source.organisation_id,
            Mention.network == source.network,
            Mention.scope == scope,
            Mention.external_id.in_([external_id for one, external_id in keys if one == scope]),
        )
        found |= {(scope, external_id): root for external_id, root in (await session.execute(statement))}
    return found


async def _taken_for_roots(session: AsyncSession, source: Source, keys: Iterable[Key]) -> list[Key]:
    """Which of these mentions somebody takes for the root of a thread, though they are none: seldom any."""
    found: list[Key] = []
    wanted = sorted(keys)
    for scope in sorted({scope for scope, _ in wanted}):
        statement = (
            select(Mention.root_external_id)
            .where(
                Mention.organisation_id == source.organisation_id,
                Mention.network == source.network,
                Mention.scope == scope,
                Mention.root_external_id.in_([external_id for one, external_id in wanted if one == scope]),
            )
            .distinct()
        )
        found += [(scope, root) for root in (await session.scalars(statement)).all()]
    return sorted(found)


async def _follow(session: AsyncSession, source: Source, key: Key, root: str) -> None:
    """Those that took this mention for the root of their thread move with it."""
    await session.execute(
        update(Mention)
        .where(
            Mention.organisation_id == source.organisation_id,
            Mention.network == source.network,
            Mention.scope == key[0],
            Mention.root_external_id == key[1],
        )
        .values(root_external_id=root, thread_id=thread_id(source.organisation_id, source.network, key[0], root))
        .execution_options(synchronize_session=False)
    )
