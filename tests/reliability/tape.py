"""A network whose pages lie in a file, so that it outlives every worker; and a plugin that speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from smhub.sdk import (
    Account,
    Annotation,
    Author,
    BadItem,
    Connector,
    FetchesMentions,
    Interceptor,
    InterceptorContext,
    Item,
    Mention,
    MentionView,
    Page,
    Plugin,
    PluginContext,
    Tombstone,
)

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


class Settings(msgspec.Struct, kw_only=True):
    file: str


class Place(msgspec.Struct, frozen=True):
    page: int = 0


def page_of(number: int) -> list[Item]:
    """Three new mentions, one of them an answer; an edit and a deletion of older ones; an element that nobody can read."""
    at = START + timedelta(minutes=number)
    author = Author(external_id=f"a{number % 7}", handle=f"person{number % 7}")
    items: list[Item] = [
        Mention(external_id=f"{number}-a", author=author, text=f"first wort{number}a", published_at=at),
        Mention(external_id=f"{number}-b", author=author, text=f"second wort{number}b", published_at=at, reply_to=f"{number}-a"),
        Mention(external_id=f"{number}-c", author=author, text=f"third wort{number}c", published_at=at),
    ]
    if number > 0:
        before = START + timedelta(minutes=number - 1)
        text = f"edited neu{number - 1}a"
        items.append(Mention(external_id=f"{number - 1}-a", author=author, text=text, published_at=before, edited_at=at))
        items.append(Tombstone(external_id=f"{number - 1}-c", at=at))
    if number % 5 == 0:
        items.append(BadItem(raw=f"bad {number}".encode(), error="no known form"))
    return items


class Tape(Connector[Settings], FetchesMentions):
    network, title = "tape", "Tape"
    Config, Cursor = Settings, Place
    checked_against = "nothing: it is a fake for tests"
    poll_seconds = 1

    async def verify(self) -> Account:
        return Account(external_id="1", handle="tape")

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        at = cursor.page if cursor else 0
        while at < int(Path(self.config.file).read_text()):
            at += 1
            yield Page(items=page_of(at - 1), cursor=Place(at))


async def says_it_is_short(context: InterceptorContext, mention: MentionView) -> list[Annotation]:
    return [Annotation(key="topic", value="short")]


class TapePlugin(Plugin):
    id, title = "tape", "Tape"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [Tape]

    def register_interceptors(self, context: PluginContext) -> list[Interceptor]:
        return [Interceptor(point="mention.annotate", handler=says_it_is_short, name="short")]
