"""How an organisation sets a plugin."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import Request, Response
from litestar.params import PathParameter

from smhub.access import audit, secrets
from smhub.errors import NotFound, Stale
from smhub.hub.web import Asking, Body, Process, Session, check_match, reads, sets, tagged
from smhub.organisations import plugin_settings, schemas
from smhub.secret import settings_schema

TAG = "hub"
PluginId: TypeAlias = Annotated[str, PathParameter(max_length=100, description="One of GET /v1/plugins.")]


async def _shown(session: Any, runtime: Any, caller: Any, plugin_id: str) -> Response[schemas.PluginSettingsInfo]:
    struct = plugin_settings.schema_of(runtime, plugin_id)
    row = await plugin_settings.stored(session, caller.organisation_id, plugin_id)
    names = await secrets.names(session, plugin_settings.owner(caller.organisation_id, plugin_id))
    version = row.version if row else 0
    info = schemas.PluginSettingsInfo(
        plugin=plugin_id,
        settings=row.settings if row else {},
        secrets=sorted(names),
        settings_schema=settings_schema(struct),
        version=version,
    )
    return tagged(info, version)


@reads("/v1/plugins/{plugin_id:str}/settings", "plugins:read", NotFound, tag=TAG)
async def get_plugin_settings(
    caller: Asking, session: Session, runtime: Process, plugin_id: PluginId
) -> Response[schemas.PluginSettingsInfo]:
    """What the organisation set for a plugin, and the schema of what may be set."""
    return await _shown(session, runtime, caller, plugin_id)


@sets("/v1/plugins/{plugin_id:str}/settings", "plugins:write", NotFound, Stale, tag=TAG)
async def put_plugin_settings(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    plugin_id: PluginId,
    data: Body[schemas.NewPluginSettings],
) -> Response[schemas.PluginSettingsInfo]:
    """Set a plugin up for the organisation. Secrets are taken and never given back; left out, they stay."""
    plugin_settings.schema_of(runtime, plugin_id)
    row = await plugin_settings.stored(session, caller.organisation_id, plugin_id)
    check_match(request, row.version if row else 0)
    await plugin_settings.store(session, runtime, caller.organisation_id, plugin_id, data.settings, runtime.clock.now())
    audit.note(session, "plugin", caller.organisation_id, plugin=plugin_id, fields=sorted(data.settings))
    return await _shown(session, runtime, caller, plugin_id)


ROUTES = [get_plugin_settings, put_plugin_settings]
