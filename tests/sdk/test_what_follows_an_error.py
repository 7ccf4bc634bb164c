"""docs/connectors/errors.md says how the hub reacts to each error: every line of its table is tried here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import world
from echo import mention
from smhub import sdk
from smhub.sdk import ConnectorError

DOCS = Path(__file__).parents[2] / "docs/connectors/errors.md"
GIVEN: dict[str, dict[str, Any]] = {
    "RateLimited": {"retry_after": 30.0},
    "PermissionMissing": {"scopes": ("read",)},
    "ConfigInvalid": {"field": "account"},
    "ContentRejected": {"violations": ("too long",)},
    "Duplicate": {"external_id": "7"},
}
ERRORS = sorted(name for name in sdk.__all__ if isinstance(kind := getattr(sdk, name), type) and issubclass(kind, ConnectorError))
OTHERS = {"ZeroDivisionError": ZeroDivisionError}


def _error(name: str) -> BaseException:
    kind = OTHERS.get(name) or getattr(sdk, name)
    return kind("No.", **GIVEN.get(name, {}))  # type: ignore[no-any-return]


async def _reading(hub: world.Hub, name: str) -> str:
    """The intake's state after each of several failures, each state once."""
    channel = await hub.connect()
    await hub.work(minutes=2)
    states: list[str] = []
    for _ in range(5 if name in OTHERS else 3):
        hub.echo.error = _error(name)
        await hub.work(minutes=20)
        intake = next(one for one in (await hub.get("/v1/intakes"))["items"] if one["channel_id"] == channel["id"])
        states += [intake["state"]] if intake["state"] not in states else []
    hub.echo.error = None
    await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    await hub.work()
    return " → ".join(f"`{one}`" for one in states)


async def _saying(hub: world.Hub, name: str) -> str:
    """The delivery's state when the first try is over."""
    channel = await hub.connect()
    await hub.work()
    hub.echo.say_error = _error(name)
    made = await hub.post(f"/v1/channels/{channel['id']}/posts", {"text": f"Post for {name}"})
    await hub.work(seconds=1)
    state = (await hub.get(f"/v1/deliveries/{made['id']}"))["state"]
    hub.echo.say_error = None
    await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    await hub.work()
    return f"`{state}`"


async def test_every_line_of_the_table_is_what_happens(hub: world.Hub) -> None:
    table = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| `")]
    hub.echo.says(mention("1"))
    lines = []
    for name in [*ERRORS, *OTHERS]:
        kind = getattr(getattr(sdk, name, None), "kind", "connector_bug")
        shown = "anything else" if name in OTHERS else name
        lines.append(f"| `{shown}` | `{kind}` | {await _reading(hub, name)} | {await _saying(hub, name)} |")
    assert [line[: line.rindex(" |", 0, -2) + 2] for line in table] == lines, "\n".join(lines)
