"""The machine dies while a network works on a post: a minute after the restart everybody can see that nobody knows what came of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from loud import square
from running import Running, alive, children, running, until

MINUTE = 60.0


def say(hub: Running, base_url: str) -> str:
    channel = hub.client.post("/v1/channels", json={"network": "loud-none", "name": "Loud", "settings": {"base_url": base_url}})
    assert channel.status_code == 201, channel.text
    said = hub.client.post(f"/v1/channels/{channel.raise_for_status().json()['id']}/posts", json={"text": "Guten Tag"})
    return str(said.raise_for_status().json()["id"])


def kill_everything(hub: Running) -> None:
    """As when the power fails: nobody says good-bye to anybody."""
    family = [hub.serving.pid, hub.working.pid, *children(hub.working.pid)]
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    hub.serving.wait()
    hub.working.wait()
    until(lambda: not any(alive(pid) for pid in family))


def shown(hub: Running, delivery_id: str) -> Any:
    """The delivery, once it is unclear."""
    return until(lambda: (now := hub.get(f"/v1/deliveries/{delivery_id}"))["state"] == "unknown" and now, MINUTE)


async def test_what_was_being_said_when_the_machine_died_is_shown_as_unknown_within_a_minute(database_url: str, tmp_path: Path) -> None:
    async with square(work_seconds=3.0) as (network, port):
        settings = {"SMHUB_PLUGINS": "loudly", "SMHUB_ALLOW_PRIVATE_HOSTS": f"127.0.0.1:{port}"}
        with running(database_url, tmp_path, **settings) as hub:
            delivery_id = await asyncio.to_thread(say, hub, f"http://127.0.0.1:{port}")
            async with asyncio.timeout(30):
                while not network.writes:
                    await asyncio.sleep(0.05)
            kill_everything(hub)
        began = time.monotonic()
        with running(database_url, tmp_path, key=hub.key, **settings) as hub:
            now = await asyncio.to_thread(shown, hub, delivery_id)
            assert time.monotonic() - began < MINUTE
            assert now["reason_code"] == "worker_died"
            # It was heard, and nobody says it again by itself.
            await network.settled()
            assert network.texts() == ["Guten Tag"]
            offered = await asyncio.to_thread(hub.client.post, f"/v1/deliveries/{delivery_id}/confirm", json={"external_id": "p0"})
            assert offered.json()["state"] == "published"
