"""Requests of one connector call: its credentials, its budgets, and the one place where a status becomes an error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from smhub.net import answers, urls
from smhub.net.answers import READS, REPEATABLE
from smhub.net.budgets import Budgets
from smhub.net.client import DEADLINE, MAX_BYTES, MAX_RAW, MAX_REDIRECTS, Client, Fence, NoAnswer
from smhub.sdk.errors import (
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    OutcomeUnknown,
    PayloadMalformed,
    RateLimited,
    Transient,
)
from smhub.sdk.http import Rate, Response
from smhub.sdk.items import BadItem
from smhub.time import Clock

T = TypeVar("T")
log = logging.getLogger(__name__)

UNDECLARED = (Rate(calls=1_000_000, seconds=1.0),)
"""For connectors that declare nothing: no limit, but a row in which a 429 stops the other workers too."""

PAUSE = 60.0
"""How long we leave an account in peace when it is rate-limited and the network does not say for how long."""


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
    prepares: bool
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


class Requests:
    """The part of the sdk's Http that asks and is answered. `headers` are private: they go to `base_url`'s origin and nowhere else, and so
    does what `credentials` present; a `secret_path` stands in front of the paths there, and only on the wire.

    `budget_key` says whose budget it is (the account); without `budgets` nothing is counted. `reserve` is the share of each budget
    that is left to others: reading leaves some to what we say. `fence` is awaited before the first and the last byte of each request.
    `acted` turns true when a write that does not only prepare has gone out whole, so that the network may have acted on it. `heard` is
    called for every sign of life of an open stream, from its head on.
    """

    def __init__(
        self,
        *,
        client: Client,
        network: str,
        clock: Clock,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        secret_path: str = "",
        rates: Sequence[Rate] = (),
        budgets: Budgets | None = None,
        budget_key: str = "",
        map_error: Callable[[Response], ConnectorError | None] = lambda response: None,
        reserve: float = 0.0,
        fence: Fence | None = None,
        credentials: Credentials | None = None,
        ports: frozenset[int] = frozenset(),
    ) -> None:
        self._client = client
        self._network = network
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._private = dict(headers or {})
        self._secret_path = secret_path
        self._rates = tuple(rates) or UNDECLARED
        self._budgets = budgets
        self._budget_key = budget_key
        self._map_error = map_error
        self._reserve = reserve
        self._fence = fence
        self._credentials = credentials
        self._ports = ports
        self.acted = False
        self.heard: Callable[[], None] = lambda: None
        self._opened = AsyncExitStack()

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
        prepares: bool = False,
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
            repeatable=method in REPEATABLE or key is not None or prepares,
            prepares=prepares,
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
        budgets = self._budget_names(call.target.host)
        left = await self._take(budgets)
        writes = call.method not in READS and not call.prepares
        address = self._on_the_wire(call.address)
        try:
            response = await self._client.send(
                call.method,
                address,
                call.headers,
                call.body,
                deadline=call.deadline,
                max_raw=call.max_raw,
                max_bytes=call.max_bytes,
                # A redirect would carry the address, and the secret in it, to wherever it leads.
                max_redirects=MAX_REDIRECTS if address == call.address else 0,
                private_headers=home if self._is_home(call.target) else None,
                fence=self._fence,
            )
            response = self._off_the_wire(response)
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
        return answers.decoded(response, into, self._network)

    async def items(self, url: str, into: type[T], *, params: Mapping[str, str | int] | None = None) -> list[T | BadItem]:
        """GET a JSON list; an element that does not fit becomes a BadItem."""
        response = await self.request("GET", url, params=params)
        return [answers.item(bytes(raw), into) for raw in answers.decoded(response, list[msgspec.Raw], self._network)]

    async def post(self, url: str, into: type[T], *, json: Any = None, key: str | None = None) -> T:
        """POST JSON and decode the answer. An answer that cannot be read leaves a write without key unknown."""
        response = await self.request("POST", url, json=json, key=key)
        try:
            return answers.decoded(response, into, self._network)
        except PayloadMalformed as error:
            if key is None:
                raise OutcomeUnknown(f"{error.message} It was done; what came of it is not known.", status=response.status) from None
            raise

    async def delete(self, url: str) -> None:
        """DELETE; Gone when it is not there."""
        await self.request("DELETE", url)

    def _address(self, url: str, params: Mapping[str, str | int] | None) -> tuple[str, urls.Url]:
        address = urls.with_params(f"{self._base_url}{url}" if url.startswith("/") else url, params)
        try:
            return address, urls.read(address)
        except ValueError as error:
            raise ConfigInvalid(f"The address cannot be called: {error}.", field="base_url" if url.startswith("/") else "url") from None

    def _on_the_wire(self, address: str) -> str:
        """The address with what must stand nowhere else."""
        home = f"{self._base_url}/"
        secret = self._secret_path and self._base_url and address.startswith(home)
        return f"{self._base_url}{self._secret_path}/{address.removeprefix(home)}" if secret else address

    def _off_the_wire(self, response: Response) -> Response:
        """The answer without it: what is written down of an answer is often its address."""
        if not self._secret_path:
            return response
        plain = {
            name: value and value.replace(self._secret_path, "")
            for name, value in (("url", response.url), ("permanent_url", response.permanent_url))
        }
        return msgspec.structs.replace(response, **plain)

    def _is_home(self, target: urls.Url) -> bool:
        if not self._base_url:
            return False
        try:
            return urls.read(self._base_url).origin == target.origin
        except ValueError:
            return False

    def _problem(self, method: str, target: urls.Url, response: Response, repeatable: bool) -> ConnectorError | None:
        """What the answer means; the connector is asked first."""
        own = self._map_error(response)
        return (
            own
            if own is not None
            else answers.problem(response, f"{method} {target.host}", method, repeatable, self._rates, self._clock.now())
        )

    def _budget_names(self, host: str) -> dict[str, Rate]:
        who = {"account": self._budget_key, "host": host}
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
                remaining = answers.number(response, rate.remaining)
                if remaining is not None and remaining < left[name]:
                    await self._budgets.learn(name, rate, remaining, answers.moment(response, rate, now))
            if isinstance(error, RateLimited):
                until = now + timedelta(seconds=PAUSE if error.retry_after is None else error.retry_after)
                meant = {name: rate for name, rate in budgets.items() if rate.key == error.scope} or budgets
                for name, rate in meant.items():
                    await self._budgets.block(name, rate, until)
        except SQLAlchemyError as failure:
            log.warning("the budgets of %s could not be written (%s)", self._network, type(failure).__name__)
