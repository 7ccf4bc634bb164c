"""In whatever order people begin, come back, come back twice, too late, or lose their rights: a state is taken once, and for its channel."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from door import Stage, at_the_door
from smhub.channels.oauth_models import OAuthState, OAuthToken

LASTING = timedelta(minutes=10)
NOBODY = uuid.uuid4()

STEPS = ["begin", "begin", "come back", "come back", "come back", "come back", "wait", "right"]


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, Any, Any]]:
    """What people and time do. Two have begun before, so that there is something to come back with."""
    story: list[tuple[str, Any, Any]] = [("begin", 0, 0), ("begin", 1, 1)]
    for what in draw(st.lists(st.sampled_from(STEPS), min_size=8, max_size=14)):
        match what:
            case "begin":
                story.append((what, draw(st.integers(0, 1)), draw(st.integers(0, 1))))
            case "come back":
                story.append((what, draw(st.integers(0, 5)), draw(st.sampled_from(["allowed", "allowed", "refused", "forged"]))))
            case "wait":
                story.append((what, draw(st.sampled_from([1, 300, 599, 600])), None))
            case _:
                story.append((what, draw(st.integers(0, 1)), draw(st.booleans())))
    return story


class Begun(msgspec.Struct):
    """One state as it should be."""

    path: str
    person: int
    channel: int
    at: datetime
    void: bool = False


async def test_a_state_is_taken_once_in_time_by_its_person_for_its_channel(database_url: str) -> None:
    async with at_the_door(database_url) as stage:
        play = await Play.on(stage)
        loop = asyncio.get_running_loop()

        @settings(max_examples=30 if stage.hub.database.dialect == "sqlite" else 15)
        @given(stories())
        def run(story: Any) -> None:
            asyncio.run_coroutine_threadsafe(play.tell(story), loop).result()

        await asyncio.to_thread(run)
        # Each of the three endings was seen, and not by chance.
        assert min(play.answers.values()) > 2, play.answers


class Play:
    """Two people, two channels, and the model beside them."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.hub = stage, stage.hub
        self.answers = {"taken": 0, "refused": 0, "void": 0}

    @classmethod
    async def on(cls, stage: Stage) -> Play:
        play = cls(stage)
        hub = stage.hub
        await stage.app()
        play.channels = [await stage.channel() for _ in range(2)]
        keys = [await hub.member("admin", name=str(n)) for n in range(2)]
        play.people = [hub.as_key(key) for key in keys]
        play.members = [(await hub.ok("GET", "/v1/me", one))["member_id"] for one in play.people]
        return play

    channels: list[dict[str, Any]]
    people: list[Any]
    members: list[str]

    async def tell(self, story: list[tuple[str, Any, Any]]) -> None:
        self.begun: list[Begun] = []
        self.may = [True, True]
        async with self.hub.database.write() as session:
            await session.execute(delete(OAuthToken))
            await session.execute(delete(OAuthState))
        for what, one, other in story:
            match what:
                case "begin":
                    await self._begin(one, other)
                case "come back":
                    await self._come_back(one, other)
                case "wait":
                    self.hub.clock.forward(seconds=one)
                case "right":
                    await self._right(one, may=other)
        for person in (0, 1):
            await self._right(person, may=True)

    async def _right(self, person: int, *, may: bool) -> None:
        state = "active" if may else "disabled"
        await self.hub.ok("PATCH", f"/v1/members/{self.members[person]}", json={"state": state})
        self.may[person] = may

    async def _begin(self, person: int, channel: int) -> None:
        answer = await self.people[person].post(f"/v1/channels/{self.channels[channel]['id']}/authorize")
        assert answer.status_code == (200 if self.may[person] else 401)
        if not self.may[person]:
            return
        for one in self.begun:
            one.void = one.void or (one.person, one.channel) == (person, channel)
        path = await self.stage.allowed(answer.json()["authorize_url"])
        self.begun.append(Begun(path=path, person=person, channel=channel, at=self.hub.clock.now()))

    async def _come_back(self, which: int, how: str) -> None:
        if not self.begun:
            return
        state = self.begun[which % len(self.begun)]
        path = state.path
        if how == "forged":
            path = path.replace("state=", f"state={NOBODY.hex}", 1)
        if how == "refused":
            path = path.replace("code=", "error=access_denied&x=", 1)
        before = await self._tokens()
        grants = len(self.stage.door.grants)
        answer = await self.stage.back(path)
        good = how != "forged" and not state.void and self.hub.clock.now() - state.at < LASTING
        if how != "forged":
            state.void = state.void or good
        after = await self._tokens()
        if good and self.may[state.person] and how == "allowed":
            assert answer.status_code == 200, answer.text
            new = after - before
            assert [channel for _, channel in new] == [self.channels[state.channel]["id"]]
            self.answers["taken"] += 1
            return
        assert answer.status_code == 400
        told = good and self.may[state.person]
        assert answer.json()["code"] == ("authorization_refused" if told else "authorization_invalid")
        assert after == before and len(self.stage.door.grants) == grants
        self.answers["refused" if told else "void"] += 1

    async def _tokens(self) -> set[tuple[uuid.UUID, str]]:
        async with self.hub.database.read() as session:
            rows = (await session.execute(select(OAuthToken.id, OAuthToken.channel_id))).all()
        return {(id_, str(channel)) for id_, channel in rows}
