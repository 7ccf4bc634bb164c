"""A small server of the AT Protocol in memory, for the conformance kit and the tests: sessions, repositories, notifications, search."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from smhub.sdk import length
from smhub.testing import Answer, FakeNetwork, Post, Request, framed, websocket
from smhub.testing import answer as said

PASSWORD = "abcd-efgh-ijkl-mnop"  # noqa: S105
POSTS = "app.bsky.feed.post"
AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
ACCESS_SECONDS = 7200
Told = tuple[int, Any]


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def did(name: str) -> str:
    return f"did:plc:{name}"


def refused(error: str, message: str = "", status: int = 400) -> Told:
    return status, {"error": error, "message": message}


class Server:
    """firma is us, kundin speaks to us. `record` bodies are kept as they came. Its token is read as a JWT, and rotates."""

    def __init__(self) -> None:
        self.now = AT
        self.records: dict[str, dict[str, Any]] = {}
        self.notes: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.sessions: dict[str, datetime] = {}
        self.refresh: set[str] = set()
        self.hidden: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.password = PASSWORD
        self.epoch = 0
        self.commits = 0
        self.faults: list[Callable[[str], Told | None]] = []
        self._number = 0

    # What happens on it

    def says(self, who: str, text: str, at: datetime | None = None, **more: Any) -> str:
        """Somebody posts; firma is told of it."""
        self._number += 1
        uri = f"at://{did(who)}/{POSTS}/3m{self._number:011d}"
        when = at or self.now
        self.put(uri, {"$type": POSTS, "text": text, "createdAt": stamp(when), "langs": ["de"], **more}, when)
        if who != "firma":
            self.notes.append({"uri": uri, "reason": "reply" if "reply" in more else "mention"})
        return uri

    def put(self, uri: str, record: dict[str, Any], at: datetime) -> str:
        cid = "bafyrei" + sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:52]
        if self.records.get(uri, {}).get("cid") != cid:
            self.commits += 1
            self.records[uri] = {"uri": uri, "cid": cid, "value": record, "at": self.records.get(uri, {}).get("at", stamp(at))}
        return cid

    def edit(self, uri: str, text: str) -> None:
        self.put(uri, {**self.records[uri]["value"], "text": text}, self.now)

    def remove(self, uri: str) -> bool:
        self.notes = [one for one in self.notes if one.get("uri") != uri]
        return self.records.pop(uri, None) is not None

    def by(self, who: str) -> list[dict[str, Any]]:
        return [one for uri, one in self.records.items() if uri.startswith(f"at://{did(who)}/{POSTS}/")]

    def end_sessions(self) -> None:
        """Every access token ends now; those for renewing stay."""
        self.sessions.clear()

    # How it answers

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Told:
        parts = urlsplit(target)
        name, query = unquote(parts.path).removeprefix("/xrpc/"), parse_qs(parts.query)
        self.asked[name] += 1
        for fault in list(self.faults):
            if (told := fault(name)) is not None:
                return told
        token = headers.get("authorization", "").removeprefix("Bearer ")
        uploads = name == "com.atproto.repo.uploadBlob"
        words = json.loads(body) if body and not uploads else {}
        if name == "com.atproto.server.createSession":
            if (words.get("identifier"), words.get("password")) != ("firma.test", self.password):
                return refused("AuthenticationRequired", "Invalid identifier or password", 401)
            return 200, self._session()
        if name == "com.atproto.server.refreshSession":
            if token not in self.refresh:
                return refused("ExpiredToken", "Token has been revoked")
            self.refresh.discard(token)
            return 200, self._session()
        if not token:
            return refused("AuthMissing", "Authentication Required", 401)
        if token not in self.sessions or self.sessions[token] <= self.now:
            return refused("ExpiredToken", "Token has expired")
        if uploads:
            return self._upload(headers.get("content-type", ""), body)
        return self._call(name, {key: values[0] for key, values in query.items()}, query, words)

    def _upload(self, media_type: str, body: bytes) -> Told:
        link = "bafkrei" + sha256(body).hexdigest()[:52]
        self.blobs[link] = body
        return 200, {"blob": {"$type": "blob", "ref": {"$link": link}, "mimeType": media_type, "size": len(body)}}

    def _session(self) -> dict[str, Any]:
        self._number += 1
        end = self.now + timedelta(seconds=ACCESS_SECONDS)
        claims = base64.urlsafe_b64encode(json.dumps({"exp": int(end.timestamp()), "jti": self._number}).encode()).decode().rstrip("=")
        access, refresh = f"e30.{claims}.sig", f"refresh-{self._number}"
        self.sessions[access] = end
        self.refresh.add(refresh)
        return {"accessJwt": access, "refreshJwt": refresh, "did": did("firma"), "handle": "firma.test"}

    def _call(self, name: str, one: dict[str, str], many: dict[str, list[str]], words: dict[str, Any]) -> Told:
        match name:
            case "com.atproto.server.getSession":
                return 200, {"did": did("firma"), "handle": "firma.test"}
            case "com.atproto.identity.resolveHandle":
                known = one["handle"] in ("firma.test", "kundin.test")
                return (200, {"did": did(one["handle"][:-5])}) if known else refused("HandleNotFound", "Unable to resolve handle")
            case "com.atproto.repo.getRecord":
                found = self.records.get(f"at://{one['repo']}/{one['collection']}/{one['rkey']}")
                return (200, found) if found else refused("RecordNotFound", "Could not locate record")
            case "app.bsky.actor.getProfile":
                return 200, self._profile(one["actor"])
            case "com.atproto.repo.putRecord":
                return self._put(words)
            case "com.atproto.repo.deleteRecord":
                gone = self.remove(f"at://{words['repo']}/{words['collection']}/{words['rkey']}")
                return 200, {"commit": {"cid": "bafy", "rev": "3m"}} if gone else {}
            case "app.bsky.notification.listNotifications":
                rows = [
                    self._note(note) for note in self.notes if note["reason"] in many["reasons"] and note.get("uri") not in self.hidden
                ]
                return self._list("notifications", rows, one)
            case "app.bsky.feed.searchPosts":
                word = one["q"].strip('"').casefold()
                rows = [self._view(record) for record in self.records.values() if word in record["value"]["text"].casefold()]
                return self._list("posts", rows, one)
            case "app.bsky.feed.getPosts":
                wanted = [self.records[uri] for uri in many["uris"] if uri in self.records and uri not in self.hidden]
                return 200, {"posts": [self._view(record) for record in wanted]}
        return refused("MethodNotImplemented", "Method Not Implemented", 501)

    def _put(self, words: dict[str, Any]) -> Told:
        record, uri = words["record"], f"at://{words['repo']}/{words['collection']}/{words['rkey']}"
        if length(record["text"], "graphemes") > 300:
            return refused("InvalidRequest", "Invalid app.bsky.feed.post record: grapheme too big (maximum 300) at $.record.text")
        if len(record["text"].encode()) > 3000:
            return refused("InvalidRequest", "Invalid app.bsky.feed.post record: string too big (maximum 3000) at $.record.text")
        for number, image in enumerate(record.get("embed", {}).get("images", [])):
            if image["image"]["size"] > 1_000_000:
                return refused("InvalidRequest", f"This file is too large. (at $.embed.images.{number})")
            if image["image"]["ref"]["$link"] not in self.blobs:
                return refused("BlobNotFound", "Could not find blob")
        there = self.records.get(uri)
        if there is not None and there["value"] == record:
            return 200, {"uri": uri, "cid": there["cid"]}
        if there is not None and words.get("swapRecord", "") is None:
            return refused("InvalidSwap", f"Record was at {there['cid']}")
        cid = self.put(uri, record, self.now)
        return 200, {"uri": uri, "cid": cid, "commit": {"cid": cid, "rev": "3m"}}

    def _list(self, name: str, rows: list[dict[str, Any]], one: dict[str, str]) -> Told:
        """The newest first; its cursor is a place in a list that other people lengthen, so it names the row above."""
        rows = [row for _, row in sorted(enumerate(rows), key=lambda pair: (pair[1]["indexedAt"], pair[0]), reverse=True)]
        begin = 0
        if cursor := one.get("cursor"):
            epoch, _, uri = cursor.partition("|")
            if epoch != str(self.epoch):
                return refused("InvalidRequest", "Malformed cursor")
            begin = next((number + 1 for number, row in enumerate(rows) if row["uri"] == uri), len(rows))
        limit = int(one.get("limit", "50"))
        page = rows[begin : begin + limit]
        more = {"cursor": f"{self.epoch}|{page[-1]['uri']}"} if len(rows) > begin + limit else {}
        return 200, {name: page, **more}

    def _note(self, note: dict[str, Any]) -> dict[str, Any]:
        if "raw" in note:
            return note["raw"]  # type: ignore[no-any-return]
        record = self.records[note["uri"]]
        view = self._view(record)
        return {
            "reason": note["reason"],
            "isRead": False,
            **{key: view[key] for key in ("uri", "cid", "author", "record", "indexedAt")},
        }

    def _view(self, record: dict[str, Any]) -> dict[str, Any]:
        return {
            "uri": record["uri"],
            "cid": record["cid"],
            "author": self._profile(record["uri"].split("/")[2]),
            "record": record["value"],
            "indexedAt": record["at"],
            "labels": [],
            "likeCount": 3,
            "repostCount": 2,
            "replyCount": 1,
            "quoteCount": 0,
        }

    def _profile(self, who: str) -> dict[str, Any]:
        name = who.rpartition(":")[2]
        return {"did": who, "handle": f"{name}.test", "displayName": name.title(), "avatar": "https://cdn.test/avatar.png"}


def event(uri: str, operation: str, at: datetime, record: dict[str, Any] | None = None) -> str:
    """What a Jetstream tells of a post; `record` is one of the server's."""
    _, _, who, collection, key = uri.split("/")
    commit: dict[str, Any] = {"rev": "3m", "operation": operation, "collection": collection, "rkey": key}
    if record is not None:
        commit |= {"record": record["value"], "cid": record["cid"]}
    return json.dumps({"did": who, "time_us": int(at.timestamp() * 1_000_000), "kind": "commit", "commit": commit})


class Fake(FakeNetwork):
    """The account firma.test on a server; kundin.test speaks to it."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.listened: list[Request] = []
        self.edited: set[str] = set()
        self.gone: dict[str, dict[str, Any]] = {}

    def config(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "identifier": "firma.test", "app_password": PASSWORD, "jetstream": base_url}

    def bad_config(self, base_url: str) -> dict[str, Any]:
        return {**self.config(base_url), "app_password": "zzzz-zzzz-zzzz-zzzz"}

    def __call__(self, request: Request) -> Answer:
        self.server.now = self.clock.now()
        if request.path == "/subscribe":
            self.listened.append(request)
            return websocket(request, self.telling)
        status, content = self.server.answer(request.method, request.target, dict(request.headers), request.body)
        return said(content, status)

    def add(self, text: str, *, at: datetime | None = None) -> str:
        return self.server.says("kundin", text, at or self.clock.now())

    def edit(self, external_id: str, text: str) -> None:
        self.server.edit(external_id, text)
        self.edited.add(external_id)

    def delete(self, external_id: str) -> None:
        self.gone[external_id] = self.server.records[external_id]
        self.server.remove(external_id)

    def told(self, external_id: str) -> bytes:
        record = self.gone.get(external_id) or self.server.records[external_id]
        if external_id in self.gone:
            # A connection tells of deletions of what it told.
            past = datetime.fromisoformat(record["at"])
            said = event(external_id, "create", past, record), event(external_id, "delete", self.clock.now())
            return b"".join(map(framed, said))
        edited = external_id in self.edited
        at = self.clock.now() if edited else datetime.fromisoformat(record["at"])
        return framed(event(external_id, "update" if edited else "create", at, record))

    def bad_telling(self) -> bytes:
        strange = {"uri": "", "cid": "bafy", "value": {"text": ["told to nobody"]}}
        return framed(event(f"at://{did('kundin')}/{POSTS}/3m", "create", self.clock.now(), strange))

    def malformed(self) -> None:
        self.server.notes.append(
            {"reason": "mention", "raw": {"uri": "at://x", "reason": "mention", "indexedAt": stamp(self.clock.now()), "cid": 5}}
        )

    def budget(self, remaining: int, reset_at: datetime) -> Mapping[str, str]:
        return {"RateLimit-Limit": "3000", "RateLimit-Remaining": str(remaining), "RateLimit-Reset": str(int(reset_at.timestamp()))}

    def posts(self) -> Sequence[Post]:
        return [
            Post(
                external_id=one["uri"],
                text=one["value"]["text"],
                reply_to=one["value"]["reply"]["parent"]["uri"] if "reply" in one["value"] else None,
                alts=tuple(image["alt"] for image in one["value"].get("embed", {}).get("images", [])),
            )
            for one in self.server.by("firma")
        ]
