"""What an organisation sets for a plugin: validated by the plugin's own Struct, its secrets kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from smhub.access import secrets
from smhub.db.types import Base, Id, Json, UtcDateTime, Versioned, belongs_to_organisation
from smhub.errors import FieldError, Invalid, NotFound
from smhub.hub.runtime import Runtime
from smhub.secret import Secret, read_settings, secret_fields

TABLE = "core_plugin_settings"


class PluginSettings(Versioned, Base):
    """The settings of one plugin in one organisation, without secrets."""

    __tablename__ = TABLE
    __table_args__ = (belongs_to_organisation(),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    plugin: Mapped[str] = mapped_column(primary_key=True)
    settings: Mapped[dict[str, Any]] = mapped_column(Json)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


def schema_of(runtime: Runtime, plugin: str) -> type[msgspec.Struct]:
    """The plugin's settings Struct; NotFound for a plugin that has none."""
    struct = runtime.hub.settings.get(plugin)
    if struct is None:
        raise NotFound(what="plugin with settings")
    return struct


async def stored(session: AsyncSession, organisation_id: UUID, plugin: str) -> PluginSettings | None:
    """What was set, None when nothing was."""
    return await session.get(PluginSettings, (organisation_id, plugin))


def owner(organisation_id: UUID, plugin: str) -> secrets.Owner:
    """Where the plugin's secrets lie."""
    return secrets.Owner(organisation_id, TABLE, uuid5(organisation_id, plugin))


async def store(
    session: AsyncSession, runtime: Runtime, organisation_id: UUID, plugin: str, given: Mapping[str, Any], now: datetime
) -> PluginSettings:
    """Replace what is not secret; secrets that are left out stay. Raises Invalid with the field."""
    struct = schema_of(runtime, plugin)
    kept = await secrets.names(session, owner(organisation_id, plugin))
    try:
        read_settings(struct, {**dict.fromkeys(kept - given.keys(), "kept"), **given})
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise Invalid(fields=[FieldError(field="settings" + path.rstrip("`"), code="invalid", detail=text)]) from error
    hidden = secret_fields(struct)
    plain = {name: value for name, value in given.items() if name not in hidden}
    await secrets.put(
        session, runtime.keyring, owner(organisation_id, plugin), {name: Secret(given[name]) for name in hidden & given.keys()}
    )
    row = await stored(session, organisation_id, plugin)
    if row is None:
        row = PluginSettings(organisation_id=organisation_id, plugin=plugin, settings=plain, changed_at=now, version=1)
        session.add(row)
    else:
        row.settings, row.changed_at = plain, now
        row.changed()
    await session.flush()
    return row


async def settings_of(session: AsyncSession, runtime: Runtime, organisation_id: UUID, plugin: str) -> Any:
    """The plugin's typed settings in an organisation, None when it has no settings Struct; defaults where nothing was set.

    Raises msgspec.ValidationError when a setting without a default was never set."""
    struct = runtime.hub.settings.get(plugin)
    if struct is None:
        return None
    row = await stored(session, organisation_id, plugin)
    hidden = await secrets.get(session, runtime.keyring, owner(organisation_id, plugin))
    return read_settings(struct, {**(row.settings if row else {}), **hidden})
