"""The docs page from vendored Swagger UI, the contract, and a page that explains every error. No foreign address is asked."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.params import FromPath, PathParameter

from smhub.errors import RouteNotFound, all_errors
from smhub.hub.web import PUBLIC, Process

FILES = Path(__file__).parent / "docs_files"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'"
)
NetworkName: TypeAlias = Annotated[str, PathParameter(max_length=100, description="The network's word, as in `network:feeds`.")]
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>smhub</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{base}/v1/docs/files/swagger-ui.css"></head><body><div id="ui"></div>
<script src="{base}/v1/docs/files/swagger-ui-bundle.js"></script><script src="{base}/v1/docs/files/start.js"></script></body></html>"""

_ERRORS = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>smhub: errors</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}code{{background:#eee;padding:0 .3em}}
section:target{{background:#fff6d6}}</style></head><body><h1>Errors</h1>
<p>Every error is problem+json (RFC 9457). These are all codes.</p>{sections}</body></html>"""


def contract(request: Request[Any, Any, Any]) -> bytes:
    """The finished document of this app, made once."""
    made: bytes | None = request.app.state.get("contract")
    if made is None:
        made = msgspec.json.encode(request.app.state["describe"]())
        request.app.state["contract"] = made
    return made


@get("/v1/openapi.json", include_in_schema=False, opt={"permission": PUBLIC})
async def get_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The contract of this hub with its loaded plugins."""
    return Response(contract(request), media_type="application/json")


@get("/v1/docs", include_in_schema=False, opt={"permission": PUBLIC})
async def get_docs(runtime: Process) -> Response[str]:
    """The contract to read and to try."""
    return Response(_PAGE.format(base=runtime.settings.base_url), media_type=MediaType.HTML, headers=_guarded())


@get("/v1/docs/files/{name:str}", include_in_schema=False, opt={"permission": PUBLIC})
async def get_docs_file(name: FromPath[str]) -> Response[bytes]:
    """A file of the docs page."""
    file = FILES / Path(name).name
    if file.suffix not in _TYPES or not file.is_file():
        raise RouteNotFound
    return Response(file.read_bytes(), media_type=_TYPES[file.suffix], headers={"Cache-Control": "public, max-age=86400"})


@get("/v1/docs/errors", include_in_schema=False, opt={"permission": PUBLIC})
async def get_error_page() -> Response[str]:
    """Every error code on one page, made from the code."""
    sections = "".join(
        f'<section id="{one.code}"><h2><code>{one.code}</code></h2><p>{one.status}: {html.escape(one.title)}</p>'
        f"<p>{html.escape(one.help)}</p></section>"
        for one in all_errors()
    )
    return Response(_ERRORS.format(sections=sections), media_type=MediaType.HTML, headers=_guarded())


def _guarded() -> dict[str, str]:
    return {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


ROUTES = [get_openapi, get_docs, get_docs_file, get_error_page]
