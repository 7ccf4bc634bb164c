"""A hub of the future: it answers with networks, states and fields that no client of today has heard of."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from smhub.app.contract import documents
from smhub.app.openapi import example

NEW = "from-the-future"


def from_the_future(schema: dict[str, Any], schemas: dict[str, Any], value: Any) -> Any:
    """An example with a new value for everything that is open, and a new field in every object."""
    if "$ref" in schema:
        return from_the_future(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas, value)
    if "x-known-values" in schema:
        return NEW
    for one in schema.get("anyOf", []):
        if one.get("type") != "null" and value is not None:
            return from_the_future(one, schemas, value)
    if isinstance(value, list):
        return [from_the_future(schema.get("items", {}), schemas, one) for one in value]
    if isinstance(value, dict) and "properties" in schema:
        known = {name: from_the_future(one, schemas, value[name]) for name, one in schema["properties"].items() if name in value}
        return {**known, "new_field": {"deep": [1, NEW]}}
    return value


def answers() -> dict[str, Any]:
    """What each GET without a path parameter answers, by path."""
    document = msgspec.json.decode(documents()["smhub.json"])
    schemas = document["components"]["schemas"]
    found = {}
    for path, item in document["paths"].items():
        content = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json")
        if content is not None and "{" not in path:
            found[path] = from_the_future(content["schema"], schemas, example(content["schema"], schemas))
    return found


@contextmanager
def future_hub() -> Iterator[str]:
    """Its address."""
    known = answers()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(known[self.path.partition("?")[0]]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
