"""Broken connectors, each with the check that must catch it. The docstring says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import msgspec

from smhub.sdk import Connector, Plugin
from smhub.testing.mutants.market import Market
from smhub.testing.mutants.reference import MarketPlugin
from smhub.testing.network import FakeNetwork

K = TypeVar("K", bound=type[Connector[Any]])


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A connector that the check `number` must fail."""

    number: int
    connector: type[Connector[Any]]
    fake: type[FakeNetwork]
    plugin: Plugin


MODULES = (
    "broken_contract",
    "broken_fetching",
    "broken_limits",
    "broken_saying",
    "broken_rest",
    "broken_streams",
    "broken_letting_in",
    "broken_days",
    "heavy",
    "needy.connector",
    "recorded.connector",
    "unread.connector",
    "untyped.connector",
)
MUTANTS: list[Mutant] = []


def breaks(*numbers: int, fake: type[FakeNetwork] = Market, plugin: type[Plugin] = MarketPlugin) -> Callable[[K], K]:
    """Register a connector that these checks must catch."""

    def register(kind: K) -> K:
        MUTANTS.extend(Mutant(number=number, connector=kind, fake=fake, plugin=plugin()) for number in numbers)
        return kind

    return register


def mutants() -> list[Mutant]:
    """All of them."""
    for module in MODULES:
        import_module(f"smhub.testing.mutants.{module}")
    return MUTANTS
