"""Publishing: what we say is said once, whole, or not at all."""

from __future__ import annotations

from smhub.deliveries import models
from smhub.sdk import ContentRejected, Draft, Gone, Limits, Media, OutcomeUnknown
from smhub.testing.checks.contract import quickest, watched
from smhub.testing.hub import Hub, dies_at
from smhub.testing.registry import NotApplicable, check
from smhub.testing.trial import OTHER_KEY, Trial, draft
from smhub.testing.wire import Fault

GROUP = "Publishing"
SAYS = "publishes"
WORDS = "We are open again"
LOSE = Fault(kind="lose")
VALIDATE_SECONDS = 0.005
POINTS = ("deliver.taken", "deliver.answered", "deliver.before_settled")
FAMILY = "👩‍👩‍👧‍👦"
LINK = "https://example.org/a/rather/long/path/to/nowhere"
SMALL = b"\x89PNG\r\n\x1a\nsmall"


@check(48, "bronze", "Said twice under one key, it is out once", SAYS)
async def same_key(t: Trial) -> None:
    safety, _ = await t.presence()
    if safety != "key":
        raise NotApplicable(f"its safety is {safety}, not key")
    first, second = await t.publish(draft(WORDS)), await t.publish(draft(WORDS))
    done = "published the same words twice under the same key"
    t.expect(len(t.out(WORDS)) == 1, done=done, expected="one post", came=f"{len(t.out(WORDS))} posts")
    t.expect(
        first.external_id == second.external_id, done=done, expected="the same id", came=f"{first.external_id}, {second.external_id}"
    )
    await t.publish(draft(WORDS + " today"), OTHER_KEY)
    t.expect(len(t.out(WORDS)) == 2, done="published others under another key", expected="a second post", came=f"{len(t.out(WORDS))}")


@check(49, "bronze", "When the answer is lost after it went out, it is never out twice", SAYS)
async def lost_answer(t: Trial) -> None:
    safety, _ = await t.presence()
    hub = await t.hub()
    t.wire.reset()
    row = await hub.settled(await hub.say(f"{WORDS} 0"))
    calls = len(t.wire.requests)
    _out_once(t, hub, f"{WORDS} 0", row, "said something", "published")
    for number in range(1, calls + 1):
        text = f"{WORDS} {number}"
        t.wire.fails(LOSE, begin=number, end=number)
        row = await hub.settled(await hub.say(text))
        done = f"said something; the answer to request {number} of {calls} was lost; the hub cleared it up ({safety})"
        found = len(t.out(text))
        t.expect(found <= 1, done=done, expected="one post", came=f"{found} posts")
        if safety == "none":
            fits = row.state == models.UNKNOWN or (row.state == models.PUBLISHED and found == 1)
            t.expect(fits, done=done, expected="a person decides, and nothing is said again", came=f"{row.state}, {found} posts")
        else:
            _out_once(t, hub, text, row, done, "published")


@check(50, "bronze", "What is too long is refused, never cut", SAYS)
async def too_long(t: Trial) -> None:
    _, limits = await t.presence()
    if limits.max is None:
        raise NotApplicable("the network has no limit")
    text = _filled(limits, "x", limits.max + 1)
    done = f"published {limits.length(text)} {limits.count}, {limits.max} are allowed"
    await t.raises(ContentRejected, t.publish(draft(text)), done=done)
    t.expect(not t.fake.posts(), done=done, expected="nothing is out", came=f"{len(t.fake.posts())} posts")
    hub = await t.hub()
    row = await hub.settled(await hub.say(text))
    t.expect(
        row.state == models.REFUSED and row.text == text, done=f"{done}, by the hub", expected="refused, the words kept", came=row.state
    )


@check(51, "bronze", "Exactly the limit goes out whole, counted as the network counts", SAYS)
async def at_the_limit(t: Trial) -> None:
    _, limits = await t.presence()
    if limits.max is None:
        raise NotApplicable("the network has no limit")
    for number, (name, piece) in enumerate({"letters": "x", "families": FAMILY, "umlauts": "ä", "a link": f"{LINK} x"}.items()):
        text = _filled(limits, piece, limits.max)
        done = f"published {limits.max} {limits.count} of {name}, which is exactly the limit"
        try:
            await t.publish(draft(text), f"{number:032x}")
        except ContentRejected as error:
            t.expect(False, done=done, expected="it goes out: `limits` counts as the network does", came=error)
        t.expect(t.out(text), done=done, expected="the whole text", came=[len(one.text) for one in t.fake.posts()])


@check(52, "silver", "Whatever dies or gets lost while the network works on it, it is out once", SAYS)
async def deaths_and_losses(t: Trial) -> None:
    safety, _ = await t.presence()
    if safety == "none":
        raise NotApplicable("its safety is none: a person decides")
    hub = await t.hub()
    t.wire.reset()
    await hub.settled(await hub.say(f"{WORDS} first"))
    calls = len(t.wire.requests)
    for point in POINTS:
        for number in range(1, calls + 1):
            text = f"{WORDS} {point} {number}"
            t.wire.fails(LOSE, begin=number, end=number)
            with dies_at(point, 1):
                row = await hub.settled(await hub.say(text), rounds=3)
            row = await hub.settled(row.id)
            done = f"said something; the worker died at {point}, and the answer to request {number} was lost"
            t.expect(len(t.out(text)) <= 1, done=done, expected="one post", came=f"{len(t.out(text))} posts")
            _out_once(t, hub, text, row, done, "published")


@check(53, "silver", "What the network never finishes goes to a person", SAYS)
async def never_finished(t: Trial) -> None:
    t.fake.never_ready()
    hub = await t.hub()
    row = await hub.settled(await hub.say(WORDS), rounds=3)
    t.clock.forward(minutes=61)
    row = await hub.settled(row.id, rounds=3)
    done = "said something that the network never finished"
    if row.state == models.PUBLISHED and t.out(WORDS):
        raise NotApplicable("it never answers Pending")
    t.expect(row.state == models.UNKNOWN, done=done, expected="unknown after an hour: a person decides", came=row.state)
    t.expect(row.reason_code == "pending_too_long", done=done, expected="pending_too_long", came=row.reason_code)


@check(54, "silver", "A network that has the words already is a success", SAYS)
async def has_it_already(t: Trial) -> None:
    t.fake.refuses_repetition()
    first = await t.publish(draft(WORDS))
    hub = await t.hub()
    row = await hub.settled(await hub.say(WORDS))
    done = "said what the network has already"
    t.expect(row.state == models.PUBLISHED, done=done, expected="Duplicate: it counts as published", came=(row.state, row.reason))
    t.expect(row.external_id == first.external_id, done=done, expected=f"the id {first.external_id}", came=row.external_id)


@check(55, "bronze", "Deleted twice is Gone", SAYS, "deletes")
async def deleted_twice(t: Trial) -> None:
    said = await t.publish(draft(WORDS))
    await t.connect().delete(said.external_id)
    t.expect(not t.out(WORDS), done="deleted a post", expected="it is gone", came=f"{len(t.out(WORDS))} posts")
    await t.raises(Gone, t.connect().delete(said.external_id), done="deleted it again")


@check(56, "silver", "An answer to what is gone is refused, and its words are kept", "replies", "fetches_mentions")
async def reply_to_deleted(t: Trial) -> None:
    id_ = t.fake.add("Where is my kettle?")
    hub = await t.hub()
    await hub.poll(times=2)
    found = [one for one in await hub.mentions() if one.external_id == id_]
    t.expect(found, done="polled a mention", expected="it is stored", came="it is missing")
    row = await hub.settled(await hub.say(WORDS, to=found[0]))
    answers = [one for one in t.out(WORDS) if one.reply_to == id_]
    done = "answered a mention"
    t.expect(
        row.state == models.PUBLISHED and len(answers) == 1, done=done, expected="one answer to it", came=(row.state, t.fake.posts())
    )
    t.fake.delete(id_)
    row = await hub.settled(await hub.say("Are you still there?", to=found[0]))
    done = "answered a mention that was deleted on the network"
    t.expect(
        not t.out("Are you still there?"), done=done, expected="nothing is out", came=f"{len(t.out('Are you still there?'))} posts"
    )
    t.expect(
        row.state == models.REFUSED and row.text, done=done, expected="refused as Gone, the words kept", came=(row.state, row.reason)
    )


@check(57, "gold", "Files go out with their alternative text, or the post does not go out", SAYS)
async def files(t: Trial) -> None:
    _, limits = await t.presence()
    if limits.max_media == 0:
        raise NotApplicable("it takes no files")
    kinds = [one for one in limits.media if one.media_type.startswith("image/")] or list(limits.media)
    kind = kinds[0].media_type.replace("*", "png") if kinds else "image/png"
    await t.publish(draft(WORDS, media=(Media(media_type=kind, content=SMALL, alt_text="A kettle"),)))
    alts = [one.alts for one in t.out(WORDS)]
    t.expect(alts == [("A kettle",)], done="published a picture", expected="the post with its alternative text", came=alts)
    most = kinds[0].max_bytes if kinds else None
    if most is not None and most < 1 << 20:
        large = Media(media_type=kind, content=SMALL + b"0" * most, alt_text="Too large")
        done = f"published a picture of {len(large.content)} bytes, {most} are allowed"
        await t.raises(ContentRejected, t.publish(draft("Too large", media=(large,)), OTHER_KEY), done=done)
        t.expect(not t.out("Too large"), done=done, expected="nothing is out", came="the post without its picture")


@check(58, "gold", "validate is pure, quick, and agrees with the network", SAYS, "validates_content")
async def validates(t: Trial) -> None:
    drafts = [draft(WORDS), draft(""), draft("   "), draft("Zeile eins\n\nZeile zwei"), draft(f"{LINK} und #kessel @kundin")]
    for number, one in enumerate(drafts):
        connector, requests = t.connect(), len(t.wire.requests)
        with watched() as opened:
            found = connector.validate(one)
        took = quickest(lambda one=one, connector=connector: connector.validate(one))  # type: ignore[misc]
        done = f"validated {one.text!r}"
        t.expect(not opened and len(t.wire.requests) == requests, done=done, expected="nobody is asked", came=opened or "a request")
        t.expect(took < VALIDATE_SECONDS, done=done, expected="less than 5 ms", came=f"{took * 1000:.1f} ms")
        taken = await _taken(t, one, f"{number:032x}")
        t.expect(
            taken == (not found), done=f"{done}, and published it", expected="validate and the network agree", came=_both(found, taken)
        )


def _both(found: list[object], taken: bool) -> str:
    return f"validate finds {len(found)} violations, the network {'takes' if taken else 'refuses'} it"


async def _taken(t: Trial, what: Draft, key: str) -> bool:
    try:
        await t.publish(what, key)
    except (ContentRejected, OutcomeUnknown):
        return False
    return True


def _out_once(t: Trial, hub: Hub, text: str, row: models.Delivery, done: str, expected: str) -> None:
    found = len(t.out(text))
    came = f"{row.state} ({row.reason_code}: {row.reason}), {found} posts"
    t.expect(row.state == models.PUBLISHED and found == 1, done=done, expected=f"{expected}, one post", came=came)


def _filled(limits: Limits, piece: str, wanted: int) -> str:
    """A text of exactly this length, and within the limit of bytes where there is one too: pieces, then single letters."""

    def fits(longer: str) -> bool:
        missing = wanted - limits.length(longer)
        return missing >= 0 and (limits.max_bytes is None or len(longer.encode()) + missing <= limits.max_bytes)

    text = piece
    while fits(text + piece) and not piece.startswith("http"):
        text += piece
    while limits.length(text) < wanted:
        text += "x"
    return text
