"""Loads plugins and holds what they handed over. A plugin that fails is kept with its reason and stops nobody else."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

import msgspec
import pluggy
import structlog
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from smhub import __version__
from smhub.sdk import (
    HOOKS,
    Connector,
    EventType,
    Interceptor,
    Job,
    Metric,
    OAuth2,
    Permission,
    Plugin,
    PluginContext,
    Subscriber,
    secret_fields,
    settings_schema,
)

GROUP = "smhub.plugins.v1"
BUNDLED = frozenset(
    {
        "smhub-bluesky",
        "smhub-feeds",
        "smhub-mail",
        "smhub-mastodon",
        "smhub-matrix",
        "smhub-monitoring",
        "smhub-simulator",
        "smhub-telegram",
        "smhub-webhook",
    }
)
State = Literal["discovered", "disabled", "incompatible", "load_failed", "loaded", "quarantined"]
log = structlog.get_logger("smhub.plugins")


class PluginRecord(msgspec.Struct, kw_only=True):
    """One plugin that was found, what became of it, and why."""

    id: str
    state: State = "discovered"
    reason: str | None = None
    distribution: str | None = None
    version: str | None = None
    title: str = ""
    stage: int = 0
    bundled: bool = False
    requires: tuple[str, ...] = ()
    plugin: Plugin | None = None


class PluginsFailed(Exception):
    """Raised at the start with SMHUB_STRICT_PLUGINS when a plugin did not load."""


class Found(msgspec.Struct, frozen=True):
    """A plugin that could be imported."""

    id: str
    load: Callable[[], Any]
    distribution: str | None = None
    version: str | None = None


class _Manager(pluggy.PluginManager):
    """pluggy with one rule more: a method overridden from Plugin is the hook, and a hook is never asynchronous."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        function = getattr(type(plugin), name, None)
        if name not in HOOKS or function is getattr(Plugin, name):
            return None
        if inspect.iscoroutinefunction(function):
            raise pluggy.PluginValidationError(plugin, f"{name} is async; hooks describe, the objects they hand over act")
        return {
            "wrapper": False,
            "hookwrapper": False,
            "optionalhook": False,
            "tryfirst": False,
            "trylast": False,
            "specname": None,
        }

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> Any:
        return {"firstresult": False, "historic": False, "warn_on_impl": None, "warn_on_impl_args": None} if name in HOOKS else None


class Hub:
    """The loaded plugins and their objects. Read-only after `load`."""

    def __init__(self) -> None:
        self.records: dict[str, PluginRecord] = {}
        self.connectors: dict[str, type[Connector[Any]]] = {}
        self.connector_plugin: dict[str, str] = {}
        self.permissions: list[Permission] = []
        self.events: dict[str, EventType] = {}
        self.subscribers: list[tuple[str, Subscriber]] = []
        self.interceptors: list[tuple[str, Interceptor]] = []
        self.jobs: dict[str, Job] = {}
        self.on_guilty: dict[str, Callable[..., Awaitable[None]]] = {}
        self.models: list[type[Any]] = []
        self.migrations: list[tuple[str, Path]] = []
        self.routes: list[tuple[str, Any]] = []
        self.query_fields: list[tuple[str, Any]] = []
        self.metrics: list[tuple[str, Metric]] = []
        self.commands: list[tuple[str, Any]] = []
        self.settings: dict[str, type[msgspec.Struct]] = {}
        self._manager = _Manager("smhub")
        self._manager.add_hookspecs(Plugin)

    def loaded(self) -> Iterable[PluginRecord]:
        """The plugins that take part."""
        return (record for record in self.records.values() if record.state == "loaded")

    def asked(self, point: str) -> list[tuple[str, Interceptor]]:
        """The interceptors of a point, in the order in which they are asked."""
        found = [(plugin, one) for plugin, one in self.interceptors if one.point == point]
        return sorted(found, key=lambda pair: (pair[1].priority, pair[0], pair[1].name))

    def stage_of(self, plugin_id: str) -> int:
        """The stage that a plugin belongs to, 0 for the core and for connectors."""
        record = self.records.get(plugin_id)
        return record.stage if record else 0

    def add_core_jobs(self, jobs: Sequence[Job]) -> None:
        """The core's own work goes through the same registry."""
        for job in jobs:
            self.jobs[job.name] = job

    def add(self, found: Found, *, enabled: bool, bundled: bool = False) -> PluginRecord:
        """Take one plugin up. Never raises: what went wrong stands in the record."""
        record = PluginRecord(id=found.id, distribution=found.distribution, version=found.version, bundled=bundled)
        if found.id in self.records:
            record.state, record.reason = "load_failed", f"another plugin is called {found.id!r} already"
            self.records[f"{found.id}@{found.distribution}"] = record
            return record
        self.records[found.id] = record
        if not enabled:
            record.state, record.reason = "disabled", f"add {found.id} to SMHUB_PLUGINS to switch it on"
            return record
        try:
            self._take_up(found, record)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            record.state = "load_failed"
            record.reason = f"{type(error).__name__}: {error}"
            record.plugin = None
            log.warning("plugin_load_failed", plugin=found.id, reason=record.reason)
        return record

    def _take_up(self, found: Found, record: PluginRecord) -> None:
        made = found.load()
        plugin = made() if isinstance(made, type) else made
        if not isinstance(plugin, Plugin):
            raise TypeError(f"{made!r} is not a smhub.sdk.Plugin")
        if plugin.id != found.id:
            raise ValueError(f"the entry point is called {found.id!r}, the plugin {plugin.id!r}; both must be the same")
        record.title, record.stage, record.requires = plugin.title or plugin.id, plugin.stage, plugin.requires
        record.version = record.version or plugin.version
        try:
            fits = Version(__version__) in SpecifierSet(plugin.needs)
        except InvalidSpecifier as error:
            raise ValueError(f"needs = {plugin.needs!r} is not a version range") from error
        if not fits:
            record.state, record.reason = "incompatible", f"it needs smhub {plugin.needs}, this is {__version__}"
            return
        missing = [one for one in plugin.requires if one not in self.records or self.records[one].state != "loaded"]
        if missing:
            raise LookupError(f"it requires {', '.join(missing)}, which did not load")
        self._manager.register(plugin, name=plugin.id)
        self._collect(plugin)
        record.plugin, record.state = plugin, "loaded"

    def _collect(self, plugin: Plugin) -> None:
        """Ask every hook first and keep the answers only when all are good, so that nothing of a failing plugin stays."""
        context = PluginContext(smhub_version=__version__)
        answers = {name: _shaped(name, getattr(plugin, name)(context)) for name in HOOKS}
        _checked(plugin, answers, self)
        named = answers["register_migrations"]
        migrations = [(plugin.id, _folder_of(named))] if named else []
        for connector in answers["register_connectors"]:
            self.connectors[connector.network] = connector
            self.connector_plugin[connector.network] = plugin.id
        self.permissions += answers["register_permissions"]
        self.events |= {event.name: event for event in answers["register_events"]}
        self.jobs |= {job.name: job for job in answers["register_jobs"]}
        self.models += answers["register_models"]
        for kind in ("subscribers", "interceptors", "routes", "query_fields", "metrics", "commands"):
            getattr(self, kind).extend((plugin.id, one) for one in answers[f"register_{kind}"])
        self.migrations += migrations
        if answers["register_settings"]:
            self.settings[plugin.id] = answers["register_settings"]


LISTED: dict[str, type] = {
    "register_permissions": Permission,
    "register_events": EventType,
    "register_subscribers": Subscriber,
    "register_interceptors": Interceptor,
    "register_jobs": Job,
    "register_metrics": Metric,
}
NAMED = {"register_settings": "a msgspec.Struct class", "register_migrations": "the name of a package"}


def _shaped(hook: str, answer: Any) -> Any:
    """What a hook answered, when it has the form that the contract says."""
    if hook in NAMED:
        right = answer is None or (isinstance(answer, str) if hook == "register_migrations" else _is_struct(answer))
        if not right:
            raise TypeError(f"{hook} must return {NAMED[hook]} or None, it returned {type(answer).__name__}")
        return answer
    if not isinstance(answer, list | tuple):
        raise TypeError(f"{hook} must return a list or a tuple, it returned {type(answer).__name__}")
    for one in answer:
        if hook == "register_connectors" and not (isinstance(one, type) and issubclass(one, Connector)):
            raise TypeError(f"{hook} must return classes derived from Connector, there is {one!r}")
        if hook in LISTED and not isinstance(one, LISTED[hook]):
            raise TypeError(f"{hook} must return objects of {LISTED[hook].__name__}, there is {type(one).__name__}")
    return answer


def _is_struct(made: Any) -> bool:
    return isinstance(made, type) and issubclass(made, msgspec.Struct)


def _check_form(owner: str, made: Any) -> None:
    """Settings that make no form would fail whoever lists the networks."""
    try:
        if not _is_struct(made):
            raise TypeError("it is no msgspec.Struct")
        settings_schema(made)
    except Exception as error:
        raise ValueError(f"{owner} makes no form: {' '.join(str(error).split())[:200]}") from error


def _checked(plugin: Plugin, answers: dict[str, Any], hub: Hub) -> None:
    networks = [getattr(one, "network", None) for one in answers["register_connectors"]]
    if twice := sorted({str(one) for one in networks if networks.count(one) > 1}):
        raise ValueError(f"several of its connectors speak {', '.join(twice)}; a network has one connector")
    for connector in answers["register_connectors"]:
        if inspect.isabstract(connector):
            missing = ", ".join(sorted(connector.__abstractmethods__))
            raise TypeError(f"{connector.__name__} does not implement {missing}")
        if connector.network in hub.connectors:
            raise ValueError(f"the network {connector.network!r} is spoken by {hub.connector_plugin[connector.network]!r} already")
        _check_form(f"{connector.__name__}.Config", getattr(connector, "Config", None))
        _check_auth(connector)
    if answers["register_settings"]:
        _check_form("register_settings", answers["register_settings"])
    prefixes = {"register_permissions": f"{plugin.id}:", "register_events": f"{plugin.id}.", "register_jobs": f"{plugin.id}."}
    for hook, prefix in prefixes.items():
        for one in answers[hook]:
            if not one.name.startswith(prefix):
                raise ValueError(f"{hook}: {one.name!r} must begin with {prefix!r}")
    for field in answers["register_query_fields"]:
        if not str(field.name).startswith(f"{plugin.id}."):
            raise ValueError(f"register_query_fields: {field.name!r} must begin with {plugin.id + '.'!r}")
    for route in answers["register_routes"]:
        if not route.fn.__name__.startswith(f"{plugin.id}_"):
            raise ValueError(f"register_routes: {route.fn.__name__!r} must begin with {plugin.id + '_'!r}")
    for model in answers["register_models"]:
        if not model.__tablename__.startswith(f"{plugin.id}_"):
            raise ValueError(f"the table {model.__tablename__!r} must begin with {plugin.id + '_'!r}")


def _check_auth(connector: type[Connector[Any]]) -> None:
    """The addresses of an authorisation are made of settings that exist and are no secrets."""
    if connector.auth is None:
        return
    if not isinstance(connector.auth, OAuth2):
        raise TypeError(f"{connector.__name__}.auth must be an OAuth2 or None")
    hidden = secret_fields(connector.Config)
    for field in sorted(connector.auth.fields):
        if field in hidden or not hasattr(connector.Config, field):
            raise ValueError(f"{connector.__name__}.auth names {field!r}, which is no setting that may stand in an address")


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"register_migrations names {package!r}, which is not a package")
    return Path(next(iter(spec.submodule_search_locations)))


def load(enabled: str = "", folder: str = "", *, strict: bool = False, only: Sequence[Plugin] | None = None) -> Hub:
    """Find and load plugins. `enabled` is SMHUB_PLUGINS; `only` loads exactly these objects (tests, embedding)."""
    hub = Hub()
    if only is not None:
        for plugin in only:
            hub.add(Found(plugin.id, lambda plugin=plugin: plugin), enabled=True)  # type: ignore[misc]
    else:
        words = {word.strip() for word in enabled.split(",") if word.strip()}
        for found, bundled in discover(folder):
            on = f"-{found.id}" not in words and (bundled or "*" in words or found.id in words)
            hub.add(found, enabled=on, bundled=bundled)
        for newer in _too_new():
            hub.records[newer.name] = PluginRecord(
                id=newer.name, state="incompatible", reason=f"it is made for {newer.group}; this smhub knows {GROUP}"
            )
        unknown = {word.removeprefix("-") for word in words if word != "*"} - hub.records.keys()
        for name in sorted(unknown):
            hub.records[name] = PluginRecord(id=name, state="load_failed", reason="SMHUB_PLUGINS names it, but it is not installed")
    if strict and (bad := [f"{r.id}: {r.reason}" for r in hub.records.values() if r.state in ("load_failed", "incompatible")]):
        raise PluginsFailed("; ".join(bad))
    return hub


def discover(folder: str) -> list[tuple[Found, bool]]:
    """What is installed or lies in the folder, and whether it is bundled. Nothing is imported."""
    found = []
    for entry in entry_points(group=GROUP):
        distribution = entry.dist.name if entry.dist else None
        version = entry.dist.version if entry.dist else None
        found.append((Found(entry.name, entry.load, distribution, version), distribution in BUNDLED))
    if folder:
        for path in sorted(Path(folder).glob("*.py")):
            found.append((Found(path.stem, lambda path=path: _load_file(path), str(path)), False))  # type: ignore[misc]
    return sorted(found, key=lambda pair: (not pair[1], pair[0].id))


def _too_new() -> list[EntryPoint]:
    return [
        entry
        for group in entry_points().groups
        if group.startswith("smhub.plugins.v") and group != GROUP
        for entry in entry_points(group=group)
    ]


def _load_file(path: Path) -> type[Plugin]:
    name = f"smhub_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    plugins = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Plugin) and one is not Plugin]
    if len(plugins) != 1:
        raise ImportError(f"{path} must define exactly one Plugin, it defines {len(plugins)}")
    return plugins[0]
