"""What an answer means: which error a status is, how long to wait, and what its JSON says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from smhub.net.waiting import from_reset, from_retry_after
from smhub.sdk.errors import (
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    ContentRejected,
    Gone,
    OutcomeUnknown,
    PayloadMalformed,
    PermissionMissing,
    RateLimited,
    Transient,
)
from smhub.sdk.http import Rate, Response
from smhub.sdk.items import BadItem

T = TypeVar("T")

READS = frozenset({"GET", "HEAD", "OPTIONS"})
REPEATABLE = READS | {"PUT", "DELETE"}
"""Doing these twice is the same as doing them once (RFC 9110); the rest needs a key for that."""

TELLING = re.compile(r"Expected `[\w |]+`, got `\w+`|Object missing required field `\w+`|JSON is malformed")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
ESCAPE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.")
PATH = re.compile(r" - at `([\w$.\[\]]+)`")


def problem(
    response: Response, asked: str, method: str, repeatable: bool, rates: Sequence[Rate], now: datetime
) -> ConnectorError | None:
    """What a status means, for all networks alike. `asked` names the request for people: method and host."""
    status = response.status
    if status < 300 or status == 304:
        return None
    said = f"{asked} answered {status}."
    reads = method in READS
    exhausted = [rate for rate in rates if number(response, rate.remaining) == 0]
    if status == 429 or (status == 403 and exhausted):
        wait = _wait(response, exhausted or rates, now)
        return RateLimited(said, status=status, retry_after=wait, scope=exhausted[0].key if exhausted else "account")
    if status < 400:
        return PayloadMalformed(said, status=status) if reads else ConfigInvalid(said, status=status, field="base_url")
    if status == 401:
        return AuthExpired(said, status=status)
    if status == 403:
        return PermissionMissing(said, status=status)
    if status in (404, 410):
        return Gone(said, status=status)
    if status in (408, 425) or status >= 500:
        if not repeatable:
            return OutcomeUnknown(said, status=status)
        return Transient(said, status=status, retry_after=from_retry_after(response.headers.get("retry-after"), now))
    return PayloadMalformed(said, status=status) if reads else ContentRejected(said, status=status)


def decoded(response: Response, into: type[T], network: str) -> T:
    """The body as the type. Raises PayloadMalformed."""
    try:
        return msgspec.json.decode(_readable(response.body), type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadMalformed(f"{network} answered in an unexpected form{_reason(error)}", status=response.status) from None


def item(raw: bytes, into: type[T]) -> T | BadItem:
    """One element of a list, or what is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadItem(raw=raw, error=f"unexpected form{_reason(error)}")


def number(response: Response, header: str | None) -> float | None:
    """What a header counts, or None."""
    text = response.headers.get(header.lower(), "") if header else ""
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", text) else None


def moment(response: Response, rate: Rate, now: datetime) -> datetime | None:
    """When the budget is full again, as the answer says."""
    wait = from_reset(response.headers.get((rate.reset or "").lower()), now)
    return None if wait is None else now + timedelta(seconds=wait)


def _wait(response: Response, rates: Sequence[Rate], now: datetime) -> float | None:
    waits = [from_reset(response.headers.get((rate.reset or "").lower()), now) for rate in rates]
    said = from_retry_after(response.headers.get("retry-after"), now)
    return said if said is not None else max((wait for wait in waits if wait is not None), default=None)


def _readable(body: bytes) -> bytes:
    """JSON without what some networks send and no strict reader takes: a mark at its beginning, halves of surrogate pairs."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    if SURROGATE.search(body) is None:
        return body
    return ESCAPE.sub(lambda found: b"\\ufffd" if SURROGATE.fullmatch(found[0]) else found[0], body)


def _reason(error: Exception) -> str:
    """Where and why, without a word of the content: some of msgspec's messages quote it."""
    why, where = TELLING.match(str(error)), PATH.search(str(error))
    return f"{': ' + why[0] if why else ''}{f' at {where[1]}' if where else ''}."
