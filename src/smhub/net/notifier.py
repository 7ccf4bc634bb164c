"""The process that tells people: `python -m smhub.net.notifier`. Apprise speaks to the services; every address is judged before it connects.

It reads one job as JSON from its standard input and answers with one word. It has none of the hub's settings and no database.
"""

from __future__ import annotations

import logging
import socket
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from smhub.net.guard import DANGEROUS_PORTS, AllowList, is_public

MAIL_PORTS = frozenset({25, 465, 587})
LOCAL = frozenset({"dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
"""What would show something on the machine that the hub runs on."""
TOLD, UNKNOWN, PRIVATE, REFUSED = "told", "unknown", "private", "refused"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes along, where the service takes files."""

    name: str
    content: bytes


class Job(msgspec.Struct, kw_only=True):
    """What is to be told, and to whom."""

    address: str
    title: str
    body: str
    files: list[File]
    allow: str


class AddressRefused(OSError):
    """A connection to where nobody may go."""


class GuardedSocket(socket.socket):
    """Connects to judged addresses only. The names that were resolved are known, because an operator allows hosts by name."""

    allow = AllowList()
    names: dict[str, set[str]] = {}
    refused = False

    def connect(self, address: Any) -> None:
        self._judge(address)
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        self._judge(address)
        return super().connect_ex(address)

    def sendto(self, data: Any, *rest: Any) -> int:
        self._judge(rest[-1])
        return super().sendto(data, *rest)

    def _judge(self, address: Any) -> None:
        kind = type(self)
        try:
            host, port = str(address[0]).partition("%")[0], int(address[1])
            one = ip_address(host)
        except (ValueError, TypeError, IndexError) as error:
            kind.refused = True
            raise AddressRefused("only internet addresses are called") from error
        if any(self.allow.allows(name, one, port) for name in self.names.get(host, {host})):
            return
        if not is_public(one) or (port in DANGEROUS_PORTS and port not in MAIL_PORTS):
            kind.refused = True
            raise AddressRefused("this address is not called")


def guard(allow: AllowList) -> None:
    """From now on every socket of this process is judged."""
    GuardedSocket.allow = allow
    resolve = socket.getaddrinfo

    def remembering(host: Any, *more: Any, **named: Any) -> Any:
        found = resolve(host, *more, **named)
        for entry in found:
            GuardedSocket.names.setdefault(str(entry[4][0]), set()).add(str(host).lower().removesuffix("."))
        return found

    socket.getaddrinfo = remembering
    socket.socket = GuardedSocket  # type: ignore[misc]


def tell(job: Job, folder: Path) -> str:
    """Tell them; what became of it."""
    # Only now, so that what it imports meets the guarded socket.
    import apprise

    logging.disable(logging.CRITICAL)
    files = []
    for number, file in enumerate(job.files):
        path = folder / f"{number}" / Path(file.name).name
        path.parent.mkdir()
        path.write_bytes(file.content)
        files.append(str(path))
    service = None if job.address.partition(":")[0].lower() in LOCAL else apprise.Apprise.instantiate(job.address)
    if service is None:
        return UNKNOWN
    one = apprise.Apprise()
    one.add(service)
    told = one.notify(body=job.body, title=job.title, attach=files or None, body_format=apprise.NotifyFormat.TEXT)
    return TOLD if told else PRIVATE if GuardedSocket.refused else REFUSED


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    guard(AllowList.parse(job.allow))
    with tempfile.TemporaryDirectory(prefix="smhub-notice-") as folder:
        print(tell(job, Path(folder)))


if __name__ == "__main__":
    main()
