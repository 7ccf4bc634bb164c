"""Feeds that mean harm: a typed error in time, the loop goes on, little memory, and the next feed is read."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import psutil
import pytest

from smhub.sdk import ConnectorError, PayloadMalformed
from smhub_feeds.reader import DEADLINE, READER

GOOD = b"<rss version='2.0'><channel><item><guid>1</guid><title>Good</title></item></channel></rss>"
LAUGHS = "<!ENTITY a 'ha'>" + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
BOMB = f"<?xml version='1.0'?><!DOCTYPE rss [{LAUGHS}]><rss version='2.0'><channel><title>&i;</title></channel></rss>"
OUTSIDE = '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss version="2.0"><channel><title>&x;</title></channel></rss>'
HOSTILE = {
    "billion laughs": BOMB.encode(),
    "billion laughs in UTF-16": BOMB.replace("?>", " encoding='utf-16'?>", 1).encode("utf-16"),
    "billion laughs behind a comment": b"<!-- <a -->" + BOMB.removeprefix("<?xml version='1.0'?>").encode(),
    "external entity": OUTSIDE.encode(),
    "deep": b"<rss version='2.0'><channel>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</channel></rss>",
    "deep and ill-formed": b"<rss version='2.0'><channel>&x;" + b"<item><a b='c'>" * 300_000,
    "large": b"<rss version='2.0'><channel><item><title>" + b"x " * 15_000_000 + b"</title></item></channel></rss>",
    "one line": b"<rss version='2.0'><channel><item><title>" + b"y" * 10_000_000 + b"</title></item></channel></rss>",
    "endless entries": b"<rss version='2.0'><channel>" + b"<item><title>t</title></item>" * 170_000,
    "NUL": b"\0" * 1_000_000,
    "garbage": bytes(range(256)) * 4_000,
    "deep JSON": b'{"version": "https://jsonfeed.org/version/1.1", "items": ' + b"[" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_feed_hurts_nobody(name, web, feeds, fetch):
    web.routes["/good"] = (200, {}, GOOD)
    await fetch(feeds("/good"))
    lag, stop = [0.0], asyncio.Event()

    async def watch():
        while not stop.is_set():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lag.append(time.monotonic() - before - 0.01)

    body, process = HOSTILE[name], psutil.Process()
    watcher, memory, began = asyncio.create_task(watch()), process.memory_info().rss, time.monotonic()
    with pytest.raises(ConnectorError) as refused:
        await READER.read(body, {"content-type": "application/xml"}) if body[:1] != b"{" else await ask(web, feeds, fetch, body)
    took, grown = time.monotonic() - began, process.memory_info().rss - memory
    stop.set()
    await watcher
    assert isinstance(refused.value, PayloadMalformed), refused.value
    assert "laughs" not in name or "entities" in refused.value.message or "document type" in refused.value.message
    assert took < DEADLINE + 1, took
    assert max(lag) < 0.1, max(lag)
    assert grown < 50 * 1024 * 1024, grown
    assert [one.title for one in (await fetch(feeds("/good"))).items] == ["Good"]


async def ask(web, feeds, fetch, body):
    web.routes["/bad"] = (200, {}, body)
    await fetch(feeds("/bad"))


async def test_bytes_that_are_no_utf8_and_nul_among_good_entries_cost_nothing(web, feeds, fetch):
    body = GOOD.replace(b"Good", b"Good \xff\xfe \xc3\x28 \0 &#xD800; &#0;")
    web.routes["/odd"] = (200, {"Content-Type": "application/xml; charset=utf-8"}, body)
    page = await fetch(feeds("/odd"))
    assert page.items[0].title.startswith("Good")
    page.items[0].title.encode()


async def test_children_are_replaced_after_their_work_and_after_an_accident(web, feeds, fetch):
    web.routes["/good"] = (200, {}, GOOD)
    await fetch(feeds("/good"))
    for child in list(READER._alive):
        child.process.kill()
        child.process.wait()
    assert len((await fetch(feeds("/good"))).items) == 1
    child = next(iter(READER._alive))
    child.feeds = 199
    await fetch(feeds("/good"))
    assert child.process.returncode is not None
    assert len((await fetch(feeds("/good"))).items) == 1


def test_no_child_survives_us():
    script = (
        "import asyncio; from smhub_feeds.reader import READER\n"
        "async def main():\n"
        f"    await READER.read({GOOD!r}, {{}})\n"
        "    print(*(child.process.pid for child in READER._alive))\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()
    assert not any(psutil.pid_exists(int(pid)) for pid in done.stdout.split())
