"""Makes what a process shares. The worker needs this and no web framework."""

from __future__ import annotations

import random
from collections.abc import Sequence

from smhub.access import keyring as keyrings
from smhub.access.permissions import Permissions
from smhub.access.refused import Refused
from smhub.access.used import UsedKeys
from smhub.app import idempotency
from smhub.app.subscribing import jobs_of
from smhub.channels import candidates, subscribing
from smhub.channels.actions import VERIFY
from smhub.db.clock import DatabaseClock
from smhub.db.engine import WAIT, Database
from smhub.db.gathered import Gathered
from smhub.db.paging import Cursors
from smhub.deliveries import sweeping
from smhub.deliveries.telling import ADVANCE
from smhub.hub import loader
from smhub.hub.runtime import Runtime
from smhub.mentions import delivered, filling, guilty, polling, routing, streaming
from smhub.net import Net
from smhub.sdk import Job, Plugin
from smhub.settings import Settings
from smhub.time import Clock, SystemClock
from smhub.work.actions import PRUNE
from smhub.work.suspects import OnGuilty

CORE_JOBS: tuple[Job, ...] = (
    *polling.JOBS,
    *streaming.JOBS,
    *filling.JOBS,
    *delivered.JOBS,
    *subscribing.JOBS,
    *routing.JOBS,
    *sweeping.JOBS,
    *idempotency.JOBS,
    *candidates.JOBS,
    VERIFY,
    PRUNE,
)
ON_GUILTY: dict[str, OnGuilty] = {
    polling.POLL.name: guilty.of_polling,
    streaming.STREAM.name: guilty.of_streaming,
    filling.FILL.name: guilty.of_filling,
    routing.ROUTE.name: guilty.of_looking,
    delivered.TAKE.name: delivered.of_taking,
    subscribing.KEEP.name: subscribing.of_keeping,
    subscribing.END.name: subscribing.of_ending,
    ADVANCE: sweeping.of_sending,
}
"""What else happens when a job of this name killed the worker that ran it alone."""


def make_runtime(
    settings: Settings,
    *,
    clock: Clock | None = None,
    plugins: Sequence[Plugin] | None = None,
    seed: int | None = None,
    wait: float = WAIT,
) -> Runtime:
    """Everything that a process shares. `plugins` loads exactly these instead of those that are installed; `wait` is how many seconds one
    waits for the database's writer (a request gives up early, a worker is patient)."""
    hub = loader.load(settings.plugins, settings.plugin_folder, strict=settings.strict_plugins, only=plugins)
    hub.add_core_jobs(CORE_JOBS)
    hub.add_core_jobs(jobs_of(hub))
    hub.on_guilty |= ON_GUILTY
    keyring = keyrings.load(settings)
    database = Database(settings.database_url, wait=wait)
    # Workers on several machines agree about leases and due times only by one clock.
    chosen = clock or (SystemClock() if settings.sqlite else DatabaseClock())
    return Runtime(
        settings=settings,
        clock=chosen,
        chance=random.Random(seed),
        database=database,
        keyring=keyring,
        cursors=Cursors(keyring.derive("cursors")),
        permissions=Permissions(hub.permissions),
        used_keys=UsedKeys(),
        refused=Refused(),
        delivered=Gathered(),
        net=Net(settings, chosen, database),
        hub=hub,
    )
