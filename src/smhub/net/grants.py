"""The token endpoint of a network (RFC 6749): the one form that is posted there, and what its answer means.

It stands here, because nothing leaves the house but through this floor. It keeps nothing and tries nothing twice.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import quote_plus, urlencode

import msgspec

from smhub.net import urls
from smhub.net.client import Client
from smhub.net.waiting import from_retry_after
from smhub.sdk.errors import ConfigInvalid, PayloadMalformed, RateLimited, Transient
from smhub.sdk.http import Response
from smhub.secret import Secret

DEADLINE = 20.0
MAX_ANSWER = 256 * 1024
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where an app gets tokens, and how it proves to be that app. Without a secret it is a public client."""

    url: str
    client_id: str
    client_secret: Secret | None = None
    how: Literal["basic", "post"] = "basic"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What was given. `expires_in` in seconds; None: the network does not say. `scopes` None: those that were asked for."""

    access_token: Secret
    refresh_token: Secret | None = None
    expires_in: float | None = None
    scopes: tuple[str, ...] | None = None


class GrantRefused(Exception):
    """The network said no, with one of the codes of RFC 6749 (`invalid_grant`, `invalid_client` …) or its own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Answer(msgspec.Struct):
    access_token: str | None = None
    token_type: str | None = None
    refresh_token: str | None = None
    expires_in: float | None = None
    scope: str | list[str] | None = None
    error: str | dict[str, msgspec.Raw] | None = None


async def ask(client: Client, endpoint: Endpoint, fields: Mapping[str, str], now: datetime) -> Grant:
    """Ask for a token. Raises GrantRefused, or Transient, RateLimited, PayloadMalformed and ConfigInvalid as `http` does."""
    response = await post(client, endpoint, fields)
    said = f"{urls.read(endpoint.url).host} answered {response.status} when it was asked for a token."
    wait = from_retry_after(response.headers.get("retry-after"), now)
    if response.status == 429:
        raise RateLimited(said, retry_after=wait, scope="app")
    if response.status in (408, 425) or response.status >= 500:
        raise Transient(said, status=response.status, retry_after=wait)
    try:
        answer = msgspec.json.decode(response.body, type=_Answer, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if response.status >= 400 or (answer is not None and answer.error is not None):
        raise GrantRefused(_code(answer, response.status))
    if answer is None or response.status >= 300 or not _TOKEN.fullmatch(answer.access_token or ""):
        raise PayloadMalformed(f"{said} There is no token in it that can be read.", status=response.status)
    if (answer.token_type or "bearer").lower() != "bearer":
        raise PayloadMalformed(f"{said} Its token is of a type that is not spoken here.", status=response.status)
    lasting = answer.expires_in if answer.expires_in is not None and 0 < answer.expires_in < 10**10 else None
    return Grant(
        access_token=Secret(answer.access_token or ""),
        refresh_token=Secret(answer.refresh_token) if answer.refresh_token else None,
        expires_in=lasting,
        scopes=_scopes(answer.scope),
    )


async def post(client: Client, endpoint: Endpoint, fields: Mapping[str, str]) -> Response:
    """Post a form in the app's name; the whole answer, whatever its status."""
    refuse_in_clear(endpoint.url)
    form, headers = dict(fields), {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    if endpoint.client_secret is None:
        form["client_id"] = endpoint.client_id
    elif endpoint.how == "post":
        form |= {"client_id": endpoint.client_id, "client_secret": endpoint.client_secret.reveal()}
    else:
        pair = f"{quote_plus(endpoint.client_id)}:{quote_plus(endpoint.client_secret.reveal())}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    body = urlencode(form).encode()
    return await client.send(
        "POST", endpoint.url, body=body, private_headers=headers, deadline=DEADLINE, max_raw=MAX_ANSWER, max_bytes=MAX_ANSWER
    )


def refuse_in_clear(address: str) -> urls.Url:
    """The address, read. Raises ConfigInvalid for one that everybody on the way could listen at: only this machine is spoken to by http."""
    try:
        read = urls.read(address)
    except ValueError as error:
        raise ConfigInvalid(f"The address for the authorisation cannot be called: {error}.", field="base_url") from None
    if read.scheme != "https" and read.host not in LOCAL:
        raise ConfigInvalid("Tokens are only sent by https.", field="base_url")
    return read


def _code(answer: _Answer | None, status: int) -> str:
    code = answer.error if answer is not None else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else f"status_{status}"


def _scopes(told: str | list[str] | None) -> tuple[str, ...] | None:
    """Networks part them by spaces or commas, or give a list."""
    if told is None:
        return None
    words = told if isinstance(told, list) else re.split(r"[\s,]+", told)
    return tuple(sorted({word[:200] for word in words if word}))[:100]
