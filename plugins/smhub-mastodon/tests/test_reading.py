"""What mentions us arrives once, in order, with its edits and deletions, whatever happens in between."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from smhub.sdk import (
    Attachment,
    AuthExpired,
    BadItem,
    Gone,
    Mention,
    PayloadMalformed,
    PermissionMissing,
    RateLimited,
    Search,
    Tombstone,
    Transient,
)
from smhub_mastodon.fake import AT, as_html

DAY = timedelta(days=1)


def ids(page):
    return [one.external_id for one in page.items]


async def test_a_mention_arrives_with_everything_that_is_told_of_it(server, connect, fetch):
    file = {"id": "1", "type": "gifv", "url": "https://files.test/1.mp4", "description": "Ein Kessel"}
    id_ = server.says(
        "kundin@other.test",
        "@firma Mein Kessel ist kaputt",
        spoiler_text="Ärger",
        sensitive=True,
        media_attachments=[file],
        in_reply_to_id="7",
    )
    (one,) = (await fetch(connect(server))).items
    assert isinstance(one, Mention)
    assert (one.external_id, one.scope, one.kind, one.reply_to) == (id_, f"127.0.0.1:{server.port}", "reply", "7")
    assert (one.text, one.html, one.title) == ("", as_html("@firma Mein Kessel ist kaputt"), "Ärger")
    assert (one.published_at, one.language, one.visibility, one.labels) == (AT, "de", "public", ("sensitive",))
    assert one.attachments == (Attachment(url="https://files.test/1.mp4", kind="video", alt_text="Ein Kessel"),)
    assert one.author is not None
    assert (one.author.external_id, one.author.handle, one.author.followers) == ("kundin@other.test", "kundin@other.test", 3)


async def test_an_account_of_the_server_itself_gets_the_name_under_which_the_world_knows_it(server, connect, fetch):
    server.says("Kundin", "@firma Hallo")
    (one,) = (await fetch(connect(server))).items
    assert (one.author.external_id, one.author.handle) == ("kundin@social.test", "Kundin@social.test")


@pytest.mark.parametrize(
    ("theirs", "ours", "kind"),
    [
        ("public", "public", "post"),
        ("unlisted", "unlisted", "post"),
        ("private", "followers", "post"),
        ("direct", "private", "direct_message"),
        ("mutuals_only", "followers", "post"),
        ("circle", "private", "post"),
    ],
)
async def test_who_may_see_it_is_told_in_our_words_and_what_is_unknown_is_private(server, connect, fetch, theirs, ours, kind):
    server.says("kundin", "@firma Hallo", visibility=theirs)
    (one,) = (await fetch(connect(server))).items
    assert (one.visibility, one.kind) == (ours, kind)


async def test_boosts_favourites_and_what_has_no_status_are_no_mentions_and_quotes_are(server, connect, fetch):
    ours = server.says("firma", "Neu im Laden")
    for type_ in ("reblog", "favourite", "poll", "update", "status"):
        server.notify(type_, ours)
    server.notify("follow", None)
    server.notify("mention", None)
    server.notify("quote", quoting := server.says("kundin", "Seht euch das an"))
    server.notify("mention", server.says("kundin", "", reblog={"id": ours}))
    assert ids(await fetch(connect(server))) == [quoting]


async def test_scripts_in_the_html_are_handed_over_for_the_hub_to_clean(server, connect, fetch):
    server.says("kundin", "@firma Hallo", content="<p>Hallo<script>alert(1)</script></p>")
    (one,) = (await fetch(connect(server))).items
    assert (one.html, one.text) == ("<p>Hallo<script>alert(1)</script></p>", "")


async def test_two_hundred_mentions_of_the_same_second_come_the_oldest_first_and_are_soon_left_alone(
    server, gotosocial, connect, fetch, clock
):
    for one in (server, gotosocial):
        said = [one.says("kundin", f"@firma {number}") for number in range(200)]
        first = await fetch(connect(one))
        assert ids(first) == said
        clock.forward(minutes=2)
        second = await fetch(connect(one), first.cursor)
        assert set(ids(second)) < set(said)
        one.now = clock.now()
        later = one.says("kundin", "@firma noch etwas")
        assert ids(await fetch(connect(one), second.cursor)) == [later]


async def test_after_a_crash_between_any_two_pages_nothing_is_lost(server, connect, fetch):
    said = []
    for number in range(130):
        server.now += timedelta(minutes=2)
        said.append(server.says("kundin", f"@firma {number}"))
    pages = [page async for page in connect(server).fetch_mentions(None)]
    assert max(len(msgspec.json.encode(page.cursor)) for page in pages) <= 4096
    assert len({msgspec.json.encode(page.cursor) for page in pages}) == len(pages)
    for number, page in enumerate(pages):
        before = [one.external_id for earlier in pages[: number + 1] for one in earlier.items]
        cursor = msgspec.convert(msgspec.to_builtins(page.cursor), type(page.cursor))
        after = ids(await fetch(connect(server), cursor))
        assert set(before + after) == set(said)


async def test_what_is_said_while_we_read_is_read_too(server, connect):
    said = [server.says("kundin", f"@firma {number}") for number in range(60)]
    found = []
    async for page in connect(server).fetch_mentions(None):
        found += ids(page)
        if len(said) < 150:
            said += [server.says("kundin", f"@firma {number}") for number in range(len(said), len(said) + 30)]
    assert found == said


async def test_a_notification_that_becomes_visible_late_is_not_lost(server, connect, fetch):
    server.says("kundin", "@firma eins")
    late = server.says("kundin", "@firma zwei")
    hidden = server.notifications.pop()
    server.says("kundin", "@firma drei")
    first = await fetch(connect(server))
    server.notifications.insert(1, hidden)
    assert late not in ids(first)
    assert ids(await fetch(connect(server), first.cursor)) == [late]


async def test_one_malformed_element_becomes_a_bad_item_and_the_rest_arrives(server, connect, fetch):
    one = server.says("kundin", "@firma eins")
    server.says("kundin", "@firma zwei", account=None)
    server.says("kundin", "@firma drei", created_at="yesterday")
    two = server.says("kundin", "@firma vier")
    items = (await fetch(connect(server))).items
    assert [type(item).__name__ for item in items] == ["Mention", "BadItem", "BadItem", "Mention"]
    assert [items[0].external_id, items[3].external_id] == [one, two]
    assert all("firma" not in item.error for item in items if isinstance(item, BadItem))


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"{}", b"[{", b"\xff\xfe", b'[1,2,"x"]'])
async def test_an_answer_that_is_no_list_of_notifications_is_malformed(server, connect, fetch, body):
    server.faults.append(lambda method, path: (200, {}, body) if path.endswith("/notifications") else None)
    with pytest.raises(PayloadMalformed):
        await fetch(connect(server))


async def test_an_edit_and_a_deletion_are_noticed_by_looking_again(server, connect, fetch):
    edited, gone, same = (server.says("kundin", f"@firma {text}") for text in ("kaputt", "bald weg", "bleibt"))
    first = await fetch(connect(server))
    server.edit(edited, "@firma kaputt, geht wieder")
    server.remove(gone)
    again = await fetch(connect(server), first.cursor)
    assert len(again.items) == 2
    assert (again.items[0].external_id, again.items[0].html) == (edited, as_html("@firma kaputt, geht wieder"))
    assert again.items[0].edited_at == server.now
    assert again.items[1] == Tombstone(external_id=gone, scope=f"127.0.0.1:{server.port}")
    assert (await fetch(connect(server), again.cursor)).items == []
    assert same in {one.id for one in again.cursor.known}


async def test_looking_again_costs_one_request_a_visit_and_comes_round_to_all(server, connect, fetch):
    said = [server.says("kundin", f"@firma {number}") for number in range(80)]
    cursor = (await fetch(connect(server))).cursor
    for id_ in said[::20]:
        server.edit(id_, "@firma anders")
    server.asked.clear()
    found = []
    for _ in range(4):
        page = await fetch(connect(server), cursor)
        found += ids(page)
        cursor = page.cursor
    assert sorted(found) == said[::20]
    assert (server.asked["GET /api/v1/statuses"], server.asked["GET /api/v1/statuses/:id"]) == (4, 0)


async def test_a_server_that_gives_only_one_status_at_a_time_is_asked_for_five(gotosocial, connect, fetch):
    said = [gotosocial.says("kundin", f"@firma {number}") for number in range(20)]
    cursor = (await fetch(connect(gotosocial))).cursor
    gotosocial.remove(said[17])
    gotosocial.asked.clear()
    found = []
    for _ in range(4):
        page = await fetch(connect(gotosocial), cursor)
        found += page.items
        cursor = page.cursor
    assert [one.external_id for one in found if isinstance(one, Tombstone)] == [said[17]]
    assert gotosocial.asked["GET /api/v1/statuses/:id"] == 20


async def test_a_page_of_a_proxy_in_front_wipes_nothing(server, connect, fetch):
    server.says("kundin", "@firma Hallo")
    cursor = (await fetch(connect(server))).cursor
    server.faults.append(lambda method, path: (404, {}, b"<html>404</html>") if "/api/v1/statuses" in path else None)
    assert (await fetch(connect(server), cursor)).items == []


async def test_the_first_visit_goes_back_some_days_and_a_back_fill_from_since_until(server, connect, fetch, clock):
    start = clock.now() - 40 * DAY
    said = [server.says("kundin", f"@firma {day}", at=start + day * DAY) for day in range(40)]
    for day, one in enumerate(server.notifications):
        one["created_at"] = server.statuses[said[day]]["created_at"]
    assert ids(await fetch(connect(server, first_days=10)))[1:] == said[30:]
    # One before the beginning is handed over as well: it proves that the gap was read to its end.
    filled = ids(await fetch(connect(server, since=start + 5 * DAY, until=start + 9 * DAY)))
    assert filled == said[4:10]


async def test_hashtags_and_the_servers_own_search_find_what_others_say(server, connect, fetch):
    tagged = server.says("kundin", "Der #Kessel pfeift")
    named = server.says("kundin", "Mein kessel ist kaputt")
    server.says("firma", "Unser #kessel ist neu")
    server.says("kundin", "My #kessel", language="en")
    server.says("kundin", "Schönes Wetter")
    query = Search(words=("#Kessel", "kessel"), languages=("de",))
    first = await fetch(connect(server), query=query)
    assert sorted(ids(first)) == [tagged, named]
    assert (await fetch(connect(server), first.cursor, query)).items == []
    server.edit(named, "Mein kessel geht wieder")
    again = await fetch(connect(server), first.cursor, query)
    assert ids(again) == [named]


async def test_without_a_search_on_the_server_the_hashtags_remain(server, connect, fetch):
    server.searches = False
    tagged = server.says("kundin", "Der #kessel pfeift")
    server.says("kundin", "Mein kessel ist kaputt")
    assert ids(await fetch(connect(server), query=Search(words=("Kessel", "zwei Worte")))) == [tagged]


async def test_a_post_that_comes_late_from_another_server_is_still_found(server, connect, fetch):
    server.searches = False
    written = server.id()
    server.now += timedelta(minutes=5)
    seen = server.says("kundin", "#kessel")
    query = Search(words=("kessel",))
    first = await fetch(connect(server), query=query)
    server.statuses[written] = {**server.statuses[seen], "id": written, "created_at": "2026-11-02T08:01:00.000Z"}
    assert (ids(first), ids(await fetch(connect(server), first.cursor, query))) == ([seen], [written])


async def test_fifty_words_take_turns_and_their_cursor_stays_small(server, gotosocial, connect, fetch):
    for one in (server, gotosocial):
        words = tuple(f"wort{number}" for number in range(50))
        said = {one.says("kundin", f"#{word}") for word in words}
        found, cursor = set(), None
        for _ in range(5):
            one.asked.clear()
            page = await fetch(connect(one), cursor, Search(words=words))
            cursor = page.cursor
            found |= set(ids(page))
            assert one.asked["GET /api/v2/search"] == 10
            assert len(msgspec.json.encode(cursor)) <= 4096
        assert found == said


@pytest.mark.parametrize("reset", ["2026-11-02T08:02:20.000000Z", str(int(AT.timestamp()) + 140)])
async def test_a_rate_limit_says_how_long_to_wait_as_a_date_or_in_seconds_and_is_asked_once(server, connect, fetch, reset):
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    server.faults.append(lambda method, path: (429, headers, {"error": "Too many requests"}))
    with pytest.raises(RateLimited) as limited:
        await fetch(connect(server))
    assert limited.value.retry_after == pytest.approx(120, abs=1)
    assert len(server.requests) == 1


async def test_a_rate_limit_on_the_way_keeps_what_was_read(server, connect, fetch):
    said = [server.says("kundin", f"@firma {number}") for number in range(100)]
    pages = []
    server.faults.append(lambda method, path: (429, {}, {}) if server.asked["GET /api/v1/notifications"] > 4 else None)
    with pytest.raises(RateLimited):
        async for page in connect(server).fetch_mentions(None):
            pages.append(page)
    server.faults.clear()
    rest = await fetch(connect(server), pages[-1].cursor)
    assert [one.external_id for page in pages for one in page.items] + ids(rest) == said


@pytest.mark.parametrize(("status", "error"), [(500, Transient), (503, Transient), (401, AuthExpired), (410, Gone)])
async def test_what_the_server_answers_is_told_by_its_kind(server, connect, fetch, status, error):
    server.says("kundin", "@firma Hallo")
    server.faults.append(lambda method, path: (status, {}, {"error": "no"}) if path.endswith("/notifications") else None)
    with pytest.raises(error):
        await fetch(connect(server))


async def test_a_missing_scope_is_named(server, connect, fetch):
    outside = {"error": "This action is outside the authorized scopes"}
    server.faults.append(lambda method, path: (403, {}, outside) if path.endswith("/notifications") else None)
    with pytest.raises(PermissionMissing) as missing:
        await fetch(connect(server))
    assert missing.value.scopes == ("read:notifications",)


async def test_what_can_be_chosen_in_a_poll_belongs_to_what_was_said_and_the_votes_do_not(server, connect, fetch):
    poll = {"id": "1", "votes_count": 7, "options": [{"title": "Ja & nein", "votes_count": 7}, {"title": None}, "x"]}
    server.says("kundin", "@firma Kessel?", poll=poll)
    server.says("kundin", "@firma Tasse?", poll="odd")
    first, second = (await fetch(connect(server))).items
    assert first.html == as_html("@firma Kessel?") + "<ul><li>Ja &amp; nein</li></ul>"
    assert second.html == as_html("@firma Tasse?")
