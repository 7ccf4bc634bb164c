"""What goes to the network, frozen: written down before the first byte leaves, so that every try says the same under the same key."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from smhub.channels.connecting import connector_of
from smhub.channels.models import Channel
from smhub.deliveries.media_models import files_of, media_of
from smhub.deliveries.models import Attempt, Delivery
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.mentions.models import Author, Mention
from smhub.sdk import Draft, Limits, MentionRef, Safety


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The words, whom they answer, and since when they may be out. Of files it holds the digests, not the bytes."""

    delivery_id: UUID
    channel_id: UUID
    draft: Draft
    to: MentionRef | None = None


def draft_of(delivery: Delivery) -> Draft:
    """The words as the connector gets them."""
    return Draft(
        text=delivery.text,
        media=media_of(files_of(delivery)),
        visibility=delivery.visibility,
        language=delivery.language,
        sensitive=delivery.sensitive,
    )


def reference_to(mention: Mention, author: Author | None) -> MentionRef:
    """The mention as the connector knows it."""
    return MentionRef(
        external_id=mention.external_id,
        scope=mention.scope,
        url=mention.url,
        root=mention.root_external_id,
        author_handle=author.handle if author else "",
        visibility=mention.visibility,
        raw=mention.raw,
    )


def freeze(delivery: Delivery, to: MentionRef | None, connector_version: str, at: datetime) -> Envelope:
    """Write the envelope into the delivery, unless one stands there: then that one is used again, byte for byte."""
    if delivery.envelope is not None:
        return thawed(delivery)
    envelope = Envelope(delivery_id=delivery.id, channel_id=delivery.channel_id, draft=draft_of(delivery), to=to)
    encoded = msgspec.json.encode(envelope)
    delivery.envelope, delivery.digest = encoded.decode(), hashlib.sha256(encoded).hexdigest()
    delivery.key = _key_of(envelope)
    delivery.connector_version = connector_version
    # After a restore it is known from when on it may be out, though not whether.
    delivery.first_sent_at = delivery.first_sent_at or at
    return envelope


def _key_of(envelope: Envelope) -> str:
    """The same whenever the same is said to the same mention: what else is known of the mention may have changed when a hub that was
    restored freezes it anew."""
    to = (envelope.to.scope, envelope.to.external_id) if envelope.to else None
    said = msgspec.json.encode((envelope.delivery_id, envelope.channel_id, envelope.draft, to))
    return hashlib.sha256(said).hexdigest()[:32]


def thawed(delivery: Delivery) -> Envelope:
    """The frozen envelope."""
    return msgspec.json.decode(delivery.envelope or "", type=Envelope)


class Presence(msgspec.Struct, frozen=True):
    """What holds for one channel where the servers of its network differ: found by verify, else the connector's own."""

    limits: Limits
    safety: Safety
    settle_seconds: float
    key_seconds: float
    version: str


def presence_of(runtime: Runtime, channel: Channel) -> Presence:
    """The channel's limits and its way to exactly-once. Conflict when no loaded plugin speaks its network."""
    connector = connector_of(runtime, channel.network)
    account: dict[str, Any] = channel.account or {}
    limits = account.get("limits")
    plugin = runtime.hub.records.get(runtime.hub.connector_plugin.get(channel.network, ""))
    return Presence(
        limits=msgspec.convert(limits, Limits) if limits else connector.limits,
        safety=cast(Safety, account.get("safety") or getattr(connector, "safety", "none")),
        settle_seconds=getattr(connector, "settle_seconds", 60.0),
        key_seconds=getattr(connector, "key_seconds", 0.0),
        version=f"{plugin.id} {plugin.version}" if plugin else channel.network,
    )


def attempt_of(delivery: Delivery, presence: Presence, action: str, job_id: UUID, now: datetime) -> Attempt:
    """The row of the next try to send, change or take back: written before anything leaves."""
    delivery.attempts += 1
    return Attempt(
        organisation_id=delivery.organisation_id,
        id=new_id(),
        delivery_id=delivery.id,
        channel_id=delivery.channel_id,
        number=delivery.attempts,
        action=action,
        state="sending",
        safety=presence.safety,
        key=delivery.key or "",
        digest=delivery.digest or "",
        connector_version=presence.version,
        job_id=job_id,
        started_at=now,
        acted=False,
    )
