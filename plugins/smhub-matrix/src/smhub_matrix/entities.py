"""What a homeserver tells, as far as it is read (client-server API 1.13). What people write is `dict`: anything may stand in it."""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a room."""

    type: str
    event_id: str
    sender: str
    origin_server_ts: int
    content: dict[str, Any]
    unsigned: dict[str, Any] | None = None
    redacts: str | None = None
    state_key: str | None = None

    @property
    def relation(self) -> dict[str, Any]:
        """`m.relates_to`: what it answers, in which thread it stands, what it replaces. Empty when it does not."""
        found = self.content.get("m.relates_to")
        return found if isinstance(found, dict) else {}

    @property
    def replaces(self) -> str | None:
        """Whose words these are to replace; None when it is no edit."""
        target = self.relation.get("event_id")
        return target if self.relation.get("rel_type") == "m.replace" and isinstance(target, str) else None

    @property
    def is_redacted(self) -> bool:
        """Its author or a moderator took it back: the server has cut its content off."""
        return not self.content or "redacted_because" in (self.unsigned or {})


class Timeline(msgspec.Struct, frozen=True):
    """The newest events since a token. `limited`: there are more, below `prev_batch`."""

    events: list[msgspec.Raw] = []
    limited: bool = False
    prev_batch: str | None = None


class State(msgspec.Struct, frozen=True):
    """Who the people are that spoke."""

    events: list[msgspec.Raw] = []


class Joined(msgspec.Struct, frozen=True):
    """A room that we are in."""

    timeline: Timeline = Timeline()
    state: State = State()


class Rooms(msgspec.Struct, frozen=True):
    """Rooms by their ids."""

    join: dict[str, Joined] = {}
    leave: dict[str, msgspec.Raw] = {}


class Sync(msgspec.Struct, frozen=True):
    """GET /sync"""

    next_batch: str
    rooms: Rooms = Rooms()


class Messages(msgspec.Struct, frozen=True):
    """GET /rooms/{roomId}/messages, the newest first. Without `end` there is nothing more."""

    chunk: list[msgspec.Raw]
    end: str | None = None
    state: list[msgspec.Raw] = []


class Whoami(msgspec.Struct, frozen=True):
    """GET /account/whoami"""

    user_id: str


class Alias(msgspec.Struct, frozen=True):
    """GET /directory/room/{roomAlias}"""

    room_id: str


class Sent(msgspec.Struct, frozen=True):
    """What a new event is called."""

    event_id: str


class Member(msgspec.Struct, frozen=True):
    """The content of m.room.member."""

    membership: str = ""
    displayname: str | None = None


class JoinRules(msgspec.Struct, frozen=True):
    """The content of m.room.join_rules."""

    join_rule: str = "invite"
