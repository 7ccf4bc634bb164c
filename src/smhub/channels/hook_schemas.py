"""Wire types: how a channel's network delivers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from smhub.channels.models import Hook
from smhub.hub.web import Moment, known


class ChannelWebhook(msgspec.Struct, kw_only=True):
    """Where and how the channel's network delivers by itself."""

    callback_url: Annotated[
        str | None,
        Meta(
            description="The address for the network; who knows it still needs the signing secret. Only for those who may change the channel.",
            examples=["https://hub.example.com/v1/hooks/v3rYl0ngAndUnguessable"],
        ),
    ]
    state: Annotated[
        str,
        known(
            "subscribed",
            "subscribing",
            "by_hand",
            "waiting",
            "failed",
            "ending",
            description="by_hand: a person enters the address at the network, if it has a place for it; waiting: the hub has no https address yet.",
        ),
    ]
    reason: str | None
    checked_at: Annotated[Moment | None, Meta(description="When the network last said that it delivers.")]
    confirmed_until: Annotated[Moment | None, Meta(description="Until when the network confirmed that it delivers, where it does so.")]
    last_delivery_at: Moment | None
    deliveries: Annotated[int, Meta(description="How many were taken in.")]
    refused: Annotated[int, Meta(description="How many had no good signature; counted about every half minute.")]
    last_refused_at: Moment | None
    old_address_until: Annotated[Moment | None, Meta(description="Until when the address before the last rotation holds.")]
    old_secret_until: Annotated[Moment | None, Meta(description="Until when the signing secret before the present one holds.")]

    @classmethod
    def of(cls, row: Hook, callback_url: str | None) -> ChannelWebhook:
        return cls(
            callback_url=callback_url,
            state=row.state,
            reason=row.reason,
            checked_at=row.checked_at,
            confirmed_until=row.confirmed_until,
            last_delivery_at=row.last_delivery_at,
            deliveries=row.deliveries,
            refused=row.refused,
            last_refused_at=row.last_refused_at,
            old_address_until=row.old_token_until,
            old_secret_until=row.old_secret_until,
        )


class WebhookRotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How a webhook's address is changed."""

    end_old_now: Annotated[bool, Meta(description="The old address ends at once: somebody knows it who should not.")] = False
