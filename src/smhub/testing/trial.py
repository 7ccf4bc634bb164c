"""One connector, one fresh fake network, one clock: what a check has in its hands."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, MutableMapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from smhub.net import ConnectorHttp, Credentials, SessionInHand, Shown, client_inside
from smhub.sdk import (
    BadItem,
    Connector,
    ConnectorContext,
    ConnectorError,
    Draft,
    Item,
    Limits,
    Mention,
    Page,
    Pending,
    Plugin,
    Published,
    ReceivesWebhooks,
    Safety,
    Secret,
    SignsIn,
    StandingClock,
    Subscription,
    Tombstone,
    read_settings,
    secret_fields,
)
from smhub.testing.hub import Bench, Hub
from smhub.testing.network import FakeNetwork, Post
from smhub.testing.registry import Broken, NotApplicable, shown
from smhub.testing.tokens import TokenEndpoint
from smhub.testing.wire import Wire

BASE_URL = "https://network.test"
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"
MOST_PAGES = 1000


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """For how many seconds of the kit's clock faults happen by chance, and by which chance: the same seed, the same faults."""

    seconds: float
    seed: int


class Trial:
    """`kind` is the connector class. Everything that a check does goes through the hub's own http, over the `wire`, to the `fake`."""

    def __init__(self, kind: type[Connector[Any]], fake: type[FakeNetwork], plugin: Plugin | None, bench: Bench) -> None:
        self.kind, self.plugin = kind, plugin
        self.clock = StandingClock(START)
        self.fake = fake()
        self.fake.clock = self.clock
        self.tokens = TokenEndpoint(kind, self.config(), self.fake.tokens) if kind.auth is not None else None
        self.wire = Wire(self.fake, self.tokens)
        self.client = client_inside(self.wire.inside, self.clock)
        self.logs: list[str] = []
        self.chaos: Chaos | None = None
        self.note = ""
        self._bench = bench
        self._in_hand = ""
        self._hubs: list[Hub] = []

    # What the check says

    def expect(self, holds: object, *, done: str, expected: str, came: object) -> None:
        """The check fails unless this holds."""
        if not holds:
            raise Broken(done, expected, shown(came))

    async def raises(self, wanted: type[Exception] | tuple[type[Exception], ...], doing: Awaitable[Any], *, done: str) -> Exception:
        """What was awaited must raise this, or one of these; the error."""
        names = " or ".join(one.__name__ for one in (wanted if isinstance(wanted, tuple) else (wanted,)))
        try:
            value = await doing
        except wanted as error:
            return error
        except Exception as error:
            raise Broken(done, f"{names} is raised", shown(error)) from error
        raise Broken(done, f"{names} is raised", f"no error, but {shown(value)}")

    # The connector alone

    def config(self, raw: dict[str, Any] | None = None) -> msgspec.Struct:
        """Typed settings; the fake's own when none are given."""
        return read_settings(self.kind.Config, self.settings() if raw is None else raw)

    def settings(self) -> dict[str, Any]:
        """Settings that are right."""
        return self.fake.config(BASE_URL)

    def bad_config(self) -> dict[str, Any]:
        """Settings with credentials that are refused; the check does not apply to a network without credentials."""
        if self.tokens is not None:
            self.tokens.end_access()
            self._in_hand = "refused-token-90"
            return self.settings()
        if not secret_fields(self.kind.Config):
            raise NotApplicable("it has no credentials")
        return self.fake.bad_config(BASE_URL)

    def secrets(self) -> list[str]:
        """The secrets in the good settings, as they stand there, and the tokens that were given out."""
        config = self.config()
        found = [getattr(config, name) for name in sorted(secret_fields(self.kind.Config))]
        return [one.reveal() for one in found if isinstance(one, Secret)] + (self.tokens.secrets if self.tokens is not None else [])

    def connect(self, raw: dict[str, Any] | None = None, *, since: datetime | None = None, until: datetime | None = None) -> Any:
        """A connector as the hub makes it for one call, without shared budgets."""
        config = self.config(raw)

        def http_with(credentials: Credentials | None) -> ConnectorHttp:
            return ConnectorHttp(
                client=self.client,
                network=self.kind.network,
                clock=self.clock,
                base_url=self.kind.base_url(config),
                headers=self.kind.headers(config),
                secret_path=self.kind.secret_path(config),
                rates=self.kind.rates,
                map_error=self.kind.map_error,
                credentials=credentials,
                ports=self.kind.ports,
            )

        credentials: Credentials | None = None
        if issubclass(self.kind, SignsIn):
            credentials = SessionInHand(self.kind, config, http_with)
        elif self.tokens is not None:
            self._in_hand = self._in_hand or self.tokens.give()
            credentials = Shown(Secret(self._in_hand))
        subscription = Subscription(secret=Secret(self.fake.hook_secret)) if issubclass(self.kind, ReceivesWebhooks) else None
        context = ConnectorContext(clock=self.clock, since=since, until=until, seed=7, subscription=subscription)
        return self.kind(config, http_with(credentials), context)

    async def pages(self, cursor: Any = None, **more: Any) -> list[Page]:
        """All pages from the cursor on. One that never ends is broken."""
        return [page async for page in self.walk(cursor, **more)]

    async def walk(self, cursor: Any = None, *, most: int = MOST_PAGES, **more: Any) -> AsyncGenerator[Page, None]:
        """The pages as they come, `most` of them."""
        if cursor is None:
            self.fake.rewind()
        async with contextlib.aclosing(self.connect(**more).fetch_mentions(cursor)) as pages:
            number = 0
            async for page in pages:
                number += 1
                self.expect(number <= most, done="fetched all pages", expected="an end", came=f"more than {most} pages")
                yield page

    async def requests_of(self, doing: Awaitable[Any]) -> int:
        """How many requests something takes."""
        self.wire.reset()
        await doing
        return len(self.wire.requests)

    # The hub around it

    async def hub(self) -> Hub:
        """A hub with the connector's channel in it: the real store, the real jobs."""
        self.wire.reset()
        self.fake.rewind()
        made = await Hub.start(self, self._bench)
        self._hubs.append(made)
        return made

    async def close(self) -> None:
        """End everything that the check began."""
        for hub in self._hubs:
            await hub.close()
        await self.client.aclose()

    def many(self, text: str = "Number", count: int | None = None, at: datetime | None = None) -> list[str]:
        """So many mentions that the connector needs several pages: of the last half minute, unless all are `at` one time."""
        total = count or self.fake.many
        first, step = self.clock.now() - timedelta(seconds=30), timedelta(seconds=29) / total
        return [self.fake.add(f"{text} {n}", at=at or first + step * n) for n in range(total)]

    async def presence(self) -> tuple[Safety, Limits]:
        """How this server reaches exactly-once, and what it takes: what verify found, else what the connector declares."""
        account = await self.connect().verify()
        return account.safety or self.kind.safety, account.limits or self.kind.limits  # type: ignore[attr-defined]

    async def publish(self, what: Draft, key: str = KEY) -> Published:
        """Say it by the connector itself, and ask until it is out."""
        connector = self.connect()
        said = await connector.publish(what, key)
        for _ in range(MOST_PAGES):
            if not isinstance(said, Pending):
                break
            self.clock.forward(seconds=max(said.check_after, 1.0))
            said = await self.connect().check_publish(Pending(state=msgspec.to_builtins(said.state), check_after=said.check_after))
        self.expect(isinstance(said, Published) and said.external_id, done="published", expected="Published with an id", came=said)
        return said  # type: ignore[no-any-return]

    def out(self, text: str) -> list[Post]:
        """What of ours stands there with these words."""
        return [one for one in self.fake.posts() if text in one.text]


def draft(text: str, **more: Any) -> Draft:
    """Something to say."""
    return Draft(text=text, **more)


def items(pages: Sequence[Page]) -> list[Item]:
    """Everything on the pages."""
    return [item for page in pages for item in page.items]


def mentions(pages: Sequence[Page]) -> list[Mention]:
    """The mentions on the pages."""
    return [item for item in items(pages) if isinstance(item, Mention)]


def ids(pages: Sequence[Page]) -> list[str]:
    """The mentions' ids, in order."""
    return [one.external_id for one in mentions(pages)]


def contained(error: BaseException) -> str:
    """Everything that can be read of an error: its text, its fields, and those of what caused it."""
    parts, seen = [], set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        parts += [str(at), repr(at), repr(vars(at))]
        at = at.__cause__ or at.__context__
    return "\n".join(parts)


@contextlib.contextmanager
def heard(logs: list[str]) -> Any:
    """Nothing is printed; everything that is logged is kept, tracebacks included."""

    def keep(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        logs.append(repr(dict(event)))
        raise structlog.DropEvent

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logs.append(self.format(record))

    before = structlog.get_config()["processors"]
    root, handler = logging.getLogger(), Keeping()
    handlers, level = root.handlers[:], root.level
    structlog.configure(processors=[structlog.processors.format_exc_info, keep])
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        structlog.configure(processors=before)
        root.handlers[:] = handlers
        root.setLevel(level)


__all__ = [
    "BASE_URL",
    "KEY",
    "OTHER_KEY",
    "START",
    "BadItem",
    "Chaos",
    "ConnectorError",
    "Tombstone",
    "Trial",
    "contained",
    "draft",
    "heard",
    "ids",
    "items",
    "mentions",
]
