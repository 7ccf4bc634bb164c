"""What listeners look like on the wire."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.channels.models import Intake, Listener
from smhub.channels.schemas import IntakeHealth, Network, PollSeconds, Values, health
from smhub.hub.web import Moment, Name, known, shaped

ListenerQuery = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="In the query language: words, phrases, AND, OR, NOT, and the fields language, kind, visibility, author, followers and "
        "label. Every match must have a word or phrase; networks are asked for these, and the rest is looked at here.",
        examples=['(nordwind OR "nord wind") -aktie language:de,en'],
    ),
]
DailyBudget = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000_000,
        description="How many mentions it may bring a day (UTC). When they are spent it pauses with a gap until the next day, unless somebody "
        "resumes it.",
    ),
]
Word = Annotated[str, Meta(min_length=1, max_length=200, examples=["Nordwind Versand"])]
LanguageTag = Annotated[str, shaped("[a-z]{2,3}(-[a-zA-Z0-9]{2,8})*", max_length=35, examples=["de"])]


class ListenerInfo(msgspec.Struct, kw_only=True):
    """A saved search on a network where we own nothing."""

    id: UUID
    network: Annotated[str, known("mastodon", "simulator")]
    name: Name
    query: ListenerQuery | None
    words: Annotated[list[str], Meta(description="What networks are asked for: any of them.")]
    languages: list[str]
    purpose: str
    legal_basis: str
    settings: dict[str, Any]
    secrets: list[str]
    department_id: UUID | None
    poll_seconds: int | None
    daily_budget: DailyBudget | None
    health: IntakeHealth | None
    created_at: Moment
    ended_at: Moment | None
    version: int


class Listeners(msgspec.Struct, kw_only=True):
    """A page of listeners."""

    items: list[ListenerInfo]
    next_cursor: str | None


Purpose = Annotated[
    str,
    Meta(min_length=1, max_length=1000, description="Why this is listened to (GDPR Art. 5).", examples=["Answer questions about us"]),
]
LegalBasis = Annotated[
    str, Meta(min_length=1, max_length=500, description="What allows it (GDPR Art. 6).", examples=["Art. 6(1)(f): legitimate interest"])
]
Words = Annotated[list[Word], Meta(min_length=1, max_length=50, description="Words and phrases; any of them is found.")]
Languages = Annotated[list[LanguageTag], Meta(max_length=20)]


class NewListener(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A search to save: a `query`, or plain `words` of which any is looked for at the beginning of a word. Purpose and legal basis are
    needed: nobody is listened to without a reason."""

    network: Network
    name: Name
    purpose: Purpose
    legal_basis: LegalBasis
    query: ListenerQuery | None = None
    words: Words | None = None
    languages: Languages = []
    settings: Values = {}
    department_id: UUID | None = None
    poll_seconds: PollSeconds | None = None
    daily_budget: DailyBudget | None = None


class ListenerChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays."""

    name: Name | UnsetType = UNSET
    query: ListenerQuery | UnsetType = UNSET
    words: Words | UnsetType = UNSET
    languages: Languages | UnsetType = UNSET
    purpose: Purpose | UnsetType = UNSET
    legal_basis: LegalBasis | UnsetType = UNSET
    settings: Values | UnsetType = UNSET
    department_id: UUID | UnsetType | None = UNSET
    poll_seconds: PollSeconds | UnsetType | None = UNSET
    daily_budget: DailyBudget | UnsetType | None = UNSET


def listener(row: Listener, intake: Intake | None, secrets: frozenset[str]) -> ListenerInfo:
    """A listener with its health."""
    return ListenerInfo(
        id=row.id,
        network=row.network,
        name=row.name,
        query=row.query,
        words=row.words,
        languages=row.languages,
        purpose=row.purpose,
        legal_basis=row.legal_basis,
        settings=row.settings,
        secrets=sorted(secrets),
        department_id=row.department_id,
        poll_seconds=row.poll_seconds,
        daily_budget=row.daily_budget,
        health=health(intake),
        created_at=row.created_at,
        ended_at=row.ended_at,
        version=row.version,
    )
