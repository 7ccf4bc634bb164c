"""What a network tells by itself, by an open stream or by a delivery: once, together with what is asked for, with edits and deletions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, NamedTuple

from smhub.sdk import (
    AuthExpired,
    BadItem,
    Item,
    Mention,
    Page,
    PayloadMalformed,
    RawRequest,
    Search,
    Tombstone,
    Transient,
    capabilities,
)
from smhub.testing.hub import Hub
from smhub.testing.network import Answer, NotOffered, answer
from smhub.testing.registry import NotApplicable, check
from smhub.testing.trial import Trial
from smhub.testing.wire import Fault, instead

GROUP = "Told by the network"
STREAMS = ("streams", "streams_searches")
WORDS = Search(words=("told", "as", "air"))
"""What the mentions of these checks have in common, for a connector that listens to searches only."""


class Way(NamedTuple):
    """How a network tells: `hold` is the message about a mention as it is now, `read` what the connector makes of it, then or later."""

    hold: Callable[[str], Any]
    read: Callable[[Any], Awaitable[list[Item]]]

    async def tell(self, id_: str) -> list[Item]:
        return await self.read(self.hold(id_))


@check(63, "bronze", "What is told twice is there once")
async def twice(t: Trial) -> None:
    for how, way in _ways(t).items():
        hub, id_ = await t.hub(), t.fake.add("Told twice")
        for _ in range(2):
            await hub.told(await way.tell(id_))
        found = [one.external_id for one in await hub.mentions()]
        t.expect(found == [id_], done=f"told of one mention twice {how}", expected=f"one mention, {id_}", came=found)


@check(64, "bronze", "What is told and asked for is there once", "fetches_mentions")
async def told_and_asked(t: Trial) -> None:
    for how, way in _ways(t).items():
        hub, first = await t.hub(), t.fake.add("Told before it was asked for")
        told = await way.tell(first)
        before = {one.external_id for one in told if isinstance(one, Mention)}
        await hub.told(told)
        await hub.poll()
        second = t.fake.add("Asked for before it was told")
        await hub.poll()
        await hub.told(await way.tell(second))
        rows = [one for one in await hub.mentions() if one.text.startswith(("Told before", "Asked for"))]
        found = sorted(one.external_id for one in rows if one.external_id in {first, second} | before)
        done = f"told of a mention {how} and polled, and the other way round"
        t.expect(found == sorted([first, second]), done=done, expected=f"{first} and {second}, each once", came=found)


@check(65, "bronze", "Edits and deletions that are told arrive")
async def edits_and_deletions(t: Trial) -> None:
    for how, way in _ways(t).items():
        hub, id_ = await t.hub(), t.fake.add("As it was")
        await hub.told(await way.tell(id_))
        t.clock.forward(minutes=1)
        t.fake.edit(id_, "As it is")
        await hub.told(await way.tell(id_))
        came = await _state(hub, id_)
        t.expect(came == ("As it is", "edited"), done=f"told of an edit {how}", expected="the new words, edited", came=came)
        try:
            t.fake.delete(id_)
        except NotOffered:
            continue
        told = await way.tell(id_)
        t.expect(
            [one for one in told if isinstance(one, Tombstone)], done=f"told of a deletion {how}", expected="a Tombstone", came=told
        )
        await hub.told(told)
        came = await _state(hub, id_)
        t.expect(came[1] == "deleted", done=f"told of a deletion {how}", expected="it is deleted", came=came)


@check(66, "bronze", "An edit that is told before its post wins")
async def out_of_order(t: Trial) -> None:
    for how, way in _ways(t).items():
        hub, id_ = await t.hub(), t.fake.add("As it was")
        before = way.hold(id_)
        t.clock.forward(minutes=1)
        t.fake.edit(id_, "As it is")
        await hub.told(await way.tell(id_))
        t.clock.forward(minutes=1)
        await hub.told(await way.read(before))
        came = await _state(hub, id_)
        t.expect(came[0] == "As it is", done=f"told of an edit and then of its post {how}", expected="the new words", came=came)


@check(76, "bronze", "A stream tells of each message, and one that nobody can read spoils no other")
async def each_message(t: Trial) -> None:
    _needs_a_stream(t)
    ids = [t.fake.add(f"On air {number}") for number in range(3)]
    first, *rest = [t.fake.told(one) for one in ids]
    bad = t.fake.bad_telling()
    heard = await _heard(t, first + bad + b"".join(rest))
    found = [one.external_id for one in heard if isinstance(one, Mention)]
    done = "opened its stream; of four messages nobody can read the second"
    t.expect(found == ids, done=done, expected=f"the mentions {ids}", came=found)
    kept = [one for one in heard if isinstance(one, BadItem)]
    t.expect(len(kept) == 1, done=done, expected="one BadItem", came=f"{len(kept)} of them")


@check(77, "bronze", "A stream that breaks says so, does not begin again by itself, and leaves nothing open")
async def breaks(t: Trial) -> None:
    _needs_a_stream(t)
    id_ = t.fake.add("On air")
    await _heard(t, t.fake.told(id_))
    ended = len(t.wire.requests)
    for name, fault, error in (
        ("401", instead(answer({"error": "invalid_token"}, 401)), AuthExpired),
        ("no stream but a page", instead(Answer(headers={"content-type": "text/html"}, body=b"<html>")), PayloadMalformed),
        ("a connection that breaks", Fault(kind="reset"), Transient),
        ("nothing at all", Fault(kind="silence"), Transient),
    ):
        t.wire.fails(fault)
        await t.raises(error, _listen(t), done=f"opened its stream; the network answered with {name}")
        came = len(t.wire.requests)
        t.expect(came <= ended, done=f"opened its stream; it met {name}", expected="one try", came=f"{came} requests")
    t.wire.reset()
    t.expect(t.wire.inside.open == 0, done="let streams end and break", expected="no open connection", came=t.wire.inside.open)


def _ways(t: Trial) -> dict[str, Way]:
    can, ways = capabilities(t.kind), dict[str, Way]()
    if "receives_webhooks" in can:
        ways["by a delivery"] = Way(t.fake.delivery, lambda request: _delivered(t, request))
    if any(one in can for one in STREAMS):
        ways["by its stream"] = Way(t.fake.told, lambda telling: _heard(t, telling))
    if not ways:
        raise NotApplicable("it does not have streams or receives_webhooks")
    return ways


def _needs_a_stream(t: Trial) -> None:
    if not any(one in capabilities(t.kind) for one in STREAMS):
        raise NotApplicable("it does not have streams")


async def _delivered(t: Trial, request: RawRequest) -> list[Item]:
    found = await t.connect().read_webhook(request)
    t.expect(isinstance(found, list), done="read a signed delivery", expected="a list of items", came=found)
    return list(found)


async def _heard(t: Trial, telling: bytes) -> list[Item]:
    t.fake.telling = telling
    return await _listen(t)


async def _listen(t: Trial) -> list[Item]:
    """Everything that the stream tells until the network ends it."""
    connector, found = t.connect(), list[Item]()
    try:
        listens = connector.stream(None) if "streams" in capabilities(t.kind) else connector.stream_search(WORDS, None)
        async with aclosing(listens) as pages:
            async for page in pages:
                t.expect(isinstance(page, Page), done="read its stream", expected="pages", came=page)
                found += page.items
    finally:
        await connector.http.close()
    return found


async def _state(hub: Hub, id_: str) -> tuple[str, str]:
    row = next((one for one in await hub.mentions() if one.external_id == id_), None)
    return (row.text, row.content_state) if row is not None else ("", "missing")
