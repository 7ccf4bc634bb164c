"""What is made of the messages of a Jetstream; the connection itself is in tests/streams/test_jetstream.py."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from smhub.sdk import AuthExpired, BadItem, Mention, Search, Tombstone, Unsupported
from smhub.testing import framed
from smhub_bluesky.fake import AT, event
from smhub_bluesky.settings import Heard

KESSEL = Search(words=("kessel",))


@pytest.fixture
def hear(network, connect):
    async def hear(*messages, query=KESSEL, cursor=None):
        """The pages that these messages become."""
        network.telling = b"".join(map(framed, messages))
        return [page async for page in connect(jetstream="https://pds.test").stream_search(query, cursor)]

    return hear


def items(pages):
    return [item for page in pages for item in page.items]


def says(server, text, after=0.0, who="kundin", operation="create", **more):
    """Somebody posts; what the Jetstream tells of it."""
    uri = server.says(who, text, **more)
    return event(uri, operation, AT + timedelta(seconds=after), server.records[uri])


async def test_a_post_is_the_same_as_one_that_was_asked_for(server, hear, connect, fetch):
    told = says(server, "Mein Kessel pfeift", reply=None)
    (heard,) = items(await hear(told))
    (asked,) = (await fetch(connect(), None, KESSEL)).items
    assert heard == asked


async def test_a_word_begins_a_word_whatever_its_case_and_phrases_are_whole(server, hear):
    texts = ("KESSELHAUS", "Teekessel", "ein toller kessel", "Kessel")
    told = [says(server, text) for text in texts]
    assert [one.text for one in items(await hear(*told))] == ["KESSELHAUS", "ein toller kessel", "Kessel"]
    assert [one.text for one in items(await hear(*told, query=Search(words=("toller Kessel",))))] == ["ein toller kessel"]


async def test_other_languages_other_records_and_our_own_posts_are_left_out(server, hear):
    told = [
        says(server, "A kessel", langs=["en-GB"]),
        says(server, "Kessel", langs=["de-AT"]),
        says(server, "Kessel von uns", who="firma"),
    ]
    like = json.loads(told[1])
    like["commit"]["collection"] = "app.bsky.feed.like"
    query = Search(words=("kessel",), languages=("de",))
    found = items(await hear(*told, json.dumps(like), json.dumps({"did": "x", "time_us": 5, "kind": "identity"}), query=query))
    assert [one.text for one in found] == ["Kessel"]


async def test_what_was_told_is_gone_when_its_author_deletes_it_or_the_account_ends(server, hear):
    told = [says(server, f"Kessel {number}") for number in range(3)]
    uris = list(server.records)
    gone = event(uris[1], "delete", AT)
    ended = {"did": "did:plc:kundin", "time_us": 9, "kind": "account", "account": {"active": False, "status": "deleted"}}
    asleep = {**ended, "account": {"active": False, "status": "deactivated"}}
    found = items(await hear(*told, gone, gone, event("at://did:plc:x/app.bsky.feed.post/3m", "delete", AT), json.dumps(asleep)))
    assert [one for one in found if isinstance(one, Tombstone)] == [Tombstone(external_id=uris[1])]
    found = items(await hear(*told, json.dumps(ended)))
    assert {one.external_id for one in found if isinstance(one, Tombstone)} == set(uris)


async def test_only_what_may_be_meant_for_us_is_kept_of_what_cannot_be_read(server, hear):
    def strange(text):
        return event("at://did:plc:kundin/app.bsky.feed.post/3m", "create", AT, {"value": {"text": [text]}, "cid": "bafy"})

    found = items(await hear(strange("nichts"), strange("der kessel"), "this is no JSON", says(server, "Kessel")))
    assert [type(one) for one in found] == [BadItem, BadItem, Mention]


async def test_the_place_moves_on_while_nothing_is_found_and_not_with_every_message(server, hear):
    told = [says(server, f"Anderes {number}", after=number) for number in range(25)]
    pages = await hear(*told)
    seconds = [page.cursor.time_us // 1_000_000 - int(AT.timestamp()) for page in pages]
    assert seconds == [0, 10, 20] and items(pages) == []


async def test_it_goes_on_five_seconds_before_its_place_and_says_what_it_missed(network, server, hear):
    at = int(AT.timestamp() * 1_000_000)
    (page,) = await hear(says(server, "Anderes", after=1), cursor=Heard(at))
    assert page.missed is None
    assert network.listened[-1].param("cursor") == str(at - 5_000_000)
    assert network.listened[-1].query["wantedCollections"] == ["app.bsky.feed.post"]
    (page,) = await hear(says(server, "Anderes", after=90), cursor=Heard(at))
    assert page.missed is not None


async def test_who_cannot_be_looked_up_is_called_by_their_did_and_each_is_looked_up_once(server, hear):
    told = [says(server, "Kessel eins"), says(server, "Kessel zwei")]
    assert {one.author.handle for one in items(await hear(*told))} == {"kundin.test"}
    assert server.asked["app.bsky.actor.getProfile"] == 1
    server.faults.append(lambda name: (502, {"error": "UpstreamFailure"}) if name.endswith("getProfile") else None)
    assert {one.author.handle for one in items(await hear(*told))} == {"did:plc:kundin"}


async def test_without_an_address_there_is_no_stream_and_without_a_session_neither(server, connect):
    with pytest.raises(Unsupported):
        await anext(aiter(connect(jetstream="").stream_search(KESSEL, None)))
    server.password = "another"
    with pytest.raises(AuthExpired):
        await anext(aiter(connect(jetstream="https://pds.test").stream_search(KESSEL, None)))
