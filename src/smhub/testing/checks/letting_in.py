"""OAuth 2: the kit is the network's token endpoint, and the hub's own code asks it. What a connector can do is stand in its way."""

from __future__ import annotations

import asyncio
from typing import Any

from smhub.sdk import AuthExpired, capabilities
from smhub.testing.registry import NotApplicable, check
from smhub.testing.tokens import TokenEndpoint
from smhub.testing.trial import Trial

GROUP = "Credentials"
FETCHES = "fetches_mentions"
WORKERS = 4
VISITS = 5


@check(12, "silver", "An access token that ended is renewed once, and the request repeated once")
async def ended(t: Trial) -> None:
    tokens = _endpoint(t)
    hub = await t.hub()
    usual = await t.requests_of(hub.look())
    tokens.end_access()
    tokens.asked = 0
    count = await t.requests_of(hub.look())
    done = "asked who we are with an access token that had ended"
    t.expect(tokens.asked == 1, done=done, expected="one new token is asked for", came=f"{tokens.asked} times")
    t.expect(count == usual + 1, done=done, expected=f"{usual + 1} requests: one is repeated once", came=count)
    if FETCHES in capabilities(t.kind):
        known = t.fake.add("While the token had ended")
        tokens.end_access()
        tokens.asked = 0
        await hub.poll()
        done = "polled with an access token that had ended"
        t.expect(tokens.asked == 1, done=done, expected="one new token is asked for", came=f"{tokens.asked} times")
        state = (await hub.intake()).state
        t.expect(known in await hub.ids(), done=done, expected="what was said is there", came=f"the intake is {state}")


@check(13, "silver", "An authorisation that was revoked stops everything, and nothing is asked any more")
async def revoked(t: Trial) -> None:
    tokens = _endpoint(t)
    hub = await t.hub()
    tokens.revoke()
    tokens.asked = 0
    done = "used the channel after the person took the authorisation back"
    if FETCHES in capabilities(t.kind):
        await hub.poll()
        state = (await hub.intake()).state
        t.expect(state == "auth_required", done=done, expected="the intake is auth_required", came=state)
    else:
        await t.raises(AuthExpired, hub.look(), done=done)
    t.expect(tokens.asked == 1, done=done, expected="a new token is asked for once", came=f"{tokens.asked} times")
    t.wire.reset()
    for _ in range(VISITS):
        await t.raises(AuthExpired, hub.look(), done=done)
    if FETCHES in capabilities(t.kind):
        await hub.poll(times=VISITS)
    came = f"{len(t.wire.requests)} requests, {tokens.asked - 1} more for a token"
    t.expect(not t.wire.requests and tokens.asked == 1, done=f"{done}, again and again", expected="nobody is asked", came=came)


@check(14, "silver", "Several workers whose token ends at once ask for one new token")
async def several(t: Trial) -> None:
    tokens = _endpoint(t)
    hub = await t.hub()
    first = await hub.look()
    tokens.end_access()
    tokens.asked = 0
    found: list[Any] = await asyncio.gather(*(hub.look() for _ in range(WORKERS)), return_exceptions=True)
    done = f"{WORKERS} workers asked at once who we are, with an access token that had ended"
    t.expect(tokens.asked == 1, done=done, expected="one new token is asked for", came=f"{tokens.asked} times")
    t.expect(found == [first] * WORKERS, done=done, expected="all are let in", came=found)


def _endpoint(t: Trial) -> TokenEndpoint:
    if t.tokens is None:
        raise NotApplicable("it does not sign in by OAuth 2")
    return t.tokens
