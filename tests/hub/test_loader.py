"""A plugin that cannot be loaded is kept with its reason and stops nobody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from echo import Echo, EchoPlugin
from smhub.hub.loader import Found, Hub, PluginsFailed, load
from smhub.sdk import Connector, FetchesMentions, Permission, Plugin, PluginContext


def taken_up(*plugins: Any) -> Hub:
    hub = Hub()
    for id_, made in plugins:
        hub.add(Found(id_, made), enabled=True)
    return hub


class Broken(Plugin):
    id = "broken"

    def register_permissions(self, context: PluginContext) -> list[Permission]:
        raise ZeroDivisionError("oh")


class TooNew(Plugin):
    id, needs = "toonew", ">=99"


class Needy(Plugin):
    id, requires = "needy", ("nobody",)


class Greedy(Plugin):
    id = "greedy"

    def register_permissions(self, context: PluginContext) -> list[Permission]:
        return [Permission(name="mentions:everything", title="All")]


class Async(Plugin):
    id = "async"

    async def register_jobs(self, context: PluginContext) -> list[Any]:  # type: ignore[override]
        return []


class SecondEcho(EchoPlugin):
    id = "echo2"


class Misshapen(Plugin):
    id = "misshapen"

    def register_permissions(self, context: PluginContext) -> Any:
        return Permission(name="misshapen:read", title="One, and no list")


class Foreign(Plugin):
    id = "foreign"

    def register_connectors(self, context: PluginContext) -> Any:
        return [EchoPlugin]


class Formless(Plugin):
    id = "formless"

    def register_connectors(self, context: PluginContext) -> Any:
        class Config(msgspec.Struct):
            at: ZeroDivisionError

        return [type("Bad", (Echo,), {"network": "formless", "Config": Config})]


class Unfinished(Plugin):
    id = "unfinished"

    def register_connectors(self, context: PluginContext) -> Any:
        class Half(Connector[Any], FetchesMentions):
            network = "unfinished"

        return [Half]


class Doubled(Plugin):
    id = "doubled"

    def register_connectors(self, context: PluginContext) -> Any:
        return [type(name, (Echo,), {"network": "doubled"}) for name in ("One", "Other")]


class Homeless(EchoPlugin):
    id = "homeless"

    def register_connectors(self, context: PluginContext) -> Any:
        return [type("Own", (Echo,), {"network": "homeless"})]

    def register_permissions(self, context: PluginContext) -> list[Permission]:
        return []

    def register_migrations(self, context: PluginContext) -> str:
        return "nowhere_at_all"


def does_not_import() -> Any:
    import nothing_of_that_name  # noqa: F401


def leaves() -> Any:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("id_", "made", "state", "reason"),
    [
        ("broken", Broken, "load_failed", "ZeroDivisionError: oh"),
        ("toonew", TooNew, "incompatible", ">=99"),
        ("needy", Needy, "load_failed", "it requires nobody"),
        ("greedy", Greedy, "load_failed", "must begin with 'greedy:'"),
        ("async", Async, "load_failed", "hooks describe"),
        ("echo2", SecondEcho, "load_failed", "is spoken by 'echo' already"),
        ("torn", lambda: does_not_import(), "load_failed", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("misshapen", Misshapen, "load_failed", "register_permissions must return a list or a tuple, it returned Permission"),
        ("foreign", Foreign, "load_failed", "register_connectors must return classes derived from Connector"),
        ("formless", Formless, "load_failed", "Bad.Config makes no form"),
        ("unfinished", Unfinished, "load_failed", "Half does not implement fetch_mentions, verify"),
        ("doubled", Doubled, "load_failed", "several of its connectors speak doubled"),
        ("homeless", Homeless, "load_failed", "register_migrations names 'nowhere_at_all', which is not a package"),
        ("leaves", lambda: leaves(), "load_failed", "SystemExit"),
        ("other", Broken, "load_failed", "both must be the same"),
    ],
)
def test_a_bad_plugin_is_reported_and_the_good_one_works(id_: str, made: Callable[[], Any], state: str, reason: str) -> None:
    load_it = (lambda: made) if isinstance(made, type) else made
    hub = taken_up(("echo", lambda: EchoPlugin), (id_, load_it))
    assert hub.records["echo"].state == "loaded"
    assert hub.records[id_].state == state
    assert reason in (hub.records[id_].reason or "")
    good = EchoPlugin().register_connectors(PluginContext(smhub_version="0"))
    assert list(hub.connectors) == [one.network for one in good]
    assert hub.records[id_].plugin is None and id_ not in hub.connector_plugin.values()


def test_bundled_plugins_are_on_and_one_can_be_switched_off() -> None:
    hub = load("-feeds")
    assert hub.records["simulator"].state == "loaded"
    assert hub.records["feeds"].state == "disabled"
    assert "feeds" not in hub.connectors


def test_a_single_file_is_found_and_off_until_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from smhub.sdk import Plugin\nclass Mine(Plugin):\n    id = 'mine'\n")
    (tmp_path / "torn.py").write_text("def (:\n")
    assert load(folder=str(tmp_path)).records["mine"].state == "disabled"
    hub = load("mine,torn", str(tmp_path))
    assert (hub.records["mine"].state, hub.records["torn"].state) == ("loaded", "load_failed")


def test_a_name_that_is_not_installed_is_told() -> None:
    assert "not installed" in (load("nobody").records["nobody"].reason or "")


def test_strict_makes_a_failure_fatal() -> None:
    with pytest.raises(PluginsFailed, match="nobody"):
        load("nobody", strict=True)
