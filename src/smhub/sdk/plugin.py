"""A plugin: hooks describe, objects act.

Every hook is a plain method, called once when the hub loads, with one frozen context. What is asynchronous lives in the objects that a
hook hands over. An overridden method is the hook, so a type checker sees a misspelt one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from smhub.sdk.connector import Connector
from smhub.time import Clock


class PluginContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook may know. Fields are only ever added."""

    smhub_version: str
    settings: Any = None


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """`<resource>:<action>`, and the system roles that hold it from the start."""

    name: str
    title: str
    roles: tuple[str, ...] = ()


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of fact. `name` is `<subject>.<what_happened>`; `data` is the Struct of its data, documented in the contract."""

    name: str
    data: type[msgspec.Struct]
    description: str


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A Prometheus gauge `smhub_<plugin>_<name>`, read from the database when somebody asks, so that it counts all processes.

    `read(session)` gives (labels, value) pairs; `labels` maps each label to its few allowed values, others are counted as "other".
    """

    name: str
    description: str
    read: Callable[[Any], Awaitable[Sequence[tuple[dict[str, str], float]]]]
    labels: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """`handler(context, event)` runs as a job of its own after the event's transaction, at least once."""

    event: str
    handler: Callable[[Any, Any], Awaitable[None]]
    name: str
    timeout: float = 30.0
    max_attempts: int = 10


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Work for later: `handler(context, payload)`, where payload is decoded into the type `payload`.

    With `every` seconds or a `cron` line (UTC) it also runs by itself, once over all workers. It must bear being run twice. A handler
    that returns a time is called again then, with the same payload; that is no failure.
    """

    name: str
    handler: Callable[[Any, Any], Awaitable[datetime | None]]
    payload: Any = None
    timeout: float = 60.0
    max_attempts: int = 5
    every: float | None = None
    cron: str | None = None


class MentionView(msgspec.Struct, frozen=True, kw_only=True):
    """A mention as an interceptor sees it. `annotations` holds what is said about it so far (key to value)."""

    id: UUID
    organisation_id: UUID
    network: str
    kind: str
    visibility: str
    text: str
    title: str | None
    language: str | None
    url: str | None
    author_handle: str | None
    published_at: datetime
    channel_id: UUID | None
    listener_id: UUID | None
    tags: tuple[str, ...]
    annotations: dict[str, Any]


class DraftView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is to be said, as an interceptor sees it: `kind` is post or reply, `to` the mention that a reply answers.

    `delivery_id` is None while it is only being checked.
    """

    organisation_id: UUID
    channel_id: UUID
    network: str
    kind: str
    text: str
    language: str | None
    visibility: str | None
    sensitive: str | None
    media: int = 0
    to: MentionView | None = None
    department_id: UUID | None = None
    member_id: UUID | None = None
    delivery_id: UUID | None = None
    due_at: datetime | None = None


class DepartmentView(msgspec.Struct, frozen=True, kw_only=True):
    """A department as a router sees it."""

    id: UUID
    path: str
    name: str
    keywords: tuple[str, ...]


class InterceptorContext(msgspec.Struct, frozen=True, kw_only=True):
    """What an interceptor gets beside its subject. `settings` are the plugin's own for this organisation, `prepared` what its own
    `prepare` returned for this page."""

    organisation_id: UUID
    clock: Clock
    departments: tuple[DepartmentView, ...] = ()
    settings: Any = None
    prepared: Any = None


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """Something said about a mention: `mood` = `negative` with a confidence from 0 to 1. `version` is the producer's own."""

    key: str
    value: str | bool | float | None
    confidence: float | None = None
    version: str = "1"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Which department should have it, and why, in words for people."""

    department_id: UUID
    reason: str


POINTS = ("mention.annotate", "mention.route", "draft.check", "delivery.before")


class Interceptor(msgspec.Struct, frozen=True, kw_only=True):
    """A place where a plugin has a say.

    mention.annotate  handler(context, MentionView) -> list[Annotation]; all are asked
    mention.route     handler(context, MentionView) -> Route | None; by priority, the first answer wins
    draft.check       handler(context, DraftView) -> list[Violation]; all are collected, a failing check blocks
    delivery.before   handler(context, DraftView) -> Violation | None; a veto right before it goes out, a failing one blocks

    Lower `priority` is asked first. `on_error`: skip goes on without it, block does not; None is the point's usual way.

    mention.annotate only, for a whole page of mentions, so that nothing is read or written for each one:
    prepare(session, context, mentions)  reads what the handler needs; the handler finds it as `context.prepared`
    keep(session, context, mentions)     writes what the plugin itself keeps of them, in the transaction that writes the annotations
    """

    point: Literal["mention.annotate", "mention.route", "draft.check", "delivery.before"]
    handler: Callable[[Any, Any], Awaitable[Any]]
    name: str
    priority: int = 100
    on_error: Literal["skip", "block"] | None = None
    timeout: float = 5.0
    prepare: Callable[[Any, InterceptorContext, Sequence[MentionView]], Awaitable[Any]] | None = None
    keep: Callable[[Any, InterceptorContext, Sequence[MentionView]], Awaitable[None]] | None = None


class Plugin:
    """Derive from it and name it in the entry-point group `smhub.plugins.v1`, under its `id`.

    `stage`: 1, 2 or 3 for a feature plugin, 0 for connectors and what every stage needs. `needs`: the versions of smhub it works with.
    `requires`: ids of other plugins that must be loaded.
    """

    id: ClassVar[str]
    title: ClassVar[str] = ""
    version: ClassVar[str] = "0"
    stage: ClassVar[Literal[0, 1, 2, 3]] = 0
    needs: ClassVar[str] = ">=0.1,<2"
    requires: ClassVar[tuple[str, ...]] = ()

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        """The networks that this plugin speaks."""
        return ()

    def register_settings(self, context: PluginContext) -> type[msgspec.Struct] | None:
        """The Struct of the plugin's own settings for each organisation."""
        return None

    def register_permissions(self, context: PluginContext) -> Sequence[Permission]:
        """Permissions that its routes ask for; their names begin with the plugin's id."""
        return ()

    def register_events(self, context: PluginContext) -> Sequence[EventType]:
        """Kinds of events that it writes; their names begin with the plugin's id."""
        return ()

    def register_subscribers(self, context: PluginContext) -> Sequence[Subscriber]:
        """What to do when something happened."""
        return ()

    def register_interceptors(self, context: PluginContext) -> Sequence[Interceptor]:
        """Where it has a say."""
        return ()

    def register_jobs(self, context: PluginContext) -> Sequence[Job]:
        """Its work for later and its regular work."""
        return ()

    def register_models(self, context: PluginContext) -> Sequence[type[Any]]:
        """Its tables (derived from `smhub.features.Base`), named `<id>_…`."""
        return ()

    def register_migrations(self, context: PluginContext) -> str | None:
        """The Python package that holds its alembic scripts; they get a version table of their own."""
        return None

    def register_routes(self, context: PluginContext) -> Sequence[Any]:
        """Its Litestar handlers; they are mounted under `/v1/<id>`."""
        return ()

    def register_query_fields(self, context: PluginContext) -> Sequence[Any]:
        """Fields for the query language (`smhub.features.QueryField`), named `<id>.…`."""
        return ()

    def register_metrics(self, context: PluginContext) -> Sequence[Metric]:
        """Figures for Prometheus."""
        return ()

    def register_commands(self, context: PluginContext) -> Sequence[Any]:
        """Click commands, shown under `smhub <id>`."""
        return ()


HOOKS: tuple[str, ...] = tuple(name for name in vars(Plugin) if name.startswith("register_"))
