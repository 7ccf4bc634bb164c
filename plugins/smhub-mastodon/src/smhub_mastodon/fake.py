"""A small Mastodon in memory, for the conformance kit and the tests: it keeps what is posted, and has the habits of real ones."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from smhub.sdk import length
from smhub.testing import Answer, FakeNetwork, Post, Request
from smhub.testing import answer as said

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
URL_WEIGHT = 25
TOKEN = "tok-firma"  # noqa: S105
Told = tuple[int, dict[str, str], Any]


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_html(text: str) -> str:
    """As Mastodon renders: paragraphs, links with their ends hidden, handles without their host."""
    text = html.escape(text, quote=False)
    text = re.sub(
        r"https?://(\S+)",
        lambda m: f'<a href="{m[0]}"><span class="invisible">https://</span><span>{m[0].partition("://")[2]}</span></a>',
        text,
    )
    text = re.sub(
        r"(?<![\w/>])@(\w+)(@[\w.]+)?",
        r'<span class="h-card"><a href="https://x.test/@\1" class="u-url mention">@<span>\1</span></a></span>',
        text,
    )
    return "".join(f"<p>{part}</p>" for part in text.replace("\n", "<br />").split("<br /><br />"))


class Instance:
    """`software` is what NodeInfo says; a GoToSocial has no keys, no batches, ULIDs for ids, answers 400 and tells resets as ISO times."""

    def __init__(self, software: str = "mastodon") -> None:
        self.software = software
        self.gotosocial = software == "gotosocial"
        self.now = AT
        self.tokens = {"tok-firma": "firma", "tok-kundin": "kundin"}
        self.max_characters = 500
        self.statuses: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, str] = {}
        self.notifications: list[Any] = []
        self.keys: dict[str, str] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.faults: list[Callable[[str, str], Told | None]] = []
        self.searches = True
        self.silenced = False
        self.file_work = 0
        self.domain = "social.test"
        self.url = "https://social.test"
        self.ears: list[tuple[str, Callable[[bytes], None]]] = []
        self._number = 0

    # What happens on it

    def id(self) -> str:
        self._number += 1
        if not self.gotosocial:
            return str(115_000_000_000_000_000 + self._number)
        number, text = self._number, ""
        for _ in range(16):
            number, rest = divmod(number, 32)
            text = ALPHABET[rest] + text
        return "01KC2N4X5Q" + text

    def account(self, name: str) -> dict[str, Any]:
        local = name.partition("@")[0]
        return {
            "id": f"acc-{name}",
            "username": local,
            "acct": name,
            "display_name": name.title(),
            "url": f"https://{self.domain}/@{name}",
            "avatar": "https://social.test/avatar.png",
            "followers_count": 3,
        }

    def says(self, who: str, text: str, **more: Any) -> str:
        """Somebody posts; who is named in it is notified."""
        id_ = self.id()
        content = more.pop("content", None) or as_html(text)
        names = [one for one in re.findall(r"(?<![\w/])@(\w+(?:@[\w.]+\w)?)", text) if one != who]
        at = more.pop("at", self.now)
        self.statuses[id_] = {
            "id": id_,
            "uri": f"https://{self.domain}/statuses/{id_}",
            "url": f"https://{self.domain}/@{who}/{id_}",
            "created_at": stamp(at),
            "edited_at": None,
            "account": self.account(who),
            "content": content,
            "visibility": "public",
            "spoiler_text": "",
            "sensitive": False,
            "language": "de",
            "in_reply_to_id": None,
            "media_attachments": [],
            "mentions": [{"id": f"acc-{one}", "acct": one, "username": one, "url": ""} for one in dict.fromkeys(names)],
            "tags": [{"name": one.lower()} for one in re.findall(r"#(\w+)", text)],
            "reblog": None,
            "replies_count": 1,
            "reblogs_count": 2,
            "favourites_count": 3,
            **more,
        }
        self.sources[id_] = text
        self.tell_of("update", self.statuses[id_])
        if "firma" in names:
            self.notify("mention", id_)
        return id_

    def notify(self, type_: str, status_id: str | None, **more: Any) -> None:
        status = {"status_id": status_id} if status_id else {}
        self.notifications.append({"id": self.id(), "type": type_, "created_at": stamp(self.now), **status, **more})
        whole = {"status": self.statuses[status_id]} if status_id else {}
        self.tell("user", "notification", {"id": self._number, "type": type_, "created_at": stamp(self.now), **whole, **more})

    def edit(self, id_: str, text: str) -> None:
        self.now += timedelta(minutes=1)
        self.statuses[id_] |= {"content": as_html(text), "edited_at": stamp(self.now)}
        self.tell_of("status.update", self.statuses[id_])

    def remove(self, id_: str) -> None:
        self.tell_of("delete", self.statuses.pop(id_))
        self.notifications = [one for one in self.notifications if one.get("status_id") != id_]
        for one in self.statuses.values():
            if one["in_reply_to_id"] == id_:
                one["in_reply_to_id"] = None

    def by(self, who: str) -> list[dict[str, Any]]:
        return [one for one in self.statuses.values() if one["account"]["acct"] == who]

    # What it tells those who listen

    def tell(self, stream: str, event: str, data: Any) -> None:
        """An event to every open connection of a stream: `user`, or `hashtag:` and the tag."""
        payload = data if isinstance(data, str) else json.dumps(data)
        for name, say in list(self.ears):
            if name == stream:
                say(f"event: {event}\ndata: {payload}\n\n".encode())

    def tell_of(self, event: str, status: dict[str, Any]) -> None:
        """An event about a status to all whom it concerns."""
        data: Any = status["id"] if event == "delete" else status
        if event != "update":
            self.tell("user", event, data)
        for tag in status["tags"]:
            self.tell(f"hashtag:{tag['name']}", event, data)

    # How it answers

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Told:
        parts = urlsplit(target)
        path, query = unquote(parts.path), parse_qs(parts.query)
        self.requests.append((method, target, headers, body))
        self.asked[f"{method} {re.sub(r'/(115[0-9]{15}|01KC[0-9A-Z]+|acc-[^/]+)', '/:id', path)}"] += 1
        for fault in list(self.faults):
            if (told := fault(method, path)) is not None:
                return told
        if path.startswith(("/.well-known", "/nodeinfo")) or path.endswith("/instance"):
            return self._about(path)
        me = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if me is None:
            return 401, {}, {"error": "The access token is invalid"}
        return self._api(method, path, query, headers, body, me)

    def _about(self, path: str) -> Told:
        if path == "/.well-known/nodeinfo":
            link = {"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": f"{self.url}/nodeinfo/2.0"}
            return 200, {}, {"links": [link]}
        if path == "/nodeinfo/2.0":
            return 200, {}, {"software": {"name": self.software, "version": "4.5.0"}}
        limits = {
            "statuses": {"max_characters": self.max_characters, "max_media_attachments": 6, "characters_reserved_per_url": URL_WEIGHT},
            "media_attachments": {
                "supported_mime_types": ["image/png", "video/mp4"],
                "image_size_limit": 100,
                "description_limit": 900,
            },
        }
        if path == "/api/v2/instance" and not self.gotosocial:
            return 200, {}, {"domain": self.domain, "configuration": limits}
        if path == "/api/v1/instance":
            return 200, {}, {"uri": f"https://{self.domain}", "configuration": limits}
        return 404, {}, {"error": "Not found"}

    def _api(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes, me: str) -> Told:
        one = path.split("/")
        match method, one[3:]:
            case "GET", ["accounts", "verify_credentials"]:
                return 200, {}, self.account(me)
            case "GET", ["apps", "verify_credentials"]:
                return 200, {}, {"name": "smhub", "scopes": ["read", "write:statuses"]}
            case "GET", ["notifications"]:
                shown = [
                    {key: value for key, value in one.items() if key != "status_id"}
                    | ({"status": self.statuses[one["status_id"]]} if "status_id" in one else {})
                    for one in self.notifications
                    if not isinstance(one, dict) or "types[]" not in query or one["type"] in query["types[]"]
                ]
                return self._page(shown, query, path)
            case "GET", ["accounts", _, "statuses"]:
                return self._page(self.by(one[4].removeprefix("acc-")), query, path)
            case "GET", ["timelines", "tag", tag]:
                tagged = [status for status in self.statuses.values() if any(found["name"] == tag for found in status["tags"])]
                return self._page(sorted(tagged, key=lambda status: status["id"]), query, path)
            case "GET", ["search"]:
                return self._search(query)
            case "GET", ["statuses"] if not self.gotosocial:
                return 200, {}, [self.statuses[id_] for id_ in query["id[]"][:20] if id_ in self.statuses]
            case "POST", ["statuses"]:
                return self._post(json.loads(body), headers.get("idempotency-key"), me)
            case "POST", ["media"]:
                return self._upload(headers, body)
            case "GET", ["media", id_]:
                self.file_work -= 1
                return (206 if self.file_work > 0 else 200), {}, self.files[id_]
            case _, ["statuses", id_, *rest] if id_ in self.statuses:
                return self._status(method, id_, rest, body, me)
        return 404, {}, {"error": "Record not found"}

    def _page(self, rows: list[Any], query: dict[str, list[str]], path: str) -> Told:
        """The newest first; what min_id asks for are the ones right above it."""
        limit = min(int(query.get("limit", ["20"])[0]), 40)
        max_id, min_id = query.get("max_id", [""])[0], query.get("min_id", [""])[0]
        ids = [row["id"] if isinstance(row, dict) and isinstance(row.get("id"), str) else "" for row in rows]
        wanted = [
            row for row, id_ in zip(rows, ids, strict=True) if (not max_id or (id_ and id_ < max_id)) and (not id_ or id_ > min_id)
        ]
        page = wanted[:limit][::-1] if min_id else wanted[-limit:][::-1]
        links = {}
        named = [row["id"] for row in page if isinstance(row, dict) and isinstance(row.get("id"), str)]
        if named:
            prev = f'<https://proxy.invalid{path}?limit={limit}&min_id={named[0]}>; rel="prev"'
            links = {"Link": f'<https://proxy.invalid{path}?limit={limit}&max_id={named[-1]}>; rel="next", {prev}'}
        return 200, links, page

    def _search(self, query: dict[str, list[str]]) -> Told:
        if not self.searches:
            return 403, {}, {"error": "This action is outside the authorized scopes"}
        q = query["q"][0]
        found = [one for one in self.statuses.values() if q in (one["url"], one["uri"]) or q in self.sources[one["id"]].casefold()]
        return 200, {}, {"accounts": [], "statuses": found[::-1][: int(query["limit"][0])], "hashtags": []}

    def _post(self, words: dict[str, Any], key: str | None, me: str) -> Told:
        if key and key in self.keys and not self.gotosocial:
            return 200, {}, self.statuses[self.keys[key]]
        refused = 400 if self.gotosocial else 422
        if not words["status"].strip() and not words.get("media_ids"):
            return refused, {}, {"error": "Validation failed: Text can't be blank"}
        if length(words["status"], "mastodon", URL_WEIGHT) + len(words.get("spoiler_text", "")) > self.max_characters:
            return refused, {}, {"error": "Validation failed: Text character limit of 500 exceeded"}
        parent = words.get("in_reply_to_id")
        if parent and parent not in self.statuses:
            return 404, {}, {"error": "The post you are trying to reply to does not appear to exist."}
        visibility = words.get("visibility", "public")
        id_ = self.says(
            me,
            words["status"],
            visibility="unlisted" if self.silenced and visibility == "public" else visibility,
            in_reply_to_id=parent,
            spoiler_text=words.get("spoiler_text", ""),
            sensitive=words.get("sensitive", False),
            language=words.get("language"),
            media_attachments=[self.files[one] for one in words.get("media_ids", [])],
        )
        if key:
            self.keys[key] = id_
        return 200, {}, self.statuses[id_]

    def _upload(self, headers: dict[str, str], body: bytes) -> Told:
        boundary = headers["content-type"].partition("boundary=")[2].encode()
        found = [part.strip(b"\r\n").partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)[1:-1]]
        fields = {re.search(rb'name="(\w+)"', head)[1].decode(): (head, content) for head, _, content in found}  # type: ignore[index]
        if len(fields["file"][1]) > 100:
            return 422, {}, {"error": "Validation failed: File is too large"}
        type_ = "video" if b"video/" in fields["file"][0] else "image"
        id_ = self.id()
        alt = fields.get("description", (b"", b""))[1].decode() or None
        self.files[id_] = {"id": id_, "type": type_, "url": f"https://files.test/{id_}.png", "description": alt}
        return (202 if self.file_work > 0 else 200), {}, self.files[id_]

    def _status(self, method: str, id_: str, rest: list[str], body: bytes, me: str) -> Told:
        status = self.statuses[id_]
        if method == "GET" and rest == ["context"]:
            return 200, {}, {"ancestors": [], "descendants": [one for one in self.statuses.values() if one["in_reply_to_id"] == id_]}
        if method == "GET" and rest == ["source"]:
            return 200, {}, {"id": id_, "text": self.sources[id_], "spoiler_text": status["spoiler_text"]}
        if method == "GET":
            return 200, {}, status
        if status["account"]["acct"] != me:
            return 403, {}, {"error": "This action is not allowed"}
        if method == "DELETE":
            self.remove(id_)
            return 200, {}, status
        words = json.loads(body)
        self.edit(id_, words["status"])
        self.sources[id_] = words["status"]
        return 200, {}, self.statuses[id_]


class Fake(FakeNetwork):
    """The account firma on a Mastodon; kundin speaks to it."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Instance()
        self._told: dict[str, bytes] = {}

    def config(self, base_url: str) -> dict[str, Any]:
        self.server.url = base_url
        return {"base_url": base_url, "token": TOKEN}

    def bad_config(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "token": "tok-nobody"}

    def __call__(self, request: Request) -> Answer:
        self.server.now = self.clock.now()
        if request.path.startswith("/api/v1/streaming/"):
            return Answer(headers={"content-type": "text/event-stream"}, body=self.telling)
        status, headers, content = self.server.answer(request.method, request.target, dict(request.headers), request.body)
        told = said(content, status)
        return Answer(status=status, headers={**told.headers, **headers}, body=told.body)

    def add(self, text: str, *, at: datetime | None = None) -> str:
        return self._spoken(text, at=at)

    def add_html(self, html: str) -> str:
        return self._spoken("", content=html)

    def _spoken(self, text: str, at: datetime | None = None, **more: Any) -> str:
        self.server.now = at or self.clock.now()
        id_ = self.server.says("kundin", text, **more)
        self.server.notify("mention", id_)
        return id_

    def edit(self, external_id: str, text: str) -> None:
        self.server.now = self.clock.now()
        self.server.edit(external_id, text)

    def delete(self, external_id: str) -> None:
        self.server.remove(external_id)

    def malformed(self) -> None:
        self.server.now = self.clock.now()
        self.server.notify("mention", None, status={"id": 5, "content": None})

    def told(self, external_id: str) -> bytes:
        status = self.server.statuses.get(external_id)
        if status is None:
            # The server tells of every deletion: the connector only passes on those of what the same stream told before.
            return self._told[external_id] + self._event("delete", external_id)
        if status["edited_at"] is None:
            whole = {"id": "1", "type": "mention", "created_at": status["created_at"], "status": status}
            self._told[external_id] = self._event("notification", whole)
            return self._told[external_id]
        mentioned = [{"id": "acc-firma", "acct": "firma", "username": "firma", "url": ""}]
        return self._event("status.update", {**status, "mentions": mentioned})

    def bad_telling(self) -> bytes:
        return self._event("notification", {"id": "1", "type": "mention", "status": {"id": 5, "content": None}})

    def _event(self, name: str, data: Any) -> bytes:
        return f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()

    def budget(self, remaining: int, reset_at: datetime) -> Mapping[str, str]:
        return {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": stamp(reset_at)}

    def scope_missing(self) -> Answer:
        return said({"error": "This action is outside the authorized scopes"}, 403)

    def posts(self) -> Sequence[Post]:
        return [
            Post(
                external_id=one["id"],
                text=self.server.sources[one["id"]],
                reply_to=one["in_reply_to_id"],
                alts=tuple(file["description"] or "" for file in one["media_attachments"]),
            )
            for one in self.server.by("firma")
        ]
