"""A made-up network that can do everything, for the reference connector and those that break one thing of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from smhub.sdk import RawRequest, length
from smhub.testing.network import Answer, FakeNetwork, Post, Request, answer, framed, websocket

TOKEN = "market-token-5e7c"  # noqa: S105
HOOK = "market-hook-91d2"
PAGE = 40
LONGEST = 120
LARGEST_FILE = 1000
IMAGES = ("image/png",)


class Market(FakeNetwork):
    """Every change has a number, `seq`; `/mentions?after=` tells what came after one, the oldest first."""

    many = 95

    def __init__(self) -> None:
        super().__init__()
        self.seq = 0
        self.rows: list[dict[str, Any]] = []
        self.ours: list[dict[str, Any]] = []
        self.containers: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.forgotten: set[int] = set()
        self.hooks: list[str] = []
        self.unready = False
        self.unique = False

    def config(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "token": TOKEN, "hook_secret": HOOK}

    def bad_config(self, base_url: str) -> dict[str, Any]:
        return {**self.config(base_url), "token": "wrong-token-00"}

    def old_configs(self) -> Mapping[int, dict[str, Any]]:
        return {1: {"server": "https://network.test", "token": TOKEN, "hook_secret": HOOK}}

    def old_cursors(self) -> Mapping[int, dict[str, Any]]:
        return {1: {"at": "17"}}

    # What happens

    def add(self, text: str, *, at: datetime | None = None) -> str:
        return self._add({"text": text}, at)

    def add_html(self, html: str) -> str:
        return self._add({"text": "", "html": html}, None)

    def _add(self, words: dict[str, Any], at: datetime | None) -> str:
        self.seq += 1
        id_ = f"m{len(self.rows) + 1}"
        stamp = (at or self.clock.now()).isoformat()
        by = {"id": "u1", "name": "kundin"}
        self.rows.append({"seq": self.seq, "id": id_, "at": stamp, "edited_at": None, "deleted": False, "by": by, **words})
        return id_

    def edit(self, external_id: str, text: str) -> None:
        self._change(external_id, {"text": text, "edited_at": self.clock.now().isoformat()})

    def delete(self, external_id: str) -> None:
        self._change(external_id, {"text": "", "deleted": True})

    def _change(self, external_id: str, change: dict[str, Any]) -> None:
        row = next(row for row in self.rows if row.get("id") == external_id)
        self.rows.remove(row)
        self.seq += 1
        self.rows.append({**row, **change, "seq": self.seq})

    def malformed(self) -> None:
        self.seq += 1
        self.rows.append({"seq": self.seq, "what": "is this"})

    def forget(self) -> None:
        self.forgotten.add(self.seq)

    def budget(self, remaining: int, reset_at: datetime) -> Mapping[str, str]:
        return {"x-left": str(remaining), "x-reset": str(int(reset_at.timestamp()))}

    def scope_missing(self) -> Answer:
        return answer({"error": "scope", "scope": "mentions:read"}, 403)

    def posts(self) -> Sequence[Post]:
        return [
            Post(external_id=one["id"], text=one["text"], reply_to=one.get("to"), alts=tuple(file["alt"] for file in one["files"]))
            for one in self.ours
        ]

    def never_ready(self) -> None:
        self.unready = True

    def refuses_repetition(self) -> None:
        self.unique = True

    def delivery(self, external_id: str) -> RawRequest:
        return self._signed([row for row in self.rows if row.get("id") == external_id])

    def odd_delivery(self) -> RawRequest:
        return self._signed({"kind": "festival"})

    def told(self, external_id: str) -> bytes:
        row = next(row for row in self.rows if row.get("id") == external_id)
        return f":thump\n\nevent: change\ndata: {json.dumps(row)}\n\n".encode()

    def bad_telling(self) -> bytes:
        return b'event: change\ndata: {"what": "is this"}\n\n'

    def challenge(self) -> tuple[RawRequest, str]:
        return RawRequest(method="GET", query={"challenge": "are-you-there"}), "are-you-there"

    def subscriptions(self) -> Sequence[str]:
        return self.hooks

    def _signed(self, data: Any) -> RawRequest:
        body = json.dumps(data).encode()
        stamp = str(int(self.clock.now().timestamp()))
        digest = hmac.new(HOOK.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return RawRequest(headers={"x-signature": f"v1={digest}", "x-timestamp": stamp}, body=body)

    # How it answers

    def __call__(self, request: Request) -> Answer:
        told = request.headers.get("authorization", "").removeprefix("Bearer ") or request.param("token")
        if not self.takes(told):
            return answer({"error": "token"}, 401)
        first, *rest = request.path.strip("/").split("/")
        match request.method, first, rest:
            case "GET", "me", []:
                return answer({"id": "u0", "name": "firma"})
            case "GET", "mentions", []:
                return self._mentions(request)
            case "GET", "stream", []:
                return Answer(headers={"content-type": "text/event-stream"}, body=self.telling)
            case "GET", "latest", []:
                return answer({"seq": self.seq})
            case "GET", "counts", []:
                ids = request.query.get("id", [])
                return answer([{"id": one["id"], "likes": 3, "shares": 1} for one in self.ours if one["id"] in ids])
            case _, "hooks", []:
                return self._hooks(request)
            case "POST", "files", []:
                return self._file(request.json())
            case _, "posts", _:
                return self._posts(request, rest)
            case _, "containers", _:
                return self._containers(request, rest)
        return answer({"error": "nothing here"}, 404)

    def takes(self, token: str) -> bool:
        """Whether the network lets this one in."""
        return token == TOKEN

    def _hooks(self, request: Request) -> Answer:
        address = request.param("address")
        if request.method == "PUT" and address not in self.hooks:
            self.hooks.append(address)
        elif request.method == "DELETE" and address in self.hooks:
            self.hooks.remove(address)
        elif request.method == "POST":
            self.hooks.append(address)
        return answer(self.hooks)

    def _mentions(self, request: Request) -> Answer:
        rows, limit = self.rows, int(request.param("limit", str(PAGE)))
        if since := request.param("since"):
            rows = [row for row in rows if datetime.fromisoformat(row.get("at", since)) > datetime.fromisoformat(since)]
        after = int(request.param("after", "-1"))
        if after in self.forgotten:
            return answer({"error": "forgotten"}, 410)
        if below := request.param("below"):
            return answer([row for row in reversed(rows) if row["seq"] < int(below)][:limit])
        return answer([row for row in rows if row["seq"] > after][:limit])

    def _file(self, data: dict[str, Any]) -> Answer:
        if data["type"] not in IMAGES or len(base64.b64decode(data["content"])) > LARGEST_FILE:
            return answer({"error": "this file is not taken"}, 422)
        id_ = f"f{len(self.files)}"
        self.files[id_] = {"id": id_, "alt": data["alt"]}
        return answer(self.files[id_])

    def _posts(self, request: Request, rest: list[str]) -> Answer:
        if request.method == "GET":
            return answer(self.ours)
        if request.method == "POST":
            return self._say(request.json(), request.headers.get("idempotency-key"))
        found = [one for one in self.ours if one["id"] == rest[0]]
        if not found:
            return answer({"error": "not found"}, 404)
        if request.method == "DELETE":
            self.ours.remove(found[0])
            return answer({})
        found[0]["text"] = request.json()["text"]
        return answer(found[0])

    def _say(self, given: dict[str, Any], key: str | None) -> Answer:
        known = [one for one in self.ours if key is not None and one["key"] == key]
        if known:
            return answer(known[0])
        if self.unique and (same := [one for one in self.ours if one["text"] == given["text"]]):
            return answer({"error": "duplicate", "id": same[0]["id"]}, 409)
        if length(given["text"], "graphemes") > LONGEST or not given["text"].strip():
            return answer({"error": "too long, or nothing"}, 422)
        to = given.get("to")
        if to and not any(row.get("id") == to and not row["deleted"] for row in self.rows):
            return answer({"error": "what you answer is gone"}, 404)
        files = [self.files[one] for one in given.get("files", [])]
        said = {"id": f"p{self.seq}-{len(self.ours)}", "key": key, "text": given["text"], "to": to, "files": files}
        self.ours.append({**said, "at": self.clock.now().isoformat()})
        return answer(self.ours[-1])

    def _containers(self, request: Request, rest: list[str]) -> Answer:
        if not rest:
            id_ = f"c{len(self.containers)}"
            self.containers[id_] = {"id": id_, "given": request.json(), "post": None, "asked": 0}
            return answer({"id": id_})
        container = self.containers[rest[0]]
        if request.method == "GET":
            container["asked"] += 1
            ready = container["asked"] > 1 and not self.unready
            return answer({"id": container["id"], "ready": ready, "post": container["post"]})
        said = self._say(container["given"], None)
        if said.status == 200:
            container["post"] = json.loads(said.body)["id"]
        return said


class OAuthMarket(Market):
    """The same network, where a person lets us in."""

    def config(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "hook_secret": HOOK}

    def old_configs(self) -> Mapping[int, dict[str, Any]]:
        return {1: {"server": "https://network.test", "hook_secret": HOOK}}

    def takes(self, token: str) -> bool:
        return token in self.tokens


class Telegraph(Market):
    """The same network, with a WebSocket in place of its stream of events."""

    def told(self, external_id: str) -> bytes:
        row = next(row for row in self.rows if row.get("id") == external_id)
        # A heartbeat first, as servers send them.
        return b"\x89\x00" + framed(json.dumps(row))

    def bad_telling(self) -> bytes:
        return framed('{"what": "is this"}')

    def __call__(self, request: Request) -> Answer:
        answered = super().__call__(request)
        return websocket(request, self.telling) if request.path == "/stream" and answered.status == 200 else answered
