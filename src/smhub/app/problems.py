"""Every error becomes one shape: RFC 9457 problem+json. Texts of exceptions never leave the house."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from msgspec import Meta

from smhub.db.engine import is_unavailable
from smhub.db.read import TooSlow
from smhub.errors import (
    FieldError,
    HubError,
    Internal,
    Invalid,
    MalformedBody,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    NotPermitted,
    RouteNotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from smhub.ids import new_id
from smhub.work.leases import LeaseLost

log = structlog.get_logger("smhub.api")
MEDIA_TYPE = "application/problem+json"
MAX_BODY = 1_048_576
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class InTheWay(msgspec.Struct, kw_only=True):
    """What somebody else is doing, which stands in the way."""

    id: UUID
    state: Annotated[str, Meta(examples=["draft"])]
    created_by: UUID | None
    created_at: datetime


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457). `code` is stable and listed by GET /v1/errors; `detail` is for people, in English or German."""

    type: Annotated[
        str, Meta(description="A stable address of the kind of problem.", examples=["https://hub.example.com/v1/docs/errors#not_found"])
    ]
    title: Annotated[str, Meta(description="English and stable.", examples=["Not found"])]
    status: Annotated[int, Meta(examples=[404])]
    code: Annotated[str, Meta(examples=["not_found"])]
    detail: Annotated[str, Meta(examples=["There is no mention with this id that you may see."])]
    request_id: Annotated[str, Meta(description="Name it when you ask for help.", examples=["01938e5c7a7a7b6c8d9e"])]
    doc_url: Annotated[
        str,
        Meta(description="A page of this hub that explains the code.", examples=["https://hub.example.com/v1/docs/errors#not_found"]),
    ]
    errors: Annotated[list[FieldError], Meta(description="Each field that is wrong.")] = []
    retry_after: Annotated[float | None, Meta(description="Seconds until it is worth trying again.")] = None
    permission: Annotated[str | None, Meta(description="The permission that is missing.")] = None
    state: Annotated[str | None, Meta(description="The state that does not allow it.")] = None
    in_the_way: Annotated[InTheWay | None, Meta(description="What somebody else is doing: the answer that is being written.")] = None
    column: Annotated[int | None, Meta(description="The first wrong character of a query, from 1.")] = None


def problem(error: HubError, *, base_url: str, request_id: str, language: str = "en") -> Problem:
    """The problem that an error becomes."""
    page = f"{base_url}/v1/docs/errors#{error.code}"
    column = error.values.get("column")
    permission = error.values.get("permission")
    return Problem(
        type=page,
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail(language),
        request_id=request_id,
        doc_url=page,
        errors=list(error.fields),
        retry_after=error.retry_after,
        permission=permission if isinstance(permission, str) else None,
        column=column if isinstance(column, int) else None,
        state=error.extra.get("state"),
        in_the_way=InTheWay(**other) if (other := error.extra.get("in_the_way")) else None,
    )


def request_id_of(given: str) -> str:
    """The caller's own id when it is a plain word, else a new one."""
    return given if REQUEST_ID.fullmatch(given) else new_id().hex


def headers(error: HubError) -> dict[str, str]:
    """The headers that go with an error."""
    found = {}
    if error.retry_after is not None:
        found["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, Unauthenticated):
        found["WWW-Authenticate"] = 'Bearer realm="smhub"'
    return found


def language_of(accept: str) -> str:
    """de or en, whichever Accept-Language likes better."""
    best, chosen = 0.0, "en"
    for part in accept.lower().split(",")[:20]:
        tag, _, more = part.strip().partition(";")
        try:
            weight = float(more.strip().removeprefix("q=")) if more.strip().startswith("q=") else 1.0
        except ValueError:
            continue
        if tag[:2] in ("de", "en") and weight > best:
            best, chosen = weight, tag[:2]
    return chosen


def as_hub_error(error: BaseException) -> HubError:
    """The error of the contract that an exception means; what nobody foresaw is Internal."""
    if isinstance(error, HubError):
        return error
    if isinstance(error, HTTPException):
        return _of_litestar(error)
    if isinstance(error, TooSlow):
        return Unavailable(reason="the question takes too long; narrow it down", retry_after=5)
    if is_unavailable(error):
        return Unavailable(reason="the database is not available", retry_after=2)
    if isinstance(error, LeaseLost):
        return Unavailable(reason="it was taken over", retry_after=1)
    if isinstance(error, RecursionError):
        return MalformedBody(reason="it is nested too deeply")
    if isinstance(error, UnicodeError):
        return MalformedBody(reason="it holds characters that are not valid")
    return Internal()


def _of_litestar(error: HTTPException) -> HubError:
    if isinstance(error, NotFoundException):
        return RouteNotFound()
    if isinstance(error, MethodNotAllowedException):
        return MethodNotAllowed()
    if isinstance(error, ValidationException):
        return Invalid(fields=_fields(error))
    if isinstance(error, SerializationException):
        return MalformedBody(reason=str(error.detail)[:200])
    by_status: dict[int, HubError] = {
        401: Unauthenticated(),
        403: NotPermitted(permission="?"),
        404: RouteNotFound(),
        405: MethodNotAllowed(),
        406: NotAcceptable(),
        413: TooLarge(limit=MAX_BODY),
        415: UnsupportedMediaType(),
        429: TooManyRequests(),
        503: Unavailable(reason="it is busy", retry_after=2),
    }
    if error.status_code in by_status:
        return by_status[error.status_code]
    if error.status_code == 400:
        return MalformedBody(reason=str(error.detail)[:200])
    return Internal()


def _fields(error: ValidationException) -> list[FieldError]:
    found = []
    extra: Any = error.extra if isinstance(error.extra, list) else []
    for one in extra:
        if isinstance(one, dict):
            key = str(one.get("key") or "body").removeprefix("data.").removeprefix("$.").lstrip(".$")
            found.append(FieldError(field=key or "body", code="invalid", detail=str(one.get("message", ""))[:500]))
    return found or [FieldError(field="body", code="invalid", detail=str(error.detail)[:300].split(" for ")[0])]


def _allowed(request: Request[Any, Any, Any]) -> str:
    """The methods that the path knows; Litestar does not say them."""
    parts = request.scope["path"].strip("/").split("/")
    for route in sorted(request.app.routes, key=lambda route: route.path_format.count("{")):
        known = route.path_format.strip("/").split("/")
        if len(known) == len(parts) and all(one == part or one.startswith("{") for one, part in zip(known, parts, strict=True)):
            return ", ".join(sorted(getattr(route, "methods", ())))
    return ""


def to_response(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The exception handler of the whole app."""
    meant = as_hub_error(error)
    # A path that no route has never comes to the edge, so it has no id yet.
    request_id = request.scope.get("state", {}).get("request_id") or request_id_of(request.headers.get("x-request-id", ""))
    if meant.status >= 500 and not isinstance(meant, Unavailable):
        log.exception("unforeseen", request_id=request_id, path=request.scope.get("path_template") or "", exc_info=error)
    shaped = problem(
        meant,
        base_url=request.app.state["runtime"].settings.base_url,
        request_id=request_id,
        language=language_of(request.headers.get("accept-language", "")),
    )
    found = headers(meant)
    if isinstance(meant, MethodNotAllowed):
        found["Allow"] = _allowed(request)
    return Response(shaped, status_code=meant.status, media_type=MEDIA_TYPE, headers={**found, "X-Request-Id": request_id})


__all__ = ["MEDIA_TYPE", "NotFound", "Problem", "as_hub_error", "headers", "language_of", "problem", "to_response"]
