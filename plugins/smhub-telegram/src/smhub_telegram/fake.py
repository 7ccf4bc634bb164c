"""A small server of the Bot API in memory, for the conformance kit and the tests: a queue of updates that forgets, chats, a webhook."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from smhub.sdk import RawRequest, length
from smhub.testing import Answer, FakeNetwork, NotOffered, Post, Request
from smhub.testing import answer as said

TOKEN, SECRET = "123456789:AAgood-token_of_firma", "a-secret_for_deliveries"
AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
KEPT = timedelta(hours=24)
DELETABLE = timedelta(hours=48)
Told = tuple[int, Any]

BOT = {"id": 123456789, "is_bot": True, "first_name": "Firma", "username": "firma_bot"}
KUNDIN = {"id": 1001, "is_bot": False, "first_name": "Katrin", "last_name": "Kundin", "username": "kundin"}
PRIVATE = {"id": 1001, "type": "private", "first_name": "Katrin", "last_name": "Kundin", "username": "kundin"}
CHANNEL = {"id": -1001234567890, "type": "channel", "title": "Firma", "username": "firma_news"}
GROUP = {"id": -1009876543210, "type": "supergroup", "title": "Kesselfreunde"}


def good(result: Any) -> Told:
    return 200, {"ok": True, "result": result}


def refused(status: int, description: str, **parameters: Any) -> Told:
    more = {"parameters": parameters} if parameters else {}
    return status, {"ok": False, "error_code": status, "description": description, **more}


class Server:
    """firma_bot is us. `updates` below `confirmed` are forgotten; `messages` are those that stand in the chats, by chat and number. `odd`: it
    answers what Telegram would not."""

    def __init__(self) -> None:
        self.now = AT
        self.updates: list[dict[str, Any]] = []
        self.confirmed = 0
        self.messages: dict[tuple[int, int], dict[str, Any]] = {}
        self.chats: dict[str | int, dict[str, Any]] = {}
        for chat in (PRIVATE, CHANNEL, GROUP):
            self.chats[chat["id"]] = chat  # type: ignore[index]
            if "username" in chat:
                self.chats[f"@{chat['username']}"] = chat
        self.membership: dict[int, dict[str, Any]] = {
            -1001234567890: {"status": "administrator", "can_post_messages": True},
            -1009876543210: {"status": "member"},
        }
        self.hook: dict[str, Any] = {"url": ""}
        self.odd = False
        self.asked: Counter[str] = Counter()
        self.faults: list[Callable[[str, dict[str, Any]], Told | None]] = []
        self._number = 500
        self._update = 7000

    # What happens on it

    def says(self, text: str | None, at: datetime | None = None, chat: Mapping[str, Any] = PRIVATE, **more: Any) -> str:
        """Somebody writes; the bot is told of it."""
        message = self.message(chat, at or self.now, {"from": KUNDIN, **({"text": text} if text is not None else {}), **more})
        self.happens("channel_post" if chat["type"] == "channel" else "message", message)
        return f"{chat['id']}/{message['message_id']}"

    def message(self, chat: Mapping[str, Any], at: datetime, more: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        made = {"message_id": self._number, "date": int(at.timestamp()), "chat": dict(chat), **more}
        self.messages[chat["id"], self._number] = made
        return made

    def happens(self, kind: str, what: Any) -> None:
        self._update += 1
        self.updates.append({"update_id": self._update, kind: what})

    def edit(self, external_id: str, text: str) -> None:
        key = self.key(external_id)
        self.messages[key] = {**self.messages[key], "text": text, "edit_date": int(self.now.timestamp())}
        self.happens("edited_message", self.messages[key])

    def key(self, external_id: str) -> tuple[int, int]:
        chat, _, number = external_id.partition("/")
        return int(chat), int(number)

    def ours(self) -> list[dict[str, Any]]:
        """What the bot said that stands there."""
        return [one for one in self.messages.values() if one.get("from") == BOT or one.get("by_bot")]

    # How it answers

    def answer(self, method: str, target: str, body: bytes) -> Told:
        parts = urlsplit(target)
        path = unquote(parts.path)
        if not path.startswith(f"/bot{TOKEN}/"):
            return refused(401, "Unauthorized") if path.startswith("/bot") else (404, {"error": "nothing here"})
        call = path.rpartition("/")[2]
        words: dict[str, Any] = json.loads(body) if body else {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked[call] += 1
        for fault in list(self.faults):
            if (told := fault(call, words)) is not None:
                return told
        match call:
            case "getMe":
                return good(BOT)
            case "getUpdates":
                return self._updates(words)
            case "setWebhook":
                if not words["url"].startswith("https://") and not self.odd:
                    return refused(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
                self.hook = words
                return good(True)
            case "deleteWebhook":
                self.hook = {"url": ""}
                return good(True)
            case "getWebhookInfo":
                waiting = sum(one["update_id"] >= self.confirmed for one in self.updates)
                return good({"url": self.hook["url"], "has_custom_certificate": False, "pending_update_count": waiting})
            case "getChat" | "getChatMember" | "sendMessage":
                asked = words["chat_id"]
                chat = self.chats.get(int(asked) if isinstance(asked, str) and asked.lstrip("-").isdecimal() else asked)
                if chat is None:
                    return refused(400, "Bad Request: chat not found")
                return self._in(call, chat, words)
            case "editMessageText" | "deleteMessage":
                return self._change(call, words)
        return refused(404, "Not Found")

    def _updates(self, words: dict[str, Any]) -> Told:
        if self.hook["url"]:
            return refused(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            )
        kinds = json.loads(words["allowed_updates"])
        self.confirmed = max(self.confirmed, int(words.get("offset", 0)))
        waiting = [one for one in self.updates if one["update_id"] >= self.confirmed and any(kind in one for kind in kinds)]
        return good(waiting[: int(words["limit"])])

    def _in(self, call: str, chat: dict[str, Any], words: dict[str, Any]) -> Told:
        if call == "getChat":
            return good({**chat, "accent_color_id": 0, "max_reaction_count": 11})
        if call == "getChatMember":
            return good({"user": BOT, **self.membership[chat["id"]]})
        text = words["text"]
        if not text.strip():
            return refused(400, "Bad Request: message text is empty")
        if length(text, "utf16") > 4096:
            return refused(400, "Bad Request: message is too long")
        more: dict[str, Any] = (
            {"text": text, "sender_chat": chat, "by_bot": True} if chat["type"] == "channel" else {"text": text, "from": BOT}
        )
        if "reply_parameters" in words:
            answered = self.messages.get((chat["id"], words["reply_parameters"]["message_id"]))
            if answered is None:
                return refused(400, "Bad Request: message to be replied not found")
            more["reply_to_message"] = {key: value for key, value in answered.items() if key != "reply_to_message"}
        if "message_thread_id" in words:
            more |= {"message_thread_id": words["message_thread_id"], "is_topic_message": True}
        return good({key: value for key, value in self.message(chat, self.now, more).items() if key != "by_bot"})

    def _change(self, call: str, words: dict[str, Any]) -> Told:
        key = (words["chat_id"], words["message_id"])
        there = self.messages.get(key)
        what = "edit" if call == "editMessageText" else "delete"
        if there is None:
            return refused(400, f"Bad Request: message to {what} not found")
        if there not in self.ours():
            return refused(400, f"Bad Request: message can't be {what}{'d' if what == 'delete' else 'ed'}")
        if call == "deleteMessage":
            if self.now.timestamp() - there["date"] > DELETABLE.total_seconds():
                return refused(400, "Bad Request: message can't be deleted for everyone")
            del self.messages[key]
            return good(True)
        if there["text"] == words["text"]:
            return refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
                "current content and reply markup of the message",
            )
        self.messages[key] = {**there, "text": words["text"], "edit_date": int(self.now.timestamp())}
        return good({name: value for name, value in self.messages[key].items() if name != "by_bot"})


class Fake(FakeNetwork):
    """The bot of firma, which posts into a channel; kundin writes to it."""

    many = 250

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()

    def config(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "token": TOKEN, "secret": SECRET, "chat": "@firma_news"}

    def bad_config(self, base_url: str) -> dict[str, Any]:
        return {**self.config(base_url), "token": "123456789:AAbad-token_of_nobody"}

    def __call__(self, request: Request) -> Answer:
        self.server.now = self.clock.now()
        status, content = self.server.answer(request.method, request.target, request.body)
        return said(content, status)

    def add(self, text: str, *, at: datetime | None = None) -> str:
        now = self.clock.now()
        if at is not None and now - at > KEPT:
            raise NotOffered("Telegram keeps updates for 24 hours: nobody is told of what is older")
        return self.server.says(text, at or now)

    def edit(self, external_id: str, text: str) -> None:
        self.server.now = self.clock.now()
        self.server.edit(external_id, text)

    def delete(self, external_id: str) -> None:
        raise NotOffered("Telegram does not tell bots of deletions")

    def malformed(self) -> None:
        self.server.odd = True
        self.server.happens("message", {"message_id": "no number", "date": 0, "chat": {}})

    def rewind(self) -> None:
        self.server.confirmed = 0

    def posts(self) -> Sequence[Post]:
        return [
            Post(
                external_id=f"{one['chat']['id']}/{one['message_id']}",
                text=one["text"],
                reply_to=f"{one['chat']['id']}/{one['reply_to_message']['message_id']}" if "reply_to_message" in one else None,
            )
            for one in self.server.ours()
        ]

    def delivery(self, external_id: str) -> RawRequest:
        key = self.server.key(external_id)
        about = [
            update
            for update in self.server.updates
            for message in update.values()
            if isinstance(message, dict) and message.get("message_id") == key[1]
        ]
        return self._signed(about[-1])

    def odd_delivery(self) -> RawRequest:
        return self._signed({"update_id": 1, "callback_query": {"id": "1", "from": KUNDIN, "chat_instance": "1"}})

    def _signed(self, update: Any) -> RawRequest:
        headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": SECRET}
        return RawRequest(headers=headers, body=json.dumps(update).encode())
