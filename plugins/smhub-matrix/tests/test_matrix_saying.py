"""What we say into the room is there once, where it belongs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smhub.sdk import ContentRejected, Draft, Gone, Media, MentionRef, PermissionMissing
from smhub_matrix.connector import Matrix

KEY, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
FIRMA, KUNDIN = "@firma:home.test", "@kundin:home.test"


async def test_said_again_under_its_key_it_is_the_same_event_and_another_token_finds_it(server, connect, clock):
    begun = clock.now()
    assert await connect().find_published(Draft(text="Hallo"), KEY, begun) is None
    done = await connect().publish(Draft(text="Hallo"), KEY)
    assert await connect().publish(Draft(text="Hallo"), KEY) == done
    assert await connect().publish(Draft(text="Hallo"), OTHER) != done
    server.tokens["syt_firma_new"] = FIRMA
    assert await connect(token="syt_firma_new").find_published(Draft(text="Hallo"), KEY, begun) == done
    assert len(server.by(FIRMA)) == 2


async def test_what_is_far_below_or_older_than_the_try_is_not_looked_for(server, connect, clock):
    for number in range(150):
        server.says(f"Nummer {number}", who=FIRMA)
    clock.forward(hours=2)
    assert await connect().find_published(Draft(text="Hallo"), KEY, clock.now()) is None
    assert server.asked["GET rooms/messages"] == 1
    assert await connect().find_published(Draft(text="Hallo"), KEY, clock.now() - timedelta(days=1)) is None


async def test_an_answer_hangs_below_what_it_answers_in_its_thread_and_mentions_its_author(server, connect):
    root = server.says("Sprechstunde")
    asked = server.says("Wo bleibt er?", **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}})
    plain = await connect().reply(MentionRef(external_id=root), Draft(text="Hier"), KEY)
    threaded = await connect().reply(MentionRef(external_id=asked), Draft(text="Morgen"), OTHER)
    relations = [server.event(one.external_id)["content"]["m.relates_to"] for one in (plain, threaded)]
    assert relations[0] == {"m.in_reply_to": {"event_id": root}}
    assert relations[1] == {
        "rel_type": "m.thread",
        "event_id": root,
        "is_falling_back": False,
        "m.in_reply_to": {"event_id": asked},
    }
    assert server.event(plain.external_id)["content"]["m.mentions"] == {"user_ids": [KUNDIN]}


async def test_an_answer_to_what_was_taken_back_is_gone(server, connect):
    asked = server.says("Vergesst es")
    server.redact(asked)
    with pytest.raises(Gone):
        await connect().reply(MentionRef(external_id=asked), Draft(text="Gern"), KEY)
    assert server.by(FIRMA) == []


async def test_words_that_stood_there_before_may_stand_there_again(server, connect, network):
    done = await connect().publish(Draft(text="Montag"), KEY)
    for text in ("Dienstag", "Montag", "Dienstag", "Dienstag"):
        assert await connect().edit(done.external_id, Draft(text=text), KEY) == done
        assert network.posts()[0].text == text
    assert len(server.edits(server.event(done.external_id))) == 3


async def test_taken_back_it_is_gone_and_what_others_said_is_the_servers_to_refuse(server, connect):
    done = await connect().publish(Draft(text="Hallo"), KEY)
    await connect().delete(done.external_id)
    with pytest.raises(Gone):
        await connect().delete(done.external_id)
    assert server.by(FIRMA) == []
    server.faults.append(lambda method, path: (403, {"errcode": "M_FORBIDDEN"}) if "/redact/" in path else None)
    with pytest.raises(PermissionMissing) as refused:
        await connect().delete(server.says("Fremd"))
    assert refused.value.scopes == ("redact in the room",)


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (Draft(text="  "), "empty"),
        (Draft(text="a", visibility="private"), "unknown_visibility"),
        (Draft(text="a", sensitive="Ärger"), "no_warning"),
        (Draft(text="a", media=(Media(media_type="image/png", content=b""),)), "no_media"),
    ],
)
async def test_what_the_network_cannot_is_refused_and_not_left_out(server, connect, draft, code):
    assert [one.code for one in Matrix.validate(None, draft)] == [code]
    with pytest.raises(ContentRejected):
        await connect().publish(draft, KEY)
    assert server.by(FIRMA) == []


async def test_the_longest_text_can_be_edited_too(server, connect):
    longest = "ä" * 15_000
    done = await connect().publish(Draft(text=longest), KEY)
    await connect().edit(done.external_id, Draft(text=longest[::-1][:-1] + "ö"), KEY)
    assert len(server.edits(server.event(done.external_id))) == 1
