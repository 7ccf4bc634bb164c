"""Broken in what they say: twice, cut, to nobody."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import msgspec

from smhub.sdk import (
    ConnectorError,
    Draft,
    Duplicate,
    Gone,
    Limits,
    Media,
    MentionRef,
    Pending,
    Published,
    Response,
    Violation,
)
from smhub.testing.mutants.reference import ByContainer, ByLookup, ByNothing, Container, Reference, Said
from smhub.testing.mutants.registry import breaks


@breaks(48, 49)
class ForgetsTheKey(Reference):
    """It says that the network honours keys, and sends none."""

    async def say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        return Published(external_id=(await self.http.post("/posts", Said, json=await self.words(draft, to, key))).id)

    async def publish(self, draft: Draft, key: str) -> Published | Pending:
        try:
            return await super().publish(draft, key)
        except ConnectorError:
            return await super().publish(draft, key)


@breaks(48)
class AnotherKeyEachTime(Reference):
    """Every try has a key of its own."""

    number = 0

    async def say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        AnotherKeyEachTime.number += 1
        return await super().say(draft, f"{AnotherKeyEachTime.number:032x}", to)


@breaks(49, 52)
class FindsNothing(ByLookup):
    """It looks for its own posts in vain, so that they are sent again."""

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        await self.http.get("/posts", list[Said])
        return None


@breaks(49, 52)
class PublishesBlindly(ByContainer):
    """It publishes a container without looking whether it is out."""

    async def check_publish(self, pending: Pending) -> Published | Pending:
        known = await self.http.get(f"/containers/{pending.state}", Container)
        if not known.ready:
            return pending
        return Published(external_id=(await self.http.post(f"/containers/{pending.state}/publish", Said)).id)


@breaks(49)
class TriesOnItsOwn(ByNothing):
    """When an answer is lost it sends the words again, although nobody can know."""

    async def say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        try:
            return await super().say(draft, key, to)
        except ConnectorError:
            return await super().say(draft, key, to)


@breaks(50)
class Cuts(Reference):
    """What is too long is cut."""

    async def words(self, draft: Draft, to: str | None, key: str) -> dict[str, Any]:
        return await super().words(msgspec.structs.replace(draft, text=draft.text[:120]), to, key)


@breaks(51)
class CountsWrongly(Reference):
    """It counts code points where the network counts what a reader sees."""

    limits = Limits(max=130, count="graphemes")


@breaks(51)
class CountsLinksShort(Reference):
    """It counts a link as 23, and this network does not."""

    limits = Limits(max=120, count="mastodon")


@breaks(52)
class NewContainerEachTime(ByContainer):
    """When a container cannot be asked about, another is made and published at once."""

    async def check_publish(self, pending: Pending) -> Published | Pending:
        try:
            return await super().check_publish(pending)
        except ConnectorError:
            said = await self.http.post(f"/containers/{pending.state}/publish", Said, key="again")
            return Published(external_id=said.id)


@breaks(53)
class ClaimsItIsOut(ByContainer):
    """What is not ready is called published, and there is nothing."""

    async def check_publish(self, pending: Pending) -> Published | Pending:
        said = await super().check_publish(pending)
        return Published(external_id=f"soon-{pending.state}") if isinstance(said, Pending) else said


@breaks(54)
class DuplicateIsAnError(Reference):
    """A network that has the words already has refused them."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        found = super().map_error(response)
        return None if isinstance(found, Duplicate) else found


@breaks(55)
class DeletesAnything(Reference):
    """What is not there is deleted with success."""

    async def delete(self, external_id: str) -> None:
        await self.http.request("DELETE", f"/posts/{external_id}", accept=(404,))


@breaks(55)
class DeletesNothing(Reference):
    """It only says that it deleted."""

    async def delete(self, external_id: str) -> None:
        raise Gone("it is not there")


@breaks(56)
class AnswersNobody(Reference):
    """When what it answers is gone, the answer becomes a post for all."""

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published | Pending:
        try:
            return await super().reply(to, draft, key)
        except Gone:
            return await self.publish(draft, key)


@breaks(56)
class RepliesInTheOpen(Reference):
    """Answers are posts that answer nobody."""

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published | Pending:
        return await self.publish(draft, key)


@breaks(57)
class NoAltText(Reference):
    """Alternative texts are dropped."""

    async def words(self, draft: Draft, to: str | None, key: str) -> dict[str, Any]:
        bare = tuple(Media(media_type=one.media_type, content=one.content) for one in draft.media)
        return await super().words(msgspec.structs.replace(draft, media=bare), to, key)


@breaks(57)
class PostsWithoutFiles(Reference):
    """A file that is refused is left out, and the post goes out without it."""

    async def words(self, draft: Draft, to: str | None, key: str) -> dict[str, Any]:
        try:
            return await super().words(draft, to, key)
        except ConnectorError:
            return await super().words(msgspec.structs.replace(draft, media=()), to, key)


@breaks(58)
class ThinksLong(Reference):
    """validate takes its time."""

    def validate(self, draft: Draft) -> list[Violation]:
        time.sleep(0.02)
        return super().validate(draft)


@breaks(58)
class SeesNothing(Reference):
    """validate finds nothing, ever."""

    def validate(self, draft: Draft) -> list[Violation]:
        return []


@breaks(58)
class TooStrict(Reference):
    """validate refuses what the network takes."""

    def validate(self, draft: Draft) -> list[Violation]:
        found = super().validate(draft)
        return [*found, Violation(field="text", code="no_lines", detail="one line")] if "\n" in draft.text else found
