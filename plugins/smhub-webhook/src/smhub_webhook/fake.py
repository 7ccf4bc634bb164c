"""A shop in memory, for the conformance kit: it posts what happens there, signed, and takes what we say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smhub.sdk import RawRequest, Secret
from smhub.testing import Answer, FakeNetwork, Post, Request, answer
from smhub_webhook.connector import STANDARD

SECRET = "whsec_c2hvcC1zZWNyZXQtNGYxYS05YjdlLTAzZDI="  # noqa: S105
LONGEST = 100_000


class Fake(FakeNetwork):
    """It tells of tickets by itself and cannot be asked. What carries a `webhook-id` that it knows is taken once."""

    def __init__(self) -> None:
        super().__init__()
        self.tickets: dict[str, dict[str, Any]] = {}
        self.taken: dict[str, dict[str, Any]] = {}
        self.sent = 0

    def config(self, base_url: str) -> dict[str, Any]:
        return {"secret": SECRET, "html": "html", "post_url": f"{base_url}/said"}

    def add(self, text: str, *, at: datetime | None = None) -> str:
        return self._add({"text": text}, at)

    def add_html(self, html: str) -> str:
        return self._add({"html": html}, None)

    def _add(self, words: dict[str, str], at: datetime | None) -> str:
        id_ = f"t{len(self.tickets) + 1}"
        self.tickets[id_] = {"id": id_, "author": "kundin", "time": (at or self.clock.now()).isoformat(), **words}
        return id_

    def edit(self, external_id: str, text: str) -> None:
        self.tickets[external_id] |= {"text": text, "edited": self.clock.now().isoformat()}

    def delete(self, external_id: str) -> None:
        self.tickets[external_id] |= {"text": "", "deleted": True, "edited": self.clock.now().isoformat()}

    def delivery(self, external_id: str) -> RawRequest:
        return self._signed(self.tickets[external_id])

    def posts(self) -> Sequence[Post]:
        return [Post(external_id=one["id"], text=one["text"], reply_to=one.get("in_reply_to")) for one in self.taken.values()]

    def _signed(self, data: dict[str, Any]) -> RawRequest:
        self.sent += 1
        body = json.dumps(data).encode()
        stamp, delivery = str(int(self.clock.now().timestamp())), f"msg_{self.sent}"
        signature = STANDARD.prefix + STANDARD.sign(body, Secret(SECRET), timestamp=stamp, delivery=delivery)
        return RawRequest(headers={"webhook-id": delivery, "webhook-timestamp": stamp, "webhook-signature": signature}, body=body)

    def __call__(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/said"):
            return answer({"error": "nothing here"}, 404)
        told = RawRequest(headers=request.headers, body=request.body)
        if not STANDARD.verify(told, Secret(SECRET), self.clock.now().timestamp()):
            return answer({"error": "not signed"}, 401)
        said = request.json()
        if not 0 < len(said["text"].strip()) <= len(said["text"]) <= LONGEST:
            return answer({"error": "too long, or nothing"}, 422)
        to = said.get("in_reply_to")
        if to and self.tickets.get(to, {"deleted": True}).get("deleted"):
            return answer({"error": "gone"}, 404)
        return answer({"id": self.taken.setdefault(request.headers["webhook-id"], said)["id"]})
