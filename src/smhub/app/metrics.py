"""Figures for Prometheus: counters of this process and gauges from the database. Every label has few, known values."""

from __future__ import annotations

from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import __version__
from smhub.channels.health import STATES
from smhub.channels.models import Intake
from smhub.hub.runtime import Runtime
from smhub.work.models import Job, Worker

log = structlog.get_logger("smhub.metrics")
JOB_STATES = ("ready", "running", "dead")


async def exposition(runtime: Runtime) -> str:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    Gauge("smhub_info", "The version.", ["version"], registry=registry).labels(__version__).set(1)
    jobs = Gauge("smhub_jobs", "Jobs by state.", ["state"], registry=registry)
    intakes = Gauge("smhub_intakes", "Intakes by state.", ["state"], registry=registry)
    waiting = Gauge("smhub_oldest_ready_job_seconds", "How long the job that is due longest has waited.", registry=registry)
    workers = Gauge("smhub_workers", "Workers that are alive.", registry=registry)
    plugins = Gauge("smhub_plugins", "Plugins by state.", ["state"], registry=registry)
    now = runtime.clock.now()
    async with runtime.database.read() as session:
        counted = dict(
            (await session.execute(select(Job.state, func.count()).where(Job.state.in_(JOB_STATES)).group_by(Job.state))).all()
        )
        by_state = dict((await session.execute(select(Intake.state, func.count()).group_by(Intake.state))).all())
        oldest: datetime | None = (
            await session.execute(select(func.min(Job.run_at)).where(Job.state == "ready", Job.run_at <= now))
        ).scalar_one()
        await _of_plugins(runtime, session, registry)
        workers.set((await session.execute(select(func.count()).select_from(Worker))).scalar_one())
    for state in JOB_STATES:
        jobs.labels(state).set(counted.get(state, 0))
    for state in STATES:
        intakes.labels(state).set(by_state.get(state, 0))
    waiting.set((now - oldest).total_seconds() if oldest is not None else 0)
    for state in {record.state for record in runtime.hub.records.values()}:
        plugins.labels(state).set(sum(record.state == state for record in runtime.hub.records.values()))
    return generate_latest(registry).decode()


async def _of_plugins(runtime: Runtime, session: AsyncSession, registry: CollectorRegistry) -> None:
    """The plugins' figures; one that fails is left out and stops no other."""
    for plugin, metric in runtime.hub.metrics:
        gauge = Gauge(f"smhub_{plugin}_{metric.name}", metric.description, sorted(metric.labels), registry=registry)
        try:
            for labels, value in await metric.read(session):
                known = {name: labels[name] if labels.get(name) in values else "other" for name, values in metric.labels.items()}
                (gauge.labels(**known) if known else gauge).inc(value)
        except Exception as error:
            log.warning("metric_failed", plugin=plugin, metric=metric.name, error=type(error).__name__)
