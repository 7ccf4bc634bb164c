"""Saying something once: under a transaction id that follows from the delivery's key, with the key in the event itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from smhub.sdk import (
    ContentRejected,
    Draft,
    Gone,
    Http,
    Limits,
    MentionRef,
    OutcomeUnknown,
    PayloadMalformed,
    Published,
    Violation,
)
from smhub_matrix.api import of_room, who_we_are
from smhub_matrix.entities import Event, Messages, Sent
from smhub_matrix.mentions import MESSAGE, read_event, replacement, words_of

LIMITS = Limits(max=30_000, count="bytes")
"""An event has at most 65,536 bytes with everything in it (client-server API, "Size limits"), and an edit holds the words twice."""

KEY = "smhub.delivery"
"""The field of an event in which our key stands: by it we find our own words, whoever asks."""

SKEW = timedelta(minutes=1)
LOOKED_AT = 10
PAGE = 100


def violations(draft: Draft) -> list[Violation]:
    """What the limits cannot say."""
    found = []
    if not draft.text.strip():
        found.append(Violation(field="text", code="empty", detail="a message needs a text"))
    if draft.visibility not in (None, "public"):
        found.append(Violation(field="visibility", code="unknown_visibility", detail="everybody in the room sees what is said there"))
    if draft.sensitive:
        found.append(Violation(field="sensitive", code="no_warning", detail="Matrix knows no content warnings"))
    if draft.media:
        found.append(Violation(field="media", code="no_media", detail="files are not sent to Matrix yet"))
    return found


async def say(http: Http, room: str, draft: Draft, key: str, to: MentionRef | None) -> Published:
    """Send it; the same key is the same event. Gone when what it answers was taken back."""
    content = _content(draft)
    content[KEY] = key
    if to is not None:
        parent = await event_of(http, room, to.external_id)
        content["m.mentions"] = {"user_ids": [parent.sender]}
        content["m.relates_to"] = _below(parent)
    return await _sent(http, of_room(room, "send", MESSAGE, f"smhub-{key}"), content, room)


async def change(http: Http, room: str, external_id: str, draft: Draft) -> Published:
    """Replace what we said. An edit is an event of its own: when these words stand there already, there is nothing to do."""
    original = await event_of(http, room, external_id)
    newest = replacement(original)
    if words_of(original).get("body") != draft.text:
        content = _content(draft)
        kept = original.content.get("m.mentions")
        fresh = {**content, "m.mentions": kept if isinstance(kept, dict) else {}}
        edit = {**content, "body": f"* {draft.text}", "m.new_content": fresh}
        edit["m.relates_to"] = {"rel_type": "m.replace", "event_id": external_id}
        # Words that stood there before may stand there again: what they follow upon is part of the transaction.
        after = newest.event_id if newest is not None else ""
        mark = blake2b("\0".join((external_id, after, draft.text)).encode(), digest_size=16).hexdigest()
        await _sent(http, of_room(room, "send", MESSAGE, f"smhub-edit-{mark}"), edit, room)
    return Published(external_id=external_id, url=link(room, external_id))


async def take_back(http: Http, room: str, external_id: str) -> None:
    """Redact our own message; Gone when it is not there any more."""
    await event_of(http, room, external_id)
    mark = blake2b(external_id.encode(), digest_size=16).hexdigest()
    await http.request("PUT", of_room(room, "redact", external_id, f"smhub-redact-{mark}"), json={})


async def find(http: Http, room: str, key: str, since: datetime) -> Published | None:
    """Our own message with this key, sent after `since`. None: surely not there. Raises OutcomeUnknown when nobody can say."""
    me, below = await who_we_are(http), ""
    oldest = (since - SKEW).timestamp() * 1000
    wanted = msgspec.json.encode({"types": [MESSAGE], "senders": [me]}).decode()
    for _ in range(LOOKED_AT):
        params: dict[str, str | int] = {"dir": "b", "limit": PAGE, "filter": wanted, **({"from": below} if below else {})}
        told = await http.get(of_room(room, "messages"), Messages, params=params)
        events = [event for raw in told.chunk if isinstance(event := read_event(bytes(raw)), Event)]
        for event in events:
            if event.content.get(KEY) == key and event.sender == me:
                return Published(external_id=event.event_id, url=link(room, event.event_id))
        if not told.end or told.end == below or (events and all(event.origin_server_ts < oldest for event in events)):
            return None
        below = told.end
    raise OutcomeUnknown("We have said too much since: nobody can say whether this is among it.")


async def event_of(http: Http, room: str, external_id: str) -> Event:
    """An event as it is now; Gone when it was taken back."""
    found = read_event((await http.request("GET", of_room(room, "event", external_id))).body)
    if not isinstance(found, Event):
        raise PayloadMalformed("The homeserver answered in an unexpected form: no event.")
    if found.is_redacted:
        raise Gone("The message was taken back.")
    return found


def link(room: str, event_id: str) -> str:
    """Where people read it."""
    return f"https://matrix.to/#/{room}/{event_id}"


def _content(draft: Draft) -> dict[str, Any]:
    broken = [*violations(draft), *LIMITS.check(draft.text)]
    if broken:
        raise ContentRejected("Matrix does not take this.", violations=[one.detail for one in broken])
    # Nobody is mentioned by their name in the text alone (1.7, "Intentional mentions").
    return {"msgtype": "m.text", "body": draft.text, "m.mentions": {}}


def _below(parent: Event) -> dict[str, Any]:
    """Where an answer hangs: below what it answers, and in its thread when it stands in one."""
    answered: dict[str, Any] = {"m.in_reply_to": {"event_id": parent.event_id}}
    thread = parent.relation.get("event_id") if parent.relation.get("rel_type") == "m.thread" else None
    return answered | {"rel_type": "m.thread", "event_id": thread, "is_falling_back": False} if isinstance(thread, str) else answered


async def _sent(http: Http, address: str, content: dict[str, Any], room: str) -> Published:
    response = await http.request("PUT", address, json=content)
    try:
        event_id = msgspec.json.decode(response.body, type=Sent).event_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        # It was done; asked again under its key it will be told.
        raise PayloadMalformed("The homeserver answered in an unexpected form: no event.", status=response.status) from None
    return Published(external_id=event_id, url=link(room, event_id))
