"""The `http` that one connector call is given: its credentials, its budgets, and the one place where a status becomes an error."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from smhub.net import urls
from smhub.net.budgets import Budgets
from smhub.net.client import DEADLINE, MAX_BYTES, MAX_RAW, Client, Fence, NoAnswer
from smhub.net.events import EventReader
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
from smhub.sdk.http import Rate, Response, ServerEvent
from smhub.sdk.items import BadItem
from smhub.time import Clock

T = TypeVar("T")
log = logging.getLogger(__name__)

READS = frozenset({"GET", "HEAD", "OPTIONS"})
REPEATABLE = READS | {"PUT", "DELETE"}
"""Doing these twice is the same as doing them once (RFC 9110); the rest needs a key for that."""

UNDECLARED = (Rate(calls=1_000_000, seconds=1.0),)
"""For connectors that declare nothing: no limit, but a row in which a 429 stops the other workers too."""

PAUSE = 60.0
"""How long we leave an account in peace when it is rate-limited and the network does not say for how long."""

TELLING = re.compile(r"Expected `[\w |]+`, got `\w+`|Object missing required field `\w+`|JSON is malformed")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
ESCAPE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.")
PATH = re.compile(r" - at `([\w$.\[\]]+)`")


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as it may be sent a second time."""

    method: str
    address: str
    target: urls.Url
    headers: dict[str, str]
    body: bytes
    deadline: float
    max_raw: int
    max_bytes: int
    repeatable: bool
    accept: tuple[int, ...]


class Credentials(Protocol):
    """A token that the hub keeps. One http asks for it, shows it, and tells what the network made of it."""

    async def present(self) -> str:
        """What stands in `Authorization`: renewed before it ends. Raises AuthExpired when a person has to sign in again."""
        ...

    async def accepted(self, shown: str) -> None:
        """The network knew it."""
        ...

    async def refused(self, shown: str) -> None:
        """The network did not accept it: afterwards `present` gives another one. Raises AuthExpired when there is none."""
        ...


class ConnectorHttp:
    """The sdk's Http for one call of one connector. `headers` are private: they go to `base_url`'s origin and nowhere else, and so does
    what `credentials` present.

    `budget_key` says whose budget it is (the account); without `budgets` nothing is counted. `reserve` is the share of each budget
    that is left to others: reading leaves some to what we say. `fence` is awaited before the first and the last byte of each request.
    `acted` turns true when a write has gone out whole, so that the network may have acted on it. `heard` is called for every sign of life
    of an open stream, from its head on.
    """

    def __init__(
        self,
        *,
        client: Client,
        network: str,
        clock: Clock,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        rates: Sequence[Rate] = (),
        budgets: Budgets | None = None,
        budget_key: str = "",
        map_error: Callable[[Response], ConnectorError | None] = lambda response: None,
        reserve: float = 0.0,
        fence: Fence | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._client = client
        self._network = network
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._private = dict(headers or {})
        self._rates = tuple(rates) or UNDECLARED
        self._budgets = budgets
        self._budget_key = budget_key
        self._map_error = map_error
        self._reserve = reserve
        self._fence = fence
        self._credentials = credentials
        self.acted = False
        self.heard: Callable[[], None] = lambda: None
        self._open = AsyncExitStack()

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        key: str | None = None,
        accept: tuple[int, ...] = (),
        max_bytes: int | None = None,
        deadline: float | None = None,
    ) -> Response:
        """Send one request. Statuses from 400, and redirects that are not followed, become errors unless they stand in `accept`."""
        if json is not None and body is not None:
            raise ConfigInvalid("A request has either json or a body, not both.", field="json")
        method = method.upper()
        address, target = self._address(url, params)
        sent_headers = {"accept": "application/json"} | {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            body = msgspec.json.encode(json)
            sent_headers.setdefault("content-type", "application/json")
        if key is not None:
            sent_headers["idempotency-key"] = key
        call = _Call(
            method=method,
            address=address,
            target=target,
            headers=sent_headers,
            body=body or b"",
            deadline=DEADLINE if deadline is None else deadline,
            max_raw=MAX_RAW if max_bytes is None else max_bytes,
            max_bytes=MAX_BYTES if max_bytes is None else max_bytes,
            repeatable=method in REPEATABLE or key is not None,
            accept=accept,
        )
        if self._credentials is None or not self._is_home(target):
            response, problem = await self._exchange(call, None)
        else:
            response, problem = await self._signed(call, self._credentials)
        if problem is not None:
            raise problem
        return response

    async def _signed(self, call: _Call, credentials: Credentials) -> tuple[Response, ConnectorError | None]:
        """With the token that the hub keeps. When the network does not accept it there is one new token, and one new try."""
        acted = self.acted
        shown = await credentials.present()
        response, problem = await self._exchange(call, shown)
        if not isinstance(problem, AuthExpired):
            if response.status != 401:
                await credentials.accepted(shown)
            return response, problem
        # Who is not let in has done nothing.
        self.acted = acted
        await credentials.refused(shown)
        if not call.repeatable:
            raise Transient(f"{problem.message} Nothing was done; there is a new token for the next try.", status=response.status)
        shown = await credentials.present()
        response, problem = await self._exchange(call, shown)
        if not isinstance(problem, AuthExpired) and response.status != 401:
            await credentials.accepted(shown)
        return response, problem

    async def _exchange(self, call: _Call, shown: str | None) -> tuple[Response, ConnectorError | None]:
        """Send it once: the answer, and the error that it means."""
        home = self._private | ({"authorization": shown} if shown is not None else {})
        budgets = self._budget_names(call.target)
        left = await self._take(budgets)
        writes = call.method not in READS
        try:
            response = await self._client.send(
                call.method,
                call.address,
                call.headers,
                call.body,
                deadline=call.deadline,
                max_raw=call.max_raw,
                max_bytes=call.max_bytes,
                private_headers=home if self._is_home(call.target) else None,
                fence=self._fence,
            )
            self.acted = self.acted or writes
        except NoAnswer as error:
            self.acted = self.acted or (error.sent and writes)
            if error.sent and not call.repeatable:
                raise OutcomeUnknown(f"{error.message} It was sent; whether it was done is not known.") from None
            raise
        except PayloadMalformed as error:
            self.acted = self.acted or writes
            if not call.repeatable:
                raise OutcomeUnknown(f"{error.message} It was sent; whether it was done is not known.") from None
            raise
        accepted = response.status in call.accept
        problem = None if accepted else self._problem(call.method, call.target, response, call.repeatable)
        await self._learn(budgets, left, response, problem)
        return response, problem

    async def get(self, url: str, into: type[T], *, params: Mapping[str, str | int] | None = None) -> T:
        """GET and decode the JSON into the given type."""
        response = await self.request("GET", url, params=params)
        return self._decoded(response, into)

    async def items(self, url: str, into: type[T], *, params: Mapping[str, str | int] | None = None) -> list[T | BadItem]:
        """GET a JSON list; an element that does not fit becomes a BadItem."""
        response = await self.request("GET", url, params=params)
        return [_item(bytes(raw), into) for raw in self._decoded(response, list[msgspec.Raw])]

    async def post(self, url: str, into: type[T], *, json: Any = None, key: str | None = None) -> T:
        """POST JSON and decode the answer. An answer that cannot be read leaves a write without key unknown."""
        response = await self.request("POST", url, json=json, key=key)
        try:
            return self._decoded(response, into)
        except PayloadMalformed as error:
            if key is None:
                raise OutcomeUnknown(f"{error.message} It was done; what came of it is not known.", status=response.status) from None
            raise

    async def delete(self, url: str) -> None:
        """DELETE; Gone when it is not there."""
        await self.request("DELETE", url)

    async def events(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float = 90.0,
    ) -> AsyncIterator[ServerEvent]:
        """The messages of a stream of server-sent events, as they come. It is closed by `close`, if nobody did before."""
        address, target = self._address(url, params)
        sent = {"accept": "text/event-stream", "cache-control": "no-store"} | {
            name.lower(): value for name, value in (headers or {}).items()
        }
        credentials = self._credentials if self._is_home(target) else None
        async with AsyncExitStack() as mine:
            self._open.push_async_callback(mine.aclose)
            for last in (credentials is None, True):
                shown = await credentials.present() if credentials is not None else None
                home = self._private | ({"authorization": shown} if shown is not None else {})
                budgets = self._budget_names(target)
                left = await self._take(budgets)
                opened = self._client.open(address, sent, silence=silence, private_headers=home if self._is_home(target) else None)
                response, pieces = await mine.enter_async_context(opened)
                problem = self._problem("GET", target, response, True)
                await self._learn(budgets, left, response, problem)
                if not isinstance(problem, AuthExpired) or credentials is None or shown is None:
                    break
                await mine.aclose()
                await credentials.refused(shown)
                if last:
                    break
            if problem is not None:
                raise problem
            if credentials is not None and shown is not None:
                await credentials.accepted(shown)
            if (
                response.status != 200
                or response.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/event-stream"
            ):
                raise PayloadMalformed(f"GET {target.host} is no stream of events.", status=response.status)
            self.heard()
            reader = EventReader()
            async for piece in pieces:
                self.heard()
                for event in reader.feed(piece):
                    yield event

    async def close(self) -> None:
        """Close what is still open of the streams."""
        await self._open.aclose()

    def _address(self, url: str, params: Mapping[str, str | int] | None) -> tuple[str, urls.Url]:
        address = urls.with_params(f"{self._base_url}{url}" if url.startswith("/") else url, params)
        try:
            return address, urls.read(address)
        except ValueError as error:
            raise ConfigInvalid(f"The address cannot be called: {error}.", field="base_url" if url.startswith("/") else "url") from None

    def _is_home(self, target: urls.Url) -> bool:
        if not self._base_url:
            return False
        try:
            return urls.read(self._base_url).origin == target.origin
        except ValueError:
            return False

    def _problem(self, method: str, target: urls.Url, response: Response, repeatable: bool) -> ConnectorError | None:
        """What a status means, for all networks alike; the connector is asked first."""
        if (own := self._map_error(response)) is not None:
            return own
        status = response.status
        if status < 300 or status == 304:
            return None
        said = f"{method} {target.host} answered {status}."
        reads = method in READS
        exhausted = [rate for rate in self._rates if _number(response, rate.remaining) == 0]
        if status == 429 or (status == 403 and exhausted):
            wait = self._wait(response, exhausted)
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
            return Transient(said, status=status, retry_after=from_retry_after(response.headers.get("retry-after"), self._clock.now()))
        return PayloadMalformed(said, status=status) if reads else ContentRejected(said, status=status)

    def _wait(self, response: Response, exhausted: Sequence[Rate]) -> float | None:
        now = self._clock.now()
        waits = [from_reset(response.headers.get((rate.reset or "").lower()), now) for rate in exhausted or self._rates]
        said = from_retry_after(response.headers.get("retry-after"), now)
        return said if said is not None else max((wait for wait in waits if wait is not None), default=None)

    def _decoded(self, response: Response, into: type[T]) -> T:
        try:
            return msgspec.json.decode(_readable(response.body), type=into)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PayloadMalformed(f"{self._network} answered in an unexpected form{_reason(error)}", status=response.status) from None

    def _budget_names(self, target: urls.Url) -> dict[str, Rate]:
        who = {"account": self._budget_key, "host": target.host}
        return {f"{self._network}:{rate.key}:{who.get(rate.key, '')}:{rate.calls}/{rate.seconds:g}": rate for rate in self._rates}

    async def _take(self, budgets: Mapping[str, Rate]) -> dict[str, float]:
        if self._budgets is None:
            return {}
        try:
            return {name: await self._budgets.take(name, rate, self._reserve) for name, rate in budgets.items()}
        except SQLAlchemyError as error:
            raise Transient(f"The budgets of {self._network} could not be read ({type(error).__name__}).") from None

    async def _learn(
        self, budgets: Mapping[str, Rate], left: Mapping[str, float], response: Response, error: ConnectorError | None
    ) -> None:
        """Write down what the answer says of the budgets. An answer is never lost because this fails."""
        if self._budgets is None:
            return
        now = self._clock.now()
        try:
            for name, rate in budgets.items():
                remaining = _number(response, rate.remaining)
                if remaining is not None and remaining < left[name]:
                    await self._budgets.learn(name, rate, remaining, _moment(response, rate, now))
            if isinstance(error, RateLimited):
                until = now + timedelta(seconds=PAUSE if error.retry_after is None else error.retry_after)
                meant = {name: rate for name, rate in budgets.items() if rate.key == error.scope} or budgets
                for name, rate in meant.items():
                    await self._budgets.block(name, rate, until)
        except SQLAlchemyError as failure:
            log.warning("the budgets of %s could not be written (%s)", self._network, type(failure).__name__)


def _readable(body: bytes) -> bytes:
    """JSON without what some networks send and no strict reader takes: a mark at its beginning, halves of surrogate pairs."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    if SURROGATE.search(body) is None:
        return body
    return ESCAPE.sub(lambda found: b"\\ufffd" if SURROGATE.fullmatch(found[0]) else found[0], body)


def _item(raw: bytes, into: type[T]) -> T | BadItem:
    try:
        return msgspec.json.decode(raw, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadItem(raw=raw, error=f"unexpected form{_reason(error)}")


def _reason(error: Exception) -> str:
    """Where and why, without a word of the content: some of msgspec's messages quote it."""
    why, where = TELLING.match(str(error)), PATH.search(str(error))
    return f"{': ' + why[0] if why else ''}{f' at {where[1]}' if where else ''}."


def _number(response: Response, header: str | None) -> float | None:
    text = response.headers.get(header.lower(), "") if header else ""
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", text) else None


def _moment(response: Response, rate: Rate, now: datetime) -> datetime | None:
    wait = from_reset(response.headers.get((rate.reset or "").lower()), now)
    return None if wait is None else now + timedelta(seconds=wait)
