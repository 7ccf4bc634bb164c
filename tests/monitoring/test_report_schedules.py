"""Reports that people get regularly: once for each period, on time by the wall, and when not, one sees why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from hearing import monitoring, said
from smhub.work.queue import later
from smhub_monitoring.reports.models import ReportSchedule
from smhub_monitoring.reports.periods import following, latest, told_of
from smhub_monitoring.reports.scheduling import LOOK
from telling import service
from world import Hub

SCHEDULES, TARGETS = "/v1/monitoring/report-schedules", "/v1/monitoring/targets"
BERLIN = ZoneInfo("Europe/Berlin")
FIGURES = {"kind": "figures", "metrics": ["mentions", "net_sentiment"]}


@asynccontextmanager
async def told(url: str, status: int = 200) -> AsyncIterator[tuple[Hub, list[dict[str, Any]], str]]:
    """A hub, what the service was told, and the target that leads to it."""
    async with service(status) as (port, got), monitoring(url, allow_private_hosts=f"127.0.0.1:{port}") as hub:
        target = await hub.post(TARGETS, {"name": "Chef", "address": f"json://127.0.0.1:{port}/", "language": "de"})
        yield hub, got, target["id"]


async def test_a_week_is_told_once_at_its_hour_with_its_figures(database_url: str) -> None:
    async with told(database_url) as (hub, got, target):
        hub.echo.says(*(said(hub, f"x {n}") for n in range(3)))
        made = await hub.post(SCHEDULES, {"name": "Woche", "what": FIGURES, "target_ids": [target], "weekday": 0, "hour": 7})
        assert made["next_at"] == "2026-11-09T06:00:00Z"
        await hub.work(days=6, hours=20)
        assert got == []
        await hub.work(hours=8)
        await hub.work(minutes=2)
        [notice] = got
        assert notice["title"] == "Bericht: Woche" and "Zeitraum: 02.11.2026 bis 08.11.2026" in notice["message"]
        assert "Erwähnungen: 3 (n = 3), davor nicht messbar" in notice["message"] and "Stimmungssaldo: –" in notice["message"]
        [file] = notice["attachments"]
        assert file["filename"].endswith(".csv") and file["mimetype"] == "text/csv"
        [run] = (await hub.get(f"{SCHEDULES}/{made['id']}/runs"))["items"]
        assert (run["state"], run["attempts"], run["begins_at"]) == ("made", 1, "2026-11-01T23:00:00Z")
        assert (await hub.get(f"{SCHEDULES}/{made['id']}"))["next_at"] == "2026-11-16T06:00:00Z"


async def test_looking_twice_at_once_tells_once(database_url: str) -> None:
    async with told(database_url) as (hub, got, target):
        made = await hub.post(SCHEDULES, {"name": "W", "what": FIGURES, "target_ids": [target], "hour": 7})
        hub.clock.forward(days=8)
        async with hub.database.write() as session:
            for _ in range(3):
                await later(session, LOOK, None, now=hub.clock.now())
        await hub.work()
        # As if a worker had died after it had begun the runs and before the schedule went on.
        async with hub.database.write() as session:
            await session.execute(update(ReportSchedule).values(next_at=datetime.fromisoformat(made["next_at"])))
        await hub.work(minutes=2)
        assert len(got) == 1 and len((await hub.get(f"{SCHEDULES}/{made['id']}/runs"))["items"]) == 1


async def test_the_page_on_stage_1_goes_along_as_a_file(database_url: str) -> None:
    async with told(database_url) as (hub, got, target):
        body = {"name": "Monat", "what": {"kind": "stage_one"}, "target_ids": [target], "every": "month", "day": 1, "hour": 8}
        assert (await hub.post(SCHEDULES, body))["next_at"] == "2026-12-01T07:00:00Z"
        await hub.work(days=30)
        await hub.work(minutes=2)
        [notice] = got
        [file] = notice["attachments"]
        assert file["mimetype"] == "application/pdf" and "Zeitraum: 01.11.2026 bis 30.11.2026" in notice["message"]


async def test_what_could_not_be_told_is_tried_again_and_then_shown(database_url: str) -> None:
    async with told(database_url, status=500) as (hub, got, target):
        made = await hub.post(SCHEDULES, {"name": "W", "what": FIGURES, "target_ids": [target], "hour": 7})
        await hub.work(days=8)
        [run] = (await hub.get(f"{SCHEDULES}/{made['id']}/runs"))["items"]
        assert run["state"] == "waiting" and run["reason"]
        for _ in range(8):
            await hub.work(hours=1)
        [run] = (await hub.get(f"{SCHEDULES}/{made['id']}/runs"))["items"]
        assert (run["state"], run["attempts"], len(got)) == ("failed", 6, 6) and "did not take it" in run["reason"]


async def test_a_schedule_that_makes_no_sense_is_refused_and_its_target_is_kept(database_url: str) -> None:
    async with told(database_url) as (hub, _, target):
        good = {"name": "W", "what": FIGURES, "target_ids": [target]}
        for wrong in (
            {"every": "month", "weekday": 2},
            {"every": "week", "day": 3},
            {"day": 31, "every": "month"},
            {"hour": 24},
            {"target_ids": []},
            {"what": {"kind": "figures", "metrics": ["nonsense"]}},
            {"what": {"kind": "poem"}},
            {"target_ids": ["0192a0b0-0000-7000-8000-000000000000"]},
        ):
            assert (await hub.admin.post(SCHEDULES, json={**good, **wrong})).status_code in (400, 404), wrong
        made = await hub.post(SCHEDULES, good)
        assert (await hub.admin.delete(f"{TARGETS}/{target}")).status_code == 409
        off = await hub.ok("PATCH", f"{SCHEDULES}/{made['id']}", json={"enabled": False})
        assert off["next_at"] is None
        await hub.ok("DELETE", f"{SCHEDULES}/{made['id']}")
        await hub.ok("DELETE", f"{TARGETS}/{target}")


@pytest.mark.parametrize(
    ("row", "after", "due", "begins", "ends"),
    [
        (("week", 0, None, 7), "2026-10-20T00:00", "2026-10-26T06:00", "2026-10-18T22:00", "2026-10-25T23:00"),
        (("week", 6, None, 2), "2026-03-23T00:00", "2026-03-29T01:00", "2026-03-21T23:00", "2026-03-28T23:00"),
        (("month", None, 1, 0), "2026-12-31T23:00", "2027-01-31T23:00", "2026-12-31T23:00", "2027-01-31T23:00"),
        (("month", None, 28, 9), "2026-02-28T08:00", "2026-03-28T08:00", "2026-02-27T23:00", "2026-03-27T23:00"),
    ],
)
def test_periods_are_whole_on_the_wall(row: Any, after: str, due: str, begins: str, ends: str) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    rhythm = SimpleNamespace(every=row[0], weekday=row[1], day=row[2], hour=row[3])
    assert following(rhythm, at(after), BERLIN) == at(due)
    period = told_of(rhythm, at(due), BERLIN)
    assert (period.begins, period.ends) == (at(begins), at(ends))
    assert latest(rhythm, at(due), at(due), BERLIN) == at(due)
