"""Polling a feed for a long time: politely, through its moves, and without losing sight of what was lost."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from smhub.sdk import AuthExpired, ConfigInvalid, Gone


def rss(*items: str) -> bytes:
    return f'<rss version="2.0"><channel><title>News</title>{"".join(items)}</channel></rss>'.encode()


def item(number: int, text: str = "Hello", date: bool = True) -> str:
    at = f"<pubDate>Mon, 02 Nov 2026 {number // 60 % 24:02}:{number % 60:02}:00 GMT</pubDate>" if date else ""
    return f"<item><guid>id-{number}</guid><title>No {number}</title><description>{text}</description>{at}</item>"


def names(page):
    return [one.external_id for one in page.items]


async def test_an_unchanged_feed_costs_one_small_answer(web, feeds, fetch):
    def answer(headers):
        same = headers.get("if-none-match") == '"v1"' and headers.get("if-modified-since") == "Mon, 02 Nov 2026 09:00:00 GMT"
        told = {"ETag": '"v1"', "Last-Modified": "Mon, 02 Nov 2026 09:00:00 GMT"}
        return (304, told, b"") if same else (200, told, rss(item(2), item(1)))

    web.routes["/feed"] = answer
    first = await fetch(feeds())
    again = await fetch(feeds(), first.cursor)
    assert names(first) == ["id-1", "id-2"]
    assert (list(again.items), again.cursor, again.missed) == ([], first.cursor, None)


async def test_the_same_body_without_an_etag_is_not_read_again_and_a_change_hands_over_only_what_is_new(web, feeds, fetch):
    web.routes["/feed"] = (200, {}, rss(item(2), item(1)))
    first = await fetch(feeds())
    again = await fetch(feeds(), first.cursor)
    web.routes["/feed"] = (200, {}, rss(item(3), item(2, "Corrected"), item(1)))
    changed = await fetch(feeds(), again.cursor)
    assert (names(again), names(changed), changed.missed) == ([], ["id-2", "id-3"], None)


async def test_a_feed_that_moved_for_good_is_asked_at_its_new_place_and_found_again_when_it_returns(web, feeds, fetch):
    web.routes["/old"] = (301, {"Location": "/new"}, b"")
    web.routes["/new"] = (200, {}, rss(item(1)))
    first = await fetch(feeds("/old"))
    assert first.cursor.moved_to == web.address + "/new"
    assert first.items[0].scope == web.address + "/old"
    web.asked.clear()
    await fetch(feeds("/old"), first.cursor)
    assert [path for path, _ in web.asked] == ["/new"]
    web.routes["/new"] = (410, {}, b"")
    web.routes["/old"] = (200, {}, rss(item(2), item(1)))
    back = await fetch(feeds("/old"), first.cursor)
    assert (names(back), back.cursor.moved_to) == (["id-2"], "")


async def test_a_passing_redirect_is_not_remembered(web, feeds, fetch):
    web.routes["/old"] = (302, {"Location": "/new"}, b"")
    web.routes["/new"] = (200, {}, rss(item(1)))
    assert (await fetch(feeds("/old"))).cursor.moved_to == ""


async def test_entries_that_came_and_went_between_two_visits_are_reported_as_missed(web, feeds, fetch):
    web.routes["/feed"] = (200, {}, rss(item(2), item(1)))
    first = await fetch(feeds())
    web.routes["/feed"] = (200, {}, rss(item(9), item(8)))
    later = await fetch(feeds(), first.cursor)
    assert names(later) == ["id-8", "id-9"]
    assert later.missed is not None
    web.routes["/feed"] = (200, {}, rss())
    emptied = await fetch(feeds(), later.cursor)
    assert (emptied.missed, emptied.cursor.known) == (None, later.cursor.known)


async def test_an_entry_without_a_date_does_not_look_new_or_edited_at_each_visit(web, feeds, fetch, clock):
    web.routes["/feed"] = (200, {}, rss(item(1, date=False)))
    first = await fetch(feeds())
    assert first.items[0].published_at == clock.now()
    clock.forward(hours=1)
    web.routes["/feed"] = (200, {}, rss(item(2, date=False), item(1, date=False)))
    later = await fetch(feeds(), first.cursor)
    assert [(one.external_id, one.published_at, one.edited_at) for one in later.items] == [("id-2", clock.now(), None)]


async def test_the_cursor_stays_small_and_a_crash_between_pages_loses_nothing(web, feeds, fetch):
    web.routes["/feed"] = (200, {"ETag": '"' * 200}, rss(*(item(n) for n in reversed(range(1000)))))
    pages = [page async for page in feeds().fetch_mentions(None)]
    assert [len(page.items) for page in pages] == [200] * 5
    assert max(len(msgspec.json.encode(page.cursor)) for page in pages) <= 4096
    resumed = await fetch(feeds(), pages[1].cursor)
    assert {f"id-{n}" for n in range(400, 1000)} <= set(names(resumed))
    assert resumed.cursor == pages[-1].cursor


async def test_of_an_endless_archive_the_newest_two_thousand_are_read_and_the_rest_is_missed(web, feeds, fetch):
    web.routes["/feed"] = (200, {}, rss(*(item(0).replace("id-0", f"id-{n}") for n in range(2500))))
    page = await fetch(feeds())
    assert len(page.items) == 2000
    assert "2500" in page.missed


async def test_since_and_until_are_kept(web, feeds, fetch):
    web.routes["/feed"] = (200, {}, rss(*(item(n) for n in (90, 60, 30, 0))))
    at = [datetime(2026, 11, 2, 0, 30, tzinfo=UTC), datetime(2026, 11, 2, 1, 0, tzinfo=UTC)]
    assert names(await fetch(feeds(since=at[0], until=at[1]))) == ["id-30", "id-60"]
    first = await fetch(feeds(since=at[1]))
    web.routes["/feed"] = (200, {}, rss(*(item(n) for n in (91, 90, 60, 30, 0))))
    assert (names(first), names(await fetch(feeds(), first.cursor))) == (["id-60", "id-90"], ["id-91"])


async def test_a_cursor_of_another_address_is_not_believed(web, feeds, fetch):
    web.routes["/feed"] = web.routes["/other"] = (200, {"ETag": '"v1"'}, rss(item(1)))
    first = await fetch(feeds())
    assert names(await fetch(feeds("/other"), first.cursor)) == ["id-1"]


async def test_verify_says_which_feed_it_is_and_points_at_the_address_when_it_is_none(web, feeds):
    web.routes["/feed"] = (200, {}, rss(item(1)))
    web.routes["/page"] = (200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Hello</body></html>")
    account = await feeds().verify()
    assert (account.external_id, account.handle) == (web.address + "/feed", "News")
    with pytest.raises(ConfigInvalid) as refused:
        await feeds("/page").verify()
    assert refused.value.field == "url"
    with pytest.raises(Gone):
        await feeds("/nowhere").verify()


async def test_a_protected_feed_is_opened_with_name_and_password(web, feeds, fetch):
    web.routes["/feed"] = lambda headers: (
        (200, {}, rss(item(1))) if headers.get("authorization") == "Basic cmVhZGVyOnNlc2FtZQ==" else (401, {}, b"")
    )
    assert names(await fetch(feeds(username="reader", password="sesame"))) == ["id-1"]
    with pytest.raises(AuthExpired):
        await fetch(feeds())
