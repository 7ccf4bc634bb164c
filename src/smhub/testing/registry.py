"""The checks: each is one function with its number, level and what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from smhub.testing.report import Level

if TYPE_CHECKING:
    from smhub.testing.trial import Trial

GROUPS = (
    "Contract and config",
    "Credentials",
    "Fetching",
    "Limits and faults",
    "Text and time",
    "Publishing",
    "Webhooks",
    "Told by the network",
    "Metrics",
    "Operations",
)


class Broken(Exception):
    """The connector breaks the contract."""

    def __init__(self, done: str, expected: str, came: str) -> None:
        super().__init__(came)
        self.done, self.expected, self.came = done, expected, came


class NotApplicable(Exception):
    """The check asks for something that this connector or network does not have; the text says what."""


class NotRun(Exception):
    """The check was not run: what it asks for is not here, or was not asked for; the text says how to have it run. Unlike a check that does
    not apply it stands in the way of its level."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check. `needs` names capabilities of the contract, all of which the connector must have."""

    number: int
    level: Level
    title: str
    group: str
    needs: tuple[str, ...]
    run: Callable[[Trial], Awaitable[None]]


class Checks:
    """All checks by number."""

    all: ClassVar[dict[int, Check]] = {}

    @classmethod
    def sorted(cls) -> list[Check]:
        """In the order of their numbers."""
        return [cls.all[number] for number in sorted(cls.all)]


def check(
    number: int, level: Level, title: str, *needs: str
) -> Callable[[Callable[[Trial], Awaitable[None]]], Callable[[Trial], Awaitable[None]]]:
    """Register a check. The group is the one that its module stands for."""

    def register(run: Callable[[Trial], Awaitable[None]]) -> Callable[[Trial], Awaitable[None]]:
        assert number not in Checks.all, number
        Checks.all[number] = Check(number=number, level=level, title=title, group=_group(run), needs=needs, run=run)
        return run

    return register


def _group(run: Callable[..., Any]) -> str:
    group: str = run.__globals__["GROUP"]
    assert group in GROUPS, group
    return group


def shown(value: object) -> str:
    """A value as the report shows it: short."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {str(value)[:200]}"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 240 else f"{text[:237]}..."
