"""What listening looks like on the wire."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from smhub.features import Moment, Name

Sought = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="As a listener's query: every match must have a word or phrase.",
        examples=['(nordwind OR "nord wind") -aktie language:de,en'],
    ),
]
NetworkName = Annotated[str, Meta(min_length=1, max_length=100, examples=["mastodon"])]
Why = Annotated[str, Meta(min_length=1, max_length=1000, examples=["Answer questions about us"])]
Basis = Annotated[str, Meta(min_length=1, max_length=500, examples=["Art. 6(1)(f): legitimate interest"])]
Budget = Annotated[int, Meta(ge=1, le=1_000_000, description="How many mentions it may bring a day (UTC), on each network.")]
Seconds = Annotated[int, Meta(ge=1, le=86_400, description="How often to look; null: as the connector or the hub says.")]


class MonitoringWhere(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A network to listen on, with its settings (GET /v1/networks)."""

    network: NetworkName
    settings: Annotated[dict[str, Any], Meta(max_length=100)] = {}
    poll_seconds: Seconds | None = None
    daily_budget: Budget | None = None


class MonitoringNewListeners(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One query for several networks. Each becomes a listener of its own (GET /v1/listeners), and all are made or none."""

    name: Name
    query: Sought
    networks: Annotated[list[MonitoringWhere], Meta(min_length=1, max_length=20)]
    purpose: Why
    legal_basis: Basis
    department_id: UUID | None = None


class MonitoringAsked(msgspec.Struct, kw_only=True):
    """What networks are asked for. Everything else that the query says is looked at here."""

    words: list[str]
    excluded: list[str]
    languages: list[str]


class MonitoringListener(msgspec.Struct, kw_only=True):
    """A listener that was made."""

    listener_id: UUID
    network: str


class MonitoringListeners(msgspec.Struct, kw_only=True):
    """The listeners that were made, one for each network."""

    asked: MonitoringAsked
    items: list[MonitoringListener]


class MonitoringTry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A query to try on the mentions of the last days."""

    query: Sought
    days: Annotated[int, Meta(ge=1, le=90)] = 30


class MonitoringDay(msgspec.Struct, kw_only=True):
    """How many on a day of the organisation's time zone."""

    day: date
    count: int


class MonitoringOnNetwork(msgspec.Struct, kw_only=True):
    """How many on a network, and whether it can be searched for more."""

    network: str
    count: int
    searches: Annotated[bool, Meta(description="Whether listeners can be made for it.")]
    streams: Annotated[bool, Meta(description="Whether it tells listeners at once.")]


class MonitoringExample(msgspec.Struct, kw_only=True):
    """A mention that would have been found."""

    mention_id: UUID
    network: str
    text: Annotated[str, Meta(description="The first 300 characters.")]
    published_at: Moment


class MonitoringTried(msgspec.Struct, kw_only=True):
    """What the query would have found among the mentions that are stored, however they came."""

    asked: MonitoringAsked
    looked_at: Annotated[int, Meta(description="Mentions of these days that were looked at.")]
    found: int
    a_day: Annotated[float | None, Meta(description="Found for each day; null: nothing is stored. Helps to choose a budget.")]
    networks: list[MonitoringOnNetwork]
    days: list[MonitoringDay]
    examples: Annotated[list[MonitoringExample], Meta(description="The newest, ten at most.")]
