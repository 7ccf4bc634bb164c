"""The edge: the one place where a request gets its caller, its transaction and its end.

For every request: a request id; the key checked and the permission asked; unknown parameters refused; the rate limit. For a change in
addition: the body read and checked, the Idempotency-Key honoured, one transaction, the audit entry, and the commit **before** the answer
leaves. A failed commit is a 5xx and never a lying 201.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, TypeAlias, get_args
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Send
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import audit
from smhub.access.callers import Caller, authenticate
from smhub.app.bodies import JSON, MSGPACK, Message, fingerprint, read_body, read_bytes, read_files, replay_body, whole
from smhub.app.idempotency import MAX_KEY, Replay, begin, remember
from smhub.app.limits import RequestLimits
from smhub.app.problems import MEDIA_TYPE, as_hub_error, headers, language_of, log, problem, request_id_of
from smhub.db.read import Prepared
from smhub.db.types import Id
from smhub.errors import (
    FieldError,
    Invalid,
    NotAcceptable,
    StageTooLow,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from smhub.hub.runtime import Runtime
from smhub.hub.web import ANYBODY, PUBLIC
from smhub.organisations.models import Organisation

Scope: TypeAlias = Any
_STAGE = Prepared(select(Organisation.stage).where(Organisation.id == bindparam("organisation_id", type_=Id())))
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_STRICT = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
"""For what a browser shows whose address holds something that nobody else may know."""


class Asked(msgspec.Struct, kw_only=True):
    """What the edge knows of one request."""

    runtime: Runtime
    request_id: str
    handler: HTTPRouteHandler
    headers: dict[bytes, bytes]
    method: str
    caller: Caller | None = None
    stack: AsyncExitStack = msgspec.field(default_factory=AsyncExitStack)
    session: AsyncSession | None = None
    key: str | None = None
    fingerprint: str = ""
    wants_msgpack: bool = False
    limit_headers: list[tuple[bytes, bytes]] = msgspec.field(default_factory=list)

    @property
    def labels(self) -> list[tuple[bytes, bytes]]:
        """The headers that every answer to this request carries."""
        strict = _STRICT if self.handler.opt.get("foreign") else []
        return [(b"x-request-id", self.request_id.encode()), *self.limit_headers, *strict]

    @property
    def writes(self) -> bool:
        return self.method in _WRITES

    @property
    def foreign(self) -> bool:
        """Asked by somebody else's server, in its own way."""
        return bool(self.handler.opt.get("foreign", False))

    async def open_session(self) -> AsyncSession:
        """The request's session: made when somebody asks for it, one for the whole request."""
        if self.session is None:
            if self.writes:
                self.session = self.runtime.database.writer_session()
                self.stack.push_async_callback(self.session.close)
            else:
                self.session = await self.stack.enter_async_context(self.runtime.database.read())
        return self.session


class Edge(ASGIMiddleware):
    """See the module's description."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, runtime: Runtime) -> None:
        self.serve(runtime)
        self._parameters: dict[int, frozenset[str]] = {}
        self._not_text: dict[int, frozenset[str]] = {}
        self._methods: dict[int, str] = {}

    def serve(self, runtime: Runtime) -> None:
        """Every request from now on is answered out of this runtime."""
        self._runtime = runtime
        self._limits = RequestLimits(runtime.clock, runtime.settings.requests_per_minute)

    def learn(self, app: Litestar) -> None:
        """Note which query parameters each operation knows, and which methods a path has: Litestar's own OPTIONS forgets some."""
        for route in app.routes:
            methods = ", ".join(sorted(getattr(route, "methods", ())))
            for handler, model in getattr(route, "route_handler_map", {}).values():
                self._methods[id(handler)] = methods
                fields = model.expected_query_params
                self._parameters[id(handler)] = frozenset(field.field_alias for field in fields)
                types = getattr(handler, "parsed_fn_signature", None)
                self._not_text[id(handler)] = frozenset(
                    one.field_alias for one in fields if types and str not in _alternatives(types.parameters[one.field_name].annotation)
                )

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        raw: dict[bytes, bytes] = dict(scope["headers"])
        asked = Asked(
            runtime=self._runtime,
            request_id=request_id_of(raw.get(b"x-request-id", b"").decode("latin-1")),
            handler=scope["route_handler"],
            headers=raw,
            method=scope["method"],
        )
        state = scope["state"]
        state["request_id"], state["asked"] = asked.request_id, asked
        try:
            await self._admit(asked, scope)
            if asked.method == "OPTIONS":
                allow = self._methods.get(id(asked.handler), "OPTIONS")
                await self._labelled(asked, send)(
                    {"type": "http.response.start", "status": 204, "headers": [(b"allow", allow.encode())]}
                )
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif asked.writes:
                await self._change(asked, scope, receive, send, next_app)
            else:
                await next_app(scope, receive, self._labelled(asked, send))
        except Replay as replay:
            found = [(name.encode(), value.encode()) for name, value in replay.headers.items()]
            await _send(self._labelled(asked, send), replay.status, found, replay.body)
        except Exception as error:
            await self._refuse(asked, error, send)
        finally:
            await asked.stack.aclose()

    async def _admit(self, asked: Asked, scope: Scope) -> None:
        """Who is it, may they, and is the question well formed?"""
        permission = asked.handler.opt.get("permission", ANYBODY)
        if b"%00" in scope["query_string"] or b"%00" in scope.get("raw_path", b""):
            raise Invalid.field("query", "NUL is not allowed")
        if permission != PUBLIC:
            asked.caller = await self._caller(asked, scope)
            asked.limit_headers, wait = self._limits.take(asked.caller.key_id)
            if wait:
                raise TooManyRequests(retry_after=wait)
            if permission != ANYBODY:
                asked.caller.need(permission)
        if asked.handler.opt.get("stage", 0) > 1:
            await self._in_stage(asked)
        if asked.foreign:
            return
        if scope["query_string"]:
            self._known_parameters(asked, scope["query_string"])
        asked.wants_msgpack = _wants_msgpack(asked)

    async def _in_stage(self, asked: Asked) -> None:
        """A plugin's routes are open from its stage on."""
        stage = asked.handler.opt["stage"]
        organisation_id = asked.caller.organisation_id if asked.caller else None
        rows = await self._runtime.database.reader.rows(_STAGE, organisation_id=organisation_id)
        if not rows or rows[0][0] < stage:
            raise StageTooLow(needed=stage, stage=rows[0][0] if rows else 0)

    async def _caller(self, asked: Asked, scope: Scope) -> Caller:
        given = asked.headers.get(b"authorization", b"")
        client = scope.get("client")
        address = client[0] if client else "?"
        if given[:7].lower() == b"bearer ":
            caller = await authenticate(
                given[7:].strip().decode("latin-1"),
                reader=self._runtime.database.reader,
                keyring=self._runtime.keyring,
                permissions=self._runtime.permissions,
                now=self._runtime.clock.now(),
            )
            if caller is not None:
                self._runtime.used_keys.add(caller.organisation_id, caller.key_id)
                return caller
        self._limits.stranger(address)
        raise Unauthenticated

    def _known_parameters(self, asked: Asked, query: bytes) -> None:
        known = self._parameters.get(id(asked.handler), frozenset())
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        except (ValueError, UnicodeError) as error:
            raise Invalid.field("query", "the query string is not valid UTF-8, percent-encoded, with 100 fields at most") from error
        names = [name for name, _ in pairs]
        unknown = [] if asked.handler.opt.get("foreign") else sorted(set(names) - known)
        doubled = sorted({name for name in names if names.count(name) > 1})
        wrong = [FieldError(field=name[:100], code="unknown_parameter", detail=_known_words(known)) for name in unknown]
        wrong += [FieldError(field=name, code="given_twice", detail="give it once") for name in doubled if name in known]
        # msgspec would read the word null as "not given", and answer as if nobody had asked for the filter.
        not_text = self._not_text.get(id(asked.handler), frozenset())
        wrong += [
            FieldError(field=name, code="invalid", detail="leave it out")
            for name, value in pairs
            if name in not_text and value.lower() == "null"
        ]
        if wrong:
            raise Invalid(fields=wrong)

    async def _change(self, asked: Asked, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """A change: everything is held back until the commit."""
        if asked.foreign:
            body = await read_bytes(asked.headers, receive)
        elif asked.handler.opt.get("files"):
            body = await read_files(asked.headers, receive, asked.runtime.settings.media_max_mb << 20)
            asked.key = _idempotency_key(asked)
        else:
            body = await read_body(asked.headers, receive)
            asked.key = _idempotency_key(asked)
        if asked.caller is not None and asked.key is not None:
            asked.fingerprint = fingerprint(scope, body)
            await begin(await asked.open_session(), asked.runtime, asked.caller, asked.key, asked.fingerprint)
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await next_app(scope, replay_body(body), hold)
        status, found, content = whole(held)
        if status < 400:
            await self._commit(asked, status, found, content)
        elif asked.session is not None:
            await asked.session.rollback()
        labelled = self._labelled(asked, send)
        await labelled({"type": "http.response.start", "status": status, "headers": found})
        await labelled({"type": "http.response.body", "body": content, "more_body": False})

    async def _commit(self, asked: Asked, status: int, found: list[tuple[bytes, bytes]], content: bytes) -> None:
        session, caller = asked.session, asked.caller
        if session is None:
            return
        if caller is not None:
            audit.enter(
                session,
                organisation_id=caller.organisation_id,
                at=asked.runtime.clock.now(),
                action=asked.handler.fn.__name__,
                about=session.info.get("audit") or audit.Note(),
                member_id=caller.member_id,
                key_id=caller.key_id,
                request_id=asked.request_id,
            )
            if asked.key is not None:
                await remember(session, asked.runtime.keyring, caller, asked.key, status, found, content)
        await session.commit()

    def _labelled(self, asked: Asked, send: Send) -> Send:
        """Every answer carries the request id and the rate limit; MessagePack when asked for."""
        start: list[Message] = []

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
                found += asked.labels
                message = {**message, "headers": found}
                if _is_json(found):
                    start.append(message)
                    return
            elif start:
                first = start.pop()
                packed = msgspec.msgpack.encode(msgspec.json.decode(message["body"]))
                first["headers"] = [pair for pair in first["headers"] if pair[0] not in (b"content-type", b"content-length")] + [
                    (b"content-type", MSGPACK.encode()),
                    (b"content-length", str(len(packed)).encode()),
                ]
                await send(first)
                message = {**message, "body": packed}
            await send(message)

        return labelled if asked.wants_msgpack else _plain_label(asked, send)

    async def _refuse(self, asked: Asked, error: Exception, send: Send) -> None:
        meant = as_hub_error(error)
        if meant.status >= 500 and not isinstance(meant, Unavailable):
            log.exception("unforeseen", request_id=asked.request_id, operation=asked.handler.fn.__name__, exc_info=error)
        if asked.session is not None and asked.writes:
            await asked.session.rollback()
        language = language_of(asked.headers.get(b"accept-language", b"").decode("latin-1"))
        shaped = problem(meant, base_url=asked.runtime.settings.base_url, request_id=asked.request_id, language=language)
        found = [(b"content-type", MEDIA_TYPE.encode()), *((k.lower().encode(), v.encode()) for k, v in headers(meant).items())]
        found += asked.labels
        await _send(send, meant.status, found, msgspec.json.encode(shaped))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) or (annotation,)


def _plain_label(asked: Asked, send: Send) -> Send:
    async def labelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            found = message["headers"] = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
            found += asked.labels
        await send(message)

    return labelled


def _known_words(known: frozenset[str]) -> str:
    return f"this operation knows {', '.join(sorted(known))}" if known else "this operation takes no parameters"


def _idempotency_key(asked: Asked) -> str | None:
    given = asked.headers.get(b"idempotency-key")
    if given is None or asked.method != "POST":
        return None
    if not 1 <= len(given) <= MAX_KEY or not given.isascii() or not given.decode("ascii").isprintable():
        raise Invalid.field("Idempotency-Key", f"1 to {MAX_KEY} printable ASCII characters")
    return given.decode("ascii")


def _wants_msgpack(asked: Asked) -> bool:
    accept = asked.headers.get(b"accept", b"*/*")
    if accept == b"*/*" or JSON.encode() in accept or b"*/*" in accept or b"application/*" in accept:
        return False
    if MSGPACK.encode() in accept:
        return True
    produced = asked.handler.opt.get("media_type", JSON)
    if produced == JSON and b"problem+json" not in accept and b"json" not in accept:
        raise NotAcceptable
    return False


def _is_json(found: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in found)


async def _send(send: Send, status: int, found: list[tuple[bytes, bytes]], body: bytes) -> None:
    names = {name for name, _ in found}
    if b"content-length" not in names:
        found = [*found, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": found})
    await send({"type": "http.response.body", "body": body, "more_body": False})
