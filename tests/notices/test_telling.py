"""People are told by the service they named; the process that does it goes nowhere else."""

from __future__ import annotations

import pytest

from smhub.net import notifying
from smhub.net.notifier import File
from smhub.secret import Secret
from smhub.settings import Settings
from telling import service
from world import KEYS


def settings(allowed: str = "") -> Settings:
    return Settings(database_url="sqlite:///unused.db", secret_keys=KEYS, allow_private_hosts=allowed)


async def told(address: str, allowed: str = "", **more: object) -> str:
    return (await notifying.tell(settings(allowed), Secret(address), title="Sturm", body="Viele Fragen", **more)).code  # type: ignore[arg-type]


async def test_a_service_is_told_what_happened_with_a_file() -> None:
    async with service() as (port, got):
        file = File(name="bericht.pdf", content=b"%PDF-1.7")
        assert await told(f"json://127.0.0.1:{port}/hook", f"127.0.0.1:{port}", files=[file]) == "told"
    [said] = got
    assert (said["title"], said["message"]) == ("Sturm", "Viele Fragen")
    assert [one["filename"] for one in said["attachments"]] == ["bericht.pdf"]


async def test_a_host_may_be_allowed_by_its_name() -> None:
    async with service() as (port, got):
        assert await told(f"json://localhost:{port}/", f"localhost:{port}") == "told"
    assert len(got) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_nobody_is_told_at_a_private_address(host: str) -> None:
    async with service() as (port, got):
        assert await told(f"json://{host}:{port}/") in ("private", "unknown", "refused")
    assert got == []


async def test_a_service_that_refuses_is_said_so() -> None:
    async with service(status=403) as (port, got):
        assert await told(f"json://127.0.0.1:{port}/", f"127.0.0.1:{port}") == "refused"
    assert len(got) == 1


@pytest.mark.parametrize("address", ["nothing", "odd://x", "syslog://", ""])
async def test_what_is_no_service_or_shows_it_on_this_machine_is_unknown(address: str) -> None:
    assert await told(address) == "unknown"


async def test_who_does_not_answer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "SECONDS", 2.5)
    async with service(wait=30) as (port, _):
        assert await told(f"json://127.0.0.1:{port}/", f"127.0.0.1:{port}") == "late"


async def test_the_reason_holds_no_address() -> None:
    outcome = await notifying.tell(settings(), Secret("json://user:geheim@127.0.0.1:9/"), title="T", body="B")
    assert outcome.reason and "geheim" not in outcome.reason
