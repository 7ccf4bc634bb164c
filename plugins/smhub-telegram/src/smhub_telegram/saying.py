"""Saying something, once at most: Telegram takes no key of ours, and shows nobody what a bot has said."""

from __future__ import annotations

from typing import Any

import msgspec

from smhub.sdk import (
    ConfigInvalid,
    ContentRejected,
    Draft,
    Gone,
    Http,
    Limits,
    MentionRef,
    OutcomeUnknown,
    Published,
    Response,
    Violation,
)
from smhub_telegram.api import REFUSED, refusal, told
from smhub_telegram.entities import Sent
from smhub_telegram.mentions import Kept, id_of, link, parts_of

LIMITS = Limits(max=4096, count="utf16")
"""sendMessage: "1-4096 characters after entities parsing"; offsets and lengths are counted in UTF-16 code units (MessageEntity)."""


def violations(draft: Draft) -> list[Violation]:
    """What the limits cannot say."""
    found = []
    if not draft.text.strip():
        found.append(Violation(field="text", code="empty", detail="a message needs a text"))
    if draft.visibility not in (None, "public"):
        found.append(Violation(field="visibility", code="unknown_visibility", detail="everybody in the chat sees what is said there"))
    if draft.sensitive:
        found.append(Violation(field="sensitive", code="no_warning", detail="Telegram knows no content warnings"))
    if draft.media:
        detail = "files are not sent: Telegram has no place for their alternative texts"
        found.append(Violation(field="media", code="no_media", detail=detail))
    return found


async def say(http: Http, draft: Draft, chat: str | int, to: MentionRef | None = None) -> Published:
    """Send it, as it is written: without a parse mode nothing in it is read as markup."""
    _check(draft)
    words: dict[str, Any] = {"chat_id": chat, "text": draft.text}
    if to is not None:
        chat_id, message_id = place_of(to.external_id)
        words |= {"chat_id": chat_id, "reply_parameters": {"message_id": message_id}}
        if (topic := _kept(to).topic) is not None:
            words["message_thread_id"] = topic
    # Without a key: an answer that is lost leaves it unknown, and a person decides.
    response = await http.request("POST", "/sendMessage", json=words, accept=REFUSED)
    if response.status in REFUSED:
        raise refusal(response, answers=to is not None)
    return _published(response)


async def change(http: Http, external_id: str, draft: Draft) -> Published:
    """Replace the text of our own message; the same words again are no error."""
    _check(draft)
    chat_id, message_id = place_of(external_id)
    words = {"chat_id": chat_id, "message_id": message_id, "text": draft.text}
    response = await http.request("POST", "/editMessageText", json=words, key=f"edit {external_id}", accept=REFUSED)
    if response.status in REFUSED and "not modified" not in told(response).description.lower():
        raise refusal(response, answers=True)
    return Published(external_id=external_id)


async def take_back(http: Http, external_id: str) -> None:
    """Delete our own message, within 48 hours; Gone when it is not there."""
    chat_id, message_id = place_of(external_id)
    words = {"chat_id": chat_id, "message_id": message_id}
    response = await http.request("POST", "/deleteMessage", json=words, key=f"delete {external_id}", accept=REFUSED)
    if response.status in REFUSED:
        raise refusal(response, answers=True)


def chat_of(chat: str) -> str | int:
    """The chat of the settings as the API takes it. Raises ConfigInvalid when there is none."""
    if not chat:
        raise ConfigInvalid("No chat is named that posts go to.", field="chat")
    return chat if chat.startswith("@") else int(chat)


def place_of(external_id: str) -> tuple[int, int]:
    """The chat and the number of a message; Gone when the id is none."""
    parts = parts_of(external_id)
    if parts is None:
        raise Gone("This is no id of a message.")
    return parts


def _check(draft: Draft) -> None:
    if broken := [*violations(draft), *LIMITS.check(draft.text)]:
        raise ContentRejected("Telegram does not take this.", violations=[one.detail for one in broken])


def _published(response: Response) -> Published:
    try:
        sent = msgspec.json.decode(response.body, type=Sent).result
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise OutcomeUnknown("Telegram answered a message in an unexpected form.", status=response.status) from None
    return Published(external_id=id_of(sent.chat.id, sent.message_id), url=link(sent.chat, sent.message_id))


def _kept(to: MentionRef) -> Kept:
    """What was stored with the mention, if it was."""
    try:
        return msgspec.json.decode(to.raw, type=Kept) if to.raw else Kept()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Kept()
