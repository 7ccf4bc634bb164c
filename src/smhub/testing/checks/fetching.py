"""Fetching: nothing is lost, nothing comes twice, whatever happens between two pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from smhub.sdk import CursorExpired, PayloadMalformed
from smhub.testing.hub import Hub, dies_at
from smhub.testing.network import Answer
from smhub.testing.registry import NotApplicable, check, shown
from smhub.testing.trial import Trial, ids, items, mentions
from smhub.testing.wire import instead

GROUP = "Fetching"
FETCHES = "fetches_mentions"
LARGEST_CURSOR = 4096
BEFORE_COMMIT = "take_in.before_commit"
LOOKS = 6
VISITS = 3
GARBAGE = {
    "nothing at all": b"",
    "a web page": b"<!DOCTYPE html><html><body><h1>502</h1></body></html>",
    "bytes that are no UTF-8": b'{"a": "\xff\xfe\xfa',
    "half of a document": b'[{"id": "1", "text": "ha',
    "null": b"null",
}
HALFWAY = (GARBAGE["a web page"], GARBAGE["half of a document"])


@check(17, "bronze", "Fetched again from the start, everything has the same ids", FETCHES)
async def ids_are_stable(t: Trial) -> None:
    known = t.many()
    first, second = ids(await t.pages()), ids(await t.pages())
    done = f"fetched {len(known)} mentions from the start, twice"
    t.expect(set(first) == set(known), done=done, expected="the ids that the network gave", came=_difference(first, known))
    t.expect(len(first) == len(set(first)), done=done, expected="each id once", came=f"{len(first)} items, {len(set(first))} ids")
    t.expect(first == second, done=done, expected="the same ids in the same order", came=_difference(second, first))


@check(18, "bronze", "A second visit hands over at most one page again", FETCHES)
async def second_visit_is_short(t: Trial) -> None:
    known = t.many()
    pages = await t.pages()
    largest = max((len(page.items) for page in pages), default=0)
    again = items(await t.pages(_stored(t, pages[-1].cursor)))
    done = f"fetched {len(known)} mentions, and again from the last cursor"
    t.expect(len(known) > largest, done=done, expected="several pages: raise `many` of the fake", came=f"one page of {largest}")
    t.expect(len(again) <= largest, done=done, expected=f"at most {largest} items, one page", came=f"{len(again)} items")


@check(19, "bronze", "A crash before the commit of any page loses nothing", FETCHES)
async def crashes_lose_nothing(t: Trial) -> None:
    known = t.many()
    for number in (1, 2, 3):
        hub = await t.hub()
        with dies_at(BEFORE_COMMIT, number) as passed:
            await hub.poll()
        await hub.poll(times=2)
        await _all_there(
            t, hub, known, f"polled {len(known)} mentions; the worker died before the commit of page {number}; polled again"
        )
        if len(passed) < number:
            return


@check(20, "bronze", "Ninety mentions of the same second all arrive", FETCHES)
async def same_second(t: Trial) -> None:
    known = t.many("Same", count=max(90, t.fake.many), at=t.clock.now() - timedelta(minutes=5))
    hub = await t.hub()
    await _all_there(t, hub, known, f"polled {len(known)} mentions, all of the same second")


@check(21, "bronze", "What is said while pages are read arrives", FETCHES)
async def said_meanwhile(t: Trial) -> None:
    known = t.many()
    count = await t.requests_of(t.pages())
    for moment in sorted({count // 2 + 1, count}):
        hub = await t.hub()
        t.wire.reset()
        t.wire.after = lambda number, moment=moment: (  # type: ignore[misc]
            known.extend(t.fake.add(f"Meanwhile {moment} {n}") for n in range(3)) if number == moment else None
        )
        await hub.poll()
        t.wire.reset()
        await _all_there(t, hub, known, f"polled; after request {moment} of {count} three more mentions came; polled again")


@check(22, "bronze", "One element that nobody can read spoils no other", FETCHES)
async def one_bad_item(t: Trial) -> None:
    known = [t.fake.add("Before")]
    t.fake.malformed()
    known.append(t.fake.add("After"))
    hub = await t.hub()
    done = "polled two mentions with an unreadable element between them"
    await _all_there(t, hub, known, done)
    bad = await hub.bad_items()
    t.expect(len(bad) == 1, done=done, expected="one BadItem is kept with its reason", came=f"{len(bad)} are")


@check(23, "bronze", "An answer that cannot be read is PayloadMalformed", FETCHES)
async def garbage(t: Trial) -> None:
    known = t.many()
    middle = await t.requests_of(t.pages()) // 2 + 1
    for name, body in GARBAGE.items():
        for begin in sorted({1, middle} if body in HALFWAY else {1}):
            t.wire.fails(instead(Answer(body=body, headers={"content-type": "application/json"})), begin=begin)
            await t.raises(PayloadMalformed, t.pages(), done=f"fetched; from request {begin} on the network answered {name}")
    hub = await t.hub()
    t.wire.fails(instead(Answer(body=GARBAGE["a web page"])))
    await hub.poll(times=2)
    code = (await hub.intake()).reason_code
    t.expect(
        code == "payload_malformed", done="polled; the network answered a web page", expected="payload_malformed is shown", came=code
    )
    t.wire.reset()
    t.clock.forward(minutes=61)
    await _all_there(t, hub, known, "polled; the network answered a web page for a while")


@check(24, "bronze", "The cursor is typed, small, and does not grow", FETCHES)
async def cursor_stays_small(t: Trial) -> None:
    sizes: list[int] = []
    cursor: Any = None
    for visit in range(3):
        t.many(f"Visit {visit}")
        async for page in t.walk(cursor):
            cursor = page.cursor
            encoded = msgspec.json.encode(cursor)
            done = f"fetched; looked at the cursor of visit {visit + 1}"
            t.expect(isinstance(cursor, t.kind.Cursor), done=done, expected="one of the type Cursor", came=type(cursor).__name__)
            t.expect(len(encoded) <= LARGEST_CURSOR, done=done, expected=f"at most {LARGEST_CURSOR} bytes", came=len(encoded))
            t.expect(_stored(t, cursor) == cursor, done=f"{done}, stored it and read it", expected=cursor, came=_stored(t, cursor))
        sizes.append(len(msgspec.json.encode(cursor)))
        t.clock.forward(minutes=10)
    grown = sizes[2] - sizes[1]
    t.expect(
        grown <= 64 + sizes[1] // 4,
        done="fetched three times as much",
        expected="a cursor of about the same size",
        came=f"{sizes} bytes",
    )


@check(25, "bronze", "Paging comes to an end, and every page moves the cursor", FETCHES)
async def paging_ends(t: Trial) -> None:
    t.many()
    last: Any = None
    async for page in t.walk():
        t.expect(
            last is None or page.cursor != last,
            done="fetched all pages",
            expected="another cursor on each page",
            came=f"twice {shown(page.cursor)}",
        )
        last = page.cursor


@check(26, "silver", "A cursor that the network forgot is CursorExpired, and a gap", FETCHES)
async def cursor_expires(t: Trial) -> None:
    known = t.many()
    hub = await t.hub()
    await hub.poll()
    cursor = (await t.pages())[-1].cursor
    t.fake.forget()
    known.append(t.fake.add("After the network forgot"))
    await t.raises(CursorExpired, t.pages(cursor), done="fetched from a cursor that the network forgot")
    await hub.poll()
    done = "polled from a cursor that the network forgot"
    await _all_there(t, hub, known, done)
    t.expect(any(gap.cause == "missed" for gap in await hub.gaps()), done=done, expected="a gap in the ledger", came="none")


@check(27, "silver", "More than a page came since the last visit, and a crash amid: nothing is lost", FETCHES)
async def long_gap(t: Trial) -> None:
    known = [t.fake.add("The first")]
    hub = await t.hub()
    await hub.poll()
    for number in (2, 1):
        known += t.many(f"Gap {number}")
        with dies_at(BEFORE_COMMIT, number):
            await hub.poll()
        known += [t.fake.add(f"Late {number} {n}") for n in range(5)]
        done = f"{t.fake.many} mentions came since the last visit; the worker died before the commit of page {number}; five more came"
        await _all_there(t, hub, known, done)


@check(28, "silver", "A cursor of an older version is brought into today's form, or begun afresh", FETCHES)
async def old_cursors(t: Trial) -> None:
    if t.kind.cursor_version == 1:
        raise NotApplicable("cursor_version is 1: there are no older cursors")
    old = t.fake.old_cursors()
    for version in range(1, t.kind.cursor_version):
        t.expect(version in old, done="asked the fake for old_cursors()", expected=f"a cursor of version {version}", came=sorted(old))
        done = f"brought a cursor of version {version} into today's form"
        try:
            made = t.kind.migrate_cursor(dict(old[version]), version)
            if made is not None:
                msgspec.convert(made, t.kind.Cursor)
        except Exception as error:
            t.expect(False, done=done, expected="fields that Cursor takes, or None", came=error)


@check(29, "gold", "An edited post keeps its id and says when it was edited", FETCHES)
async def edited(t: Trial) -> None:
    id_ = t.fake.add("It never worked")
    hub = await t.hub()
    await hub.poll()
    t.clock.forward(minutes=5)
    t.fake.edit(id_, "It works now")
    for _ in range(LOOKS):
        await hub.poll()
        found = await hub.mentions()
        if "It works now" in "".join(one.text for one in found):
            break
    done = f"somebody edited a mention; polled {LOOKS} times"
    t.expect([one.external_id for one in found] == [id_], done=done, expected="one mention", came=[one.external_id for one in found])
    t.expect("It works now" in found[0].text, done=done, expected="its new words", came=found[0].text)
    t.expect(found[0].edited_at is not None, done=done, expected="edited_at", came="none")


@check(30, "gold", "A deleted post is a Tombstone", FETCHES)
async def deleted(t: Trial) -> None:
    id_, other = t.fake.add("I regret this"), t.fake.add("I do not")
    hub = await t.hub()
    await hub.poll()
    t.clock.forward(minutes=5)
    t.fake.delete(id_)
    for _ in range(LOOKS):
        await hub.poll()
        if any(one.content_state == "deleted" for one in await hub.mentions()):
            break
    states = {one.external_id: (one.content_state, one.text) for one in await hub.mentions()}
    done = f"somebody deleted one of two mentions; polled {LOOKS} times"
    t.expect(states[id_] == ("deleted", ""), done=done, expected="a Tombstone: its text is wiped", came=states[id_])
    t.expect(states[other][0] == "live", done=done, expected="the other stays", came=states[other])


@check(31, "silver", "An account of which nobody speaks is read without an error", FETCHES)
async def empty_account(t: Trial) -> None:
    hub = await t.hub()
    await hub.poll(times=2)
    intake = await hub.intake()
    t.expect(
        intake.state == "active",
        done="polled an account without mentions",
        expected="an active intake",
        came=(intake.state, intake.reason),
    )
    known = [t.fake.add("The first")]
    await _all_there(t, hub, known, "polled an account without mentions, and again after the first one")


@check(32, "gold", "A back-fill stays within the time that was asked for", FETCHES)
async def backfill_stays_within(t: Trial) -> None:
    now = t.clock.now()
    old = [t.fake.add(f"Old {n}", at=now - timedelta(days=20, hours=-n)) for n in range(12)]
    wanted = [t.fake.add(f"Wanted {n}", at=now - timedelta(days=5, hours=-n)) for n in range(12)]
    late = [t.fake.add(f"Late {n}", at=now - timedelta(days=1, hours=-n)) for n in range(12)]
    since, until = now - timedelta(days=10), now - timedelta(days=3)
    found = await t.pages(since=since, until=until)
    done = "filled a gap from ten days ago until three days ago"
    missing = set(wanted) - set(ids(found))
    t.expect(not missing, done=done, expected="everything of that time", came=f"{len(missing)} are missing")
    # One more on each side is the overlap that the contract allows.
    outside = [id_ for id_ in ids(found) if id_ in {*old, *late}]
    t.expect(len(outside) <= 2, done=done, expected="nothing that is older or newer", came=f"{len(outside)} that are")
    since_only = [one for one in mentions(await t.pages(since=since)) if one.published_at < since]
    t.expect(
        len(since_only) <= 1, done="fetched with `since`, ten days ago", expected="nothing older", came=f"{len(since_only)} that are"
    )


async def _all_there(t: Trial, hub: Hub, known: list[str], done: str) -> None:
    """Poll until everything is stored; three visits are enough for everybody."""
    for _ in range(VISITS):
        await hub.poll()
        if not (lost := set(known) - await hub.ids()):
            return
    intake = await hub.intake()
    came = f"{len(lost)} of {len(known)} are missing; the intake is {intake.state}{f': {intake.reason}' if intake.reason else ''}"
    t.expect(False, done=done, expected="everything is stored", came=came)


def _stored(t: Trial, cursor: Any) -> Any:
    """The cursor as the hub hands it back: through JSON."""
    return msgspec.convert(msgspec.json.decode(msgspec.json.encode(cursor)), t.kind.Cursor)


def _difference(came: list[str], wanted: list[str]) -> str:
    extra, missing = set(came) - set(wanted), set(wanted) - set(came)
    if not extra and not missing:
        return "another order"
    return f"{len(missing)} missing (such as {min(missing, default='-')}), {len(extra)} unknown (such as {min(extra, default='-')})"
