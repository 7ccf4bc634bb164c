"""What feedparser reads, we read: its own cases, served as they ask to be."""

from __future__ import annotations

import calendar
import hashlib
import io
import warnings
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import feedparser
from feed_corpus import cases, folder, headers
from feedparser.mixin import _FeedParserMixin

from smhub.sdk import ConnectorError, Mention, PayloadMalformed

HTML = ("text/html", "application/xhtml+xml")
WITH_ENTITIES = {"rss/entity_in_doctype.xml", "rdf/doctype_contains_entity_decl.xml"}


class Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found, self.hidden = "", False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False

    def handle_data(self, data: str) -> None:
        self.found += "" if self.hidden else data


def words(value: str) -> str:
    parser = Words()
    parser.feed(value)
    parser.close()
    return parser.found.strip()


def told(entry: Any) -> tuple[Any, ...]:
    """Id, title, text, html, link and time of an entry, straight from feedparser."""
    title = entry.get("title", "")
    if entry.get("title_detail", {}).get("type") in HTML:
        title = words(title)
    body = next((one for one in entry.get("content", ()) if one.get("value")), None) or entry.get("summary_detail") or {}
    value = body.get("value", "")
    text, html = ("", value) if body.get("type") in HTML else (value, None)
    at = dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")
    published = dict.get(entry, "published_parsed")
    stamp = str(calendar.timegm(published)) if published else ""
    known = entry.get("id") or entry.get("link") or hashlib.sha256("\0".join((title, value, stamp)).encode()).hexdigest()
    when = datetime.fromtimestamp(calendar.timegm(at), UTC) if at else None
    return known, title or None, text, html, entry.get("link") or None, when


def got(item: Mention, dated: bool) -> tuple[Any, ...]:
    return item.external_id, item.title, item.text, item.html, item.url, item.published_at if dated else None


def expected(body: bytes, told_headers: dict[str, str], url: str) -> Any:
    low = {name.lower(): value for name, value in told_headers.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return feedparser.parse(io.BytesIO(body), response_headers={"content-location": url, **low}, sanitize_html=False)


async def test_every_entry_of_the_well_formed_cases_becomes_a_mention(web, feeds, fetch, monkeypatch):
    read, refused, empty, different = 0, set(), set(), {}
    for path in cases("wellformed"):
        body, name = path.read_bytes(), str(path.relative_to(folder() / "wellformed"))
        sent = headers(path, body)
        web.routes[f"/{name}"] = (200, sent, body)
        parsed = expected(body, sent, f"{web.address}/{name}")
        try:
            page = await fetch(feeds(f"/{name}"))
        except PayloadMalformed as error:
            (refused if "declares entities" in error.message else empty).add(name)
            assert name in WITH_ENTITIES or (not parsed.entries and not parsed.version), (name, error.message)
            continue
        # feedparser resolves ids like links; we keep them as they are written
        with monkeypatch.context() as patch:
            patch.setattr(_FeedParserMixin, "can_be_relative_uri", _FeedParserMixin.can_be_relative_uri - {"id"})
            ids = [entry.get("id") for entry in expected(body, sent, f"{web.address}/{name}").entries]
        wanted = [(one or told(entry)[0], *told(entry)[1:]) for one, entry in zip(ids, parsed.entries, strict=True)]
        dates = {one[0]: one[-1] is not None for one in wanted}
        found = [got(item, dates.get(item.external_id, False)) for item in page.items]
        if sorted(map(repr, found)) != sorted(map(repr, wanted)):
            different[name] = (found, wanted)
        read += len(wanted)
    assert not different
    assert refused == WITH_ENTITIES
    assert len(empty) <= 7, "no feed at all: no version and no entry"
    assert read > 1_100


async def test_ill_formed_encoded_and_compressed_cases_raise_nothing_but_our_errors(web, feeds, fetch):
    read, refused = 0, []
    for path in cases("illformed", "encoding", "entities", "compression", "http"):
        body, name = path.read_bytes(), f"/{path.parent.name}/{path.name}"
        sent = headers(path, body)
        status = int(sent.pop("Status", 200))
        web.routes[name] = (status, sent, body)
        try:
            page = await fetch(feeds(name))
        except ConnectorError as error:
            refused.append((name, error.kind, error.message))
            continue
        read += 1
        assert all(isinstance(item, Mention) for item in page.items), name
    assert read > 450, refused
