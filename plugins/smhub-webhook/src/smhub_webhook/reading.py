"""From somebody's JSON to items, by the places that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from smhub.sdk import KINDS, Author, BadItem, Item, Mention, PayloadMalformed, Tombstone
from smhub_webhook.settings import Settings

LONGEST_ID = 500
LONGEST_RAW = 20_000
MILLISECONDS_FROM = 100_000_000_000
"""Seconds beyond this are milliseconds: it is the year 5138."""


class Unreadable(Exception):
    """An element lacks what it must have; the text says what."""


def read(settings: Settings, body: bytes, sent_at: datetime) -> list[Item]:
    """The items of a delivery. One that cannot be read is a BadItem; when none can, PayloadMalformed: the settings may be mended."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise PayloadMalformed("it is not JSON") from error
    elements = at(said, settings.items) if settings.items else [said]
    if not isinstance(elements, list):
        raise PayloadMalformed(f"there is no list at {settings.items}")
    items: list[Item] = []
    for element in elements:
        try:
            items.append(_item(settings, element, sent_at))
        except Unreadable as error:
            items.append(BadItem(raw=msgspec.json.encode(element)[:LONGEST_RAW], error=str(error)))
    if items and all(isinstance(one, BadItem) for one in items):
        raise PayloadMalformed(next(one.error for one in items if isinstance(one, BadItem)))
    return items


def at(said: Any, places: str) -> Any:
    """What stands at the first of the places where something stands; None when nothing does."""
    for place in places.split("|"):
        found: Any = said
        for step in filter(None, place.strip().split(".")):
            if isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(found, list) and step.isascii() and step.isdecimal() and len(step) < 6 and int(step) < len(found):
                found = found[int(step)]
            else:
                found = None
        if place.strip() and found is not None:
            return found
    return None


def _item(settings: Settings, element: Any, sent_at: datetime) -> Item:
    id_ = _words(at(element, settings.id))
    if not id_ or len(id_) > LONGEST_ID:
        raise Unreadable(f"there is no id at {settings.id}" if not id_ else f"the id at {settings.id} is longer than {LONGEST_ID}")
    edited_at = _moment(at(element, settings.edited))
    if at(element, settings.deleted):
        return Tombstone(external_id=id_, at=edited_at or sent_at)
    html = at(element, settings.html)
    kind = at(element, settings.kind)
    return Mention(
        external_id=id_,
        author=_author(settings, element),
        published_at=_moment(at(element, settings.time)) or sent_at,
        edited_at=edited_at,
        text=_words(at(element, settings.text)),
        html=html if isinstance(html, str) else None,
        title=_words(at(element, settings.title)) or None,
        url=_address(at(element, settings.url)),
        kind=kind if kind in KINDS else settings.usual_kind,
        reply_to=_words(at(element, settings.reply_to)) or None,
        raw=msgspec.json.encode(element)[:LONGEST_RAW],
    )


def _author(settings: Settings, element: Any) -> Author | None:
    name = _words(at(element, settings.author))
    id_ = _words(at(element, settings.author_id)) or name
    return Author(external_id=id_[:LONGEST_ID], handle=name or id_, name=name) if id_ else None


def _words(found: Any) -> str:
    """Text or a number as text; anything else is nothing."""
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return str(found)


def _address(found: Any) -> str | None:
    return found if isinstance(found, str) and found.startswith(("https://", "http://")) else None


def _moment(found: Any) -> datetime | None:
    """An aware time; None when nothing stands there. Raises Unreadable for what is no time."""
    if found is None or found == "":
        return None
    try:
        if isinstance(found, bool):
            raise ValueError
        if isinstance(found, int | float) or found.isdecimal():
            seconds = float(found)
            return datetime.fromtimestamp(seconds / 1000 if abs(seconds) >= MILLISECONDS_FROM else seconds, UTC)
        moment = datetime.fromisoformat(found)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError, AttributeError, TypeError) as error:
        raise Unreadable("a time cannot be read") from error
