"""A network delivers: the signature is checked over the bytes as they came, they are stored, and only then is it told "yes".

Nothing is parsed here. A job takes in what was stored; until then nothing that was acknowledged can be lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Integer, and_, bindparam, func, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from smhub import faults
from smhub.access.keyring import Unreadable
from smhub.access.models import StoredSecret
from smhub.channels import handshakes
from smhub.channels.connecting import config_of, connect
from smhub.channels.hooks import OLD_SECRET, OWN_SECRET, hash_of
from smhub.channels.hooks import subscription as subscription_of
from smhub.channels.models import Channel, Hook, Intake, WebhookDelivery
from smhub.db.read import Prepared, as_id
from smhub.db.types import Id, UtcDateTime
from smhub.errors import HandshakeRefused, RouteNotFound, SignatureRefused, Unavailable
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.sdk import Challenge, ConnectorError, Hmac, RawRequest, ReceivesWebhooks, Secret
from smhub.work.queue import later

TAKE = "webhook.take_in"
KEPT = timedelta(hours=76)
"""How long a delivery is known again by its id: Standard Webhooks are repeated for 75 hours."""
FULL_SECONDS = 30.0
OFF_SECONDS = 60.0
LONGEST_LEASE = timedelta(days=30).total_seconds()
"""A network that promises more is asked again all the same."""
WAITING: ColumnElement[bool] = literal_column("core_webhook_delivery.state = 'new'")
"""As the index says it, so that it is used."""
OURS = frozenset(
    {
        "authorization", "cookie", "proxy-authorization", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
        "x-real-ip", "host", "connection", "accept", "accept-encoding", "accept-language", "content-length", "transfer-encoding",
    }
)  # fmt: skip
"""Headers that no connector needs, and that may tell of people or hold credentials."""
LONGEST_HEADERS = 16_384


class TakeDeliveries(msgspec.Struct, frozen=True, kw_only=True):
    """Whose deliveries are to be taken in."""

    channel_id: UUID


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the last part of an address leads."""

    organisation_id: UUID
    hook_id: UUID
    channel_id: UUID
    intake_id: UUID
    network: str
    old_secret_until: datetime | None
    ending: bool
    old: bool


_ADDRESS = Prepared(
    select(
        Hook.organisation_id,
        Hook.id,
        Hook.channel_id,
        Intake.id,
        Channel.network,
        Hook.old_secret_until,
        Hook.token_hash,
        Hook.old_token_until,
        Channel.ended_at,
    )
    .join(Channel, and_(Channel.organisation_id == Hook.organisation_id, Channel.id == Hook.channel_id))
    .join(Intake, and_(Intake.organisation_id == Hook.organisation_id, Intake.channel_id == Hook.channel_id))
    .where(or_(Hook.token_hash == bindparam("hash"), Hook.old_token_hash == bindparam("old_hash")))
)
_SECRETS = Prepared(
    select(StoredSecret.owner_table, StoredSecret.name, StoredSecret.key_id, StoredSecret.sealed).where(
        StoredSecret.organisation_id == bindparam("organisation_id", type_=Id()),
        or_(
            and_(
                StoredSecret.owner_table == Channel.__tablename__,
                StoredSecret.owner_id == bindparam("channel_id", type_=Id()),
                StoredSecret.name == bindparam("field"),
            ),
            and_(
                StoredSecret.owner_table == Hook.__tablename__,
                StoredSecret.owner_id == bindparam("hook_id", type_=Id()),
                StoredSecret.name.in_((OLD_SECRET, bindparam("own"))),
            ),
        ),
    )
)
_WAITING = Prepared(
    select(func.count()).select_from(
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.organisation_id == bindparam("organisation_id", type_=Id()),
            WebhookDelivery.channel_id == bindparam("channel_id", type_=Id()),
            WAITING,
        )
        .limit(bindparam("most", type_=Integer()))
        .subquery()
    )
)


async def receive(runtime: Runtime, token: str, request: RawRequest) -> Challenge | None:
    """Store a delivery, or answer a handshake that is one. When this returns it is committed. Raises RouteNotFound, SignatureRefused,
    Unavailable."""
    address = await _address(runtime, token)
    if address.ending:
        raise RouteNotFound
    connector = _connector(runtime, address.network)
    rule: Hmac = connector.webhook
    now = runtime.clock.now()
    signed_by = await _signed_by(runtime, address, rule, request, now)
    if signed_by is None:
        runtime.refused.add(address.organisation_id, address.hook_id)
        raise SignatureRefused
    if "POST" in connector.handshakes:
        made = await _made(runtime, address)
        if made is not None and (challenge := await handshakes.perhaps(address.network, made, request)) is not None:
            return challenge
    await _refuse_flood(runtime, address)
    await _store(runtime, address, rule, request, signed_by, now)
    return None


async def greet(runtime: Runtime, token: str, request: RawRequest) -> Challenge:
    """Answer a handshake that comes as a GET. Raises RouteNotFound, HandshakeRefused, Unavailable."""
    address = await _address(runtime, token)
    connector = _connector(runtime, address.network)
    if "GET" not in connector.handshakes or (address.ending and not connector.confirms):
        raise RouteNotFound
    made = await _made(runtime, address)
    if made is None:
        raise HandshakeRefused
    challenge = await handshakes.answered(address.network, made, request)
    if challenge.lease_seconds is not None and connector.confirms and not (address.ending or address.old):
        await _confirmed(runtime, address, challenge.lease_seconds)
    return challenge


async def _confirmed(runtime: Runtime, address: Address, seconds: float) -> None:
    """The network said that it delivers, and for how long; a job writes the rest down."""
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        hook = await session.get(Hook, (address.organisation_id, address.hook_id), with_for_update=True)
        if hook is not None:
            hook.was_confirmed(now + timedelta(seconds=min(max(seconds, 0.0), LONGEST_LEASE)), now)


async def _address(runtime: Runtime, token: str) -> Address:
    hashed = hash_of(token)
    rows = await runtime.database.reader.rows(_ADDRESS, hash=hashed, old_hash=hashed)
    if not rows:
        raise RouteNotFound
    organisation_id, hook_id, channel_id, intake_id, network, old_secret_until, token_hash, old_token_until, ended_at = rows[0]
    until = _moment(old_token_until)
    if token_hash != hashed and (until is None or until <= runtime.clock.now()):
        raise RouteNotFound
    return Address(
        organisation_id=as_id(organisation_id),
        hook_id=as_id(hook_id),
        channel_id=as_id(channel_id),
        intake_id=as_id(intake_id),
        network=network,
        old_secret_until=_moment(old_secret_until),
        ending=ended_at is not None,
        old=token_hash != hashed,
    )


def _moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _connector(runtime: Runtime, network: str) -> Any:
    connector = runtime.hub.connectors.get(network)
    if connector is None or not issubclass(connector, ReceivesWebhooks):
        # Its plugin is switched off for now. A 404 would make the network stop for good.
        raise Unavailable(reason="this is switched off for now", retry_after=OFF_SECONDS)
    return connector


async def _made(runtime: Runtime, address: Address) -> Any:
    """The connector of the channel, as for a call; None when its settings no longer fit."""
    async with runtime.database.read() as session:
        channel = await session.get_one(Channel, (address.organisation_id, address.channel_id))
        try:
            config = await config_of(session, runtime, channel)
        except ConnectorError:
            return None
        hook = await session.get_one(Hook, (address.organisation_id, address.hook_id))
        subscription = await subscription_of(session, runtime, hook, ending=address.ending or address.old)
    return connect(runtime, channel, config, subscription=subscription)


async def _signed_by(runtime: Runtime, address: Address, rule: Hmac, request: RawRequest, now: datetime) -> str | None:
    """Which secret fits: current, old, or None."""
    rows = await runtime.database.reader.rows(
        _SECRETS,
        organisation_id=address.organisation_id,
        channel_id=address.channel_id,
        hook_id=address.hook_id,
        field=rule.secret_field,
        own="" if rule.secret_field else OWN_SECRET,
    )
    fitting = [
        "old" if name == OLD_SECRET else "current"
        for table, name, key_id, sealed in rows
        if rule.verify(request, _opened(runtime, address, table, name, key_id, sealed), now.timestamp())
        and (name != OLD_SECRET or (address.old_secret_until is not None and now < address.old_secret_until))
    ]
    return min(fitting, default=None)


def _opened(runtime: Runtime, address: Address, table: str, name: str, key_id: str, sealed: bytes) -> Secret:
    row_id = address.channel_id if table == Channel.__tablename__ else address.hook_id
    place: Mapping[str, Any] = {"organisation_id": address.organisation_id, "table": table, "row_id": row_id, "column": name}
    try:
        return runtime.keyring.open(key_id, sealed, **place)
    except Unreadable as error:
        raise Unavailable(reason="a stored secret cannot be opened", retry_after=OFF_SECONDS) from error


async def _refuse_flood(runtime: Runtime, address: Address) -> None:
    most = runtime.settings.webhook_backlog
    rows = await runtime.database.reader.rows(
        _WAITING, organisation_id=address.organisation_id, channel_id=address.channel_id, most=most
    )
    if rows[0][0] >= most:
        raise Unavailable(reason="too many deliveries wait to be taken in", retry_after=FULL_SECONDS)


_TABLE: Any = WebhookDelivery.__table__
_COLUMNS = tuple(column.name for column in _TABLE.columns)
_KNOWN = ("organisation_id", "channel_id", "dedupe_key")
_AGAIN = bindparam("again_from", type_=UtcDateTime())


def _adding(made: Any) -> Any:
    """Add it; the same again after its time is another one, and in its time nothing."""
    statement = made(_TABLE)
    anew = {name: statement.excluded[name] for name in _COLUMNS if name not in (*_KNOWN, "id")}
    values: dict[str, Any] = {name: bindparam(name) for name in _COLUMNS}
    return statement.values(values).on_conflict_do_update(index_elements=_KNOWN, set_=anew, where=_TABLE.c.received_at < _AGAIN)


_ADD = {"sqlite": _adding(sqlite.insert), "postgresql": _adding(postgresql.insert)}


async def _store(runtime: Runtime, address: Address, rule: Hmac, request: RawRequest, signed_by: str, now: datetime) -> None:
    """One row and its job, committed when this returns; or nothing, when the same delivery is known."""
    key, window = _known_by(rule, request)
    row = {
        "organisation_id": address.organisation_id,
        "id": new_id(),
        "channel_id": address.channel_id,
        "intake_id": address.intake_id,
        "dedupe_key": key,
        "state": "new",
        "signed_by": signed_by,
        "headers": _headers(rule, request),
        "query": dict(request.query),
        "body": request.body,
        "attempts": 0,
        "error": None,
        "received_at": now,
        "tried_at": None,
        "next_at": now,
        "finished_at": None,
        "again_from": now - window,
    }

    async def write(rows: list[dict[str, Any]]) -> None:
        # In one order, so that two processes that bring the same never wait for each other.
        rows = sorted(rows, key=lambda one: (one["channel_id"], one["dedupe_key"]))
        async with runtime.database.write() as session:
            await session.execute(_ADD[runtime.database.dialect], rows)
            for organisation_id, channel_id in sorted({(one["organisation_id"], one["channel_id"]) for one in rows}):
                await later(
                    session,
                    runtime.hub.jobs[TAKE],
                    TakeDeliveries(channel_id=channel_id),
                    now=now,
                    organisation_id=organisation_id,
                    key=f"hook:{channel_id}",
                    dedupe_key=f"deliveries:{channel_id}",
                )

    await runtime.delivered.add(row, write)
    faults.point("webhook.stored")


def _known_by(rule: Hmac, request: RawRequest) -> tuple[str, timedelta]:
    """What makes it the same delivery, and for how long: its declared id, else its bytes while they could be replayed."""
    given = request.headers.get(rule.delivery_header.lower(), "") if rule.delivery_header else ""
    if given:
        return "id " + hashlib.sha256(given.encode()).hexdigest(), KEPT
    return "body " + hashlib.sha256(request.body).hexdigest(), timedelta(seconds=rule.tolerance)


def _headers(rule: Hmac, request: RawRequest) -> dict[str, str]:
    """Those that a connector may need. The signature is left out: it was checked."""
    kept: dict[str, str] = {}
    room = LONGEST_HEADERS
    for name, value in request.headers.items():
        room -= len(name) + len(value)
        if name not in OURS and name != rule.header.lower() and room >= 0 and "\0" not in value:
            kept[name] = value
    return kept
