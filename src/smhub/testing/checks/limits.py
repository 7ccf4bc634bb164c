"""Limits and faults: what the network, the way to it and the clock can do to a connector."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from smhub.sdk import ConfigInvalid, PayloadMalformed, RateLimited, Transient, capabilities
from smhub.testing.loop import this_loop
from smhub.testing.network import Answer, NotOffered, answer
from smhub.testing.registry import Broken, NotApplicable, check, shown
from smhub.testing.trial import Trial, draft
from smhub.testing.wire import Fault, instead

GROUP = "Limits and faults"
FETCHES = "fetches_mentions"
WAIT = 120
LONGEST_WAIT = 3600.0
MOST_READ = 24 << 20
LONGEST_CALL = 60.0
TURNS = 20
MANY = 1_000
MANY_ON_A_DAY = 10_000
LOOKS = 5
LEAST_MENTION = 7
ABSURD = ("-5", "99999999999", "tomorrow", "", "1e9", "NaN")


@check(33, "bronze", "A 429 is RateLimited with its wait, and nobody asks again or sleeps")
async def rate_limited(t: Trial) -> None:
    date = format_datetime(t.clock.now() + timedelta(seconds=WAIT), usegmt=True)
    for name, doing in (await _calls(t)).items():
        for value in (str(WAIT), date):
            t.wire.fails(instead(answer({"error": "slow down"}, 429, retry_after=value)))
            this_loop().slept.clear()
            done = f"called {name}; the network answered 429 with Retry-After: {value}"
            error = await t.raises(RateLimited, doing(), done=done)
            after = getattr(error, "retry_after", None)
            t.expect(after is not None and abs(after - WAIT) < 2, done=done, expected=f"retry_after {WAIT} s", came=after)
            t.expect(len(t.wire.requests) == 1, done=done, expected="one request", came=f"{len(t.wire.requests)} requests")
            t.expect(not this_loop().slept, done=done, expected="nobody sleeps", came=this_loop().slept)
    if FETCHES in capabilities(t.kind):
        hub = await t.hub()
        t.wire.fails(instead(answer({"error": "slow down"}, 429, retry_after=str(WAIT))))
        await hub.poll()
        wait = ((await hub.intake()).next_poll_at or t.clock.now()) - t.clock.now()
        t.expect(wait.total_seconds() >= WAIT - 2, done="polled; 429", expected=f"the next poll is in {WAIT} s or later", came=wait)


@check(34, "bronze", "A 429 in the middle of paging keeps what was read", FETCHES)
async def limited_while_paging(t: Trial) -> None:
    known = t.many()
    whole = await t.requests_of(t.pages())
    middle = max(2, whole // 2 + 1)
    hub = await t.hub()
    t.wire.fails(instead(answer({"error": "slow down"}, 429, retry_after=str(WAIT))), begin=middle)
    await hub.poll()
    t.wire.reset()
    await hub.poll(seconds=WAIT + 10.0)
    done = f"polled; from request {middle} of {whole} on 429; polled again after the wait"
    lost = set(known) - await hub.ids()
    t.expect(not lost, done=done, expected="everything is there", came=f"{len(lost)} are missing")
    if whole > 2:
        again = len(t.wire.requests)
        t.expect(
            again < whole, done=done, expected=f"less than {whole} requests: it went on from where it was", came=f"{again} requests"
        )


@check(35, "silver", "A wait that is absurd, past or unreadable stays within an hour")
async def absurd_waits(t: Trial) -> None:
    for name, doing in (await _calls(t)).items():
        for value in ABSURD:
            headers = {"retry-after": value, **_budget(t, 0, -3600.0 if value.startswith("-") else 10 * 365 * 86400.0)}
            t.wire.fails(instead(Answer(status=429, headers=headers)))
            done = f"called {name}; 429 with Retry-After: {value or 'nothing'} and a reset that is absurd as well"
            error = await t.raises(RateLimited, doing(), done=done)
            after = getattr(error, "retry_after", None)
            t.expect(
                after is None or 1 <= after <= LONGEST_WAIT, done=done, expected="between a second and an hour, or None", came=after
            )
    told = _budget(t, 0, float(WAIT * 2))
    if told:
        t.wire.fails(instead(Answer(status=429, headers=told)))
        done = f"called verify; 429 without Retry-After; the budget's reset in {WAIT * 2} s"
        error = await t.raises(RateLimited, t.connect().verify(), done=done)
        after = getattr(error, "retry_after", None)
        t.expect(after is not None and abs(after - WAIT * 2) < 2, done=done, expected=f"retry_after {WAIT * 2} s", came=after)


@check(36, "silver", "When the network says that nothing is left, nobody asks", FETCHES)
async def budget_is_empty(t: Trial) -> None:
    t.many()
    hub = await t.hub()
    t.wire.headers = dict(t.fake.budget(0, t.clock.now() + timedelta(seconds=600)))
    t.wire.reset()
    await hub.poll(seconds=1.0)
    done = "polled; the first answer says that no call is left for ten minutes"
    t.expect(len(t.wire.requests) == 1, done=done, expected="one request: `rates` names the headers", came=f"{len(t.wire.requests)}")
    await hub.poll(seconds=1.0)
    t.expect(len(t.wire.requests) == 1, done=f"{done}; polled again", expected="no further request", came=f"{len(t.wire.requests)}")


@check(37, "bronze", "A network that is down is Transient")
async def down(t: Trial) -> None:
    if FETCHES in capabilities(t.kind):
        t.many()
    faults = {f"answered {status}": instead(Answer(status=status, body=b"<h1>down</h1>")) for status in (500, 502, 503, 504)}
    faults |= {"broke the connection": Fault(kind="reset"), "said nothing": Fault(kind="silence")}
    faults |= {"spoke no HTTP": Fault(kind="garbage"), "broke off in the middle": Fault(kind="cut")}
    for name, doing in (await _calls(t)).items():
        middle = await t.requests_of(doing()) // 2 + 1
        for what, fault in faults.items():
            for begin in sorted({1, middle}):
                t.wire.fails(fault, begin=begin)
                await t.raises(Transient, doing(), done=f"called {name}; from request {begin} on the network {what}")
        t.wire.reset()
        t.wire.inside.refuses = True
        await t.raises(Transient, doing(), done=f"called {name}; nobody took the connection")
        t.wire.reset()


@check(38, "bronze", "Who is cancelled ends")
async def cancelled(t: Trial) -> None:
    for name, doing in (await _calls(t)).items():
        t.wire.fails(Fault(kind="hang"))
        t.wire.hanging.clear()
        task = asyncio.ensure_future(doing())
        waiting = asyncio.ensure_future(t.wire.hanging.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        waiting.cancel()
        came = "it goes on" if not task.done() else "it ended as if nothing were"
        t.expect(task.cancelled(), done=f"cancelled {name} while it waited", expected="CancelledError comes out", came=came)


@check(39, "bronze", "An answer without end is refused")
async def endless(t: Trial) -> None:
    for name, doing in (await _calls(t)).items():
        t.wire.fails(Fault(kind="endless"))
        t.wire.sent = 0
        done = f"called {name}; the answer did not end"
        # verify may say that there is no such network at this address.
        wanted = (PayloadMalformed, ConfigInvalid) if name == "verify" else (PayloadMalformed,)
        await t.raises(wanted, doing(), done=done)
        t.expect(t.wire.sent <= MOST_READ, done=done, expected="no more than 20 MiB are read", came=f"{t.wire.sent >> 20} MiB")


@check(40, "silver", "Memory does not grow with the number of mentions", FETCHES)
async def many_mentions(t: Trial) -> None:
    many = MANY if t.chaos is None else MANY_ON_A_DAY
    if t.fake.holds is not None and t.fake.holds < many:
        raise NotApplicable(f"the network gives out no more than {t.fake.holds}")
    t.many("One of many", count=many)
    looks: list[int] = []
    read = 0

    def look(_: int) -> None:
        t.wire.requests.clear()
        if read >= many * len(looks) // LOOKS:
            gc.collect()
            looks.append(sys.getallocatedblocks())

    t.wire.after = look
    async for page in t.walk(most=many):
        read += len(page.items)
        del page
    done = f"fetched {many} mentions from the start"
    t.expect(read >= many, done=done, expected="all of them", came=read)
    t.expect(len(looks) > 2, done=done, expected="each page is handed over before the next is asked for", came="all at the end")
    # The first look is before the first page, so that what is made only once does not count.
    grown = looks[-1] - looks[1]
    # An id and a mark may be kept for the length of a visit, what was said may not.
    most = LEAST_MENTION * many * (LOOKS - 1) // LOOKS
    expected = f"pages are forgotten: less than {most} objects more at the end than after the first fifth"
    t.expect(grown < most, done=done, expected=expected, came=f"{grown} more")


@check(41, "silver", "Nothing is left behind: no task, no connection")
async def nothing_left(t: Trial) -> None:
    if FETCHES not in capabilities(t.kind):
        raise NotApplicable("it does not fetch")
    t.many()
    before = asyncio.all_tasks()
    await t.connect().verify()
    await t.pages()
    async with aclosing(t.walk()) as walk:
        await anext(walk)
    t.wire.fails(Fault(kind="reset"), begin=2)
    try:
        await t.pages()
    except Exception as error:
        shown(error)
    # Generators that were left in the middle are closed by the loop, in a few turns.
    for _ in range(TURNS):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    done = "verified, fetched all, stopped after one page, and met a fault"
    t.expect(not left, done=done, expected="no task of it runs on", came=f"{len(left)}: {', '.join(one.get_name() for one in left)}")
    t.expect(t.wire.inside.open == 0, done=done, expected="no connection stays open", came=f"{t.wire.inside.open}")


@check(42, "silver", "An answer that trickles is cut off")
async def trickle(t: Trial) -> None:
    if FETCHES in capabilities(t.kind):
        t.fake.add("Slowly")
    for name, doing in (await _calls(t)).items():
        t.wire.fails(Fault(kind="drip"))
        began = this_loop().time()
        done = f"called {name}; the answer came a byte every five seconds"
        try:
            await t.raises(Transient, doing(), done=done)
        except Broken:
            took = this_loop().time() - began
            t.expect(took <= LONGEST_CALL, done=done, expected=f"Transient within {LONGEST_CALL:.0f} s", came=f"it waited {took:.0f} s")
            raise
        took = this_loop().time() - began
        t.expect(took <= LONGEST_CALL, done=done, expected=f"Transient within {LONGEST_CALL:.0f} s", came=f"after {took:.0f} s")


async def _calls(t: Trial) -> dict[str, Callable[[], Awaitable[Any]]]:
    """What a connector can be asked that asks the network: verify, and fetching when it does. Where neither is so, saying under a key."""
    calls: dict[str, Callable[[], Awaitable[Any]]] = {"verify": lambda: t.connect().verify()}
    if FETCHES in capabilities(t.kind):
        calls["fetch_mentions"] = t.pages
    elif not await t.requests_of(t.connect().verify()):
        if "publishes" not in capabilities(t.kind) or (await t.presence())[0] != "key":
            raise NotApplicable("it asks the network nothing that may be asked again")
        calls = {"publish": lambda: t.publish(draft("We are open"))}
    return calls


def _budget(t: Trial, remaining: int, seconds: float) -> dict[str, str]:
    try:
        return dict(t.fake.budget(remaining, t.clock.now() + timedelta(seconds=seconds)))
    except NotOffered:
        return {}
