"""An event of a room as a mention."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from smhub.sdk import Attachment, Author, BadItem, Mention
from smhub_matrix.entities import Event, Member

MESSAGE = "m.room.message"
FILES = {"m.image": "image", "m.video": "video", "m.audio": "audio", "m.file": "file"}
FALLBACK = re.compile(r"^\s*<mx-reply>.*?</mx-reply>", re.DOTALL | re.IGNORECASE)
"""What stood in front of replies before 1.13: the words that are answered, once more."""

QUOTED = re.compile(r"\A(?:> [^\n]*\n)+\n")
MEDIA = re.compile(r"\Amxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})\Z")
DOWNLOAD = "/_matrix/client/v1/media/download"


class People:
    """Names of those who spoke, as the homeserver tells them along with what they said."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, state: list[msgspec.Raw]) -> None:
        """What events of the kind m.room.member say; what cannot be read is passed over."""
        for raw in state:
            event = read_event(bytes(raw))
            if isinstance(event, Event) and event.type == "m.room.member" and event.state_key:
                try:
                    name = msgspec.convert(event.content, Member).displayname
                except msgspec.ValidationError:
                    continue
                self._names[event.state_key] = name or ""

    def author(self, user_id: str) -> Author:
        """The profile of a user."""
        return Author(
            external_id=user_id,
            handle=user_id,
            name=self._names.get(user_id, ""),
            url=f"https://matrix.to/#/{quote(user_id, safe='@:')}",
        )


def read_event(raw: bytes) -> Event | BadItem:
    """An event, or why it cannot be read, without a word of its content."""
    try:
        found = msgspec.json.decode(raw, type=Event)
        datetime.fromtimestamp(found.origin_server_ts / 1000, UTC)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _, _, where = str(error).partition(" - at ")
        return BadItem(raw=raw, error=f"not an event{': ' + where if where else ''}")
    except (ValueError, OverflowError, OSError):
        return BadItem(raw=raw, error="not an event: its time cannot be read")
    return found


def moment(event: Event, now: datetime) -> datetime:
    """When its server says it was sent. Servers may claim anything: never after now."""
    return min(datetime.fromtimestamp(event.origin_server_ts / 1000, UTC), now)


def replacement(event: Event, edit: Event | None = None) -> Event | None:
    """The newest edit that holds: the one that the server bundles, else the one given. Of the same author, and with a new content
    (client-server API, "Validity of replacement events")."""
    bundled: Any = ((event.unsigned or {}).get("m.relations") or {}).get("m.replace")
    found = edit
    if isinstance(bundled, dict):
        try:
            found = msgspec.convert(bundled, Event)
        except msgspec.ValidationError:
            found = edit
    if found is None or found.sender != event.sender or found.type != event.type or event.replaces:
        return None
    return found if isinstance(found.content.get("m.new_content"), dict) else None


def words_of(event: Event, edit: Event | None = None) -> dict[str, Any]:
    """Its content as it is now."""
    newest = replacement(event, edit)
    return newest.content["m.new_content"] if newest is not None else event.content


def mention(event: Event, room: str, server: str, people: People, *, public: bool, now: datetime, edit: Event | None = None) -> Mention:
    """`server` is the homeserver's address, from which files are fetched; `public`: anybody may join the room."""
    content, newest, relation = words_of(event, edit), replacement(event, edit), event.relation
    kind, body, named = _text(content, "msgtype"), _text(content, "body"), _text(content, "filename")
    parent, thread = _parent(relation), _text(relation, "event_id") if relation.get("rel_type") == "m.thread" else ""
    files: tuple[Attachment, ...] = ()
    if kind in FILES:
        # With a filename the body is a caption; without one it is the name of the file (1.10).
        files = _files(content, FILES[kind], named or body, server)
        body = body if named and named != body else ""
    if parent:
        body = QUOTED.sub("", body)
    html = _text(content, "formatted_body") if content.get("format") == "org.matrix.custom.html" and body else ""
    return Mention(
        external_id=event.event_id,
        kind="reply" if parent or thread else "post",
        visibility="public" if public else "private",
        author=people.author(event.sender),
        published_at=moment(event, now),
        edited_at=moment(newest, now) if newest is not None else None,
        text="" if html else body,
        html=FALLBACK.sub("", html) if html else None,
        url=f"https://matrix.to/#/{quote(room, safe='!:')}/{quote(event.event_id, safe='$:')}",
        reply_to=parent or thread or None,
        root=thread or None,
        attachments=files,
        labels=("notice",) if kind == "m.notice" else (),
    )


def _parent(relation: dict[str, Any]) -> str:
    """What it answers. In a thread the last message before it is named for old clients; that is no answer to it."""
    answered = relation.get("m.in_reply_to")
    parent = _text(answered, "event_id") if isinstance(answered, dict) else ""
    return "" if relation.get("rel_type") == "m.thread" and relation.get("is_falling_back") is True else parent


def _files(content: dict[str, Any], kind: str, name: str, server: str) -> tuple[Attachment, ...]:
    place = MEDIA.match(_text(content, "url"))
    if place is None:
        return ()
    info = content.get("info")
    told = info if isinstance(info, dict) else {}
    size = told.get("size")
    return (
        Attachment(
            url=f"{server}{DOWNLOAD}/{place[1]}/{place[2]}",
            kind=kind,
            media_type=_text(told, "mimetype") or None,
            alt_text=name or None,
            bytes=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
        ),
    )


def _text(content: dict[str, Any], name: str) -> str:
    found = content.get(name)
    return found if isinstance(found, str) else ""
