"""What is said in the room: edits, redactions, threads, files, and what a limited sync leaves out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smhub.sdk import (
    AuthExpired,
    BadItem,
    ConfigInvalid,
    CursorExpired,
    Mention,
    PermissionMissing,
    RateLimited,
    Tombstone,
    capabilities,
)
from smhub_matrix.connector import Matrix
from smhub_matrix.fake import ALIAS, ROOM

FIRMA, KUNDIN = "@firma:home.test", "@kundin:home.test"


def relates(**relation):
    return {"m.relates_to": relation}


async def test_what_others_say_is_a_mention_and_our_own_words_are_not(server, connect, fetch):
    server.says("Wir selbst", who=FIRMA)
    said = server.says("Mein Kessel leckt")
    (mention,) = (await fetch(connect())).items
    assert (mention.external_id, mention.text, mention.kind, mention.visibility) == (said, "Mein Kessel leckt", "post", "private")
    assert (mention.author.external_id, mention.author.handle, mention.author.name) == (KUNDIN, KUNDIN, "Kundin")
    assert mention.url == f"https://matrix.to/#/{ROOM}/{said}"


async def test_where_anybody_may_join_everything_is_public(server, connect, fetch):
    server.state["m.room.join_rules"] = {"join_rule": "public"}
    server.says("Hallo")
    assert [one.visibility for one in (await fetch(connect())).items] == ["public"]


async def test_an_edit_keeps_the_id_the_parent_and_the_first_time(server, connect, fetch, clock):
    parent = server.says("Wer hat einen Kessel?")
    answer = server.says("Ich", **relates(**{"m.in_reply_to": {"event_id": parent}}))
    first = await fetch(connect())
    server.now = clock.forward(minutes=5) or clock.now()
    server.edit(answer, "Ich auch")
    (again,) = (await fetch(connect(), first.cursor)).items
    assert (again.external_id, again.text, again.reply_to, again.kind) == (answer, "Ich auch", parent, "reply")
    assert again.edited_at == clock.now()
    assert again.published_at == first.items[-1].published_at


async def test_an_edit_by_somebody_else_is_none(server, connect, fetch):
    said = server.says("Meine Worte")
    server.edit(said, "Andere Worte", who="@mallory:elsewhere.test")
    found = (await fetch(connect())).items
    assert [(one.external_id, one.text, one.edited_at) for one in found] == [(said, "Meine Worte", None)]
    assert (await fetch(connect(), (await fetch(connect())).cursor)).items == []


@pytest.mark.parametrize("version", [10, 11])
async def test_a_redaction_is_a_deletion_in_every_room_version(server, connect, fetch, version):
    said = server.says("Bald weg")
    first = await fetch(connect())
    server.redact(said)
    if version == 11:
        server.events[-1]["content"] = {"redacts": server.events[-1].pop("redacts")}
    (gone,) = (await fetch(connect(), first.cursor)).items
    assert isinstance(gone, Tombstone)
    assert gone.external_id == said


async def test_our_own_deletions_and_those_of_reactions_are_nobodys(server, connect, fetch):
    ours, reaction = server.says("Von uns", who=FIRMA), server.happens("m.reaction", KUNDIN, {"m.relates_to": {"key": "+1"}})
    first = await fetch(connect())
    server.redact(ours, FIRMA)
    server.redact(reaction)
    assert (await fetch(connect(), first.cursor)).items == []


async def test_in_a_thread_the_answer_that_old_clients_are_told_of_is_none(server, connect, fetch):
    root = server.says("Sprechstunde")
    last = server.says(
        "Eins", **relates(rel_type="m.thread", event_id=root, is_falling_back=True, **{"m.in_reply_to": {"event_id": root}})
    )
    server.says("Zwei", **relates(rel_type="m.thread", event_id=root, is_falling_back=True, **{"m.in_reply_to": {"event_id": last}}))
    server.says("Drei", **relates(rel_type="m.thread", event_id=root, is_falling_back=False, **{"m.in_reply_to": {"event_id": last}}))
    found = (await fetch(connect())).items[1:]
    assert [(one.text, one.root, one.reply_to) for one in found] == [("Eins", root, root), ("Zwei", root, root), ("Drei", root, last)]


async def test_quotations_of_old_clients_are_left_out(server, connect, fetch):
    parent = server.says("Frage")
    answered = relates(**{"m.in_reply_to": {"event_id": parent}})
    server.says(f"> <{KUNDIN}> Frage\n\nAntwort", **answered)
    formatted = {"format": "org.matrix.custom.html", "formatted_body": "<mx-reply><blockquote>Frage</blockquote></mx-reply><b>Ja</b>"}
    server.says(f"> <{KUNDIN}> Frage\n\nJa", **formatted, **answered)
    server.says("> Zitat\n\nohne Bezug")
    found = (await fetch(connect())).items[1:]
    assert [(one.text, one.html) for one in found] == [("Antwort", None), ("", "<b>Ja</b>"), ("> Zitat\n\nohne Bezug", None)]


async def test_files_are_attachments_with_an_address_and_a_caption_is_the_text(server, connect, fetch):
    info = {"mimetype": "image/png", "size": 1234}
    picture = {"msgtype": "m.image", "url": "mxc://home.test/abc_DEF-1", "info": info}
    server.happens("m.room.message", KUNDIN, {**picture, "body": "kessel.png"})
    server.happens("m.room.message", KUNDIN, {**picture, "body": "Hier leckt er", "filename": "kessel.png"})
    server.happens("m.room.message", KUNDIN, {**picture, "body": "x.png", "url": "https://elsewhere.test/x.png"})
    plain, captioned, foreign = (await fetch(connect())).items
    (file,) = plain.attachments
    assert file.url == "https://home.test/_matrix/client/v1/media/download/home.test/abc_DEF-1"
    assert (file.kind, file.media_type, file.bytes, file.alt_text) == ("image", "image/png", 1234, "kessel.png")
    assert (plain.text, captioned.text, captioned.attachments[0].alt_text) == ("", "Hier leckt er", "kessel.png")
    assert foreign.attachments == ()


async def test_what_a_limited_sync_leaves_out_is_fetched_before_the_cursor_moves(server, connect, fetch):
    server.says("Anfang")
    first = await fetch(connect())
    said = [server.says(f"Nummer {number}") for number in range(130)]
    pages = connect().fetch_mentions(first.cursor)
    newest = await anext(pages)
    await pages.aclose()
    assert newest.cursor.since == first.cursor.since
    said.append(server.says("Und noch eines"))
    rest = [page async for page in connect().fetch_mentions(newest.cursor)]
    found = [item.external_id for page in (newest, *rest) for item in page.items]
    assert sorted(found) == sorted(said)
    assert (await fetch(connect(), rest[-1].cursor)).items == []


async def test_the_first_visit_goes_back_as_far_as_it_was_told(server, connect, fetch, clock):
    for days in range(60, 0, -1):
        server.says(f"Vor {days} Tagen", clock.now() - timedelta(days=days))
    assert len((await fetch(connect(first_days=7))).items) == 7
    assert len((await fetch(connect(first_days=45))).items) == 45


async def test_times_that_servers_claim_for_later_or_never_harm_nobody(server, connect, fetch, clock):
    server.says("Aus der Zukunft", clock.now() + timedelta(days=400))
    server.happens("m.room.message", KUNDIN, {"msgtype": "m.text", "body": "Nie"}, origin_server_ts=10**18)
    future, never = (await fetch(connect())).items
    assert future.published_at == clock.now()
    assert isinstance(never, BadItem)


async def test_a_place_that_the_server_forgot_begins_afresh(server, connect, fetch):
    server.says("Hallo")
    first = await fetch(connect())
    server.epoch += 1
    with pytest.raises(CursorExpired):
        await fetch(connect(), first.cursor)


async def test_another_room_in_the_settings_is_read_from_its_beginning(server, connect, fetch):
    server.says("Hallo")
    first = await fetch(connect())
    assert len((await fetch(connect(room=ROOM), first.cursor)).items) == 1


async def test_an_encrypted_room_is_refused_when_it_is_connected_and_when_it_becomes_one(server, connect, fetch):
    first = await fetch(connect())
    server.happens("m.room.encrypted", KUNDIN, {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"})
    server.state["m.room.encryption"] = {"algorithm": "m.megolm.v1.aes-sha2"}
    for doing in (connect().verify(), fetch(connect()), fetch(connect(), first.cursor)):
        with pytest.raises(ConfigInvalid) as refused:
            await doing
        assert refused.value.field == "room"
        assert "encrypted" in refused.value.message


async def test_who_was_thrown_out_of_the_room_is_told_so_again_and_again(server, connect, fetch):
    first = await fetch(connect())
    server.throw_out(FIRMA)
    for doing in (fetch(connect(), first.cursor), fetch(connect(), first.cursor), connect().verify()):
        with pytest.raises(PermissionMissing) as refused:
            await doing
        assert refused.value.scopes == ("membership of the room",)


@pytest.mark.parametrize("settings", [{"room": "#other:home.test"}])
async def test_a_room_that_nobody_knows_is_a_wrong_setting(connect, settings):
    with pytest.raises(ConfigInvalid) as refused:
        await connect(**settings).verify()
    assert refused.value.field == "room"


async def test_what_is_no_homeserver_is_a_wrong_address(server, connect):
    server.faults.append(lambda method, path: (404, {"error": "nothing here"}))
    with pytest.raises(ConfigInvalid) as refused:
        await connect().verify()
    assert refused.value.field == "base_url"


@pytest.mark.parametrize(
    ("status", "told", "error"),
    [
        (401, {"errcode": "M_UNKNOWN_TOKEN", "soft_logout": True}, AuthExpired),
        (403, {"errcode": "M_USER_DEACTIVATED"}, AuthExpired),
        (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 3586}, RateLimited),
    ],
)
async def test_errors_go_by_their_code(server, connect, status, told, error):
    server.faults.append(lambda method, path: (status, told))
    with pytest.raises(error) as refused:
        await connect().verify()
    if error is RateLimited:
        assert refused.value.retry_after == pytest.approx(3.586)


async def test_verify_says_who_we_are(connect):
    account = await connect(room=ALIAS).verify()
    assert (account.external_id, account.handle, account.name) == (FIRMA, FIRMA, "Firma")


def test_it_can_what_it_implements():
    assert capabilities(Matrix) == ("fetches_mentions", "publishes", "replies", "deletes", "edits", "validates_content")


async def test_bare_elements_are_kept_with_their_reason(server, connect, fetch):
    server.happens("m.room.message", KUNDIN, "no object")
    said = server.says("Danach")
    bad, good = (await fetch(connect())).items
    assert isinstance(bad, BadItem)
    assert isinstance(good, Mention)
    assert (bad.error, good.external_id) == ("not an event: `$.content`", said)
