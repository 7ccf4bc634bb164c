"""Addresses of the web, read strictly: what two programs could read in two ways is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

LONGEST = 8192
DEFAULT_PORTS = {"http": 80, "https": 443}
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
SIX = re.compile(r"[0-9a-f:.]+")
OTHER_IN_2003 = re.compile("[\u00df\u03c2\u200c\u200d]")
"""ß, ς and the joiners: international names meant something else by them before 2010, so they could lead to another host."""

SAFE = "%/:=&?~#+!$,;'@()*[]|"


class Url(msgspec.Struct, frozen=True):
    """A checked address. `host` is lower-case ASCII, without brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def join(self, reference: str) -> Url:
        """Where a redirect leads. Raises ValueError."""
        if FORBIDDEN.search(reference) or len(reference) > LONGEST:
            raise ValueError("it holds characters that have no place in an address")
        return read(urljoin(str(self), reference))


def read(text: str) -> Url:
    """Check an absolute address. Raises ValueError with a reason that quotes nothing of it: a query may hold a secret."""
    if len(text) > LONGEST:
        raise ValueError("it is too long")
    if FORBIDDEN.search(text) or text != text.strip():
        raise ValueError("it holds characters that have no place in an address")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("its host or port cannot be read") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("only http:// and https:// are spoken")
    if "@" in parts.netloc:
        raise ValueError("it holds a user name; credentials do not belong into an address")
    if port == 0:
        raise ValueError("its host or port cannot be read")
    path = quote(parts.path or "/", safe=SAFE)
    target = f"{path}?{quote(parts.query, safe=SAFE)}" if parts.query else path
    return Url(parts.scheme, _host(parts.netloc), port or DEFAULT_PORTS[parts.scheme], target)


def with_params(text: str, params: Mapping[str, str | int] | None) -> str:
    """The address with more in its query."""
    if not params:
        return text
    plain = text.partition("#")[0]
    return f"{plain}{'&' if '?' in plain else '?'}{urlencode(params)}"


def _host(netloc: str) -> str:
    """The host of `name:port` or `[v6]:port`, in ASCII."""
    if netloc.startswith("["):
        host = netloc[1 : netloc.rindex("]")].lower()
        if not SIX.fullmatch(host):
            raise ValueError("its host or port cannot be read")
        return host
    host = netloc.partition(":")[0]
    if not host.isascii():
        if OTHER_IN_2003.search(host):
            raise ValueError("its host is ambiguous; write it as xn--…")
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError("its host is not a name") from None
    host = host.lower()
    if len(host) > 254 or not HOST.fullmatch(host):
        raise ValueError("its host is not a name")
    return host
