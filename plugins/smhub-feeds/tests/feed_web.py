"""A web of our own for the tests: a server on this machine, and a small `Http` that asks it."""

from __future__ import annotations

import asyncio
import http.client
import threading
import zlib
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urljoin, urlsplit

from smhub.sdk import AuthExpired, ConnectorError, Gone, PayloadMalformed, RateLimited, Response, Transient

Answer = tuple[int, Mapping[str, str], bytes]
Route = Answer | Callable[[Mapping[str, str]], Answer]


class Web:
    """`routes` maps a path to an answer or to a function of the request's headers (names in lower case)."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                web.asked.append((self.path, headers))
                route = web.routes.get(self.path, (404, {}, b""))
                status, answer_headers, body = route(headers) if callable(route) else route
                self.send_response_only(status)
                for name, value in {**answer_headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class PlainHttp:
    """The contract of `smhub.sdk.Http`, as far as feeds use it, without its guards."""

    def __init__(self, base_url: str = "", base_headers: Mapping[str, str] | None = None) -> None:
        self.base_url, self.base_headers = base_url, dict(base_headers or {})

    async def request(
        self, method: str, url: str, *, headers: Any = None, accept: tuple[int, ...] = (), max_bytes: int | None = None, **_: Any
    ) -> Response:
        assert method == "GET"
        return await asyncio.to_thread(self._follow, url, dict(headers or {}), accept, max_bytes or 5 * 1024 * 1024)

    def _follow(self, url: str, headers: dict[str, str], accept: tuple[int, ...], limit: int) -> Response:
        permanent, leading = None, True
        for _ in range(4):
            status, got, body = self._once(url, headers, limit)
            if status not in (301, 302, 303, 307, 308):
                break
            if "location" not in got:
                raise Transient("a redirect to nowhere", status=status)
            url = urljoin(url, got["location"])
            leading = leading and status in (301, 308)
            permanent = url if leading else permanent
        if status >= 400 and status not in accept:
            raise _error(status)
        return Response(status=status, headers=got, body=_plain(got, body), url=url, permanent_url=permanent)

    def _once(self, url: str, headers: dict[str, str], limit: int) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(url)
        mine = self.base_headers if url.startswith(self.base_url) else {}
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        try:
            connection.request("GET", parts._replace(scheme="", netloc="").geturl(), headers={**mine, **headers})
            answer = connection.getresponse()
            body = answer.read(limit + 1)
        except (OSError, http.client.HTTPException) as error:
            raise Transient(type(error).__name__) from None
        finally:
            connection.close()
        if len(body) > limit:
            raise PayloadMalformed("too large")
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    async def get(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    items = post = delete = get


def _plain(headers: Mapping[str, str], body: bytes) -> bytes:
    encoding = headers.get("content-encoding", "")
    if encoding not in ("gzip", "deflate"):
        return body
    for bits in (31,) if encoding == "gzip" else (15, -15):
        try:
            return zlib.decompressobj(bits).decompress(body, 20 * 1024 * 1024)
        except zlib.error:
            continue
    raise PayloadMalformed("the answer cannot be decompressed")


def _error(status: int) -> ConnectorError:
    if status in (404, 410):
        return Gone(status=status)
    if status == 401:
        return AuthExpired(status=status)
    return RateLimited(retry_after=60) if status == 429 else Transient(status=status)
