"""The contract: Litestar's document, finished. Served and written to openapi/*.json by the same function.

Litestar drops or invents some of it, so components are made by msgspec from the Structs themselves (limits, open enums, no unknown fields),
every error is declared as what it is, every operation says its permission, its plugin and an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from smhub import __version__
from smhub.app.problems import MAX_BODY, Problem
from smhub.errors import (
    HubError,
    IdempotencyMismatch,
    IdempotencyRunning,
    Invalid,
    MalformedBody,
    NotAcceptable,
    NotPermitted,
    StageTooLow,
    Stale,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from smhub.hub.web import ANYBODY, PUBLIC

REF = "#/components/schemas/{name}"
DESCRIPTION = """smhub takes in what is said about a company on many networks and brings answers out.

**Keys.** Send `Authorization: Bearer smhub_…`; `GET /v1/me` tells what the key may do.

**Lists** are pages: `limit` (at most 200) and `cursor`, the `next_cursor` of the page before.

**Errors** are problem+json (RFC 9457) with a stable `code`; `GET /v1/errors` lists all of them.

**Changes** take an `Idempotency-Key` on every POST (kept for 24 hours), and `If-Match` where there is an `ETag`.

**Open values.** Where a field has `x-known-values`, new ones may come with any release or plugin: treat an unknown value as "something new",
never as an error. The same holds for unknown fields in answers.
"""


def document(app: Litestar, *, base_url: str) -> dict[str, Any]:
    """The finished OpenAPI 3.1 document as plain data, in a fixed order."""
    raw: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    handlers = _handlers(app)
    raw["components"]["schemas"] = _components(handlers[name] for name in _operations(raw))
    for path, item in raw["paths"].items():
        for method, operation in item.items():
            _finish(path, method, operation, handlers[operation["operationId"]], raw["components"]["schemas"])
    raw["info"] = {
        "title": "smhub",
        "version": __version__,
        "description": DESCRIPTION,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "contact": {"name": "The operator of this hub", "url": f"{base_url}/v1/docs"},
    }
    raw["servers"] = [{"url": base_url}]
    raw["security"] = [{"key": []}]
    raw["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "bearerFormat": "smhub_<id>_<secret>_<checksum>", "description": "An API key."}
    }
    tags = sorted({tag for item in raw["paths"].values() for operation in item.values() for tag in operation["tags"]})
    raw["tags"] = [{"name": tag, "description": TAGS.get(tag, f"The plugin {tag}.")} for tag in tags]
    return {key: raw[key] for key in ("openapi", "info", "servers", "security", "tags", "paths", "components")}


TAGS = {
    "hub": "The hub itself: who am I, errors, networks, plugins.",
    "organisations": "The company, its members, roles, grants and keys.",
    "departments": "Who answers: a tree with hours and holidays.",
    "channels": "Where mentions come from: channels, listeners, intakes and their gaps.",
    "mentions": "What was said: mentions, threads, authors and persons.",
    "events": "The log of facts.",
    "work": "What is done later: operations and jobs.",
}


def _operations(raw: dict[str, Any]) -> list[str]:
    return sorted(operation["operationId"] for item in raw["paths"].values() for operation in item.values())


def _handlers(app: Litestar) -> dict[str, HTTPRouteHandler]:
    found = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            found[handler.fn.__name__] = handler
    return found


def _components(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """The Structs that the handlers take and give, with what they refer to, as msgspec describes them."""
    structs: dict[str, type[msgspec.Struct]] = {"Problem": Problem}
    for handler in handlers:
        body = handler.parsed_data_field
        for one in (handler.parsed_return_field, *([body] if body is not None else [])):
            for struct in _structs_in(one.annotation):
                if structs.setdefault(struct.__name__, struct) is not struct:
                    raise ValueError(
                        f"two wire types are called {struct.__name__}: {struct.__module__}, {structs[struct.__name__].__module__}"
                    )
    _, components = msgspec.json.schema_components([structs[name] for name in sorted(structs)], ref_template=REF)
    long = sorted(name for name in components if "." in name or "_" in name)
    if long:
        raise ValueError(f"two wire types have the same name, or one is generic: {', '.join(long)}")
    return {name: _tidy(components[name]) for name in sorted(components)}


def _structs_in(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for inner in get_args(annotation):
        yield from _structs_in(inner)


def _tidy(schema: Any) -> Any:
    """What generators stumble over: whitespace of docstrings, free objects that do not say so, and `\\Z`, which ECMA does not know."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _tidy(value) for key, value in schema.items()}
    if isinstance(found.get("description"), str):
        found["description"] = re.sub(r"\s+", " ", found["description"]).strip()
    if found.get("type") == "object" and not found.keys() & {"properties", "additionalProperties"}:
        found["additionalProperties"] = True
    if isinstance(found.get("pattern"), str):
        found["pattern"] = found["pattern"].replace(r"\Z", "$")
    return found


def _finish(path: str, method: str, operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    permission = handler.opt.get("permission", ANYBODY)
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", handler.fn.__doc__ or "").strip()
    summary, _, more = text.partition("\n")
    operation["summary"] = summary.strip().removesuffix(".")
    words = {PUBLIC: "No key is needed.", ANYBODY: "Any valid key may do this."}.get(permission, f"Permission: `{permission}`.")
    operation["description"] = "\n\n".join(part for part in (summary.strip(), more.strip().replace("\n", " "), words) if part)
    operation["x-smhub-permission"] = permission
    if plugin := handler.opt.get("plugin"):
        operation["x-smhub-plugin"] = plugin
    if permission == PUBLIC:
        operation["security"] = []
    if method == "post" and permission != PUBLIC:
        operation.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Send the same key to have this done only once; 1 to 255 printable ASCII characters, kept for 24 hours.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
            }
        )
    if Stale in handler.opt.get("errors", ()):
        operation.setdefault("parameters", []).append(IF_MATCH)
    operation["parameters"] = [_parameter(one) for one in operation.get("parameters", [])]
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if handler.opt.get("foreign"):
        _foreign(method, operation)
    if handler.opt.get("files"):
        operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": FORM, "example": FORM_EXAMPLE}}}
    _errors(method, permission, operation, handler)
    _examples(operation, schemas)


def _foreign(method: str, operation: dict[str, Any]) -> None:
    """What somebody else's server sends and is told: any bytes, and words that its connector chose."""
    if method == "post":
        text = {"type": "string", "format": "binary", "maxLength": MAX_BODY}
        anything = {"schema": text, "example": "…"}
        operation["requestBody"] = {
            "required": True,
            "description": "As the network sends it, of any content type.",
            "content": {"application/octet-stream": anything},
        }
    told = operation["responses"]["200"]
    told["description"] = "Taken, or the answer to a handshake."
    told["content"] = {
        "text/plain": {"schema": {"type": "string"}, "example": "ok"},
        "application/json": {"schema": {}, "example": {"challenge": "…"}},
    }


FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "With a file name; of the type that its bytes are."},
        "alternative_text": {"type": "string", "maxLength": 10_000, "description": "What is to be seen, for whoever does not see it."},
    },
}
FORM_EXAMPLE = {"file": "…", "alternative_text": "Ein roter Wasserkessel"}
ETAG = {"description": "For If-Match.", "schema": {"type": "string", "examples": ['"1"']}}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` that was read: 412 when it was changed since. Left out: changed in any case.",
    "schema": {"type": "string", "maxLength": 255, "examples": ['"1"']},
}


def _parameter(raw: dict[str, Any]) -> dict[str, Any]:
    """A parameter without what does not concern it: it is there or not, and never null."""
    parameter = {key: value for key, value in raw.items() if key not in ("deprecated", "allowEmptyValue", "allowReserved")}
    schema = dict(parameter["schema"])
    for one in schema.pop("oneOf", []):
        if one != {"type": "null"}:
            schema = {**one, **schema}
    schema.pop("description", None)
    parameter["schema"] = _tidy(_whole_numbers(schema))
    if parameter["in"] == "path":
        parameter.setdefault("description", "Which one.")
    return parameter


def _whole_numbers(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: int(value) if isinstance(value, float) and value.is_integer() else _whole_numbers(value)
            for key, value in schema.items()
        }
    return [_whole_numbers(item) for item in schema] if isinstance(schema, list) else schema


def errors_of(method: str, permission: str, handler: HTTPRouteHandler) -> list[type[HubError]]:
    """Every error that an operation can give: its own, and those of the edge."""
    found: set[type[HubError]] = {*handler.opt.get("errors", ()), Invalid, NotAcceptable, Unavailable}
    if handler.opt.get("foreign"):
        return sorted(found - {NotAcceptable} | ({MalformedBody, TooLarge} if method == "post" else set()), key=_order)
    if handler.opt.get("stage", 0) > 1:
        found.add(StageTooLow)
    if permission != PUBLIC:
        found |= {Unauthenticated, TooManyRequests}
        if permission != ANYBODY:
            found.add(NotPermitted)
    if method in ("post", "put", "patch", "delete"):
        found |= {MalformedBody, TooLarge, UnsupportedMediaType}
    if method == "post" and permission != PUBLIC:
        found |= {IdempotencyRunning, IdempotencyMismatch}
    return sorted(found, key=_order)


def _order(error: type[HubError]) -> tuple[int, str]:
    return error.status, error.code


def _errors(method: str, permission: str, operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    own = {str(status) for status in handler.responses or ()}
    responses = {status: one for status, one in operation["responses"].items() if int(status) < 400 or status in own}
    by_status: dict[int, list[type[HubError]]] = {}
    for error in errors_of(method, permission, handler):
        by_status.setdefault(error.status, []).append(error)
    for status, errors in sorted(by_status.items()):
        declared = responses.get(str(status), {})
        responses[str(status)] = {
            "description": "; ".join(
                filter(None, (declared.get("description"), *(f"`{error.code}`: {error.title}" for error in errors)))
            ),
            "content": {
                **declared.get("content", {}),
                "application/problem+json": {
                    "schema": {"$ref": REF.format(name="Problem")},
                    "examples": {error.code: {"value": _problem_example(error)} for error in errors},
                },
            },
        }
    operation["responses"] = responses


class _Words(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return {"permission": "mentions:read", "column": "7", "limit": "1048576"}.get(key, "…")


def _problem_example(error: type[HubError]) -> dict[str, Any]:
    page = f"https://hub.example.com/v1/docs/errors#{error.code}"
    shaped = Problem(
        type=page,
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.en.format_map(_Words()),
        request_id="01938e5c7a7a7b6c8d9e0f1a2b3c4d5e",
        doc_url=page,
    )
    return msgspec.to_builtins(shaped)  # type: ignore[no-any-return]


def _examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        body["schema"] = _tidy(body["schema"])
        body["example"] = example(body["schema"], schemas)
    for response in operation["responses"].values():
        response.pop("headers", None)
        for media_type, content in response.get("content", {}).items():
            if media_type == "text/event-stream":
                content["schema"] = {"type": "string", "description": "Server-Sent Events; `data` is an EventInfo."}
                data = msgspec.json.encode(example(schemas["EventInfo"], schemas)).decode()
                content["example"] = f"retry: 2000\n\nid: 1\nevent: mention.discovered\ndata: {data}\n\n"
                response["description"] = "Events, until one of the two hangs up."
            if media_type == "application/octet-stream":
                content |= {"schema": {"type": "string", "format": "binary"}, "example": "…"}
            elif media_type == "text/csv":
                content["example"] = "network,volume\r\nmastodon,12\r\n"
            if media_type == "application/json" and "$ref" in content.get("schema", {}):
                content["example"] = example(content["schema"], schemas)
                if "version" in schemas[content["schema"]["$ref"].rsplit("/", 1)[-1]]["properties"]:
                    response["headers"] = {"ETag": ETAG}
        response["description"] = response.get("description") or "Done"


def example(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """A value that fits a schema, made from its examples, known values and formats; always the same."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas, depth + 1)
    if schema.get("examples"):
        return schema["examples"][0]
    for word in ("x-known-values", "enum"):
        if schema.get(word):
            return schema[word][0]
    if "const" in schema:
        return schema["const"]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            real = [one for one in schema[word] if one.get("type") != "null"]
            return example(real[0], schemas, depth) if real else None
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    if kind == "object":
        required = set(schema.get("required", []))
        return {
            name: example(one, schemas, depth + 1)
            for name, one in schema.get("properties", {}).items()
            if name in required or depth < 3
        }
    if kind == "array":
        items = schema.get("items")
        return [] if not items or (depth > 3 and not schema.get("minItems")) else [example(items, schemas, depth + 1)]
    return _scalar(kind, schema)


def _scalar(kind: str | None, schema: dict[str, Any]) -> Any:
    if kind == "string":
        formats = {
            "uuid": "01938e5c-7a7a-7b6c-8d9e-0f1a2b3c4d5e",
            "date-time": "2026-11-02T09:00:00Z",
            "date": "2026-11-02",
            "password": "secret",
        }
        return formats.get(schema.get("format", ""), schema.get("default") or "text")
    if kind == "boolean":
        return schema.get("default", True)
    if kind in ("integer", "number"):
        return schema.get("default") if schema.get("default") is not None else schema.get("minimum", 1)
    return None
