"""What happens before the first request: migrations, the first organisation, the first key, the demonstration."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.keys import parse_key
from smhub.channels.actions import set_up
from smhub.channels.models import Channel, Listener
from smhub.db.clock import set_clock
from smhub.db.migrate import Scripts, core_scripts, migrate
from smhub.db.server_copies import refuse_half_restored
from smhub.departments.models import Department
from smhub.events.log import adjust
from smhub.hub.loader import Hub
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.organisations.actions import add_first_admin, found_organisation
from smhub.organisations.models import Organisation
from smhub.secret import Secret
from smhub.settings import SettingsError


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. `first_key` is the first admin key, when it was made just now and not given by the operator."""

    migrated: list[str]
    first_key: Secret | None = None
    organisation: str | None = None


def all_scripts(hub: Hub) -> list[Scripts]:
    """The core's migrations and those of the loaded plugins, in the order in which they run."""
    return [core_scripts(), *(Scripts(plugin, folder) for plugin, folder in hub.migrations)]


async def prepare(runtime: Runtime, *, demo: bool = False) -> Prepared:
    """Bring the database up to date; into an empty one put the first organisation and its admin. Safe to run at every start."""
    if not runtime.settings.sqlite:
        await refuse_half_restored(runtime.settings.database_url)
    migrated = await migrate(runtime.settings.database_url, all_scripts(runtime.hub))
    bootstrap = runtime.settings.bootstrap_key
    given = parse_key(bootstrap.reveal()) if bootstrap is not None else None
    if bootstrap is not None and given is None:
        raise SettingsError("SMHUB_BOOTSTRAP_KEY is not a key. Expected: smhub_<id>_<secret>_<checksum>; `smhub key new` makes one.")
    await set_clock(runtime.clock, runtime.database)
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await adjust(session)
        if (await session.execute(select(Organisation.id).limit(1))).first() is not None:
            return Prepared(migrated=migrated)
        name, slug = ("Nordwind Versand (demonstration)", "demo") if demo else ("My organisation", "main")
        organisation = await found_organisation(session, name=name, slug=slug, now=now)
        key = await add_first_admin(session, organisation, runtime.keyring, name="First admin", now=now, operator=True, key=given)
        if demo:
            await _demonstrate(runtime, session, organisation)
    return Prepared(migrated=migrated, first_key=key if given is None else None, organisation=name)


DEPARTMENTS = (
    ("Kundendienst", "service", None, ["liefer", "paket", "retoure", "delivery", "parcel", "return", "kaputt", "broken"]),
    ("Rechnungen", "invoices", "service", ["rechnung", "mahnung", "zahlung", "invoice", "refund", "payment"]),
    ("Produkt", "product", None, ["app", "funktion", "feature", "login"]),
    ("Personal", "people", None, ["bewerb", "stelle", "praktikum", "job", "career"]),
    ("Presse", "press", None, ["redaktion", "interview", "press", "journalist"]),
)


async def _demonstrate(runtime: Runtime, session: AsyncSession, organisation: Organisation) -> None:
    """Departments with keywords, a channel and a listener fed by the simulator."""
    now = runtime.clock.now()
    ids = {slug: new_id() for _, slug, _, _ in DEPARTMENTS}
    paths: dict[str, str] = {}
    for name, slug, parent, keywords in DEPARTMENTS:
        paths[slug] = f"{paths[parent]}/{slug}" if parent else slug
        session.add(
            Department(
                organisation_id=organisation.id,
                id=ids[slug],
                parent_id=ids[parent] if parent else None,
                name=name,
                slug=slug,
                path=paths[slug],
                time_zone=organisation.time_zone,
                country="DE",
                subdivision="HH",
                opening_hours=[{"weekday": day, "from": "09:00", "to": "17:00"} for day in range(5)],
                closed_days=[],
                keywords=keywords,
                created_at=now,
                version=1,
            )
        )
        await session.flush()
    if "simulator" not in runtime.hub.connectors:
        raise SettingsError("The demonstration needs the plugin simulator; take -simulator out of SMHUB_PLUGINS, or set DEMO=0.")
    channel = Channel(
        organisation_id=organisation.id,
        id=new_id(),
        network="simulator",
        name="Nordwind Versand",
        settings={},
        department_id=None,
        created_at=now,
        version=1,
    )
    await set_up(session, runtime, channel, {"seed": 7, "per_minute": 20, "backlog": 300})
    listener = Listener(
        organisation_id=organisation.id,
        id=new_id(),
        network="simulator",
        name="Questions about deliveries",
        words=["Lieferung", "delivery"],
        languages=[],
        purpose="Show what a listener does",
        legal_basis="No person is concerned: the simulator invents everything",
        settings={},
        department_id=ids["service"],
        created_at=now,
        version=1,
    )
    await set_up(session, runtime, listener, {"seed": 8, "per_minute": 6, "backlog": 100})
