"""What is the same for every call: paths, what an error means, who we are and which room is meant."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import msgspec

from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    ContentRejected,
    Gone,
    Http,
    PayloadMalformed,
    PermissionMissing,
    RateLimited,
    Response,
)
from smhub_matrix.entities import Alias, JoinRules, Member, Whoami
from smhub_matrix.settings import Settings

CLIENT = "/_matrix/client/v3"
SIGN_IN_AGAIN = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED", "M_USER_LOCKED", "M_USER_SUSPENDED"})
MEMBERSHIP = "membership of the room"
RIGHTS = (("/send/", "m.room.message in the room"), ("/redact/", "redact in the room"))
"""What one must be allowed for an address; for the rest one has to be in the room."""

LEAST, MOST = 1.0, 3600.0
ENCRYPTED = (
    "The room is encrypted from end to end, and the hub holds no keys. Name a room without encryption; it cannot be switched off."
)


class Told(msgspec.Struct, frozen=True):
    """A standard error response (client-server API, "Standard error response")."""

    errcode: str = ""
    soft_logout: bool = False
    retry_after_ms: float | None = None


def path(*parts: str) -> str:
    """An address of the client-server API; each part is quoted."""
    return "/".join((CLIENT, *(quote(part, safe="") for part in parts)))


def of_room(room: str, *parts: str) -> str:
    """An address of a room."""
    return path("rooms", room, *parts)


def meaning(response: Response) -> ConnectorError | None:
    """An error by its code."""
    if response.status < 400:
        return None
    try:
        told = msgspec.json.decode(response.body, type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    status = response.status
    if told.errcode in SIGN_IN_AGAIN:
        how = "The homeserver ended the session and keeps its device" if told.soft_logout else "The homeserver does not know the token"
        return AuthExpired(f"{how} ({told.errcode}).", status=status)
    if told.errcode == "M_LIMIT_EXCEEDED" and told.retry_after_ms is not None and "retry-after" not in response.headers:
        # Since 1.10 the header says it, and `retry_after_ms` is deprecated; older servers only have that.
        wait = min(max(told.retry_after_ms / 1000, LEAST), MOST)
        return RateLimited("The homeserver asks for a pause (M_LIMIT_EXCEEDED).", retry_after=wait, status=status)
    if told.errcode == "M_FORBIDDEN":
        where = urlsplit(response.url).path
        right = next((right for part, right in RIGHTS if part in where), MEMBERSHIP)
        return PermissionMissing(f"The homeserver does not let us: {right}.", scopes=(right,), status=status)
    if told.errcode == "M_TOO_LARGE":
        return ContentRejected(
            "The event is larger than Matrix allows.", violations=("an event has at most 65536 bytes",), status=status
        )
    return None


async def who_we_are(http: Http) -> str:
    """Our own id, as @name:server."""
    return (await http.get(path("account", "whoami"), Whoami)).user_id


async def room_of(http: Http, config: Settings) -> str:
    """The id of the room that is meant. Raises ConfigInvalid when nobody knows it."""
    if config.room.startswith("!"):
        return config.room
    try:
        return (await http.get(path("directory", "room", config.room), Alias)).room_id
    except Gone:
        raise ConfigInvalid("The homeserver knows no room of this address.", field="room") from None


async def member(http: Http, room: str, me: str) -> Member:
    """How we stand in the room. Raises PermissionMissing when we are not in it, ConfigInvalid when it is encrypted."""
    try:
        found = await http.get(of_room(room, "state", "m.room.member", me), Member)
    except Gone:
        found = Member()
    if found.membership != "join":
        raise PermissionMissing("The account is not in the room. Invite it and let it join.", scopes=(MEMBERSHIP,))
    answer = await http.request("GET", of_room(room, "state", "m.room.encryption"), accept=(404,))
    if answer.status != 404:
        raise ConfigInvalid(ENCRYPTED, field="room")
    return found


async def is_public(http: Http, room: str) -> bool:
    """Whether anybody may join."""
    try:
        return (await http.get(of_room(room, "state", "m.room.join_rules", ""), JoinRules)).join_rule == "public"
    except (Gone, PayloadMalformed):
        return False
