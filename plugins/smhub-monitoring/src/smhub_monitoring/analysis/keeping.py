"""What is kept of an analysis: which mentions are copies of one another, and the words that each is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Event, JobContext, Organisation, still_ours
from smhub.sdk import Job, Subscriber
from smhub_monitoring.analysis.analyst import Analysis
from smhub_monitoring.analysis.likeness import LEAST, Signature, keys_of, likeness
from smhub_monitoring.analysis.models import Band, Cluster, Keyword, Likeness

DAYS_KEPT = 30
MOST_FOUND = 5_000
"""Rows that are looked at for a page; a text that the whole world repeats is found among the first of them as well."""
AT_ONCE = 500


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A mention with its analysis."""

    mention_id: UUID
    published_at: datetime
    analysis: Analysis


async def keep_all(session: AsyncSession, organisation_id: UUID, seen: Sequence[Seen]) -> None:
    """Store likeness and keywords, in the place of what was known of these mentions before."""
    if not seen:
        return
    await forget(session, organisation_id, [one.mention_id for one in seen])
    await _keep_keywords(session, organisation_id, seen)
    await _keep_likeness(session, organisation_id, [one for one in seen if one.analysis.signature is not None])


async def forget(session: AsyncSession, organisation_id: UUID, mention_ids: Sequence[UUID]) -> None:
    """Take out what is kept of these mentions. From here to the transaction's end nobody else changes the organisation's clusters."""
    alone = select(Organisation.id).where(Organisation.id == organisation_id).with_for_update(key_share=True)
    await session.execute(alone)
    for part in _parts(sorted(mention_ids)):
        of = (Likeness.organisation_id == organisation_id, Likeness.mention_id.in_(part))
        for cluster_id in (await session.scalars(select(Likeness.cluster_id).where(*of))).all():
            await _resize(session, organisation_id, cluster_id, -1)
        for table in (Likeness, Band, Keyword):
            gone = delete(table).where(table.organisation_id == organisation_id, table.mention_id.in_(part))
            await session.execute(gone.execution_options(synchronize_session=False))
    empty = delete(Cluster).where(Cluster.organisation_id == organisation_id, Cluster.size <= 0)
    await session.execute(empty.execution_options(synchronize_session=False))


async def _resize(session: AsyncSession, organisation_id: UUID, cluster_id: UUID, by: int) -> None:
    changed = update(Cluster).where(Cluster.organisation_id == organisation_id, Cluster.id == cluster_id).values(size=Cluster.size + by)
    await session.execute(changed.execution_options(synchronize_session=False))


async def _keep_keywords(session: AsyncSession, organisation_id: UUID, seen: Sequence[Seen]) -> None:
    rows = [
        {"organisation_id": organisation_id, "mention_id": one.mention_id, "word": word, "weight": weight}
        for one in seen
        for word, weight in one.analysis.keywords
    ]
    if rows:
        await session.execute(insert(Keyword), rows)


async def _keep_likeness(session: AsyncSession, organisation_id: UUID, seen: Sequence[Seen]) -> None:
    """Each mention joins the cluster of the mention that it is most alike, or begins one. Those of the same page are compared as well."""
    keys = {one.mention_id: keys_of(_signature(one)) for one in seen}
    known = await _candidates(session, organisation_id, sorted({key for found in keys.values() for key in found}))
    by_key: dict[int, list[UUID]] = {}
    for key, mention_id in known.keys:
        by_key.setdefault(key, []).append(mention_id)
    rows: list[dict[str, Any]] = []
    begun: list[Seen] = []
    joined: dict[UUID, list[datetime]] = {}
    for one in seen:
        signature = _signature(one)
        likely = {other for key in keys[one.mention_id] for other in by_key.get(key, ())}
        alike = [(likeness(signature, known.signatures[other]), other) for other in sorted(likely)]
        best = max(alike, default=(0.0, one.mention_id))
        if best[0] >= LEAST:
            cluster_id = known.clusters[best[1]]
            joined.setdefault(cluster_id, []).append(one.published_at)
        else:
            cluster_id = one.mention_id
            begun.append(one)
        known.signatures[one.mention_id], known.clusters[one.mention_id] = signature, cluster_id
        for key in keys[one.mention_id]:
            by_key.setdefault(key, []).append(one.mention_id)
        rows.append(
            {
                "organisation_id": organisation_id,
                "mention_id": one.mention_id,
                "cluster_id": cluster_id,
                "signature": signature.tobytes(),
            }
        )
    await _store(session, organisation_id, rows, keys, begun, joined)


async def _store(
    session: AsyncSession,
    organisation_id: UUID,
    rows: list[dict[str, Any]],
    keys: dict[UUID, list[int]],
    begun: list[Seen],
    joined: dict[UUID, list[datetime]],
) -> None:
    if not rows:
        return
    await session.execute(insert(Likeness), rows)
    bands = [
        {"organisation_id": organisation_id, "key": key, "mention_id": id_} for id_, found in keys.items() for key in sorted({*found})
    ]
    await session.execute(insert(Band), bands)
    for one in begun:
        await _begin(session, organisation_id, one)
    for cluster_id, times in sorted(joined.items()):
        cluster = await session.get(Cluster, (organisation_id, cluster_id), with_for_update=True, populate_existing=True)
        if cluster is None:
            # Everybody who was in it has left it meanwhile.
            cluster = Cluster(organisation_id=organisation_id, id=cluster_id, size=0, first_at=min(times), last_at=max(times))
            session.add(cluster)
        cluster.size += len(times)
        cluster.first_at, cluster.last_at = min(cluster.first_at, *times), max(cluster.last_at, *times)
    await session.flush()


async def _begin(session: AsyncSession, organisation_id: UUID, one: Seen) -> None:
    """A cluster of its own; others may be in the one that it began before it was edited."""
    cluster = await session.get(Cluster, (organisation_id, one.mention_id), with_for_update=True, populate_existing=True)
    if cluster is None:
        at = one.published_at
        session.add(Cluster(organisation_id=organisation_id, id=one.mention_id, size=1, first_at=at, last_at=at))
        await session.flush()
    else:
        cluster.size += 1


def _signature(one: Seen) -> Signature:
    assert one.analysis.signature is not None
    return one.analysis.signature


class _Known(msgspec.Struct):
    keys: list[tuple[int, UUID]]
    signatures: dict[UUID, Any]
    clusters: dict[UUID, UUID]


async def _candidates(session: AsyncSession, organisation_id: UUID, keys: list[int]) -> _Known:
    """Mentions that share a key with one of the page, the newest first."""
    known = _Known([], {}, {})
    for part in _parts(keys):
        of = (
            select(Band.key, Likeness.mention_id, Likeness.cluster_id, Likeness.signature)
            .join(Likeness, (Likeness.organisation_id == Band.organisation_id) & (Likeness.mention_id == Band.mention_id))
            .where(Band.organisation_id == organisation_id, Band.key.in_(part))
            .order_by(Band.mention_id.desc())
            .limit(MOST_FOUND)
        )
        for key, mention_id, cluster_id, signature in (await session.execute(of)).all():
            known.keys.append((key, mention_id))
            known.clusters[mention_id] = cluster_id
            known.signatures[mention_id] = np.frombuffer(signature, dtype=np.uint32)
    return known


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE)]


async def on_deleted(context: JobContext, event: Event) -> None:
    """Of a mention that was deleted on its network nothing is kept that was made of its text."""
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        await forget(session, event.organisation_id, [event.subject_id])


async def prune(context: JobContext, _: None) -> None:
    """Take out the keys of mentions that came long ago, a batch in each transaction. An id begins with its time."""
    long_ago = context.runtime.clock.now() - timedelta(days=DAYS_KEPT)
    oldest = UUID(int=int(long_ago.timestamp() * 1000) << 80)
    gone = 1
    while gone:
        async with context.runtime.database.write() as session:
            some = select(Band.organisation_id, Band.mention_id).where(Band.mention_id < oldest).distinct().limit(AT_ONCE)
            ids = [mention_id for _, mention_id in (await session.execute(some)).all()]
            gone = len(ids)
            if ids:
                away = delete(Band).where(Band.mention_id.in_(ids))
                await session.execute(away.execution_options(synchronize_session=False))


PRUNE = Job(name="monitoring.prune_bands", handler=prune, timeout=300.0, max_attempts=1, every=86_400.0)
FORGET = Subscriber(event="mention.deleted", handler=on_deleted, name="forget")
