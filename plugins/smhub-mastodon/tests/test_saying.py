"""What we say is said once, to the right people, and never more in public than what it answers."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from smhub.sdk import (
    ContentRejected,
    Draft,
    Gone,
    Media,
    MentionRef,
    OutcomeUnknown,
    Pending,
    PermissionMissing,
    Published,
    Transient,
)
from smhub_mastodon.fake import AT

KEY = "0123456789abcdef0123456789abcdef"
PICTURE = Media(media_type="image/png", content=b"\x89PNG", alt_text="Ein Kessel")


def ref(mention, **more):
    """As the hub hands a stored mention back."""
    fields = {
        "external_id": mention.external_id,
        "scope": mention.scope,
        "url": mention.url,
        "author_handle": mention.author.handle,
        "visibility": mention.visibility,
        "raw": mention.raw,
    }
    return MentionRef(**{**fields, **more})


@pytest.fixture
def asked(server, connect, fetch):
    """Somebody says something; the mention as the hub would hand it back."""

    async def asked(text="@firma Wo bleibt mein Kessel?", who="kundin", on=server, **more):
        on.says(who, text, **more)
        return ref((await fetch(connect(on))).items[-1])

    return asked


async def test_a_post_goes_out_as_it_is_written(server, connect):
    draft = Draft(text="Neu: https://shop.test/kessel", visibility="unlisted", language="de-DE", sensitive="Werbung")
    done = await connect(server).publish(draft, KEY)
    (one,) = server.by("firma")
    assert done == Published(external_id=one["id"], url=one["url"])
    assert server.sources[one["id"]] == draft.text
    assert [one[name] for name in ("visibility", "language", "spoiler_text", "sensitive", "in_reply_to_id")] == [
        "unlisted",
        "de",
        "Werbung",
        True,
        None,
    ]


async def test_without_a_visibility_the_account_own_default_holds(server, connect):
    await connect(server).publish(Draft(text="Hallo"), KEY)
    sent = msgspec.json.decode(next(body for method, _, _, body in server.requests if method == "POST"))
    assert sent == {"status": "Hallo"}


async def test_an_answer_names_everybody_it_is_for_but_us_and_nobody_twice(server, connect, asked):
    to = await asked("@firma @nachbar@other.test @freundin seht euch das an", who="kundin@far.test")
    await connect(server).reply(to, Draft(text="Danke @freundin!"), KEY)
    (one,) = server.by("firma")
    assert server.sources[one["id"]] == "@kundin@far.test @nachbar@other.test Danke @freundin!"
    assert one["in_reply_to_id"] == to.external_id


@pytest.mark.parametrize(
    ("theirs", "asked_for", "becomes"),
    [
        ("public", None, "public"),
        ("public", "unlisted", "unlisted"),
        ("unlisted", "public", "unlisted"),
        ("private", "public", "private"),
        ("direct", "public", "direct"),
        ("direct", None, "direct"),
        ("private", "private", "direct"),
        ("circle", "public", "direct"),
    ],
)
async def test_an_answer_is_never_more_public_than_what_it_answers(server, connect, asked, theirs, asked_for, becomes):
    to = await asked(visibility=theirs)
    await connect(server).reply(to, Draft(text="Kommt morgen", visibility=asked_for), KEY)
    assert [one["visibility"] for one in server.by("firma")] == [becomes]


async def test_an_answer_stays_under_the_warning_unless_it_says_otherwise(server, connect, asked):
    to = await asked(spoiler_text="Ärger")
    await connect(server).reply(to, Draft(text="eins"), "1" * 32)
    await connect(server).reply(to, Draft(text="zwei", sensitive=""), "2" * 32)
    await connect(server).reply(to, Draft(text="drei", sensitive="Lösung"), "3" * 32)
    assert [one["spoiler_text"] for one in server.by("firma")] == ["Ärger", "", "Lösung"]


async def test_an_answer_without_what_was_stored_goes_by_handle_and_visibility(server, connect, asked):
    to = await asked(visibility="direct")
    bare = msgspec.structs.replace(to, raw=None, author_handle="kundin")
    await connect(server).reply(bare, Draft(text="Kommt"), KEY)
    (one,) = server.by("firma")
    assert (server.sources[one["id"]], one["visibility"]) == ("@kundin Kommt", "direct")


async def test_what_was_found_on_another_server_is_answered_from_ours(server, gotosocial, connect, asked):
    gotosocial.domain = "far.test"
    to = await asked("@firma @nachbar", on=gotosocial)
    here = server.says("kundin@far.test", "@nachbar@far.test Hallo", uri=gotosocial.statuses[to.external_id]["uri"])
    await connect(server).reply(to, Draft(text="Hallo"), KEY)
    (one,) = server.by("firma")
    # There firma is somebody else: another account with the same name.
    assert server.sources[one["id"]] == "@kundin@far.test @firma@far.test @nachbar@far.test Hallo"
    assert one["in_reply_to_id"] == here
    server.remove(here)
    with pytest.raises(Gone):
        await connect(server).reply(to, Draft(text="Hallo"), "2" * 32)


async def test_an_answer_to_what_was_deleted_is_gone(server, connect, asked):
    to = await asked()
    server.remove(to.external_id)
    with pytest.raises(Gone):
        await connect(server).reply(to, Draft(text="Hallo"), KEY)


async def test_what_the_server_refuses_is_rejected_with_its_reason_whatever_status_it_says_it_with(server, gotosocial, connect):
    for one in (server, gotosocial):
        with pytest.raises(ContentRejected) as rejected:
            await connect(one).publish(Draft(text="x" * 501), KEY)
        assert rejected.value.violations == ("Validation failed: Text character limit of 500 exceeded",)
        assert one.by("firma") == []


async def test_a_missing_scope_for_writing_is_named(server, connect, asked):
    to = await asked()
    outside = {"error": "This action is outside the authorized scopes"}
    server.faults.append(lambda method, path: (403, {}, outside) if method in ("POST", "PUT", "DELETE") else None)
    connector = connect(server)
    for call in (connector.publish(Draft(text="a"), KEY), connector.edit(to.external_id, Draft(text="a"), KEY), connector.delete("7")):
        with pytest.raises(PermissionMissing) as missing:
            await call
        assert missing.value.scopes == ("write:statuses",)


async def test_every_third_answer_is_lost_and_each_post_is_out_once(server, connect):
    server.lose = lambda number: number % 3 == 0
    connector, tries = connect(server), 0
    for number in range(12):
        done = None
        while done is None:
            tries += 1
            try:
                done = await connector.publish(Draft(text=f"Beitrag {number}"), f"{number:032x}")
            except Transient:
                continue
    assert [server.sources[one["id"]] for one in server.by("firma")] == [f"Beitrag {number}" for number in range(12)]
    assert tries > 12


async def test_without_keys_every_third_answer_is_lost_and_each_answer_is_found_instead_of_said_again(
    gotosocial, connect, asked, clock
):
    to = await asked(on=gotosocial)
    gotosocial.lose = lambda number: number % 3 == 0
    connector, lost = connect(gotosocial), 0
    for number in range(12):
        since = gotosocial.now = clock.forward(minutes=5)
        draft, key = Draft(text=f"Antwort {number}: https://shop.test/{number}"), f"{number:032x}"
        try:
            done = await connector.reply(to, draft, key)
        except Transient:
            lost += 1
            found = await connector.find_published(draft, key, since, to)
            assert found is not None
            done = found
        assert gotosocial.sources[done.external_id] == f"@kundin {draft.text}"
    assert lost == 4
    assert len(gotosocial.by("firma")) == 12


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("Hallo  Welt\n\nwie\u00a0geht es?", "<p>Hallo Welt</p><p>wie geht es?</p>"),
        ("Gru\u0308\u00dfe & mehr", "<p>Gr\u00fc\u00dfe &amp; mehr</p>"),
        (
            "@kundin@far.test Hallo",
            '<p><span class="h-card"><a href="https://far.test/@kundin">@<span>kundin</span></a></span> Hallo</p>',
        ),
        (
            "Siehe https://shop.test/ein/langer/weg?x=1",
            '<p>Siehe <a href="https://shop.test/ein/langer/weg?x=1"><span class="invisible">https://</span>'
            '<span class="ellipsis">shop.test/ein/lan</span><span class="invisible">ger/weg?x=1</span></a></p>',
        ),
        ("Siehe https://shop.test/ein/weg", '<p>Siehe <a href="https://shop.test/ein/weg">shop.test/ein…</a></p>'),
        ("#kessel 👍🏽", '<p><a href="https://x.test/tags/kessel">#<span>kessel</span></a> 👍🏽</p>'),
        ("Ein **fetter** Kessel", "<p>Ein <strong>fetter</strong> Kessel</p>"),
        ('Er sagt "ja"', "<p>Er sagt „ja“</p>"),
    ],
)
async def test_our_post_is_found_however_the_server_renders_it(server, connect, text, content):
    out = server.says("firma", text, content=content)
    found = await connect(server).find_published(Draft(text=text), KEY, AT)
    assert found == Published(external_id=out, url=server.statuses[out]["url"])


async def test_what_is_not_ours_not_of_this_time_or_not_the_same_is_not_taken_for_it(server, connect, asked):
    to = await asked()
    connector, draft = connect(server), Draft(text="Kommt morgen", visibility="public")
    server.says("firma", "@kundin Kommt morgen", at=AT - timedelta(minutes=2), in_reply_to_id=to.external_id)
    server.says("firma", "@kundin Kommt morgen", in_reply_to_id="another")
    server.says("firma", "@kundin Kommt morgen", in_reply_to_id=to.external_id, visibility="direct")
    server.says("firma", "@kundin Kommt morgen?", in_reply_to_id=to.external_id)
    server.says("kundin", "@kundin Kommt morgen", in_reply_to_id=to.external_id)
    server.says("firma", "@kundin Kommt morgen", in_reply_to_id=to.external_id, media_attachments=[{"id": "1", "type": "image"}])
    assert await connector.find_published(draft, KEY, AT, to) is None
    out = server.says("firma", "@kundin Kommt morgen", at=AT - timedelta(seconds=40), in_reply_to_id=to.external_id)
    assert await connector.find_published(draft, KEY, AT, to) == Published(external_id=out, url=server.statuses[out]["url"])


async def test_an_answer_is_found_when_what_it_answered_was_deleted_meanwhile(server, connect, asked):
    to = await asked()
    await connect(server).reply(to, Draft(text="Kommt"), KEY)
    server.remove(to.external_id)
    assert await connect(server).find_published(Draft(text="Kommt"), KEY, AT, to) is not None


async def test_what_a_silenced_account_says_in_public_is_found_unlisted(server, connect):
    server.silenced = True
    done = await connect(server).publish(Draft(text="Hallo", visibility="public"), KEY)
    assert await connect(server).find_published(Draft(text="Hallo", visibility="public"), KEY, AT) == done


async def test_a_private_answer_that_the_server_does_not_list_is_found_below_what_it_answers(server, connect, asked):
    to = await asked(visibility="direct")
    done = await connect(server).reply(to, Draft(text="Kommt"), KEY)
    server.faults.append(lambda method, path: (200, {}, []) if path == "/api/v1/accounts/acc-firma/statuses" else None)
    assert await connect(server).find_published(Draft(text="Kommt"), KEY, AT, to) == done


async def test_twice_the_same_words_leave_it_to_a_person(server, connect):
    server.says("firma", "Danke!")
    server.says("firma", "Danke!")
    with pytest.raises(OutcomeUnknown):
        await connect(server).find_published(Draft(text="Danke!"), KEY, AT)


async def test_a_post_almost_like_ours_leaves_it_to_a_person_where_the_server_keeps_no_source(server, connect):
    server.says("firma", "Er sagt „ja“")
    server.faults.append(lambda method, path: (404, {}, {"error": "no"}) if path.endswith("/source") else None)
    with pytest.raises(OutcomeUnknown):
        await connect(server).find_published(Draft(text='Er sagt "ja"'), KEY, AT)


async def test_it_is_looked_for_over_several_pages_but_not_for_ever(server, connect):
    out = server.says("firma", "Gesucht")
    for number in range(150):
        server.says("firma", f"Beitrag {number}")
    assert (await connect(server).find_published(Draft(text="Gesucht"), KEY, AT)).external_id == out
    for number in range(100):
        server.says("firma", f"Noch einer {number}")
    with pytest.raises(OutcomeUnknown):
        await connect(server).find_published(Draft(text="Gesucht"), KEY, AT)


@pytest.mark.parametrize("written", ["yesterday", "2026-11-02T08:00:00"])
async def test_a_post_of_ours_that_cannot_be_read_leaves_it_to_a_person(server, connect, written):
    server.says("firma", "Hallo", created_at=written)
    with pytest.raises(OutcomeUnknown):
        await connect(server).find_published(Draft(text="Hallo"), KEY, AT)


async def test_files_go_out_with_their_descriptions(server, connect):
    await connect(server).publish(Draft(text="Seht", media=(PICTURE, PICTURE)), KEY)
    (one,) = server.by("firma")
    assert [(file["type"], file["description"]) for file in one["media_attachments"]] == [("image", "Ein Kessel")] * 2


async def test_a_file_that_is_too_large_is_rejected_and_nothing_is_posted(server, connect):
    with pytest.raises(ContentRejected) as rejected:
        await connect(server).publish(Draft(text="Seht", media=(msgspec.structs.replace(PICTURE, content=b"x" * 200),)), KEY)
    assert rejected.value.violations == ("Validation failed: File is too large",)
    assert server.by("firma") == []


async def test_a_film_is_posted_when_the_server_is_done_with_it_and_once_though_the_answer_is_lost(gotosocial, connect):
    gotosocial.file_work = 2
    film = Media(media_type="video/mp4", content=b"film", alt_text="Der Kessel pfeift")
    connector = connect(gotosocial)
    pending = await connector.publish(Draft(text="Seht", media=(film,)), KEY)
    assert isinstance(pending, Pending)
    pending = Pending(state=msgspec.json.decode(msgspec.json.encode(pending.state)))
    assert await connector.check_publish(pending) == pending
    gotosocial.lose = lambda number: True
    with pytest.raises(Transient):
        await connector.check_publish(pending)
    (one,) = gotosocial.by("firma")
    assert await connector.check_publish(pending) == Published(external_id=one["id"], url=one["url"])
    assert len(gotosocial.by("firma")) == 1


async def test_an_edit_replaces_the_text_and_an_answer_stays_addressed(server, connect, asked):
    to = await asked("@firma @nachbar@far.test Hallo")
    connector = connect(server)
    done = await connector.reply(to, Draft(text="Kommt mrogen, sagt @freundin"), KEY)
    for _ in range(2):
        assert await connector.edit(done.external_id, Draft(text="Kommt morgen"), KEY) == done
    assert server.sources[done.external_id] == "@kundin @nachbar@far.test Kommt morgen"
    post = await connector.publish(Draft(text="@freundin hat recht"), "2" * 32)
    await connector.edit(post.external_id, Draft(text="Sie hat recht"), KEY)
    assert server.sources[post.external_id] == "Sie hat recht"
    with pytest.raises(Gone):
        await connector.edit("115000000000009999", Draft(text="a"), KEY)


async def test_what_is_deleted_is_gone(server, connect):
    done = await connect(server).publish(Draft(text="Hallo"), KEY)
    await connect(server).delete(done.external_id)
    assert server.by("firma") == []
    with pytest.raises(Gone):
        await connect(server).delete(done.external_id)
