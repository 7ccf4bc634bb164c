"""The token of a channel: shown to the network, renewed once over all workers, lost when the network takes it no more.

A network may give each refresh token out for one use. So a renewal is leased in the token's row before it is asked for, and what came is
committed before anybody shows it. No transaction is open meanwhile. Who dies between the answer and the commit leaves `unclear` behind:
the next one shows the old refresh token again, which networks with a time of grace accept; the others want a person.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import faults
from smhub.access import secrets
from smhub.access.keyring import Unreadable
from smhub.channels import apps
from smhub.channels.models import Channel
from smhub.channels.oauth_models import ACTIVE, ENDED, LOST, OAuthToken
from smhub.db.engine import is_unavailable
from smhub.events.log import Fact, record
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.net import Endpoint, Grant, GrantRefused, NoAnswer
from smhub.sdk import AuthExpired, ConfigInvalid, Connector, ConnectorError, Job, Secret, Transient
from smhub.work.queue import JobContext, later

log = structlog.get_logger("smhub.tokens")

ACCESS, REFRESH = "access_token", "refresh_token"
EARLY = timedelta(seconds=60)
LEASE = timedelta(seconds=60)
LOOK_SECONDS, LOOKS = 0.1, 300
STORE_TRIES = 60
NOT_THE_TOKEN = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request", "invalid_scope"})
"""Refusals for which our app is to blame, and not what a person allowed it."""
PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
NOBODY = "nobody has authorised this channel yet, or not for the server that its settings name"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A token as one call holds it in its hand."""

    generation: int
    access: Secret
    renew_at: datetime | None
    expires_at: datetime | None
    on_trial: bool


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The right to ask for a new token, until the lease ends. `refused`: because the network did not accept the old one."""

    refresh_id: UUID
    generation: int
    endpoint: Endpoint
    refresh: Secret
    refused: bool
    unclear: bool


class NoneLeft(msgspec.Struct, frozen=True):
    """There is no new token to be had, and why."""

    reason: str


class ChannelToken:
    """The credentials of one call for one channel."""

    def __init__(self, runtime: Runtime, channel: Channel, kind: type[Connector[Any]], config: msgspec.Struct) -> None:
        assert kind.auth is not None
        self._runtime, self._channel, self._auth = runtime, channel, kind.auth
        self._token_url = kind.auth.address(kind.auth.token_url, config)
        self._home = kind.base_url(config)
        self._id: UUID | None = None
        self._held: Held | None = None

    async def present(self) -> str:
        """`Bearer …`, renewed shortly before it ends."""
        if self._held is None:
            self._held = await self._read()
        now = self._runtime.clock.now()
        if self._held.renew_at is not None and self._held.renew_at <= now:
            try:
                self._held = await self._renewed(self._held, refused=False)
            except AuthExpired:
                raise
            except ConnectorError:
                # What is still good is used as long as it lasts.
                if self._held.expires_at is None or self._held.expires_at <= now:
                    raise
        return f"Bearer {self._held.access.reveal()}"

    async def accepted(self, shown: str) -> None:
        """The token that came for a refused one is good."""
        if self._held is None or not self._held.on_trial:
            return
        good = update(OAuthToken).where(*self._row(), OAuthToken.generation == self._held.generation).values(on_trial=False)
        async with self._runtime.database.write() as session:
            await session.execute(good.execution_options(synchronize_session=False))
        self._held = msgspec.structs.replace(self._held, on_trial=False)

    async def refused(self, shown: str) -> None:
        """Get another one; AuthExpired when there is none, or when this one is new and was never accepted."""
        assert self._held is not None
        self._held = await self._renewed(self._held, refused=True)

    def _row(self) -> tuple[Any, ...]:
        return OAuthToken.organisation_id == self._channel.organisation_id, OAuthToken.id == self._id

    async def _read(self) -> Held:
        async with self._runtime.database.read() as session:
            row = await current(session, self._channel)
            if row is None or (row.token_url, row.home) != (self._token_url, self._home):
                raise AuthExpired(NOBODY)
            if row.state != ACTIVE:
                raise AuthExpired(row.reason or NOBODY)
            self._id = row.id
            return await held(session, self._runtime, row)

    async def _renewed(self, old: Held, *, refused: bool) -> Held:
        """A newer token, from the network or from whoever was faster."""
        for _ in range(LOOKS):
            async with self._runtime.database.write() as session:
                found = await self._claim(session, old, refused)
            if isinstance(found, Held):
                return found
            if isinstance(found, NoneLeft):
                raise AuthExpired(found.reason)
            if found is not None:
                faults.point("oauth.claimed")
                # A call that is cut short must not lose the token that is on its way.
                return await asyncio.shield(_kept(asyncio.create_task(self._ask(found))))
            await asyncio.sleep(LOOK_SECONDS)
        raise Transient("Another worker asks for a new token and is not done yet.")

    async def _claim(self, session: AsyncSession, old: Held, refused: bool) -> Held | Turn | NoneLeft | None:
        """Our turn, or what has happened instead; None: somebody else asks just now."""
        runtime, now = self._runtime, self._runtime.clock.now()
        row = (await session.scalars(select(OAuthToken).where(*self._row()).with_for_update())).one_or_none()
        if row is None or row.state != ACTIVE:
            return NoneLeft((row.reason if row else None) or "the authorisation was ended")
        if row.generation != old.generation:
            return await held(session, runtime, row)
        if refused and row.on_trial:
            return NoneLeft("the network refuses a token that it has just given")
        if row.refreshing_until is not None and row.refreshing_until > now:
            return None
        kept = await _opened(session, runtime, row)
        if REFRESH not in kept:
            await lose(session, row, "the token has ended or was revoked, and the network gave no way to renew it", now)
            return NoneLeft(row.reason or "")
        app = await apps.app_for(session, row.organisation_id, self._channel.network, row.server)
        if app is None or app.client_id != row.client_id:
            return NoneLeft("the app with which it was authorised is not there any more")
        endpoint = await apps.endpoint_of(session, runtime, app, self._auth, row.token_url)
        turn = Turn(
            refresh_id=new_id(),
            generation=row.generation,
            endpoint=endpoint,
            refresh=kept[REFRESH],
            refused=refused,
            unclear=row.unclear,
        )
        row.is_refreshed_by(turn.refresh_id, now + LEASE)
        return turn

    async def _ask(self, turn: Turn) -> Held:
        fields = {"grant_type": "refresh_token", "refresh_token": turn.refresh.reveal(), **self._auth.token_parameters}
        try:
            grant = await self._runtime.net.grant(turn.endpoint, fields)
        except GrantRefused as refusal:
            raise await self._refusal(turn, refusal.code) from None
        except ConnectorError as error:
            unsent = isinstance(error, NoAnswer) and not error.sent
            await self._let_go(turn, unclear=turn.unclear if unsent else True)
            raise
        faults.point("oauth.answered")
        stored = await self._patiently(turn, grant)
        faults.point("oauth.stored")
        return stored

    async def _refusal(self, turn: Turn, code: str) -> ConnectorError:
        """What a no means: for ever, for the app, or for now."""
        if code in PASSING:
            await self._let_go(turn, unclear=turn.unclear)
            return Transient(f"The network gives no new token for now ({code}).")
        if code in NOT_THE_TOKEN:
            await self._let_go(turn, unclear=turn.unclear)
            return ConfigInvalid(f"The network does not accept our app ({code}). Look at its id and secret.", field="oauth_app")
        reason = f"the network renews the authorisation no more ({code})"
        if turn.unclear:
            reason += "; an earlier renewal was cut off before its answer was stored"
        async with self._runtime.database.write() as session:
            row = (await session.scalars(select(OAuthToken).where(*self._row()).with_for_update())).one_or_none()
            if row is not None and row.state == ACTIVE and row.generation == turn.generation:
                await lose(session, row, reason, self._runtime.clock.now())
        return AuthExpired(reason)

    async def _let_go(self, turn: Turn, *, unclear: bool) -> None:
        async with self._runtime.database.write() as session:
            row = (await session.scalars(select(OAuthToken).where(*self._row()).with_for_update())).one_or_none()
            if row is not None and row.refresh_id == turn.refresh_id:
                row.is_free(unclear=unclear)

    async def _patiently(self, turn: Turn, grant: Grant) -> Held:
        """Store what came. The network has spoken: a database that is away for a while must not cost us the authorisation."""
        for number in range(STORE_TRIES):
            try:
                async with self._runtime.database.write() as session:
                    return await self._store(session, turn, grant)
            except (SQLAlchemyError, OSError) as error:
                if number == STORE_TRIES - 1 or not is_unavailable(error):
                    raise
                log.warning("token_not_stored_yet", channel_id=str(self._channel.id), error=type(error).__name__)
                await asyncio.sleep(min(0.1 * 2**number, 5.0))
        raise AssertionError("unreachable")

    async def _store(self, session: AsyncSession, turn: Turn, grant: Grant) -> Held:
        row = (await session.scalars(select(OAuthToken).where(*self._row()).with_for_update())).one_or_none()
        if row is None or row.state != ACTIVE:
            raise AuthExpired((row.reason if row else None) or "the authorisation was ended meanwhile")
        # Whoever renewed it after our lease ended has the newer one.
        if row.generation == turn.generation:
            await keep(session, self._runtime, row, grant)
            row.on_trial = turn.refused
        return await held(session, self._runtime, row)


async def current(session: AsyncSession, channel: Channel, *, to_change: bool = False) -> OAuthToken | None:
    """The token that a channel has, though it may be lost; None: nobody authorised it."""
    of = (OAuthToken.organisation_id == channel.organisation_id, OAuthToken.channel_id == channel.id)
    found = select(OAuthToken).where(*of, OAuthToken.state.in_((ACTIVE, LOST))).order_by(OAuthToken.id.desc()).limit(1)
    return (await session.scalars(found.with_for_update() if to_change else found)).first()


def owner(row: OAuthToken) -> secrets.Owner:
    """Where the tokens themselves lie."""
    return secrets.Owner(row.organisation_id, OAuthToken.__tablename__, row.id)


async def keep(session: AsyncSession, runtime: Runtime, row: OAuthToken, grant: Grant) -> None:
    """Write down what the network gave; a refresh token that it does not mention stays."""
    given = {ACCESS: grant.access_token}
    if grant.refresh_token is not None:
        given[REFRESH] = grant.refresh_token
    await secrets.put(session, runtime.keyring, owner(row), given)
    now = runtime.clock.now()
    row.generation += 1
    row.obtained_at = now
    row.expires_at = row.renew_at = None
    if grant.expires_in is not None:
        lasting = timedelta(seconds=grant.expires_in)
        row.expires_at, row.renew_at = now + lasting, now + max(lasting - EARLY, lasting / 2)
    if grant.scopes is not None:
        row.scopes = list(grant.scopes)
    row.is_free(unclear=False)
    await session.flush()


async def held(session: AsyncSession, runtime: Runtime, row: OAuthToken) -> Held:
    """The token of a row. Raises ConfigInvalid when it cannot be opened."""
    kept = await _opened(session, runtime, row)
    return Held(generation=row.generation, access=kept[ACCESS], renew_at=row.renew_at, expires_at=row.expires_at, on_trial=row.on_trial)


async def _opened(session: AsyncSession, runtime: Runtime, row: OAuthToken) -> dict[str, Secret]:
    try:
        return await secrets.get(session, runtime.keyring, owner(row))
    except Unreadable as error:
        raise ConfigInvalid(f"the stored token cannot be opened: {error}") from error


async def lose(session: AsyncSession, row: OAuthToken, reason: str, now: datetime) -> None:
    """The network takes it no more. From here on nothing is asked with it: who needs it is told at once that a person has to act."""
    row.was_lost(reason)
    await secrets.forget(session, owner(row))
    fact = Fact(
        organisation_id=row.organisation_id,
        type="channel.authorization_lost",
        subject_type="channel",
        subject_id=row.channel_id,
        at=now,
    )
    await record(session, fact)


class GiveBack(msgspec.Struct, frozen=True, kw_only=True):
    """Which token the network is to forget."""

    network: str
    token_id: UUID


async def forget(session: AsyncSession, row: OAuthToken) -> None:
    """It is not here any more."""
    await secrets.forget(session, owner(row))
    await session.delete(row)
    await session.flush()


async def let_go(session: AsyncSession, runtime: Runtime, channel: Channel, row: OAuthToken) -> None:
    """It is not used any more, and forgotten: at once, or as soon as the network was told."""
    if row.revoke_url is None:
        await forget(session, row)
        return
    row.state = ENDED
    payload = GiveBack(network=channel.network, token_id=row.id)
    await later(session, GIVE_BACK, payload, now=runtime.clock.now(), organisation_id=row.organisation_id)
    await session.flush()


async def end(session: AsyncSession, runtime: Runtime, channel: Channel) -> None:
    """The channel is disconnected: its tokens are forgotten, and the network is told, unless another channel is the same account there."""
    of = (OAuthToken.organisation_id == channel.organisation_id, OAuthToken.channel_id == channel.id)
    for row in (await session.scalars(select(OAuthToken).where(*of, OAuthToken.state != ENDED).with_for_update())).all():
        if row.state == ACTIVE and not await _is_shared(session, channel, row):
            await let_go(session, runtime, channel, row)
        else:
            await forget(session, row)


async def _is_shared(session: AsyncSession, channel: Channel, row: OAuthToken) -> bool:
    """Whether to give it back would end what another channel has: on some networks all tokens of an account are one."""
    others = (
        select(Channel.account)
        .join(OAuthToken, (OAuthToken.organisation_id == Channel.organisation_id) & (OAuthToken.channel_id == Channel.id))
        .where(Channel.organisation_id == row.organisation_id, Channel.id != channel.id, OAuthToken.state == ACTIVE)
        .where(OAuthToken.client_id == row.client_id, OAuthToken.server == row.server)
    )
    mine = (channel.account or {}).get("external_id")
    return any((account or {}).get("external_id") == mine for account in (await session.scalars(others)).all())


async def give_back(context: JobContext, payload: GiveBack) -> None:
    """Tell the network that a token is not used any more, and forget it; after the last try forget it all the same."""
    runtime = context.runtime
    try:
        await _give_back(context, payload)
    except ConnectorError:
        if context.attempt < context.max_attempts:
            raise
        log.warning("token_not_given_back", network=payload.network)
    async with runtime.database.write() as session:
        row = await session.get(OAuthToken, (context.organisation_id, payload.token_id), with_for_update=True)
        if row is not None:
            await forget(session, row)


async def _give_back(context: JobContext, payload: GiveBack) -> None:
    runtime = context.runtime
    kind = runtime.hub.connectors.get(payload.network)
    async with runtime.database.read() as session:
        row = await session.get(OAuthToken, (context.organisation_id, payload.token_id))
        if row is None or row.revoke_url is None or kind is None or kind.auth is None:
            return
        app = await apps.app_for(session, row.organisation_id, payload.network, row.server)
        kept = await _opened(session, runtime, row)
        if app is None:
            return
        endpoint = await apps.endpoint_of(session, runtime, app, kind.auth, row.revoke_url)
    # With the refresh token goes what was made of it; not every network has one.
    if not await runtime.net.give_back(endpoint, kept.get(REFRESH) or kept[ACCESS]):
        raise Transient("the network did not take the token back")


_renewing: set[asyncio.Task[Held]] = set()
"""Renewals that go on although nobody waits for them any more; the loop itself holds tasks only weakly."""


def _kept(task: asyncio.Task[Held]) -> asyncio.Task[Held]:
    def done(ended: asyncio.Task[Held]) -> None:
        _renewing.discard(ended)
        if not ended.cancelled():
            ended.exception()

    _renewing.add(task)
    task.add_done_callback(done)
    return task


GIVE_BACK = Job(name="channel.give_back", handler=give_back, payload=GiveBack, timeout=60.0, max_attempts=6)
