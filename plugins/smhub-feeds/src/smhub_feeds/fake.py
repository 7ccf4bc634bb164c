"""A feed in memory, for the conformance kit: Atom behind Basic authentication; as a JSON Feed once an entry is unreadable."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any

from smhub.sdk import RawRequest, Secret
from smhub.testing import Answer, FakeNetwork, Request, answer
from smhub_feeds.websub import MARK, mark

READER = "Basic " + b64encode(b"reader:sesame-4711").decode()


class Fake(FakeNetwork):
    """The newest entry first, and an ETag. A feed tells nobody that an entry was deleted: it only ends."""

    many = 210
    holds = 500

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[dict[str, Any]] = []
        self.as_json = False

    def config(self, base_url: str) -> dict[str, Any]:
        return {"url": f"{base_url}/feed.xml", "username": "reader", "password": "sesame-4711"}

    def bad_config(self, base_url: str) -> dict[str, Any]:
        return {**self.config(base_url), "password": "not-the-word"}

    def add(self, text: str, *, at: datetime | None = None) -> str:
        return self._add({"text": text}, at)

    def add_html(self, html: str) -> str:
        return self._add({"html": html}, None)

    def _add(self, words: Mapping[str, str], at: datetime | None) -> str:
        id_ = f"urn:entry:{len(self.entries) + 1}"
        self.entries.append({"id": id_, "at": (at or self.clock.now()).isoformat(), **words})
        return id_

    def edit(self, external_id: str, text: str) -> None:
        entry = next(one for one in self.entries if one.get("id") == external_id)
        entry.update(text=text, edited_at=self.clock.now().isoformat())

    def malformed(self) -> None:
        self.entries.append({})
        self.as_json = True

    def delivery(self, external_id: str) -> RawRequest:
        entry = next(one for one in self.entries if one.get("id") == external_id)
        return self._pushed(_feed(_entry(entry)).encode())

    def odd_delivery(self) -> RawRequest:
        return self._pushed(b"<html><body>Hello</body></html>")

    def challenge(self) -> tuple[RawRequest, str]:
        topic = "https://network.test/feed.xml"
        asked = {"hub.mode": "subscribe", "hub.topic": topic, "hub.challenge": "are-you-there", "hub.lease_seconds": "864000"}
        return RawRequest(method="GET", query={**asked, MARK: mark(topic, Secret(self.hook_secret))}), "are-you-there"

    def _pushed(self, body: bytes) -> RawRequest:
        signature = hmac.new(self.hook_secret.encode(), body, "sha256").hexdigest()
        return RawRequest(headers={"x-hub-signature": f"sha256={signature}", "content-type": "application/atom+xml"}, body=body)

    def __call__(self, request: Request) -> Answer:
        if request.headers.get("authorization") != READER:
            return answer({"error": "who are you?"}, 401)
        if request.path != "/feed.xml":
            return answer({"error": "nothing here"}, 404)
        etag = f'"{hash(json.dumps(self.entries)) & 0xFFFFFFFF:x}"'
        if request.headers.get("if-none-match") == etag:
            return Answer(status=304, headers={"etag": etag})
        body = self._json() if self.as_json else self._atom()
        return Answer(headers={"etag": etag, "content-type": "application/atom+xml"}, body=body.encode())

    def _atom(self) -> str:
        return _feed("".join(map(_entry, reversed(self.entries))))

    def _json(self) -> str:
        items = [
            {"id": one["id"], "content_text": one.get("text"), "date_published": one["at"], "authors": [{"name": "desk"}]}
            if one
            else {}
            for one in reversed(self.entries)
        ]
        return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "News", "items": items})


def _feed(entries: str) -> str:
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><id>urn:news</id>{entries}</feed>'


def _entry(one: Mapping[str, str]) -> str:
    kind, words = ("html", one["html"]) if "html" in one else ("text", one["text"])
    # XML has no place for a NUL.
    content = f'<content type="{kind}">{escape(words.replace(chr(0), ""))}</content>'
    times = f"<published>{one['at']}</published><updated>{one.get('edited_at', one['at'])}</updated>"
    return f"<entry><id>{one['id']}</id><author><name>desk</name></author>{times}{content}</entry>"
