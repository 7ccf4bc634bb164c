"""The body of a request, read whole and checked before anybody decodes it; and that of an answer, held back."""

from __future__ import annotations

import hashlib
import re
from typing import Any, TypeAlias

import msgspec
from litestar.types import Receive

from smhub.app.problems import MAX_BODY
from smhub.errors import MalformedBody, TooLarge, UnsupportedMediaType

MAX_DEPTH = 64
Message: TypeAlias = Any
Scope: TypeAlias = Any
MSGPACK = "application/vnd.msgpack"
JSON = "application/json"
MULTIPART = "multipart/form-data"
FORM = 64 * 1024
_NUL = re.compile(rb"\x00|(?<!\\)(?:\\\\)*\\u0000")
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


async def read_body(headers: dict[bytes, bytes], receive: Any) -> bytes:
    """The whole body, checked: size, type, UTF-8, NUL, depth. MessagePack becomes JSON."""
    body = await read_bytes(headers, receive)
    if not body:
        return body
    media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
    if media_type == MSGPACK:
        try:
            body = msgspec.json.encode(msgspec.msgpack.decode(body))
        except (msgspec.DecodeError, RecursionError, UnicodeError, TypeError, ValueError) as error:
            raise MalformedBody(reason="it is not valid MessagePack") from error
    elif media_type != JSON:
        raise UnsupportedMediaType
    check_json(body)
    return body


async def read_files(headers: dict[bytes, bytes], receive: Any, most: int) -> bytes:
    """The body of an upload: multipart/form-data, up to `most` bytes and what the form itself needs."""
    if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != MULTIPART.encode():
        raise UnsupportedMediaType
    return await read_bytes(headers, receive, most + FORM)


async def read_bytes(headers: dict[bytes, bytes], receive: Any, most: int = MAX_BODY) -> bytes:
    """The whole body as it came, up to `most` bytes."""
    chunks: list[bytes] = []
    size = 0
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit():
        raise MalformedBody(reason="Content-Length is not a number")
    if len(announced) > 12 or int(announced) > most:
        raise TooLarge(limit=most)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody(reason="the connection ended before the body did")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise TooLarge(limit=most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def check_json(body: bytes) -> None:
    """Refuse what msgspec or a database would stumble over. Raises MalformedBody."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBody(reason=f"byte {error.start} is not UTF-8") from error
    if _NUL.search(body):
        raise MalformedBody(reason="NUL is not allowed")
    depth = 0
    for found in _BRACKETS.finditer(body):
        byte = found[0][:1]
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedBody(reason=f"it is nested deeper than {MAX_DEPTH}")
        elif byte in b"]}":
            depth -= 1


def fingerprint(scope: Scope, body: bytes) -> str:
    text = f"{scope['method']}\0{scope['path']}\0".encode() + scope["query_string"] + b"\0" + body
    return hashlib.sha256(text).hexdigest()


def replay_body(body: bytes) -> Receive:
    sent = False

    async def receive() -> Any:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def whole(held: list[Message]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    status, found, content = 500, [], b""
    for message in held:
        if message["type"] == "http.response.start":
            status, found = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            content += message.get("body", b"")
    return status, found, content
