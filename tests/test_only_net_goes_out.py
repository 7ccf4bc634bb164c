"""Nobody but `smhub.net` talks to the internet: everything else would walk around the guard."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = (
    "aiohttp",
    "asyncio.open_connection",
    "asyncio.open_unix_connection",
    "ftplib",
    "http.client",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "imaplib",
    "poplib",
    "pycurl",
    "requests",
    "smtplib",
    "socket",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "websockets",
    "xmlrpc.client",
)
ATTRIBUTES = ("create_connection", "create_datagram_endpoint", "create_unix_connection", "sock_connect")
"""Of an event loop, whose name is not known here."""

BETWEEN_PROCESSES = {
    "src/smhub/app/supervising.py": {"socket", "socket.socketpair"},
    "src/smhub/app/watchdog.py": {"socket", "socket.socket", "socket.MSG_DONTWAIT"},
    "src/smhub/app/working.py": {"socket", "socket.socket"},
}
"""A pair of sockets joins the supervisor with its worker; these names are all that they use of the module."""


def ways_out(source: str) -> list[str]:
    """The names in a file that could open a connection, each with its line."""
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
            if node.attr in ATTRIBUTES:
                found.append(f"{node.lineno}: {names[0]}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module", "import_module"):
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]
        found += [f"{node.lineno}: {name}" for name in names if any(f"{name}.".startswith(f"{one}.") for one in FORBIDDEN)]
    return found


def test_only_net_goes_out() -> None:
    files = [*(ROOT / "src/smhub").rglob("*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    net = ROOT / "src/smhub/net"
    guilty = {
        str(file.relative_to(ROOT)): ways
        for file in files
        if not file.is_relative_to(net) and (ways := ways_out(file.read_text("utf-8")))
    }
    for file, names in BETWEEN_PROCESSES.items():
        assert {way.partition(": ")[2] for way in guilty.pop(file)} == names
    assert len(files) > 20
    assert guilty == {}, "use the `http` that a connector is given, or smhub.net"


@pytest.mark.parametrize(
    "source",
    [
        "import httpx",
        "import httpx as polite",
        "import json, socket",
        "from httpcore2 import AsyncConnectionPool",
        "from urllib import request",
        "import urllib.request",
        "from urllib.request import urlopen",
        "from http import client",
        "def f():\n    import requests",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "from asyncio import open_connection",
        "await_me = loop.create_connection(f, 'a', 1)",
        "__import__('socket')",
        "importlib.import_module('smtplib')",
    ],
)
def test_the_check_sees(source: str) -> None:
    assert ways_out(source)


@pytest.mark.parametrize("source", ["from urllib.parse import urlsplit", "import urllib.parse", "import asyncio", "import http"])
def test_the_check_leaves_in_peace(source: str) -> None:
    assert not ways_out(source)
