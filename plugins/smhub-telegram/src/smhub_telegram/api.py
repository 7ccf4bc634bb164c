"""What is the same for every call: what an error means. https://core.telegram.org/bots/api#making-requests"""

from __future__ import annotations

import msgspec

from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    ContentRejected,
    Gone,
    PermissionMissing,
    RateLimited,
    Response,
    Transient,
)

LEAST, MOST = 1.0, 3600.0
REFUSED = (400, 403)
"""Answers that mean one thing for a post and another for an answer."""

GONE = (
    "message to be replied not found",
    "message to reply not found",
    "replied message not found",
    "message to edit not found",
    "message to delete not found",
    "message_id_invalid",
    "message thread not found",
    "topic_deleted",
    "topic_closed",
)
CHAT_AWAY = ("chat not found", "peer_id_invalid", "group chat was deactivated", "group is deactivated")
RIGHTS = ("not enough rights", "have no rights", "need administrator rights", "chat_write_forbidden", "chat_admin_required")
WRITING = "to write in the chat"


class Parameters(msgspec.Struct, frozen=True):
    """ResponseParameters"""

    migrate_to_chat_id: int | None = None
    retry_after: float | None = None


class Told(msgspec.Struct, frozen=True):
    """An answer that says no."""

    ok: bool | None = None
    description: str = ""
    parameters: Parameters = Parameters()


class Hooked(Transient):
    """Telegram delivers to a webhook, and then cannot be asked."""


def told(response: Response) -> Told:
    """What Telegram says is wrong; empty when the answer is not one of its own."""
    try:
        return msgspec.json.decode(response.body, type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Told()


def meaning(response: Response) -> ConnectorError | None:
    """An error that means the same for every call."""
    if response.status not in (401, 404, 409, 429):
        return None
    said = told(response)
    if said.ok is not False:
        return None
    if response.status in (401, 404):
        # There is a path for every good token, so "Not Found" is said of a token that cannot be one.
        return AuthExpired("Telegram does not know the token.", status=response.status)
    if response.status == 409:
        if "webhook" in said.description.lower():
            return Hooked(
                "Telegram delivers this bot's updates to a webhook, so it cannot be asked. If the webhook is not this hub's: "
                "one bot serves one program; take it away (deleteWebhook), or make another bot.",
                status=409,
            )
        return Transient("Another program is asking for this bot's updates: one bot serves one program.", status=409)
    if said.parameters.retry_after is not None and "retry-after" not in response.headers:
        wait = min(max(said.parameters.retry_after, LEAST), MOST)
        return RateLimited("Telegram asks for a pause.", retry_after=wait)
    return None


def refusal(response: Response, *, answers: bool) -> ConnectorError:
    """Why a write was refused. `answers`: it is about somebody's message and not about the chat of the settings, so what ends there ends
    for this message alone."""
    said = told(response)
    words, status = said.description, response.status
    lower = words.lower()
    if said.parameters.migrate_to_chat_id is not None:
        if answers:
            return Gone("The group has become a supergroup; what was said before is not there.", status=status)
        moved = f"The group has become a supergroup. Its number is now {said.parameters.migrate_to_chat_id}."
        return ConfigInvalid(moved, field="chat", status=status)
    if any(one in lower for one in GONE):
        return Gone(f"Telegram: {words}", status=status)
    if any(one in lower for one in CHAT_AWAY):
        if answers:
            return Gone(f"Telegram: {words}", status=status)
        return ConfigInvalid(f"Telegram: {words}", field="chat", status=status)
    if status == 403 or any(one in lower for one in RIGHTS):
        # Blocked by the person, thrown out of the group, or not allowed to write there.
        return Gone(f"Telegram: {words}", status=status) if answers else PermissionMissing(f"Telegram: {words}", scopes=(WRITING,))
    return ContentRejected("Telegram does not take it.", violations=(words,) if words else (), status=status)
