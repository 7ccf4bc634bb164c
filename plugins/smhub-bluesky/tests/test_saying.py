"""What we say lies at one address, once, with its facets where the bytes are."""

from __future__ import annotations

import re

import pytest

from smhub.sdk import ContentRejected, Draft, Gone, Media, MentionRef, OutcomeUnknown, Transient
from smhub_bluesky.connector import Bluesky
from smhub_bluesky.fake import POSTS
from smhub_bluesky.saying import tid

KEY, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


def parts(record):
    """Each facet with the text that it covers."""
    data = record["text"].encode()
    cut = [(data[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode(), one["features"][0]) for one in record.get("facets", ())]
    return [
        (text, feature["$type"].partition("#")[2], feature.get("uri") or feature.get("did") or feature.get("tag"))
        for text, feature in cut
    ]


def test_a_key_of_a_record_is_a_tid_and_follows_from_the_deliverys_key_alone():
    keys = {tid(f"{number:032x}") for number in range(2000)}
    assert len(keys) == 2000
    assert all(re.fullmatch("[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}", key) for key in keys)
    assert tid(KEY) == tid(KEY)
    assert max(keys) < "3kaaaaaaaaaaa"  # the keys that apps made in 2024 are above


async def test_links_people_and_tags_are_marked_by_their_bytes(server, connect):
    text = (
        "Hej @kundin.test 👨‍👩‍👧‍👦 (siehe https://shop.test/a_(b)?x=ä), #Kessel! #ümlaut #1 @niemand.test mail@kundin.test @kundin.test"
    )
    await connect().publish(Draft(text=text, language="de"), KEY)
    (out,) = server.by("firma")
    assert parts(out["value"]) == [
        ("@kundin.test", "mention", "did:plc:kundin"),
        ("https://shop.test/a_(b)?x=ä", "link", "https://shop.test/a_(b)?x=ä"),
        ("#Kessel", "tag", "Kessel"),
        ("#ümlaut", "tag", "ümlaut"),
        ("@kundin.test", "mention", "did:plc:kundin"),
    ]
    assert out["value"]["langs"] == ["de"]
    assert server.asked["com.atproto.identity.resolveHandle"] == 2


async def test_said_again_later_it_is_the_same_record_with_the_first_time_in_it(server, connect, clock):
    first = await connect().publish(Draft(text="Hallo"), KEY)
    before = server.by("firma")[0]["cid"]
    clock.forward(hours=3)
    assert await connect().publish(Draft(text="Hallo"), KEY) == first
    assert [one["cid"] for one in server.by("firma")] == [before]
    assert await connect().publish(Draft(text="Hallo"), OTHER) != first


async def test_other_words_at_the_address_are_left_alone_and_a_person_decides(server, connect):
    server.put(f"at://did:plc:firma/{POSTS}/{tid(KEY)}", {"text": "Anderes"}, server.now)
    with pytest.raises(OutcomeUnknown):
        await connect().publish(Draft(text="Hallo"), KEY)
    assert [one["value"]["text"] for one in server.by("firma")] == ["Anderes"]


async def test_an_answer_hangs_below_the_post_in_its_thread_even_when_nothing_was_kept_of_it(server, connect, fetch):
    root = server.says("somebody", "Frage")
    at = {"uri": root, "cid": server.records[root]["cid"]}
    server.says("kundin", "Ich auch", reply={"root": at, "parent": at})
    mention = (await fetch(connect())).items[-1]
    for key, raw in ((KEY, mention.raw), (OTHER, None)):
        done = await connect().reply(MentionRef(external_id=mention.external_id, raw=raw), Draft(text="Gern"), key)
        reply = server.records[done.external_id]["value"]["reply"]
        assert (reply["root"], reply["parent"]["uri"]) == (at, mention.external_id)
        assert reply["parent"]["cid"] == server.records[mention.external_id]["cid"]


async def test_an_answer_to_what_was_deleted_is_gone(server, connect):
    with pytest.raises(Gone):
        await connect().reply(MentionRef(external_id=f"at://did:plc:kundin/{POSTS}/3m00000000001"), Draft(text="Hallo"), KEY)
    assert server.by("firma") == []


async def test_a_warning_is_one_of_the_labels_that_the_network_knows(server, connect):
    await connect().publish(Draft(text="Au", sensitive="graphic-media"), KEY)
    assert server.by("firma")[0]["value"]["labels"]["values"] == [{"val": "graphic-media"}]


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (Draft(text="  "), "empty"),
        (Draft(text="a", visibility="private"), "unknown_visibility"),
        (Draft(text="a", sensitive="Ärger"), "unknown_warning"),
        (Draft(text="a", media=(Media(media_type="video/mp4", content=b""),)), "type_not_taken"),
        (Draft(text="a", media=(Media(media_type="image/png", content=b"", size=1_000_001),)), "file_too_large"),
        (Draft(text="a", media=(Media(media_type="image/png", content=b""),) * 5), "too_many_files"),
    ],
)
async def test_what_the_network_cannot_is_refused_and_not_left_out(server, connect, draft, code):
    assert [one.code for one in Bluesky.validate(None, draft)] == [code]
    with pytest.raises(ContentRejected):
        await connect().publish(draft, KEY)
    assert server.by("firma") == []


def test_both_limits_count():
    family = "👨‍👩‍👧‍👦"
    assert Bluesky.limits.check(family * 120) == []
    assert [(one.limit, one.actual) for one in Bluesky.limits.check(family * 121)] == [(3000, 3025)]
    assert [(one.limit, one.actual) for one in Bluesky.limits.check("a" * 301)] == [(300, 301)]


async def test_taken_back_it_is_gone_and_only_a_post_is_taken_back(server, connect):
    done = await connect().publish(Draft(text="Hallo"), KEY)
    await connect().delete(done.external_id)
    for external_id in (done.external_id, "at://did:plc:firma/app.bsky.actor.profile/self", "nonsense"):
        with pytest.raises(Gone):
            await connect().delete(external_id)
    assert server.by("firma") == []


PICTURE = Media(media_type="image/png", content=b"\x89PNG kettle", alt_text="Ein Kessel", width=800, height=600)


async def test_pictures_stand_in_the_record_with_their_text_and_shape(server, connect):
    plain = Media(media_type="image/gif", content=b"GIF89a")
    await connect().publish(Draft(text="", media=(PICTURE, plain)), KEY)
    (record,) = server.by("firma")
    first, second = record["value"]["embed"]["images"]
    assert (first["alt"], first["aspectRatio"]) == ("Ein Kessel", {"width": 800, "height": 600})
    assert (second["alt"], "aspectRatio" in second) == ("", False)
    assert server.blobs[first["image"]["ref"]["$link"]] == PICTURE.content
    assert first["image"]["mimeType"] == "image/png"


async def test_a_lost_upload_leaves_nothing_unclear_and_is_repeated_where_the_post_is_not(server, connect):
    broken = [True]

    def breaks(name):
        return (500, {}) if name == "com.atproto.repo.uploadBlob" and broken and broken.pop() else None

    server.faults.append(breaks)
    connector = connect()
    with pytest.raises(Transient):
        await connector.publish(Draft(text="Neu", media=(PICTURE,)), KEY)
    assert not connector.http.acted and server.by("firma") == []
    first = await connector.publish(Draft(text="Neu", media=(PICTURE,)), KEY)
    assert connector.http.acted
    assert await connect().publish(Draft(text="Neu", media=(PICTURE,)), KEY) == first
    assert len(server.by("firma")) == 1


async def test_a_post_whose_address_stands_in_the_text_is_quoted_with_and_without_pictures(server, connect):
    uri = server.says("kundin", "Der Kessel pfeift")
    address = f"https://bsky.app/profile/kundin.test/post/{uri.rpartition('/')[2]}"
    quote = {"uri": uri, "cid": server.records[uri]["cid"]}
    said = await connect().publish(Draft(text=f"Genau so: {address}."), KEY)
    assert server.records[said.external_id]["value"]["embed"] == {"$type": "app.bsky.embed.record", "record": quote}
    picture = Media(media_type="image/png", content=b"png", alt_text="Ein Kessel")
    both = await connect().publish(Draft(text=f"Auch: {address}", media=(picture,)), OTHER)
    embed = server.records[both.external_id]["value"]["embed"]
    assert (embed["$type"], embed["record"]["record"]) == ("app.bsky.embed.recordWithMedia", quote)
    assert [one["alt"] for one in embed["media"]["images"]] == ["Ein Kessel"]


async def test_what_is_gone_or_nobodys_is_not_quoted_and_its_link_stays(server, connect):
    for number, who in enumerate(("kundin.test", "niemand.test", "did:plc:kundin")):
        said = await connect().publish(Draft(text=f"https://bsky.app/profile/{who}/post/3mgone"), f"{number:032x}")
        record = server.records[said.external_id]["value"]
        assert "embed" not in record and len(record["facets"]) == 1
