"""A small homeserver in memory with one room, for the conformance kit and the tests: sync, history, edits, redactions, transactions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from smhub.testing import Answer, FakeNetwork, Post, Request
from smhub.testing import answer as said

TOKEN = "syt_firma_good"  # noqa: S105
ROOM, ALIAS = "!service:home.test", "#service:home.test"
AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
LARGEST_EVENT = 65536
Told = tuple[int, Any]


def refused(errcode: str, error: str = "", status: int = 403, **more: Any) -> Told:
    return status, {"errcode": errcode, "error": error, **more}


class Homeserver:
    """firma is us, kundin speaks to us; both are in the room. `events` are in the order of their arrival."""

    def __init__(self) -> None:
        self.now = AT
        self.events: list[Any] = []
        self.membership = {"@firma:home.test": "join", "@kundin:home.test": "join"}
        self.state: dict[str, dict[str, Any]] = {"m.room.join_rules": {"join_rule": "invite"}}
        self.tokens = {TOKEN: "@firma:home.test"}
        self.transactions: dict[tuple[str, str], str] = {}
        self.asked: Counter[str] = Counter()
        self.faults: list[Callable[[str, str], Told | None]] = []
        self.epoch = 0
        self._number = 0

    # What happens on it

    def happens(self, type_: str, sender: str, content: Any, at: datetime | None = None, **more: Any) -> str:
        self._number += 1
        event_id = f"${self._number:04d}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
        event = {
            "type": type_,
            "event_id": event_id,
            "sender": sender,
            "room_id": ROOM,
            "origin_server_ts": int((at or self.now).timestamp() * 1000),
            "content": content,
        }
        self.events.append({**event, **more})
        return event_id

    def says(self, text: str, at: datetime | None = None, who: str = "@kundin:home.test", **more: Any) -> str:
        """Somebody writes into the room."""
        return self.happens("m.room.message", who, {"msgtype": "m.text", "body": text, **more}, at)

    def edit(self, event_id: str, text: str, who: str = "@kundin:home.test") -> str:
        """Somebody changes words."""
        content = {
            "msgtype": "m.text",
            "body": f"* {text}",
            "m.new_content": {"msgtype": "m.text", "body": text},
            "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
        }
        return self.happens("m.room.message", who, content)

    def redact(self, event_id: str, who: str = "@kundin:home.test") -> str:
        """Somebody takes an event back: it loses its content."""
        redaction = self.happens("m.room.redaction", who, {}, redacts=event_id)
        event = self.event(event_id)
        if event is not None:
            event["content"], event["unsigned"] = {}, {"redacted_because": {"event_id": redaction}}
        return redaction

    def throw_out(self, user: str) -> None:
        """Somebody is no longer in the room."""
        self.membership[user] = "leave"
        self.happens("m.room.member", "@kundin:home.test", {"membership": "leave"}, state_key=user)

    def event(self, event_id: str) -> dict[str, Any] | None:
        return next((one for one in self.events if one.get("event_id") == event_id), None)

    def edits(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The edits of an event that hold, the newest last."""
        return [
            one
            for one in self.events
            if isinstance(one["content"], dict)
            and one["content"].get("m.relates_to") == {"rel_type": "m.replace", "event_id": event["event_id"]}
            and one["sender"] == event["sender"]
        ]

    def by(self, who: str) -> list[dict[str, Any]]:
        """What somebody said that still stands there, without the edits."""
        mine = [one for one in self.events if one.get("sender") == who and one["type"] == "m.room.message" and one["content"]]
        return [one for one in mine if "m.new_content" not in one["content"]]

    # How it answers

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Told:
        parts = urlsplit(target)
        steps = [unquote(step) for step in parts.path.removeprefix("/_matrix/client/v3/").split("/")]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked[f"{method} {steps[0]}{f'/{steps[2]}' if len(steps) > 2 else ''}"] += 1
        for fault in list(self.faults):
            if (told := fault(method, parts.path)) is not None:
                return told
        me = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if me is None:
            return refused("M_UNKNOWN_TOKEN", "Invalid access token passed.", 401, soft_logout=False)
        if not parts.path.startswith("/_matrix/client/v3/"):
            return refused("M_UNRECOGNIZED", "Unrecognized request", 404)
        match method, steps:
            case "GET", ["account", "whoami"]:
                return 200, {"user_id": me, "device_id": "HUB"}
            case "GET", ["directory", "room", alias]:
                return (200, {"room_id": ROOM, "servers": ["home.test"]}) if alias == ALIAS else refused("M_NOT_FOUND", "", 404)
            case "GET", ["sync"]:
                return self._sync(query, me)
            case _, ["rooms", room, *rest] if room == ROOM:
                return self._room(method, rest, query, json.loads(body) if body else {}, me, headers)
            case _, ["rooms", *_]:
                return refused("M_FORBIDDEN", "You aren't a member of the room.")
        return refused("M_UNRECOGNIZED", "Unrecognized request", 404)

    def _room(
        self, method: str, rest: list[str], query: dict[str, str], words: dict[str, Any], me: str, headers: Mapping[str, str]
    ) -> Told:
        match method, rest:
            case "GET", ["state", "m.room.member", user] if user in self.membership:
                return 200, {"membership": self.membership[user], "displayname": user[1:].partition(":")[0].title()}
            case "GET", ["state", type_, *_]:
                return (200, self.state[type_]) if type_ in self.state else refused("M_NOT_FOUND", "Event not found.", 404)
        if self.membership[me] != "join":
            return refused("M_FORBIDDEN", "You aren't a member of the room.")
        match method, rest:
            case "GET", ["messages"]:
                return self._messages(query)
            case "GET", ["event", event_id]:
                event = self.event(event_id)
                return (200, self._shown(event)) if event is not None else refused("M_NOT_FOUND", "Event not found.", 404)
            case "PUT", ["send", type_, txn]:
                if len(json.dumps(words, ensure_ascii=False).encode()) > LARGEST_EVENT:
                    return refused("M_TOO_LARGE", "event too large", 413)
                if not isinstance(words.get("body"), str):
                    return refused("M_BAD_JSON", "no body", 400)
                return self._once(headers, txn, lambda: self.happens(type_, me, words))
            case "PUT", ["redact", event_id, txn]:
                return self._once(headers, txn, lambda: self.redact(event_id, me))
        return refused("M_UNRECOGNIZED", "Unrecognized request", 404)

    def _once(self, headers: Mapping[str, str], txn: str, do: Callable[[], str]) -> Told:
        """A transaction belongs to the token that it came with."""
        key = (headers["authorization"], txn)
        if key not in self.transactions:
            self.transactions[key] = do()
        return 200, {"event_id": self.transactions[key]}

    def _place(self, token: str) -> int | None:
        """How many events lie before a place; None when it is none of ours (any more)."""
        epoch, _, number = token[1:].partition("_")
        return int(number) if epoch == str(self.epoch) and number.isdecimal() else None

    def _sync(self, query: dict[str, str], me: str) -> Told:
        since = self._place(query["since"]) if "since" in query else 0
        if since is None:
            return refused("M_UNKNOWN", "Invalid stream token", 400)
        shown = json.loads(query["filter"])["room"]["timeline"]
        next_batch = f"s{self.epoch}_{len(self.events)}"
        if self.membership[me] != "join":
            # As Synapse does: only once, and only to those who read such events.
            left = [one for one in self.events[since:] if one["type"] == "m.room.member" and "m.room.member" in shown["types"]]
            return 200, {"next_batch": next_batch, **({"rooms": {"leave": {ROOM: {"timeline": {"events": left}}}}} if left else {})}
        wanted = [number for number in range(since, len(self.events)) if self.events[number].get("type") in shown["types"]]
        if not wanted:
            return 200, {"next_batch": next_batch}
        newest = wanted[-shown["limit"] :]
        events = [self._shown(self.events[number]) for number in newest]
        timeline = {"events": events, "limited": len(newest) < len(wanted), "prev_batch": f"t{self.epoch}_{newest[0]}"}
        return 200, {"next_batch": next_batch, "rooms": {"join": {ROOM: {"timeline": timeline, "state": {"events": self._members()}}}}}

    def _messages(self, query: dict[str, str]) -> Told:
        begin = self._place(query["from"]) if "from" in query else len(self.events)
        end = self._place(query["to"]) if "to" in query else 0
        if begin is None or end is None:
            return refused("M_UNKNOWN", "Invalid stream token", 400)
        shown = json.loads(query["filter"])
        wanted = [
            number
            for number in range(begin - 1, end - 1, -1)
            if self.events[number].get("type") in shown["types"]
            and self.events[number].get("sender") in shown.get("senders", [self.events[number].get("sender")])
        ][: min(int(query["limit"]), 100)]
        more = {"end": f"t{self.epoch}_{wanted[-1]}"} if wanted else {}
        return 200, {
            "start": query.get("from", ""),
            "chunk": [self._shown(self.events[number]) for number in wanted],
            "state": self._members(),
            **more,
        }

    def _shown(self, event: Any) -> Any:
        if event["type"] == "m.room.message" and event.get("content") and (edits := self.edits(event)):
            return {**event, "unsigned": {"m.relations": {"m.replace": edits[-1]}}}
        return event

    def _members(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "m.room.member",
                "event_id": f"$member-{user}",
                "sender": user,
                "state_key": user,
                "origin_server_ts": 0,
                "content": {"membership": membership, "displayname": user[1:].partition(":")[0].title()},
            }
            for user, membership in self.membership.items()
        ]


class Fake(FakeNetwork):
    """The account firma in a room; kundin speaks there."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Homeserver()

    def config(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "token": TOKEN, "room": ALIAS}

    def bad_config(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "token": "syt_nobody", "room": ALIAS}

    def __call__(self, request: Request) -> Answer:
        self.server.now = self.clock.now()
        status, content = self.server.answer(request.method, request.target, dict(request.headers), request.body)
        return said(content, status)

    def add(self, text: str, *, at: datetime | None = None) -> str:
        return self.server.says(text, at or self.clock.now())

    def add_html(self, html: str) -> str:
        return self.server.says("See the formatted words", self.clock.now(), format="org.matrix.custom.html", formatted_body=html)

    def edit(self, external_id: str, text: str) -> None:
        self.server.now = self.clock.now()
        self.server.edit(external_id, text)

    def delete(self, external_id: str) -> None:
        self.server.now = self.clock.now()
        self.server.redact(external_id)

    def malformed(self) -> None:
        self.server.happens("m.room.message", "@kundin:home.test", "no object", self.clock.now() - timedelta(seconds=1))

    def forget(self) -> None:
        self.server.epoch += 1

    def scope_missing(self) -> Answer:
        return said({"errcode": "M_FORBIDDEN", "error": "You aren't a member of the room."}, 403)

    def posts(self) -> Sequence[Post]:
        found = []
        for one in self.server.by("@firma:home.test"):
            newest = self.server.edits(one)
            text = newest[-1]["content"]["m.new_content"]["body"] if newest else one["content"]["body"]
            answered = one["content"].get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id")
            found.append(Post(external_id=one["event_id"], text=text, reply_to=answered))
        return found
