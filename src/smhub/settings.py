"""The settings: one Struct, read once from flags, environment and smhub.toml (in this order), refused loudly.

An unknown SMHUB_* variable or an unknown name in the file is an error, never ignored. Each variable also exists as
`<NAME>_FILE`, whose file holds the value. `smhub config example` prints the documented file made from this Struct.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
from msgspec import Meta

from smhub.secret import Secret, read_settings

PREFIX = "SMHUB_"


class SettingsError(Exception):
    """A setting is wrong. The text names the variable, what is expected and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an operator may set."""

    database_url: Annotated[
        str,
        Meta(
            pattern=r"^(sqlite:///|postgresql://).+",
            description="Where everything is stored: sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/NAME.",
        ),
    ] = "sqlite:///./data/smhub.db"
    host: Annotated[str, Meta(min_length=1, description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="The port to listen on.")] = 8000
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$",
            description="The address by which the world reaches the hub, with its prefix, for example "
            "https://hub.example.com/social. Empty: http://HOST:PORT.",
        ),
    ] = ""
    secret_keys: Annotated[
        Secret | None,
        Meta(
            description="The keys for secrets at rest, newest first: ID:KEY,ID:KEY with KEY as 64 hex digits "
            "(`smhub key secret` makes one). With SQLite, left out: one is made in the data folder."
        ),
    ] = None
    bootstrap_key: Annotated[
        Secret | None,
        Meta(description="The first admin key (`smhub key new` makes one). Left out: made at the first start and shown once."),
    ] = None
    plugins: Annotated[
        str,
        Meta(
            description="Third-party plugins to switch on, by name with commas; * for all that are installed; "
            "-NAME switches a bundled one off."
        ),
    ] = ""
    plugin_folder: Annotated[str, Meta(description="A folder with single-file plugins; empty: none.")] = ""
    strict_plugins: Annotated[bool, Meta(description="A plugin that does not load stops the start.")] = False
    event_sink: Annotated[
        str,
        Meta(pattern=r"^$", description="Reserved for a broker that receives the events; must be empty in this version."),
    ] = ""
    allow_private_hosts: Annotated[
        str,
        Meta(
            description="Private addresses that connectors may reach nevertheless: HOST:PORT or CIDR:PORT, with commas; "
            "for example 127.0.0.1:3000,10.1.0.0/16:443. Empty: none."
        ),
    ] = ""
    log: Annotated[
        str,
        Meta(pattern="^(debug|info|warning|error)$", description="How much is logged: debug, info, warning or error."),
    ] = "info"
    log_format: Annotated[
        str,
        Meta(pattern="^(auto|json|console)$", description="auto (console at a terminal, else json), json or console."),
    ] = "auto"
    requests_per_minute: Annotated[
        int, Meta(ge=1, le=10_000_000, description="API requests that one key may send a minute, for each API process.")
    ] = 6000
    worker_slots: Annotated[
        int, Meta(ge=1, le=200, description="Jobs that one worker runs at the same time; a quarter is kept for what is said.")
    ] = 64
    worker_streams: Annotated[
        int, Meta(ge=0, le=1000, description="Streams of networks that one worker listens to at the same time, beside its jobs.")
    ] = 200
    stream_poll_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="How often an intake is polled all the same while its stream is open.")
    ] = 300
    poll_seconds: Annotated[
        int,
        Meta(ge=1, le=86_400, description="How often an intake is polled when its channel or listener says nothing else."),
    ] = 60

    worker_memory_mb: Annotated[
        int, Meta(ge=256, le=1_048_576, description="Memory in MiB that a worker may need; with more it is ended and started again.")
    ] = 1024
    stuck_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=300,
            description="Seconds that a plugin may hold up its worker, or go on after it was told to end, before the worker is ended and "
            "started again; a worker that gives no sign at all gets twice as long.",
        ),
    ] = 5.0
    drain_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds that running jobs get to end when a worker is to stop.")
    ] = 30.0
    page_seconds: Annotated[float, Meta(ge=1, le=3600, description="Seconds that a network has to bring one page.")] = 60.0
    webhook_backlog: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Deliveries of one channel that may wait to be taken in; more are answered with 503 and Retry-After.",
        ),
    ] = 10_000
    webhook_overlap_hours: Annotated[
        int, Meta(ge=0, le=720, description="Hours in which a channel's old webhook address, or old signing secret, still holds.")
    ] = 24
    webhook_poll_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="How often a channel is polled all the same while its network delivers by webhook.")
    ] = 900
    media_max_mb: Annotated[
        int,
        Meta(ge=1, le=1024, description="Size in MiB that an uploaded file may have. It is held in memory while it is taken and sent."),
    ] = 40
    allow_http_webhooks: Annotated[
        bool, Meta(description="Networks may be told to deliver to a public address without https; only for a network of one's own.")
    ] = False

    @property
    def sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_path(self) -> Path:
        """The database's file; only with SQLite."""
        return Path(self.database_url.removeprefix("sqlite:///"))

    @property
    def data_folder(self) -> Path:
        return self.sqlite_path.parent if self.sqlite else Path("data")

    @property
    def base_url(self) -> str:
        """The public address without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


NAMES: dict[str, msgspec.structs.FieldInfo] = {PREFIX + field.name.upper(): field for field in msgspec.structs.fields(Settings)}


def read(environment: Mapping[str, str], file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings, with flags over environment over file over default.

    Raises SettingsError with the name of the wrong variable, what is expected, and where it was set.
    """
    raw: dict[str, tuple[str, Any]] = {}
    path = file or Path(environment.get("SMHUB_CONFIG", "smhub.toml"))
    if file is not None or "SMHUB_CONFIG" in environment or path.exists():
        raw |= _from_file(path)
    raw |= _from_environment(environment)
    raw |= {name: (f"--{name.replace('_', '-')}", value) for name, value in (flags or {}).items() if value is not None}
    values = {name: _convert(name, where, value) for name, (where, value) in raw.items()}
    return msgspec.structs.replace(Settings(), **values)


def _from_file(path: Path) -> dict[str, tuple[str, Any]]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error}") from error
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}") from error
    known = {info.name for info in NAMES.values()}
    for name in found:
        if name not in known:
            raise SettingsError(f"{path}: unknown setting {name!r}.{_guess(name, sorted(known))}")
    return {name: (f"{name} in {path}", value) for name, value in found.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name == "SMHUB_CONFIG":
            continue
        plain = name.removesuffix("_FILE") if name.endswith("_FILE") and name not in NAMES else name
        if plain not in NAMES:
            raise SettingsError(f"Unknown variable {name}.{_guess(name, sorted(NAMES))}")
        if plain != name:
            if plain in environment:
                raise SettingsError(f"Set either {plain} or {name}, not both.")
            try:
                found[NAMES[plain].name] = (name, Path(value).read_text("utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{name}: the file {value} cannot be read: {error}") from error
        else:
            found[NAMES[plain].name] = (name, value)
    return found


def _convert(name: str, where: str, value: Any) -> Any:
    annotation = get_type_hints(Settings, include_extras=True)[name]
    one = msgspec.defstruct("One", [("value", annotation)])
    try:
        return read_settings(one, {"value": value}, strict=False).value  # type: ignore[attr-defined]
    except msgspec.ValidationError as error:
        reason = str(error).split(" - at")[0]
        raise SettingsError(f"{where} is not valid: {reason}. Expected: {description(name)}") from error


def description(name: str) -> str:
    """What a setting is for, as in the example file."""
    metas = [a for a in get_args(get_type_hints(Settings, include_extras=True)[name]) if isinstance(a, Meta)]
    return next((meta.description for meta in metas if meta.description), "")


def _guess(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" Did you mean {near[0]}?" if near else f" Known are: {', '.join(known)}."


def example() -> str:
    """The documented settings file, every value at its default and commented out."""
    lines = ["# smhub.toml: every setting with its default. The variable SMHUB_<NAME> overrides a line here.", ""]
    for variable, info in NAMES.items():
        default = info.default if isinstance(info.default, str | int | bool) else ""
        shown = str(default).lower() if isinstance(default, bool) else default if isinstance(default, int) else f'"{default}"'
        lines += [f"# {description(info.name)} ({variable})", f"# {info.name} = {shown}", ""]
    return "\n".join(lines)
