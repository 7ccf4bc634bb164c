"""Telling people where they look: by mail, chat or push, through Apprise, in a process of its own that is ended when it takes too long."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

import msgspec

from smhub.net.notifier import REFUSED, TOLD, File, Job
from smhub.secret import Secret
from smhub.settings import Settings

SECONDS = 60.0
MAX_BODY = 20_000
REASONS = {
    "unknown": "this is no address of a service that Apprise knows",
    "private": "it leads to an address that the hub does not call; an operator may allow it with SMHUB_ALLOW_PRIVATE_HOSTS",
    "refused": "the service did not take it, or could not be reached",
    "late": f"the service did not answer within {SECONDS:.0f} s",
}


class Told(msgspec.Struct, frozen=True):
    """What became of one address. `code`: told, unknown, private, refused, late."""

    code: str

    @property
    def ok(self) -> bool:
        return self.code == TOLD

    @property
    def reason(self) -> str | None:
        """In words for people, without the address, which holds a secret."""
        return REASONS.get(self.code)


async def tell(settings: Settings, address: Secret, *, title: str, body: str, files: Sequence[File] = ()) -> Told:
    """Tell whoever looks at an Apprise address (`mailto://…`, `slack://…`), and say what became of it. It does not raise for a service
    that fails. Whom you tell twice sees it twice: write down first that you are going to, and afterwards what became of it."""
    job = Job(address=address.reveal(), title=title, body=body[:MAX_BODY], files=list(files), allow=settings.allow_private_hosts)
    kept = {name: value for name in ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH") if (value := os.environ.get(name))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smhub.net.notifier"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=kept,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate(msgspec.json.encode(job))
    except TimeoutError:
        return Told("late")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = out.decode().strip()
    return Told(code if code in REASONS or code == TOLD else REFUSED)
