"""What the bot says goes out once at most, and what Telegram says of it has one meaning each."""

from __future__ import annotations

import traceback

import pytest

from smhub.sdk import (
    ConfigInvalid,
    ContentRejected,
    Draft,
    Gone,
    Media,
    MentionRef,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
)
from smhub.testing.wire import Fault
from smhub_telegram.connector import Telegram
from smhub_telegram.fake import GROUP, TOKEN, refused

KEY = "0123456789abcdef0123456789abcdef"


async def test_a_post_goes_into_the_channel_as_it_is_written(server, connect):
    done = await connect().publish(Draft(text="*Neu* <b>im</b> Laden_\n\n👨‍👩‍👧‍👦"), KEY)
    (out,) = server.ours()
    assert out["text"] == "*Neu* <b>im</b> Laden_\n\n👨‍👩‍👧‍👦"
    assert done.external_id == f"-1001234567890/{out['message_id']}"
    assert done.url == f"https://t.me/firma_news/{out['message_id']}"


async def test_an_answer_stands_below_what_it_answers_in_its_topic(server, connect, fetch):
    server.says("Wo bleibt er?", chat=GROUP, message_thread_id=77, is_topic_message=True)
    (mention,) = (await fetch(connect())).items
    await connect().reply(MentionRef(external_id=mention.external_id, raw=mention.raw), Draft(text="Morgen"), KEY)
    (out,) = server.ours()
    assert (out["chat"]["id"], out["message_thread_id"]) == (GROUP["id"], 77)
    assert f"{GROUP['id']}/{out['reply_to_message']['message_id']}" == mention.external_id


async def test_without_a_chat_nothing_is_posted_and_answers_go_out(server, connect):
    asked = server.says("Hallo?")
    with pytest.raises(ConfigInvalid) as refused_:
        await connect(chat="").publish(Draft(text="Hallo"), KEY)
    assert refused_.value.field == "chat"
    await connect(chat="").reply(MentionRef(external_id=asked), Draft(text="Ja?"), KEY)
    assert len(server.ours()) == 1


@pytest.mark.parametrize("kind", ["lose", "silence", "cut", "garbage"])
async def test_a_lost_answer_leaves_it_unknown_and_is_never_tried_again(server, wire, connect, kind):
    wire.fails(Fault(kind=kind))
    with pytest.raises(OutcomeUnknown):
        await connect().publish(Draft(text="Hallo"), KEY)
    assert len(wire.requests) == 1
    assert len(server.ours()) <= 1


@pytest.mark.parametrize(
    ("status", "description", "parameters", "post", "answer"),
    [
        (403, "Forbidden: bot was blocked by the user", {}, PermissionMissing, Gone),
        (403, "Forbidden: user is deactivated", {}, PermissionMissing, Gone),
        (403, "Forbidden: bot was kicked from the supergroup chat", {}, PermissionMissing, Gone),
        (403, "Forbidden: bot is not a member of the channel chat", {}, PermissionMissing, Gone),
        (400, "Bad Request: not enough rights to send text messages to the chat", {}, PermissionMissing, Gone),
        (400, "Bad Request: need administrator rights in the channel chat", {}, PermissionMissing, Gone),
        (400, "Bad Request: chat not found", {}, ConfigInvalid, Gone),
        (400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": -1004242}, ConfigInvalid, Gone),
        (400, "Bad Request: message to be replied not found", {}, Gone, Gone),
        (400, "Bad Request: message is too long", {}, ContentRejected, ContentRejected),
        (429, "Too Many Requests: retry after 35", {"retry_after": 35}, RateLimited, RateLimited),
        (500, "Internal Server Error", {}, OutcomeUnknown, OutcomeUnknown),
    ],
)
async def test_each_refusal_has_one_meaning_for_a_post_and_one_for_an_answer(
    server, connect, status, description, parameters, post, answer
):
    asked = server.says("Hallo?")
    server.faults.append(lambda call, words: refused(status, description, **parameters))
    for doing, expected in (
        (connect().publish(Draft(text="Hallo"), KEY), post),
        (connect().reply(MentionRef(external_id=asked), Draft(text="Hallo"), KEY), answer),
    ):
        with pytest.raises(expected) as raised:
            await doing
        assert type(raised.value) is expected
        assert TOKEN not in "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
        if expected is ConfigInvalid:
            assert raised.value.field == "chat"
            assert not parameters or "-1004242" in raised.value.message
        if expected is PermissionMissing:
            assert raised.value.scopes == ("to write in the chat",)
        if expected is RateLimited:
            assert raised.value.retry_after == 35
    assert server.ours() == []


async def test_an_edit_replaces_and_the_same_again_is_no_error(server, connect):
    done = await connect().publish(Draft(text="Alt"), KEY)
    for _ in range(2):
        assert (await connect().edit(done.external_id, Draft(text="Neu"), KEY)).external_id == done.external_id
    assert [one["text"] for one in server.ours()] == ["Neu"]
    with pytest.raises(ContentRejected):
        await connect().edit(server.says("Fremd"), Draft(text="Neu"), KEY)


async def test_taken_back_it_is_gone_and_after_two_days_telegram_refuses(server, connect, clock):
    first, second = [await connect().publish(Draft(text=text), KEY) for text in ("Eins", "Zwei")]
    await connect().delete(first.external_id)
    for external_id in (first.external_id, "nonsense", "1/x"):
        with pytest.raises(Gone):
            await connect().delete(external_id)
    with pytest.raises(Gone):
        await connect().edit(first.external_id, Draft(text="Neu"), KEY)
    clock.forward(hours=49)
    with pytest.raises(ContentRejected) as refused_:
        await connect().delete(second.external_id)
    assert "can't be deleted" in refused_.value.violations[0]


def test_the_limit_counts_what_utf16_counts():
    assert Telegram.limits.check("a" * 4096) == []
    assert Telegram.limits.check("🫖" * 2048) == []
    assert [(one.limit, one.actual) for one in Telegram.limits.check("🫖" * 2048 + "a")] == [(4096, 4097)]


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
    assert [one.code for one in Telegram.validate(None, draft)] == [code]
    with pytest.raises(ContentRejected):
        await connect().publish(draft, KEY)
    assert server.ours() == []
