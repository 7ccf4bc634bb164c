"""A day of the network's, of the hub's and of the worker's bad luck, by a chance that can be had again."""

from __future__ import annotations

import random
from collections.abc import Callable
from uuid import UUID

from smhub.deliveries import models
from smhub.sdk import capabilities
from smhub.testing.hub import Hub, dies_at
from smhub.testing.network import Answer, FakeNetwork, NotOffered, Request, answer
from smhub.testing.registry import NotApplicable, NotRun, check
from smhub.testing.trial import Chaos, Trial
from smhub.testing.wire import Fault, instead

GROUP = "Operations"
A_DAY = 86_400.0
SHORTEST, LONGEST = 60.0, 600.0
RARELY, SOMETIMES, OFTEN = 0.05, 0.25, 0.5
POINTS = ("take_in.before_commit", "deliver.taken", "deliver.answered", "deliver.before_settled")
BROKEN = ("reset", "silence", "lose", "cut", "drip", "garbage")
QUIET_VISITS = 12
QUIET_SECONDS = 3700.0


@check(75, "platinum", "After a day of faults by chance nothing is lost and nothing was said twice")
async def a_day(t: Trial) -> None:
    if t.chaos is None:
        raise NotRun(f"ask for it: --chaos {A_DAY:.0f}")
    if not {"fetches_mentions", "publishes"} & set(capabilities(t.kind)):
        raise NotApplicable("it neither fetches nor publishes")
    day = Day(t, t.chaos, await t.hub())
    await day.live()
    t.note = f"{t.chaos.seconds:.0f} s, seed {t.chaos.seed}: {day.faults} faults, {day.deaths} deaths"
    await day.look_back()
    if t.chaos.seconds < A_DAY:
        raise NotRun(f"{t.note}; all well, and platinum wants a day: --chaos {A_DAY:.0f}")


class Day:
    """What happens, and what is known of it."""

    def __init__(self, t: Trial, chaos: Chaos, hub: Hub) -> None:
        self.t, self.hub, self.seconds = t, hub, chaos.seconds
        self.chance, self.seed = random.Random(chaos.seed), chaos.seed
        self.heard: list[str] = []
        self.said: dict[str, UUID] = {}
        self.faults = self.deaths = 0
        self.can = capabilities(t.kind)

    async def live(self) -> None:
        """Rounds of a minute to ten, until the time is over."""
        begin = self.t.clock.now()
        while (passed := (self.t.clock.now() - begin).total_seconds()) < self.seconds:
            self._happens()
            self.t.wire.reset()
            self.t.wire.before = self._judge()
            step = min(self.chance.uniform(SHORTEST, LONGEST), max(self.seconds - passed, 1.0))
            if self.chance.random() < SOMETIMES:
                with dies_at(self.chance.choice(POINTS), self.chance.randint(1, 3)) as reached:
                    await self._works(step)
                self.deaths += bool(reached)
            else:
                await self._works(step)

    def _happens(self) -> None:
        """Somebody speaks of us, or several do."""
        if "fetches_mentions" in self.can and self.chance.random() < OFTEN:
            for _ in range(self.chance.choice((1, 1, 2, 5))):
                self.heard.append(self.t.fake.add(f"Chaos {len(self.heard)}"))

    async def _works(self, step: float) -> None:
        """We say something now and then; the worker polls and does what is due."""
        if "publishes" in self.can and self.chance.random() < SOMETIMES:
            text = f"We say {len(self.said)} things."
            self.said[text] = await self.hub.say(text)
        if "fetches_mentions" in self.can:
            await self.hub.poll(seconds=step)
        else:
            await self.hub.work(step)

    def _judge(self) -> Callable[[Request, int], Fault | None]:
        """How bad the network is in this round: well, now and then broken, or down."""
        share = self.chance.choice((0.0, 0.0, RARELY, SOMETIMES, 1.0))

        def judge(request: Request, number: int) -> Fault | None:
            if self.chance.random() >= share:
                return None
            self.faults += 1
            return self._fault()

        return judge

    def _fault(self) -> Fault:
        kind = self.chance.choice((*BROKEN, "500", "503", "429", "page"))
        if kind in BROKEN:
            return Fault(kind=kind)  # type: ignore[arg-type]
        spoken = {"500": Answer(status=500), "503": answer({}, 503, retry_after="30"), "429": answer({}, 429, retry_after="60")}
        said = spoken.get(kind, Answer(body=b"<html>", headers={"content-type": "application/json"}))
        try:
            if type(self.t.fake).talk is not FakeNetwork.talk:
                self.t.fake.in_words(said, Request(method="WIRE", target="", headers={}))
        except NotOffered:
            return Fault(kind="reset")
        return instead(said)

    async def look_back(self) -> None:
        """The network is well again; after a while everything is there, and once."""
        self.t.wire.reset()
        for _ in range(QUIET_VISITS):
            if "fetches_mentions" in self.can:
                await self.hub.poll(seconds=QUIET_SECONDS / QUIET_VISITS)
            else:
                await self.hub.work(QUIET_SECONDS / QUIET_VISITS)
        done = f"lived through {self.t.note}; then everything was well for an hour"
        missing = set(self.heard) - await self.hub.ids()
        state = (await self.hub.intake()).state if self.heard else "not asked for"
        came = f"{len(missing)} of {len(self.heard)} are missing; the intake is {state}"
        self.t.expect(not missing, done=done, expected="every mention is stored", came=came)
        for text, delivery_id in self.said.items():
            row = await self.hub.settled(delivery_id)
            found = len(self.t.out(text))
            # What nobody can know is for a person, and never out twice.
            fits = found == 1 if row.state == models.PUBLISHED else found <= 1
            at_rest = row.state in (models.PUBLISHED, models.UNKNOWN)
            came = f"{text!r} is {row.state} ({row.reason_code}), and {found} times there"
            self.t.expect(fits and at_rest, done=done, expected="what we said is out once, or a person is asked", came=came)
