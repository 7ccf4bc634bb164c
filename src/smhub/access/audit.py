"""The audit entry, in the transaction of the change. The edge writes one for every change over the API; a job writes its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.models import AuditEntry
from smhub.ids import new_id


class Note(msgspec.Struct):
    """What a handler tells about its change: to what, and which fields or ids."""

    subject_type: str | None = None
    subject_id: UUID | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict)


def note(session: AsyncSession, subject_type: str, subject_id: UUID, **details: Any) -> None:
    """Tell the edge what is being changed. Field names and ids only, never texts of people or secrets."""
    session.info["audit"] = Note(subject_type, subject_id, details)


def enter(
    session: AsyncSession,
    *,
    organisation_id: UUID,
    at: datetime,
    action: str,
    about: Note,
    member_id: UUID | None = None,
    key_id: UUID | None = None,
    request_id: str | None = None,
) -> None:
    """Write the entry with the change that it is about."""
    session.add(
        AuditEntry(
            organisation_id=organisation_id,
            id=new_id(),
            at=at,
            member_id=member_id,
            key_id=key_id,
            request_id=request_id,
            action=action,
            subject_type=about.subject_type,
            subject_id=about.subject_id,
            details=about.details,
        )
    )
