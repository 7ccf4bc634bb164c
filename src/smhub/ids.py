"""Identifiers: UUIDv7, so that ids sort by the moment they were made."""

from __future__ import annotations

from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

__all__ = ["new_id", "thread_id"]


def new_id() -> UUID:
    """A new UUIDv7 (RFC 9562); those of one process are strictly increasing."""
    return uuid7()


def thread_id(organisation_id: UUID, network: str, scope: str, root_external_id: str) -> UUID:
    """A thread has no row of its own: its id is derived from its root (UUIDv5), so that whoever sees a part first agrees."""
    return uuid5(organisation_id, f"{network}\0{scope}\0{root_external_id}")
