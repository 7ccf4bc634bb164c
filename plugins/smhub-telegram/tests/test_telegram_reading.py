"""What people write to the bot and where it is, by asking and by being told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from smhub.sdk import (
    AuthExpired,
    BadItem,
    ConfigInvalid,
    Hmac,
    Mention,
    PayloadMalformed,
    PermissionMissing,
    RateLimited,
    RawRequest,
    Secret,
    Transient,
    capabilities,
)
from smhub_telegram.connector import Telegram
from smhub_telegram.entities import Entity
from smhub_telegram.fake import AT, BOT, CHANNEL, GROUP, KUNDIN, SECRET, TOKEN, refused
from smhub_telegram.mentions import whole

OTHER_CHANNEL = {"id": -1005555555555, "type": "channel", "title": "Kesselblatt", "username": "kesselblatt"}
CONFLICT = refused(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")


async def test_a_chat_with_the_bot_is_a_direct_message(server, connect, fetch):
    said = server.says("Mein Kessel leckt")
    (mention,) = (await fetch(connect())).items
    assert (mention.external_id, mention.kind, mention.visibility, mention.title) == (said, "direct_message", "private", None)
    assert (mention.author.external_id, mention.author.handle, mention.author.name) == ("1001", "@kundin", "Katrin Kundin")
    assert (mention.author.url, mention.url, mention.published_at) == ("https://t.me/kundin", None, AT)


async def test_groups_and_channels_are_known_by_their_chat_and_its_link(server, connect, fetch):
    group = server.says("Hat jemand einen Kessel?", chat=GROUP)
    post = server.says("Kesseltest", chat=OTHER_CHANNEL, sender_chat=OTHER_CHANNEL)
    server.messages[server.key(post)].pop("from")
    in_group, in_channel = (await fetch(connect())).items
    assert (in_group.kind, in_group.visibility, in_group.title) == ("post", "private", "Kesselfreunde")
    assert in_group.url == f"https://t.me/c/9876543210/{group.rpartition('/')[2]}"
    assert (in_channel.visibility, in_channel.author.handle, in_channel.author.name) == ("public", "@kesselblatt", "Kesselblatt")
    assert in_channel.url == f"https://t.me/kesselblatt/{post.rpartition('/')[2]}"


async def test_what_the_bot_or_its_channel_says_is_no_mention(server, connect, fetch):
    server.says("Von uns", chat=CHANNEL, sender_chat=CHANNEL)
    server.says("Von uns, im Gespräch", chat=GROUP, sender_chat=CHANNEL, is_automatic_forward=True)
    server.happens("message", server.message(GROUP, server.now, {"from": BOT, "text": "Vom Bot"}))
    assert (await fetch(connect())).items == []
    # Without the setting nobody knows which channel is ours.
    assert [one.text for one in (await fetch(connect(chat=""))).items] == ["Von uns", "Von uns, im Gespräch"]


async def test_answers_know_their_parent_and_topics_their_beginning(server, connect, fetch):
    asked = server.says("Frage", chat=GROUP)
    number = server.key(asked)[1]
    parent = dict(server.messages[server.key(asked)])
    answer = server.says("Antwort", chat=GROUP, reply_to_message=parent)
    topic = {"message_thread_id": number, "is_topic_message": True}
    in_topic = server.says("Im Thema", chat=GROUP, reply_to_message=parent, **topic)
    found = {one.external_id: (one.kind, one.reply_to, one.root) for one in (await fetch(connect())).items}
    assert found[answer] == ("reply", asked, None)
    assert found[in_topic] == ("post", None, asked)


async def test_an_edit_keeps_its_id_and_says_when(server, connect, fetch, clock):
    said = server.says("Alt")
    first = await fetch(connect())
    clock.forward(minutes=5)
    server.now = clock.now()
    server.edit(said, "Neu")
    (again,) = (await fetch(connect(), first.cursor)).items
    assert (again.external_id, again.text, again.edited_at.replace(microsecond=0)) == (said, "Neu", clock.now())
    assert again.published_at == first.items[0].published_at


async def test_of_edits_in_one_second_the_later_is_the_later(server, connect, fetch):
    said = server.says("Eins", server.now)
    for text in ("Zwei", "Drei", "Vier"):
        server.edit(said, text)
    times = [one.edited_at or one.published_at for one in (await fetch(connect())).items]
    assert times == sorted(set(times))


async def test_files_are_labels_and_captions_are_texts_and_what_nobody_said_is_nothing(server, connect, fetch):
    server.says(None, photo=[{"file_id": "x"}], caption="Hier leckt er")
    server.says(None, sticker={"file_id": "y"})
    server.says(None, new_chat_members=[KUNDIN], chat=GROUP)
    server.happens("message", {"message_id": 0, "date": 1, "chat": GROUP, "from": KUNDIN, "text": "Flüchtig"})
    found = (await fetch(connect())).items
    assert [(one.text, one.labels) for one in found] == [("Hier leckt er", ("photo",)), ("", ("sticker",))]


def test_the_address_behind_words_stands_behind_them_where_utf16_says():
    text = "👨‍👩‍👧‍👦 hier und https://shop.test/"
    before = len("👨‍👩‍👧‍👦 ".encode("utf-16-le")) // 2
    link = Entity(type="text_link", offset=before, length=4, url="https://shop.test/kessel")
    assert whole(text, [link]) == "👨‍👩‍👧‍👦 hier (https://shop.test/kessel) und https://shop.test/"
    for odd in (
        Entity(type="text_link", offset=99, length=5, url="https://x.test"),
        Entity(type="text_link", offset=-3, length=9, url="https://x.test"),
        Entity(type="bold", offset=0, length=2, url="https://x.test"),
    ):
        assert whole("kurz", [odd]) == "kurz"


async def test_times_are_seconds_of_the_world(server, connect, fetch):
    at = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    server.says("In der Stunde, die es zweimal gibt", at)
    (mention,) = (await fetch(connect())).items
    assert mention.published_at == at


async def test_a_page_is_confirmed_by_asking_for_the_next_and_not_before(server, connect):
    said = [server.says(f"Nummer {number}") for number in range(250)]
    pages = connect().fetch_mentions(None)
    first = await anext(pages)
    assert server.confirmed == 0
    await anext(pages)
    assert server.confirmed == first.cursor.next
    await pages.aclose()
    # The second page was handed over and its cursor never stored: it comes again.
    rest = [page async for page in connect().fetch_mentions(first.cursor)]
    found = [item.external_id for page in (first, *rest) for item in page.items]
    assert found == said


async def test_a_day_without_asking_is_a_gap(server, connect, fetch, clock):
    server.says("Hallo")
    first = await fetch(connect())
    clock.forward(hours=23)
    second = await fetch(connect(), first.cursor)
    assert (second.items, second.missed) == ([], None)
    clock.forward(hours=25)
    third = await fetch(connect(), second.cursor)
    assert "24 hours" in third.missed
    assert (await fetch(connect(), third.cursor)).missed is None


async def test_when_telegram_counts_anew_nothing_is_confirmed_unread(server, connect, fetch, clock):
    server.says("Hallo")
    cursor = (await fetch(connect())).cursor
    for _ in range(15):
        clock.forward(hours=12)
        cursor = (await fetch(connect(), cursor)).cursor
    # Out of date and out of the queue; the next number is drawn by lot, and may be lower.
    server.updates.clear()
    server._update, server.confirmed = 40, 0
    said = server.says("Nach einer stillen Woche", clock.now())
    assert [one.external_id for one in (await fetch(connect(), cursor)).items] == [said]


async def test_a_back_fill_takes_nothing_from_the_queue(server, connect, fetch, clock):
    said = server.says("Hallo")
    assert (await fetch(connect(until=clock.now()))).items == []
    assert [one.external_id for one in (await fetch(connect())).items] == [said]


async def test_while_telegram_delivers_there_is_nothing_to_ask_for(server, connect, fetch):
    await connect().subscribe("https://hub.test/v1/hooks/one")
    assert (await fetch(connect(told=True))).items == []
    with pytest.raises(Transient) as refused_:
        await fetch(connect())
    assert "webhook" in refused_.value.message
    assert TOKEN not in refused_.value.message


async def test_another_program_that_asks_is_named(server, connect, fetch):
    server.faults.append(lambda call, words: CONFLICT if call == "getUpdates" else None)
    for told in (False, True):
        with pytest.raises(Transient) as refused_:
            await fetch(connect(told=told))
        assert "Another program" in refused_.value.message


async def test_the_webhook_is_ours_as_long_as_its_address_is(server, connect):
    here, old = "https://hub.test/v1/hooks/new", "https://hub.test/v1/hooks/old"
    for _ in range(2):
        await connect().subscribe(here)
    assert server.hook["secret_token"] == SECRET
    assert server.hook["allowed_updates"] == ["message", "edited_message", "channel_post", "edited_channel_post"]
    assert await connect().check_subscription(here)
    assert not await connect().check_subscription(old)
    await connect().unsubscribe(old)
    assert server.hook["url"] == here
    for _ in range(2):
        await connect().unsubscribe(here)
    assert (server.hook["url"], server.asked["deleteWebhook"]) == ("", 1)


async def test_an_address_that_telegram_does_not_take_is_told_with_its_reason(connect):
    with pytest.raises(Exception, match="An HTTPS URL must be provided"):
        await connect().subscribe("http://hub.test/v1/hooks/one")


async def test_what_is_delivered_and_what_is_asked_for_is_the_same(network, server, connect, fetch):
    said = server.says("Hallo")
    delivery = network.delivery(said)
    assert connect().parse_webhook(delivery) == (await fetch(connect())).items
    assert isinstance(Telegram.webhook, Hmac)
    assert Telegram.webhook.verify(delivery, Secret(SECRET), 0)
    assert not Telegram.webhook.verify(delivery, Secret(SECRET + "x"), 0)
    assert not Telegram.webhook.verify(RawRequest(body=delivery.body), Secret(SECRET), 0)


async def test_an_update_that_cannot_be_read_is_kept_and_one_without_a_number_stops(network, server, connect, fetch):
    network.malformed()
    said = server.says("Danach")
    bad, good = (await fetch(connect())).items
    assert isinstance(bad, BadItem)
    assert bad.error.startswith("not an update: `$.message.")
    assert isinstance(good, Mention)
    assert good.external_id == said
    server.odd = True
    server.faults.append(lambda call, words: (200, {"ok": True, "result": [{"message": {}}]}))
    with pytest.raises(PayloadMalformed):
        await fetch(connect())
    assert isinstance(connect().parse_webhook(RawRequest(body=msgspec.json.encode({"update_id": 1, "message": 5})))[0], BadItem)


async def test_verify_says_who_the_bot_is(connect):
    account = await connect().verify()
    assert (account.external_id, account.handle, account.url) == ("123456789", "@firma_bot", "https://t.me/firma_bot")


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"secret": "with blanks"}, "secret"), ({"secret": "x" * 257}, "secret"), ({"chat": "@nobody_here"}, "chat")],
)
async def test_a_wrong_setting_is_pointed_at(connect, settings, field):
    with pytest.raises(ConfigInvalid) as refused_:
        await connect(**settings).verify()
    assert refused_.value.field == field


@pytest.mark.parametrize(
    ("chat", "standing", "right"),
    [
        (CHANNEL, {"status": "administrator", "can_post_messages": False}, "can_post_messages"),
        (CHANNEL, {"status": "left"}, "can_post_messages"),
        (GROUP, {"status": "kicked"}, "to write in the chat"),
        (GROUP, {"status": "restricted", "can_send_messages": False}, "to write in the chat"),
        (GROUP, {"status": "member"}, None),
        (CHANNEL, {"status": "creator"}, None),
    ],
)
async def test_where_posts_go_the_bot_must_be_allowed_to_write(server, connect, chat, standing, right):
    server.membership[chat["id"]] = standing
    if right is None:
        assert await connect(chat=str(chat["id"])).verify()
        return
    with pytest.raises(PermissionMissing) as refused_:
        await connect(chat=str(chat["id"])).verify()
    assert refused_.value.scopes == (right,)


async def test_a_token_that_is_none_wants_another_and_a_pause_is_as_long_as_asked(server, connect):
    for token in ("123456789:AAbad", "no token at all/../me"):
        with pytest.raises(AuthExpired):
            await connect(token=token).verify()
    server.faults.append(lambda call, words: refused(429, "Too Many Requests: retry after 17", retry_after=17))
    with pytest.raises(RateLimited) as limited:
        await connect().verify()
    assert limited.value.retry_after == 17


async def test_what_is_no_bot_api_is_a_wrong_address(server, connect):
    server.odd = True
    server.faults.append(lambda call, words: (404, {"error": "nothing here"}))
    with pytest.raises(ConfigInvalid) as refused_:
        await connect().verify()
    assert refused_.value.field == "base_url"


def test_it_can_what_it_implements():
    can = "fetches_mentions receives_webhooks publishes replies deletes edits validates_content"
    assert capabilities(Telegram) == tuple(can.split())
    assert Telegram.safety == "none"
    assert timedelta(seconds=Telegram.poll_seconds) < timedelta(minutes=1)
