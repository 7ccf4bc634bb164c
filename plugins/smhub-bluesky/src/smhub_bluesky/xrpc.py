"""What is the same for every call: names of methods as paths, what an error means, and how a session is got."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec

from smhub.sdk import AuthExpired, ConnectorError, ContentRejected, Gone, Http, Response, Secret, Session
from smhub_bluesky.entities import SessionTold
from smhub_bluesky.settings import Settings

SIGN_IN_AGAIN = frozenset(
    {"ExpiredToken", "InvalidToken", "BadJwt", "BadJwtType", "AccountTakedown", "AccountDeactivated", "AccountNotFound"}
)
NOT_THERE = frozenset({"RecordNotFound", "NotFound"})


class Told(msgspec.Struct, frozen=True):
    """An XRPC error (https://atproto.com/specs/xrpc, "Error Responses")."""

    error: str = ""
    message: str = ""


class Taken(ContentRejected):
    """Something lies at this address already (InvalidSwap)."""


def path(method: str) -> str:
    """Where a method of the lexicons is called."""
    return f"/xrpc/{method}"


def told(response: Response) -> Told:
    """What the server says is wrong; empty when the answer is not one of its own."""
    try:
        return msgspec.json.decode(response.body, type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Told()


def meaning(response: Response) -> ConnectorError | None:
    """An error by its name. The servers answer 400 for an expired session and for a record that is not there."""
    if response.status not in (400, 401, 403, 404):
        return None
    said = told(response)
    if said.error == "AuthFactorTokenRequired":
        return AuthExpired("Bluesky asks for a second factor. Use an app password, not the account's own.", status=response.status)
    if said.error in SIGN_IN_AGAIN:
        return AuthExpired(f"Bluesky does not accept the session ({said.error}).", status=response.status)
    if said.error in NOT_THERE or "could not locate record" in said.message.lower():
        return Gone("Bluesky has no such record.", status=response.status)
    if said.error == "InvalidSwap":
        return Taken("Something lies at this address already.", violations=("another record has this key",), status=response.status)
    return None


async def sign_in(config: Settings, http: Http) -> Session:
    """com.atproto.server.createSession with the app password."""
    words = {"identifier": config.identifier.removeprefix("@"), "password": config.app_password.reveal()}
    # Under a key, because to sign in twice does no harm.
    return _session(await http.post(path("com.atproto.server.createSession"), SessionTold, json=words, key="sign-in"))


async def renew(http: Http) -> Session:
    """com.atproto.server.refreshSession; the old refresh token is good for a short while longer, so a lost answer does no harm."""
    return _session(await http.post(path("com.atproto.server.refreshSession"), SessionTold, key="renew"))


def _session(given: SessionTold) -> Session:
    return Session(access=Secret(given.accessJwt), refresh=Secret(given.refreshJwt), expires_at=_end(given.accessJwt))


class _Claims(msgspec.Struct):
    exp: float


def _end(jwt: str) -> datetime | None:
    """When a token ends, as it says itself; it is not verified, because only we rely on it."""
    try:
        part = jwt.split(".")[1]
        return datetime.fromtimestamp(
            msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=_Claims).exp, UTC
        )
    except (IndexError, ValueError, OverflowError, OSError, msgspec.DecodeError):
        return None
