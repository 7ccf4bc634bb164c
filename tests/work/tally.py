"""A plugin for workers that are processes of their own: its job writes down who ran it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from smhub.sdk import Job, Plugin, PluginContext


async def count(context: Any, file: str) -> None:
    await asyncio.sleep(0.02)
    # One short write at the end of the file is one thing, whoever else writes.
    with Path(file).open("a") as tally:
        tally.write(f"{context.job_id} {context.attempt} {os.getpid()}\n")


COUNT = Job(name="tally.count", handler=count, payload=str)


class Tally(Plugin):
    id, title = "tally", "Tally"

    def register_jobs(self, context: PluginContext) -> list[Job]:
        return [COUNT]
