"""Mentions, threads, searches, edits and deletions, as the server tells them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smhub.sdk import AuthExpired, BadItem, CursorExpired, Mention, Search, Tombstone, capabilities, read_settings
from smhub_bluesky.connector import Bluesky
from smhub_bluesky.entities import Facet, Slice
from smhub_bluesky.text import whole


def ref(server, uri):
    return {"uri": uri, "cid": server.records[uri]["cid"]}


async def test_a_reply_knows_its_parent_and_its_thread(server, connect, fetch):
    root = server.says("firma", "Neu im Laden")
    answer = server.says("kundin", "Wie teuer?", reply={"root": ref(server, root), "parent": ref(server, root)})
    (mention,) = (await fetch(connect())).items
    assert (mention.external_id, mention.kind, mention.reply_to, mention.root) == (answer, "reply", root, root)
    assert (mention.author.external_id, mention.author.handle, mention.language) == ("did:plc:kundin", "kundin.test", "de")
    assert mention.url == f"https://bsky.app/profile/did:plc:kundin/post/{answer.rpartition('/')[2]}"


async def test_likes_and_our_own_posts_are_no_mentions(server, connect, fetch):
    uri = server.says("firma", "Wir selbst")
    server.notes += [{"uri": uri, "reason": "like"}, {"uri": uri, "reason": "quote"}]
    assert (await fetch(connect())).items == []


async def test_what_the_author_says_of_a_post_and_what_moderation_says_are_labels(server, connect, fetch):
    server.says("kundin", "Au", labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "graphic-media"}, 5]})
    (mention,) = (await fetch(connect())).items
    assert mention.labels == ("graphic-media",)


async def test_pictures_and_videos_are_read_with_their_alternative_texts_also_beside_a_quote(server, connect, fetch):
    def blob(link, kind="image/jpeg"):
        return {"$type": "blob", "ref": {"$link": link}, "mimeType": kind, "size": 5}

    images = {
        "$type": "app.bsky.embed.images",
        "images": [{"image": blob("bafa"), "alt": "Ein Kessel"}, {"image": blob("bafb"), "alt": ""}],
    }
    quote = {"$type": "app.bsky.embed.record", "record": {"uri": "at://did:plc:x/app.bsky.feed.post/3m", "cid": "bafy"}}
    server.says("kundin", "Bilder", embed=images)
    server.says("kundin", "Zitat", embed={"$type": "app.bsky.embed.recordWithMedia", "record": quote, "media": images})
    server.says("kundin", "Video", embed={"$type": "app.bsky.embed.video", "video": blob("bafv", "video/mp4"), "alt": "Es pfeift"})
    for odd in (quote, {"images": 5}, {"media": {"images": [{"image": blob("../x"), "alt": ""}]}}, [1]):
        server.says("kundin", "Nichts", embed=odd)
    first, second, third, *rest = (await fetch(connect())).items
    address = "https://cdn.bsky.app/img/feed_fullsize/plain/did:plc:kundin"
    assert [(one.url, one.kind, one.alt_text) for one in first.attachments] == [
        (f"{address}/bafa@jpeg", "image", "Ein Kessel"),
        (f"{address}/bafb@jpeg", "image", None),
    ]
    assert second.attachments == first.attachments
    assert [(one.kind, one.media_type, one.alt_text) for one in third.attachments] == [("video", "video/mp4", "Es pfeift")]
    assert [one.attachments for one in rest] == [(), (), (), ()]


async def test_an_edit_is_seen_once_and_a_deletion_once(server, connect, fetch, clock):
    edited, gone = server.says("kundin", "Alt"), server.says("kundin", "Bald weg")
    first = await fetch(connect())
    server.edit(edited, "Neu")
    server.remove(gone)
    clock.forward(minutes=1)
    second = await fetch(connect(), first.cursor)
    assert {type(one) for one in second.items} == {Mention, Tombstone}
    assert next(one for one in second.items if isinstance(one, Tombstone)).external_id == gone
    again = next(one for one in second.items if isinstance(one, Mention))
    assert (again.external_id, again.text, again.edited_at) == (edited, "Neu", clock.now())
    assert (await fetch(connect(), second.cursor)).items == []


async def test_a_post_of_somebody_who_blocked_us_is_not_gone(server, connect, fetch):
    uri = server.says("kundin", "Hallo")
    first = await fetch(connect())
    server.hidden.add(uri)
    assert (await fetch(connect(), first.cursor)).items == []


async def test_what_came_in_late_below_what_is_known_is_not_lost(server, connect, fetch, clock):
    server.says("kundin", "Jetzt")
    first = await fetch(connect())
    late = server.says("kundin", "Vorher geschrieben", clock.now() - timedelta(minutes=90))
    assert [one.external_id for one in (await fetch(connect(), first.cursor)).items] == [late]


async def test_a_visit_that_ended_amid_a_hole_closes_it_and_then_looks_at_the_top(server, connect, clock):
    said = [server.says("kundin", f"Nummer {number}", clock.now()) for number in range(130)]
    pages = connect().fetch_mentions(None)
    first = await anext(pages)
    await pages.aclose()
    said.append(server.says("kundin", "Und noch eines", clock.now()))
    rest = [page async for page in connect().fetch_mentions(first.cursor)]
    found = [item.external_id for page in (first, *rest) for item in page.items]
    assert set(found) == set(said)


async def test_a_place_that_the_network_does_not_know_begins_afresh(server, connect):
    for number in range(90):
        server.says("kundin", f"Nummer {number}")
    pages = connect().fetch_mentions(None)
    first = await anext(pages)
    await pages.aclose()
    server.epoch += 1
    with pytest.raises(CursorExpired):
        await anext(connect().fetch_mentions(first.cursor))


async def test_an_element_that_cannot_be_read_is_kept_without_a_word_of_it(network, connect, fetch):
    network.malformed()
    (bad,) = (await fetch(connect())).items
    assert isinstance(bad, BadItem)
    assert bad.error.startswith("not a post")


async def test_words_and_tags_are_found_each_once_in_the_languages_asked_for(server, connect, fetch):
    kept = server.says("somebody", "Mein #Kessel pfeift")
    server.says("somebody", "My kessel sings", langs=["en"])
    server.says("firma", "Unser Kessel")
    first = await fetch(connect(), None, Search(words=("#kessel", "Kessel"), languages=("de",)))
    assert [one.external_id for one in first.items] == [kept]
    assert (await fetch(connect(), first.cursor, Search(words=("#kessel", "Kessel"), languages=("de",)))).items == []


async def test_with_many_words_each_gets_its_turn(server, connect, fetch):
    words = tuple(f"wort{number:02d}" for number in range(25))
    said = {server.says("somebody", word) for word in words}
    found, cursor = set(), None
    for _ in range(3):
        page = await fetch(connect(), cursor, Search(words=words))
        found |= {one.external_id for one in page.items}
        cursor = page.cursor
    assert found == said


def test_a_link_that_was_cut_for_display_is_whole_again():
    cut = "Siehe äöü shop.test/kess... hier"
    begin = len("Siehe äöü ".encode())
    link = ({"$type": "app.bsky.richtext.facet#link", "uri": "https://shop.test/kessel?a=1"},)
    facet = Facet(index=Slice(begin, begin + len("shop.test/kess...")), features=link)
    assert whole(cut, (facet,)) == "Siehe äöü https://shop.test/kessel?a=1 hier"
    assert whole("kurz", (Facet(index=Slice(2, 99), features=link), Facet(index=Slice(3, 1), features=link))) == "kurz"


@pytest.mark.parametrize("error", ["ExpiredToken", "InvalidToken", "AccountTakedown"])
async def test_a_session_that_is_never_accepted_wants_a_person(server, connect, error):
    server.faults.append(lambda name: (400, {"error": error, "message": ""}) if name.endswith("getSession") else None)
    with pytest.raises(AuthExpired):
        await connect().verify()


async def test_the_accounts_own_password_with_a_second_factor_is_pointed_at(server, connect):
    server.faults.append(lambda name: (401, {"error": "AuthFactorTokenRequired"}) if name.endswith("createSession") else None)
    with pytest.raises(AuthExpired) as refused:
        await connect().verify()
    assert "app password" in refused.value.message


def test_it_can_what_it_implements_and_its_address_is_bluesky_unless_another_is_named():
    can = "fetches_mentions searches streams_searches publishes replies deletes reports_metrics validates_content"
    assert capabilities(Bluesky) == tuple(can.split())
    assert Bluesky.base_url(read_settings(Bluesky.Config, {"identifier": "a.test", "app_password": "x"})) == "https://bsky.social"
