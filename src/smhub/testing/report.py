"""What came of a run: for people, and as conformance.json."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from smhub import __version__
from smhub.time import wire

Level = Literal["bronze", "silver", "gold", "platinum"]
LEVELS: tuple[Level, ...] = ("bronze", "silver", "gold", "platinum")
State = Literal["passed", "failed", "not_applicable", "not_run"]
MARKS = {"passed": "ok  ", "failed": "FAIL", "not_applicable": "-   ", "not_run": "?   "}
DOCS = "docs/connectors/conformance.md"


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check. Of a failed one: what was `done`, what was `expected`, what `came`. `why` a check does not apply, or was not run: what it
    asks for was not there, and the connector has yet to show it. `note`: what else is to be known of it."""

    number: int
    level: Level
    title: str
    state: State
    group: str
    done: str = ""
    expected: str = ""
    came: str = ""
    why: str = ""
    note: str = ""
    seconds: float = 0.0

    @property
    def section(self) -> str:
        """Where the docs explain it."""
        return f"{DOCS}, {self.group}, {self.number}"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one connector. The level is computed from them."""

    network: str
    connector: str
    results: tuple[Result, ...]
    seconds: float = 0.0

    @property
    def level(self) -> Level | None:
        """The highest level of which something was checked and everything passed, with all levels below it; None: not even bronze. A check
        that was not run stands in the way of its level."""
        reached: Level | None = None
        for level in LEVELS:
            states = {one.state for one in self.results if one.level == level} - {"not_applicable"}
            if states & {"failed", "not_run"}:
                break
            if states:
                reached = level
        return reached

    @property
    def failed(self) -> tuple[Result, ...]:
        """What is to be mended."""
        return tuple(one for one in self.results if one.state == "failed")

    def result(self, number: int) -> Result:
        """What came of one check."""
        return next(one for one in self.results if one.number == number)

    def text(self) -> str:
        """For people."""
        lines = [f"{self.network} ({self.connector})"]
        for one in self.results:
            note = f"  [{one.why or one.note}]" if one.why or one.note else ""
            lines.append(f"{MARKS[one.state]} {one.number:>2} {one.level:<8} {one.title}{note}")
            if one.state == "failed":
                lines += [f"       done:     {one.done}", f"       expected: {one.expected}", f"       came:     {one.came}"]
                lines.append(f"       see:      {one.section}")
        counts = [sum(one.state == state for one in self.results) for state in MARKS]
        not_run = f", {counts[3]} not run" if counts[3] else ""
        lines.append(f"{counts[0]} passed, {counts[1]} failed, {counts[2]} do not apply{not_run}, in {self.seconds:.1f} s")
        lines.append(f"level: {self.level or 'none: a bronze check failed'}")
        return "\n".join(lines)

    def badge(self, now: datetime) -> dict[str, Any]:
        """What stands in conformance.json for this connector."""
        return {
            "network": self.network,
            "connector": self.connector,
            "kit": __version__,
            "level": self.level,
            "at": wire(now),
            "checks": {str(one.number): one.state for one in self.results},
        }
