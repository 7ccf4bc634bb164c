"""What every `api.py` is made of: how a route is declared, what it is handed, how it answers.

A route says its permission and the errors it can give; without a permission the app does not start. `operation_id` is the function's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.callers import Caller
from smhub.db import paging
from smhub.errors import HubError, Invalid, Stale
from smhub.hub.runtime import Runtime

PUBLIC = "public"
"""The permission of a route that asks for no key."""
ANYBODY = "any"
"""The permission of a route that every valid key may use."""

Asking: TypeAlias = NamedDependency[SkipValidation[Caller]]
Session: TypeAlias = NamedDependency[SkipValidation[AsyncSession]]
Process: TypeAlias = NamedDependency[SkipValidation[Runtime]]
PathId: TypeAlias = FromPath[UUID]
Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=200, description="How many at most (1 to 200).")]
Cursor: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=1000, description="`next_cursor` of the page before; left out for the first page.")
]


def shaped(pattern: str, **more: Any) -> Meta:
    """Text that fits a pattern from end to end. Python's `$` would let a line break slip in after it; the contract says `$` for `\\Z`."""
    return Meta(pattern=rf"^{pattern}\Z", **more)


Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A time with its offset; times without one are refused."""
Name = Annotated[str, Meta(min_length=1, max_length=200, examples=["Service"])]
Slug = Annotated[str, shaped("[a-z0-9]+(-[a-z0-9]+)*", max_length=60, examples=["service"])]
Text = Annotated[str, Meta(max_length=10_000)]
Known = Callable[..., Meta]

T = TypeVar("T")
Body: TypeAlias = JSONBody[T]
Decorator = Callable[[Callable[..., Any]], Any]


def known(*values: str, description: str | None = None, example: str | None = None) -> Meta:
    """An open enum: text whose values are known today and will grow (`x-known-values`)."""
    more = "" if description is None else f"{description} "
    return Meta(
        description=f"{more}Open: new values may come.",
        examples=[example or values[0]] if values else None,
        extra_json_schema={"x-known-values": list(values)},
    )


def _options(permission: str, errors: Sequence[type[HubError]], plugin: str | None) -> dict[str, Any]:
    return {"permission": permission, "errors": tuple(errors), "plugin": plugin}


def reads(
    path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, foreign: bool = False, **more: Any
) -> Decorator:
    """GET. `media_type` for what is not JSON. `foreign`: a network sends people there, with parameters of its own; the answer is stored
    nowhere and tells nobody its address."""
    options = _options(permission, errors, plugin) | ({"media_type": str(more["media_type"])} if "media_type" in more else {})
    if foreign:
        options["foreign"] = True
    return get(path, opt=options, tags=[tag], **more)


def creates(path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, **more: Any) -> Decorator:
    """POST that makes something: 201."""
    return post(path, opt=_options(permission, errors, plugin), tags=[tag], **more)


def takes_files(path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, **more: Any) -> Decorator:
    """POST of multipart/form-data with one part `file`, up to the size in the settings, that makes something: 201."""
    options = _options(permission, errors, plugin) | {"files": True}
    return post(path, opt=options, tags=[tag], request_max_body_size=None, **more)


def does(path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, **more: Any) -> Decorator:
    """POST that does something to what is there: 200. `media_type` for what is not JSON."""
    options = _options(permission, errors, plugin) | ({"media_type": str(more["media_type"])} if "media_type" in more else {})
    return post(path, opt=options, tags=[tag], status_code=200, **more)


def starts(path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, **more: Any) -> Decorator:
    """POST that begins long work: 202 with an operation to follow."""
    return post(path, opt=_options(permission, errors, plugin), tags=[tag], status_code=202, **more)


def answers_strangers(
    method: str, path: str, permission: str, *errors: type[HubError], tag: str, media_type: str, plugin: str | None = None, **more: Any
) -> Decorator:
    """GET or POST that somebody else's server asks in its own way: any query, any Accept, and a body that is left as it came."""
    made = get if method == "GET" else post
    options = _options(permission, errors, plugin) | {"media_type": str(media_type), "foreign": True}
    return made(path, opt=options, tags=[tag], status_code=200, media_type=media_type, **more)


def changes(path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, **more: Any) -> Decorator:
    """PATCH: fields that are left out stay as they are."""
    return patch(path, opt=_options(permission, errors, plugin), tags=[tag], **more)


def sets(path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, **more: Any) -> Decorator:
    """PUT: the whole is replaced; doing it twice is doing it once."""
    return put(path, opt=_options(permission, errors, plugin), tags=[tag], **more)


def removes(path: str, permission: str, *errors: type[HubError], tag: str, plugin: str | None = None, **more: Any) -> Decorator:
    """DELETE: 204 without a body."""
    return delete(path, opt=_options(permission, errors, plugin), tags=[tag], **more)


def tagged(content: T, version: int) -> Response[T]:
    """An answer with its ETag, for what two people edit."""
    return Response(content, headers={"ETag": f'"{version}"'})


_ETAG = re.compile(r'(?:W/)?"([^"]*)"')


def check_match(request: Request[Any, Any, Any], version: int) -> None:
    """Raise Stale when If-Match names another version than the present one."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return
    if len(given) > 255:
        raise Invalid.field("If-Match", "at most 255 characters")
    if str(version) not in _ETAG.findall(given):
        raise Stale


def given_fields(change: msgspec.Struct) -> dict[str, Any]:
    """The fields of a change that were sent; UNSET ones are left out."""
    return {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not msgspec.UNSET}


async def own_page(
    session: AsyncSession, runtime: Runtime, caller: Caller, model: Any, statement: Any, cursor: str | None, limit: int
) -> tuple[list[Any], str | None]:
    """A page of the organisation's own rows, the newest first, and the next cursor."""
    return await paging.page(
        session,
        statement.where(model.organisation_id == caller.organisation_id),
        cursors=runtime.cursors,
        purpose=model.__tablename__,
        organisation_id=caller.organisation_id,
        order=[model.id],
        cursor=cursor,
        limit=limit,
    )
