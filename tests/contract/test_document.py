"""The document itself: complete, narrow in what it takes, the same every time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from litestar import get
from openapi_spec_validator import validate

import world
from smhub.app.contract import documents
from smhub.app.create import create_app, describing_app
from smhub.app.making import make_runtime
from smhub.app.openapi import document
from smhub.hub.loader import BUNDLED
from smhub.sdk import Plugin, PluginContext
from smhub.settings import Settings

ROOT = Path(__file__).parents[2]
MADE = {name: msgspec.json.decode(data) for name, data in documents().items()}
CORE, WHOLE = MADE["core.json"], MADE["smhub.json"]
Node = dict[str, Any]


def operations(document: Node = WHOLE) -> Iterator[tuple[str, str, Node]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_the_files_are_current_whatever_the_hash_seed() -> None:
    check = [sys.executable, "-m", "smhub", "openapi", "--check"]
    for seed in ("1", "2"):
        done = subprocess.run(check, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_core_is_a_part_of_the_whole() -> None:
    assert CORE["paths"].items() <= WHOLE["paths"].items()
    assert CORE["components"]["schemas"].items() <= WHOLE["components"]["schemas"].items()


def test_what_a_plugin_adds_carries_its_word() -> None:
    words = {word.removeprefix("smhub-").replace("-", "") for word in BUNDLED}
    added = WHOLE["components"]["schemas"].keys() - CORE["components"]["schemas"].keys()
    assert all(name.lower().startswith(tuple(words)) for name in added), added
    for path, _, operation in operations():
        if plugin := operation.get("x-smhub-plugin"):
            assert path.startswith(f"/v1/{plugin}/") and plugin.replace("-", "_") in operation["operationId"], path
        else:
            assert path in CORE["paths"]


@pytest.mark.parametrize("name", MADE)
def test_it_is_valid_openapi(name: str) -> None:
    validate(MADE[name])


FOREIGN = ["application/octet-stream"]
"""What another server delivers, in whatever form it likes."""


def test_every_operation_is_described() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids)) > 90
    for path, method, operation in operations():
        where = f"{method} {path}"
        assert operation["operationId"].isidentifier() and operation["operationId"].islower(), where
        assert operation["summary"] and operation["description"] and operation["tags"] and operation["x-smhub-permission"], where
        public = operation["x-smhub-permission"] == "public"
        assert operation.get("security", WHOLE["security"]) == ([] if public else [{"key": []}]), where
        assert any(int(status) < 300 for status in operation["responses"]), where
        if "requestBody" in operation:
            assert operation["requestBody"]["required"] and list(operation["requestBody"]["content"]) in (
                ["application/json"],
                ["multipart/form-data"],
                FOREIGN if public else [],
            ), where
        for status, answer in operation["responses"].items():
            assert answer["description"], where
            if int(status) >= 400:
                problem = answer["content"]["application/problem+json"]
                assert problem["schema"] == {"$ref": "#/components/schemas/Problem"} and problem["examples"], where
        for parameter in operation["parameters"]:
            assert parameter["description"] and parameter["schema"], where


def checker(schema: Node) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": WHOLE["components"]}, validate_formats=True)


def test_every_example_is_what_the_schema_says() -> None:
    for path, method, operation in operations():
        contents = [("body", operation["requestBody"]["content"])] if "requestBody" in operation else []
        contents += [(status, answer.get("content", {})) for status, answer in operation["responses"].items()]
        for where, content in contents:
            for media_type, one in content.items():
                if media_type != "text/plain":
                    examples = [one["example"]] if "example" in one else [each["value"] for each in one["examples"].values()]
                    wrong = [error.message for example in examples for error in checker(one["schema"]).iter_errors(example)]
                    assert examples and not wrong, (method, path, where, wrong)


def loose(schema: Node, where: str, seen: set[str]) -> Iterator[str]:
    """What a schema of input leaves open: unknown fields, texts, numbers and lists without an end."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name not in seen:
            seen.add(name)
            yield from loose(WHOLE["components"]["schemas"][name], name, seen)
        return
    for word in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(word, []):
            yield from loose(one, where, seen)
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == "string" and not schema.keys() & {"maxLength", "pattern", "format", "enum"}:
            yield f"{where}: a text without an end"
        if kind in ("integer", "number") and not {"minimum", "maximum"} <= schema.keys():
            yield f"{where}: a number without bounds"
        if kind == "array":
            yield from loose(schema["items"], f"{where}[]", seen)
            if "maxItems" not in schema:
                yield f"{where}: a list without an end"
        if kind == "object" and "properties" not in schema and "maxProperties" not in schema:
            yield f"{where}: an object without an end"
        if kind == "object" and "properties" in schema:
            if schema.get("additionalProperties") is not False:
                yield f"{where}: unknown fields"
            for name, one in schema["properties"].items():
                yield from loose(one, f"{where}.{name}", seen)
    if not kinds and not schema.keys() & {"anyOf", "oneOf", "allOf", "enum"}:
        yield f"{where}: anything"


def test_what_comes_in_is_bounded_everywhere() -> None:
    seen: set[str] = set()
    found: list[str] = []
    for path, method, operation in operations():
        where = f"{method} {path}"
        found += [
            one for parameter in operation["parameters"] for one in loose(parameter["schema"], f"{where} {parameter['name']}", seen)
        ]
        if "requestBody" in operation:
            (body,) = operation["requestBody"]["content"].values()
            found += loose(body["schema"], where, seen)
    assert found == [] and len(seen) > 25


def test_component_names_are_words_and_patterns_end_where_they_say() -> None:
    for name in WHOLE["components"]["schemas"]:
        assert name.isidentifier() and "_" not in name and name[0].isupper(), name
    text = msgspec.json.encode(WHOLE).decode()
    assert r"\\Z" not in text and '"pattern"' in text


def plugin_with(*routes: Any) -> Plugin:
    class Odd(Plugin):
        id, title = "odd", "Odd"

        def register_routes(self, context: PluginContext) -> list[Any]:
            return list(routes)

    return Odd()


def hub_with(tmp_path: Path, *plugins: Plugin, **more: Any) -> Any:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/none.db", secret_keys=world.KEYS, **more)
    return make_runtime(settings, plugins=plugins)


async def test_a_plugin_route_without_a_permission_stops_the_start(tmp_path: Path) -> None:
    @get("/things")
    async def odd_list() -> None:
        """Things."""

    @get("/things", opt={"permission": "odd:unknown"})
    async def odd_list_more() -> None:
        """Things."""

    for route in (odd_list, odd_list_more):
        runtime = hub_with(tmp_path, plugin_with(route))
        with pytest.raises(RuntimeError, match=rf"{route.fn.__name__}.*permission"):
            create_app(runtime)
        await runtime.database.close()


async def test_two_operations_of_the_same_name_stop_the_start(tmp_path: Path) -> None:
    def odd_things(path: str) -> Any:
        @get(path, opt={"permission": "any"})
        async def odd_list() -> None:
            """Things."""

        return odd_list

    runtime = hub_with(tmp_path, plugin_with(odd_things("/one"), odd_things("/two")))
    with pytest.raises(RuntimeError, match="odd_list"):
        create_app(runtime)
    await runtime.database.close()


async def test_the_server_is_the_public_address_with_its_prefix(tmp_path: Path) -> None:
    runtime = hub_with(tmp_path, public_url="https://hub.example.com/social/")
    made = document(describing_app(runtime), base_url=runtime.settings.base_url)
    await runtime.database.close()
    assert made["servers"] == [{"url": "https://hub.example.com/social"}]
