"""Holds answers against the contract: what the hub says must be what its document promises."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import jsonschema_rs
import msgspec

from smhub.app.create import describing_app
from smhub.app.openapi import document
from smhub.hub.runtime import Runtime

UNLISTED = re.compile(r"/v1/(openapi\.json|docs(/.*)?)")
PROBLEM = "application/problem+json"


class Contract:
    """One document, its paths as patterns, its answers as validators that are compiled when they are first needed."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self._paths = [(_pattern(path), path) for path in sorted(data["paths"], key=lambda path: path.count("{"))]
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def path_of(self, path: str) -> str | None:
        return next((name for pattern, name in self._paths if pattern.fullmatch(path)), None)

    async def hold(self, answer: httpx2.Response) -> None:
        """An event hook. Raises AssertionError when the document does not promise this answer."""
        await answer.aread()
        asked = answer.request
        where = f"{asked.method} {asked.url.path} answered {answer.status_code}: {answer.text[:600]}"
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        template = self.path_of(asked.url.path)
        operation = self.data["paths"].get(template, {}).get(asked.method.lower())
        if operation is None:
            self._unlisted(asked, answer, template, media_type, where)
            return
        declared = operation["responses"].get(str(answer.status_code))
        assert declared is not None, f"the contract has no such status: {where}"
        if answer.status_code == 204:
            assert answer.content == b"" and "content" not in declared, where
            return
        for header in declared.get("headers", {}):
            assert header in answer.headers, f"the contract promises the header {header}: {where}"
        body = answer.content
        if media_type == "application/vnd.msgpack":
            media_type, body = "application/json", msgspec.json.encode(msgspec.msgpack.decode(body))
        assert media_type in declared["content"], f"the contract has no {media_type}: {where}"
        if media_type.endswith("json"):
            schema = declared["content"][media_type]["schema"]
            self._check(schema, body, f"{operation['operationId']} {answer.status_code} {media_type}", where)

    def _unlisted(self, asked: httpx2.Request, answer: httpx2.Response, template: str | None, media_type: str, where: str) -> None:
        if answer.status_code >= 400:
            assert template is None or answer.status_code == 405, f"the contract has no such operation: {where}"
            assert media_type == PROBLEM, where
            if asked.method != "HEAD":
                self._check({"$ref": "#/components/schemas/Problem"}, answer.content, "Problem", where)
        else:
            assert UNLISTED.fullmatch(asked.url.path) or asked.method == "OPTIONS", f"the contract has no such operation: {where}"

    def _check(self, schema: dict[str, Any], body: bytes, name: str, where: str) -> None:
        validator = self._validators.get(name)
        if validator is None:
            whole = {**schema, "components": self.data["components"]}
            validator = self._validators[name] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        wrong = [
            f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(msgspec.json.decode(body))
        ]
        assert not wrong, f"not as the contract says: {wrong[:5]} in {where}"


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path)))


_made: dict[tuple[str, ...], Contract] = {}


def contract_of(runtime: Runtime) -> Contract:
    """The contract of a hub with these plugins; made once in each process."""
    plugins = tuple(sorted(runtime.hub.records))
    if plugins not in _made:
        _made[plugins] = Contract(document(describing_app(runtime), base_url=runtime.settings.base_url))
    return _made[plugins]
