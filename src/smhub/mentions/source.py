"""Where a page comes from."""

from __future__ import annotations

from uuid import UUID

import msgspec

Key = tuple[str, str]
"""A mention's scope and external id: what is one thing on its network."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Which intake brings the page, and where its mentions go when no rule knows better."""

    organisation_id: UUID
    intake_id: UUID
    network: str
    channel_id: UUID | None = None
    listener_id: UUID | None = None
    department_id: UUID | None = None
