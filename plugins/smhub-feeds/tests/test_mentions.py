"""What becomes of an entry: authors, files, words, times; and of a JSON Feed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from smhub.sdk import BadItem, PayloadMalformed, capabilities, secret_fields
from smhub_feeds.plugin import FeedsPlugin

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de-DE"><title>Blog</title><id>urn:blog</id><entry><id>urn:1</id>
<title type="html">A &amp;amp; &lt;b&gt;B&lt;/b&gt;</title><link href="/a"/><published>2026-11-02T09:00:00Z</published>
<updated>2026-11-02T10:00:00Z</updated><author><name>desk</name><uri>https://blog.example/desk</uri></author>
<category term="news"/><category term="news"/><link rel="enclosure" href="/a.mp3" type="audio/mpeg" length="12"/>
<content type="html">&lt;p&gt;See &lt;a href="b"&gt;b&lt;/a&gt;&lt;/p&gt;</content></entry></feed>"""
ITEMS = [
    {"id": 7, "url": "https://a.example/7", "content_html": "<p>7</p>", "date_published": "2026-11-02T10:00:00+01:00", "tags": ["x"]},
    {"id": "8", "content_text": "eight", "date_published": "when it rained", "authors": [{"name": "desk"}]},
    {"title": "no id"},
    {"id": "9", "content_text": "nine", "attachments": [{"url": "/9.png", "mime_type": "image/png", "size_in_bytes": 5}]},
]


async def test_an_atom_entry_in_full(web, feeds, fetch):
    web.routes["/blog/feed"] = (200, {"Content-Type": "application/atom+xml"}, ATOM.encode())
    (one,) = (await fetch(feeds("/blog/feed"))).items
    assert (one.external_id, one.scope, one.title, one.kind) == ("urn:1", web.address + "/blog/feed", "A & B", "article")
    assert (one.html, one.url) == (f'<p>See <a href="{web.address}/blog/b">b</a></p>', web.address + "/a")
    assert (one.published_at, one.edited_at) == (datetime(2026, 11, 2, 9, tzinfo=UTC), datetime(2026, 11, 2, 10, tzinfo=UTC))
    assert (one.author.handle, one.author.url, one.language, one.labels) == ("desk", "https://blog.example/desk", "de-DE", ("news",))
    (file,) = one.attachments
    assert (file.url, file.kind, file.bytes) == (web.address + "/a.mp3", "audio", 12)


@pytest.mark.parametrize("version", ["1", "1.1"])
async def test_a_json_feed_loses_only_its_bad_item(version, web, feeds, fetch, clock):
    feed = {"version": f"https://jsonfeed.org/version/{version}", "title": "J", "feed_url": "https://a.example/f", "items": ITEMS}
    web.routes["/json"] = (200, {"Content-Type": "application/feed+json"}, b"\xef\xbb\xbf" + json.dumps(feed).encode())
    page = await fetch(feeds("/json"))
    bad = [item for item in page.items if isinstance(item, BadItem)]
    good = {item.external_id: item for item in page.items if not isinstance(item, BadItem)}
    assert len(bad) == 1 and "id" in bad[0].error and set(good) == {"7", "8", "9"}
    assert (good["7"].published_at, good["7"].html) == (datetime(2026, 11, 2, 9, tzinfo=UTC), "<p>7</p>")
    assert (good["8"].published_at, good["8"].text, good["8"].author.handle) == (clock.now(), "eight", "desk")
    assert good["9"].attachments[0].url == web.address + "/9.png"
    assert (await feeds("/json").verify()).external_id == "https://a.example/f"


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"version": "2", "items": []}', b'{"version": 1}', b"{" + b"\xff" * 9, b'{"a":' * 9000, b""]
)
async def test_what_is_no_feed_is_refused_with_a_reason(body, web, feeds, fetch):
    web.routes["/json"] = (200, {}, body)
    with pytest.raises(PayloadMalformed) as refused:
        await fetch(feeds("/json"))
    assert refused.value.message


async def test_links_that_run_something_are_dropped(web, feeds, fetch):
    body = b"<rss version='2.0'><channel><item><guid>1</guid><link>javascript:alert(1)</link><title>t</title></item></channel></rss>"
    web.routes["/feed"] = (200, {}, body)
    assert (await fetch(feeds())).items[0].url is None


def test_the_plugin_and_its_form():
    (connector,) = FeedsPlugin().register_connectors(None)
    assert (connector.network, capabilities(connector)) == ("feeds", ("fetches_mentions", "receives_webhooks"))
    assert secret_fields(connector.Config) == {"password"}
