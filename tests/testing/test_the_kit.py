"""The conformance kit itself: its reference passes, and each check catches the connectors that were broken for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smhub.testing import LEVELS, check_connector
from smhub.testing.finding import find
from smhub.testing.mutants.market import Market, OAuthMarket, Telegraph
from smhub.testing.mutants.recorded.connector import Recorded
from smhub.testing.mutants.reference import REFERENCES, ByOAuth, ByWebSocket, MarketPlugin, Reference
from smhub.testing.mutants.registry import Mutant, mutants
from smhub.testing.registry import GROUPS, Checks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/connectors/conformance.md"
CHAOS = {8: 0.0, 75: 20_000.0}
"""The checks that are run when they are asked for, and for how long."""

CONNECTOR = """

from datetime import datetime
from typing import Annotated
import msgspec
from smhub.sdk import *

class Config(msgspec.Struct, forbid_unknown_fields=True):
    base_url: Annotated[str, msgspec.Meta(title="Address")]
    token: Annotated[Secret, msgspec.Meta(title="Token")]

class Cursor(msgspec.Struct):
    after: int = 0

class Row(msgspec.Struct):
    id: str
    text: str
    at: datetime

class Me(msgspec.Struct):
    id: str
    name: str

class Shop(Connector[Config], FetchesMentions):
    network, Config, Cursor = "shop", Config, Cursor

    @classmethod
    def headers(cls, config):
        return {"Authorization": f"Bearer {config.token.reveal()}"}

    async def verify(self):
        me = await self.http.get("/me", Me)
        return Account(external_id=me.id, handle=me.name)

    async def fetch_mentions(self, cursor):
        at = cursor.after if cursor else 0
        while rows := await self.http.items("/mentions", Row, params={"after": at}):
            at += len(rows)
            found = [one if isinstance(one, BadItem) else self.mention(one) for one in rows]
            yield Page(items=[one for one in found if self.wanted(one)], cursor=Cursor(at))

    def mention(self, row):
        return Mention(external_id=row.id, author=None, published_at=row.at, text=row.text)

    def wanted(self, one):
        since, until = self.context.since, self.context.until
        return isinstance(one, BadItem) or (not since or one.published_at >= since) and (not until or one.published_at <= until)

class ShopPlugin(Plugin):
    id = "shop"

    def register_connectors(self, context):
        return [Shop]
"""


@pytest.mark.parametrize("kind", REFERENCES, ids=lambda kind: kind.__name__)
def test_the_reference_passes_everything(kind):
    report = check_connector(kind, Market, plugin=MarketPlugin())
    assert [(one.number, one.came) for one in report.failed] == []
    assert report.level == "gold"
    lacking = {one.number for one in report.results if one.state == "not_applicable"}
    assert lacking <= {12, 13, 14, 48, 52, 53, 74}


def test_a_connector_that_a_person_lets_in_passes_everything():
    report = check_connector(ByOAuth, OAuthMarket, plugin=MarketPlugin())
    assert [(one.number, one.came) for one in report.failed] == []
    assert {report.result(number).state for number in (10, 11, 12, 13, 14, 16)} == {"passed"}
    assert report.level == "gold"


def test_a_recording_in_the_package_is_replayed():
    (result,) = check_connector(Recorded, Market, plugin=MarketPlugin(), only=frozenset({74})).results
    assert result.state == "passed"


def test_less_than_a_day_is_not_platinum():
    numbers = frozenset({8, 75})
    short = check_connector(Reference, Market, plugin=MarketPlugin(), only=numbers, chaos_seconds=1800)
    assert [one.state for one in short.results] == ["passed", "not_run"] and short.level is None
    assert "--chaos 86400" in short.result(75).why and "seed 1" in short.result(75).why


@pytest.mark.soak
def test_a_whole_day_is():
    numbers = frozenset({8, 75})
    whole = check_connector(Reference, Market, plugin=MarketPlugin(), only=numbers, chaos_seconds=86_400, seed=3)
    assert [(one.state, one.came) for one in whole.results] == [("passed", "")] * 2 and whole.level == "platinum"
    assert "seed 3" in whole.result(75).note


def test_the_same_seed_is_the_same_day():
    def day(seed: int) -> str:
        run = check_connector(Reference, Market, plugin=MarketPlugin(), only=frozenset({75}), chaos_seconds=2400, seed=seed)
        return run.result(75).why.partition(": ")[2]

    assert day(5) == day(5) != day(6)


def test_a_stream_by_websocket_is_held_against_the_same_checks_as_one_of_events():
    numbers = frozenset({63, 64, 65, 66, 76, 77})
    report = check_connector(ByWebSocket, Telegraph, plugin=MarketPlugin(), only=numbers)
    assert [(one.number, one.came) for one in report.failed] == []
    assert {one.number for one in report.results if one.state == "passed"} == numbers


@pytest.mark.parametrize("mutant", mutants(), ids=lambda one: f"{one.number}-{one.connector.__name__}")
def test_a_broken_connector_is_caught(mutant: Mutant):
    report = check_connector(
        mutant.connector, mutant.fake, plugin=mutant.plugin, only=frozenset({mutant.number}), chaos_seconds=CHAOS.get(mutant.number)
    )
    (result,) = report.results
    assert result.state == "failed", mutant.connector.__doc__
    assert result.done and result.expected and result.came
    assert report.level is None or LEVELS.index(report.level) < LEVELS.index(result.level)


def test_every_check_has_a_broken_connector():
    assert {one.group for one in Checks.sorted()} == set(GROUPS)
    assert {one.number for one in Checks.sorted()} - {one.number for one in mutants()} == set()
    assert all(one.connector.__doc__ for one in mutants())


def test_the_docs_hold_every_check_and_say_which_are_missing():
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    told = {int(number): (level, title) for number, level, title in rows}
    assert len(rows) == len(told)
    assert {number: told[number] for number in Checks.all} == {one.number: (one.level, one.title) for one in Checks.sorted()}
    assert set(told) == set(range(1, 78))
    assert all(f"## {group}\n" in DOCS.read_text("utf-8") for group in GROUPS)


def test_the_fake_in_the_docs_is_one(tmp_path: Path):
    code = DOCS.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    (tmp_path / "shop.py").write_text(code + CONNECTOR)
    (found,) = find(str(tmp_path / "shop.py"))
    report = check_connector(found.connector, found.fake, plugin=found.plugin)
    assert [(one.number, one.came) for one in report.failed] == []
    assert report.level == "gold"
