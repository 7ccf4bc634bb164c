"""How one asks about the hub itself."""

from __future__ import annotations

from datetime import datetime

from litestar import MediaType, Response
from litestar.openapi import ResponseSpec
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from smhub.app import docs, metrics, schemas
from smhub.channels.authorizing import redirect_url
from smhub.errors import NotFound, all_errors
from smhub.hub.conformance import badge_of
from smhub.hub.runtime import Runtime
from smhub.hub.web import ANYBODY, PUBLIC, Asking, Process, Session, reads
from smhub.organisations.models import Organisation
from smhub.sdk import OAuth2, capabilities, settings_schema
from smhub.work.models import Worker

WORKER_SECONDS = 30.0


@reads("/livez", PUBLIC, tag="hub")
async def get_livez() -> schemas.Health:
    """Whether this process lives.

    It asks nothing and nobody: use it to decide about a restart."""
    return schemas.Health(ok=True, checks=[])


@reads("/readyz", PUBLIC, tag="hub", responses={503: ResponseSpec(schemas.Health, description="Something is not well")})
async def get_readyz(runtime: Process) -> Response[schemas.Health]:
    """Whether the hub can serve.

    Looks at the database, its schema and the worker; 503 with the same body when one of them is not well."""
    health = await check(runtime)
    return Response(health, status_code=200 if health.ok else 503)


async def check(runtime: Runtime) -> schemas.Health:
    """Database, schema, worker."""
    try:
        async with runtime.database.read() as session:
            await session.execute(text("select 1"))
            seen: datetime | None = (await session.execute(select(func.max(Worker.seen_at)))).scalar_one()
    except (SQLAlchemyError, OSError) as error:
        checks = [schemas.Check(name="database", ok=False, detail=f"it does not answer ({type(error).__name__})")]
        return schemas.Health(ok=False, checks=checks)
    age = None if seen is None else (runtime.clock.now() - seen).total_seconds()
    alive = age is not None and age < WORKER_SECONDS
    detail = "none has ever worked here" if age is None else f"last seen {max(age, 0):.0f} s ago"
    checks = [
        schemas.Check(name="database", ok=True, detail=runtime.database.dialect),
        schemas.Check(name="schema", ok=True, detail="checked at the start"),
        schemas.Check(name="worker", ok=alive, detail=detail),
    ]
    return schemas.Health(ok=all(one.ok for one in checks), checks=checks)


@reads("/metrics", PUBLIC, tag="hub", media_type=MediaType.TEXT)
async def get_metrics(runtime: Process) -> str:
    """Figures for Prometheus.

    Text exposition format; labels take few, known values only."""
    return await metrics.exposition(runtime)


@reads("/v1/me", ANYBODY, tag="hub")
async def get_me(caller: Asking, session: Session) -> schemas.Me:
    """Who the key belongs to, and what it may do."""
    organisation = await session.get_one(Organisation, caller.organisation_id)
    return schemas.Me(
        organisation_id=organisation.id,
        organisation_name=organisation.name,
        stage=organisation.stage,
        member_id=caller.member_id,
        member_name=caller.member_name,
        member_kind=caller.member_kind,
        key_id=caller.key_id,
        key_scopes=list(caller.key_scopes) if caller.key_scopes is not None else None,
        key_expires_at=caller.key_expires_at,
        roles=list(caller.roles),
        permissions=sorted(caller.permissions),
        holdings=[
            schemas.HeldRole(permissions=sorted(one.permissions), department_id=one.department_id, channel_id=one.channel_id)
            for one in caller.holdings
        ],
    )


@reads("/v1/errors", PUBLIC, tag="hub")
async def list_errors(runtime: Process) -> schemas.ErrorCodes:
    """Every error code, with what to do about it."""
    page = f"{runtime.settings.base_url}/v1/docs/errors"
    return schemas.ErrorCodes(
        items=[
            schemas.ErrorCode(code=one.code, status=one.status, title=one.title, help=one.help, doc_url=f"{page}#{one.code}")
            for one in all_errors()
        ]
    )


@reads("/v1/networks", "networks:read", tag="hub")
async def list_networks(runtime: Process) -> schemas.Networks:
    """The networks that this hub speaks, with their settings and limits."""
    return schemas.Networks(items=[_network(runtime, name) for name in sorted(runtime.hub.connectors)])


@reads("/v1/networks/{network:str}", "networks:read", NotFound, tag="hub")
async def get_network(runtime: Process, network: docs.NetworkName) -> schemas.Network:
    """One network."""
    if network not in runtime.hub.connectors:
        raise NotFound(what="network")
    return _network(runtime, network)


def _network(runtime: Runtime, name: str) -> schemas.Network:
    connector = runtime.hub.connectors[name]
    return schemas.Network(
        network=name,
        title=connector.title or name,
        plugin=runtime.hub.connector_plugin[name],
        capabilities=list(capabilities(connector)),
        settings_schema=settings_schema(connector.Config),
        limits=connector.limits,
        oauth2=_oauth2(runtime, connector.auth),
        checked_against=connector.checked_against,
    )


def _oauth2(runtime: Runtime, auth: OAuth2 | None) -> schemas.NetworkOAuth2 | None:
    if auth is None:
        return None
    return schemas.NetworkOAuth2(scopes=list(auth.scopes), redirect_url=redirect_url(runtime), many_servers=bool(auth.fields))


@reads("/v1/plugins", "plugins:read", tag="hub")
async def list_plugins(runtime: Process) -> schemas.Plugins:
    """The plugins that were found, and why one did not load."""
    return schemas.Plugins(
        items=[
            schemas.PluginInfo(
                id=one.id,
                title=one.title or one.id,
                state=one.state,
                reason=one.reason,
                version=one.version,
                distribution=one.distribution,
                stage=one.stage,
                bundled=one.bundled,
                requires=list(one.requires),
                networks=_networks(runtime, one.id),
                conformance=[
                    schemas.Conformance(network=badge.network, level=badge.level, kit=badge.kit, checked_at=badge.at)
                    for name in _networks(runtime, one.id)
                    if (badge := badge_of(runtime.hub.connectors[name])) is not None
                ],
            )
            for one in sorted(runtime.hub.records.values(), key=lambda record: record.id)
        ]
    )


def _networks(runtime: Runtime, plugin_id: str) -> list[str]:
    return sorted(name for name, plugin in runtime.hub.connector_plugin.items() if plugin == plugin_id)


ROUTES = [get_livez, get_readyz, get_metrics, get_me, list_errors, list_networks, get_network, list_plugins, *docs.ROUTES]
