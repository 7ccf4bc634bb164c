"""Who tells of a feed, as headers and documents say it; the life of a subscription is in tests/hooks/test_websub.py."""

from __future__ import annotations

import json

import pytest

from smhub.sdk import Challenge, RawRequest, Response, Secret, Subscription, Unsupported
from smhub_feeds.websub import UNTOLD, Offer, answer, linked, mark, offer

SECRET = Secret("ours")
TOPIC = "https://news.test/feed.xml"


def atom(*links):
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><id>x</id><title>News</title>{"".join(links)}</feed>'.encode()


def rss(*links):
    atoms = 'xmlns:atom="http://www.w3.org/2005/Atom"'
    return f'<rss version="2.0" {atoms}><channel><title>News</title>{"".join(links)}</channel></rss>'.encode()


def answered(link="", url="https://news.test/feed"):
    return Response(status=200, headers={"link": link} if link else {}, body=b"", url=url)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            '<https://hub.test/>; rel="hub", <https://a.test/f>; rel="self"',
            {"hub": ["https://hub.test/"], "self": ["https://a.test/f"]},
        ),
        ("<https://hub.test/>;rel=hub,<https://two.test/>; rel=HUB", {"hub": ["https://hub.test/", "https://two.test/"]}),
        ('</h>; title="a, b; rel=x"; rel="hub self"', {"hub": ["/h"], "self": ["/h"]}),
        ('<https://a.test/a,b>; rel="next"', {"next": ["https://a.test/a,b"]}),
        ("no link; rel=hub", {}),
        ("", {}),
    ],
)
def test_the_header_link_is_read_as_it_is_written(header, found):
    assert linked(answered(header)) == found


@pytest.mark.parametrize(
    ("links", "topic"),
    [
        (('<link rel="hub" href="https://hub.test/"/>', f'<link rel="self" href="{TOPIC}"/>'), TOPIC),
        (('<link rel="hub" href="https://hub.test/"/>',), ""),
    ],
)
async def test_atom_and_rss_name_their_hub_and_themselves(web, feeds, links, topic):
    for body in (atom(*links), rss(*(one.replace("<link", "<atom:link") for one in links))):
        web.routes["/feed"] = (200, {"Content-Type": "application/xml"}, body)
        found = await feeds()._offer()
        assert found == Offer("https://hub.test/", topic or f"{web.address}/feed")


async def test_a_json_feed_names_its_hubs_of_which_only_those_of_websub_count(web, feeds):
    hubs = [{"type": "rssCloud", "url": "https://no.test/"}, {"type": "WebSub", "url": "/hub"}]
    told = {"version": "https://jsonfeed.org/version/1.1", "title": "News", "items": [], "feed_url": TOPIC, "hubs": hubs}
    web.routes["/feed"] = (200, {}, json.dumps(told).encode())
    assert await feeds()._offer() == Offer(f"{web.address}/hub", TOPIC)


async def test_headers_go_before_the_document_and_a_feed_without_a_hub_offers_nothing(web, feeds):
    body = atom('<link rel="hub" href="https://document.test/"/>', f'<link rel="self" href="{TOPIC}"/>')
    web.routes["/feed"] = (200, {"Link": '<https://header.test/>; rel="hub"'}, body)
    assert await feeds()._offer() == Offer("https://header.test/", TOPIC)
    web.routes["/feed"] = (200, {}, atom())
    assert await feeds()._offer() is None
    with pytest.raises(Unsupported):
        await feeds().subscribe("https://hub.example/v1/hooks/x")


def test_a_feed_that_is_encrypted_is_not_told_of_in_the_clear():
    both = '<http://hub.test/>; rel="hub", <https://safe.test/>; rel="hub"'
    assert offer(answered(both), None) == Offer("https://safe.test/", "https://news.test/feed")
    assert offer(answered('<http://hub.test/>; rel="hub"'), None) is None
    assert offer(answered('<http://hub.test/>; rel="hub"', "http://news.test/feed"), None) is not None
    assert offer(answered('<ftp://hub.test/>; rel="hub", <https://[>; rel="hub"'), None) is None


def request(mode="subscribe", **more):
    query = {"hub.mode": mode, "hub.topic": TOPIC, "hub.challenge": "c", "hub.lease_seconds": "600", "t": mark(TOPIC, SECRET)}
    return RawRequest(method="GET", query={**query, **more})


def test_a_hub_that_asks_back_is_answered_for_what_we_asked_and_for_nothing_else():
    here, ending = Subscription(secret=SECRET), Subscription(secret=SECRET, ending=True)
    assert answer(request(), here) == Challenge(body="c", lease_seconds=600)
    assert answer(request(**{"hub.lease_seconds": "soon"}), here) == Challenge(body="c", lease_seconds=UNTOLD)
    assert answer(request("unsubscribe"), ending) == Challenge(body="c")
    assert answer(request("denied"), here) == Challenge(body="")
    for mine, asked in (
        (here, request("unsubscribe")),
        (ending, request()),
        (here, request("publish")),
        (here, request(t="")),
        (here, request(t="ü")),
        (here, request(**{"hub.topic": "https://other.test/"})),
        (here, request(**{"hub.challenge": ""})),
        (Subscription(secret=Secret("another")), request()),
        (None, request()),
    ):
        assert answer(asked, mine) is None
