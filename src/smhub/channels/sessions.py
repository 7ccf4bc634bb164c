"""The session of a channel or listener whose network trades a password for one: kept sealed, renewed once over all workers.

Sign-ins are dear (Bluesky counts 300 in a day), so a session outlives the process. It lies in core_secret beside its own lease; the row of
its channel or listener is the lock. No transaction is open while the network is asked, and what came is committed before it is shown. Who
dies in between leaves the password: at worst it is shown once more.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import faults
from smhub.access import secrets
from smhub.access.keyring import Unreadable
from smhub.channels.models import Channel, Listener
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.net import Credentials, next_session
from smhub.sdk import AuthExpired, ConnectorError, RateLimited, Secret, Session, SignsIn, Transient

TABLE, NAME = "core_session", "session"
EARLY = timedelta(seconds=60)
LEASE = timedelta(seconds=75)
LOOK_SECONDS, LOOKS = 0.1, 400
PAUSE = 60.0


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As it lies in the database. `settings` is a digest of those it was made with. `generation` counts sessions, `taker` and `until` are
    the lease of who gets a new one, `not_before` is when the network lets us ask again."""

    settings: str = ""
    generation: int = 0
    access: str = ""
    refresh: str = ""
    renew_at: datetime | None = None
    expires_at: datetime | None = None
    on_trial: bool = False
    taker: str = ""
    until: datetime | None = None
    not_before: datetime | None = None

    @property
    def session(self) -> Session | None:
        """What may be renewed."""
        if not self.access:
            return None
        return Session(access=Secret(self.access), refresh=Secret(self.refresh) if self.refresh else None, expires_at=self.expires_at)


class KeptSession:
    """The credentials of one call for one channel or listener."""

    def __init__(self, runtime: Runtime, row: Channel | Listener, kind: type[SignsIn], config: msgspec.Struct) -> None:
        self._runtime, self._of, self._kind, self._config = runtime, row, kind, config
        self._digest = _digest(config)
        self._held: Kept | None = None

    async def present(self) -> str:
        """`Bearer …`, from the network only when there is none or it is about to end."""
        if self._held is None:
            async with self._runtime.database.read() as session:
                self._held = await self._read(session)
        now = self._runtime.clock.now()
        if not self._held.access:
            self._held = await self._newer(self._held, refused=False)
        elif self._held.renew_at is not None and self._held.renew_at <= now:
            try:
                self._held = await self._newer(self._held, refused=False)
            except AuthExpired:
                raise
            except ConnectorError:
                # What is still good is used as long as it lasts.
                if self._held.expires_at is None or self._held.expires_at <= now:
                    raise
        return f"Bearer {self._held.access}"

    async def accepted(self, shown: str) -> None:
        """What came for a refused one is good."""
        if self._held is None or not self._held.on_trial:
            return
        async with self._runtime.database.write() as session:
            await self._lock(session)
            kept = await self._read(session)
            if kept.generation == self._held.generation:
                await self._write(session, msgspec.structs.replace(kept, on_trial=False))
        self._held = msgspec.structs.replace(self._held, on_trial=False)

    async def refused(self, shown: str) -> None:
        """Get another one; AuthExpired when there is none, or when this one is new and was never accepted."""
        assert self._held is not None
        self._held = await self._newer(self._held, refused=True)

    async def _newer(self, old: Kept, *, refused: bool) -> Kept:
        """A newer session, from the network or from whoever was faster."""
        taker = new_id().hex
        for _ in range(LOOKS):
            async with self._runtime.database.write() as session:
                await self._lock(session)
                kept = await self._read(session)
                mine = await self._claim(session, kept, old, refused, taker)
            if kept.access and kept.generation != old.generation:
                return kept
            if mine:
                faults.point("session.claimed")
                # A call that is cut short must not lose the session that is on its way.
                return await asyncio.shield(_going_on(asyncio.create_task(self._ask(kept, refused, taker))))
            await asyncio.sleep(LOOK_SECONDS)
        raise Transient("Another worker signs in and is not done yet.")

    async def _claim(self, session: AsyncSession, kept: Kept, old: Kept, refused: bool, taker: str) -> bool:
        """Whether it is our turn to ask the network."""
        now = self._runtime.clock.now()
        if (kept.access and kept.generation != old.generation) or (kept.until is not None and kept.until > now):
            return False
        if refused and kept.on_trial:
            raise AuthExpired("the network refuses a session that it has just given")
        if kept.not_before is not None and kept.not_before > now:
            wait = (kept.not_before - now).total_seconds()
            raise RateLimited("The network lets us sign in again later.", retry_after=wait)
        await self._write(session, msgspec.structs.replace(kept, taker=taker, until=now + LEASE))
        return True

    async def _ask(self, kept: Kept, refused: bool, taker: str) -> Kept:
        def http_with(credentials: Credentials | None) -> Any:
            return self._runtime.net.http_to_sign_in(self._kind, self._config, credentials)  # type: ignore[arg-type]

        try:
            got = await next_session(self._kind, self._config, kept.session, http_with)
        except ConnectorError as error:
            wait = None
            if isinstance(error, RateLimited):
                wait = self._runtime.clock.now() + timedelta(seconds=PAUSE if error.retry_after is None else error.retry_after)
            await self._settle(msgspec.structs.replace(kept, taker="", until=None, not_before=wait), taker)
            raise
        faults.point("session.answered")
        now = self._runtime.clock.now()
        lasting = got.expires_at - now if got.expires_at is not None else None
        new = Kept(
            settings=self._digest,
            generation=kept.generation + 1,
            access=got.access.reveal(),
            refresh=got.refresh.reveal() if got.refresh is not None else "",
            expires_at=got.expires_at,
            renew_at=now + max(lasting - EARLY, lasting / 2) if lasting is not None else None,
            on_trial=refused,
        )
        return await self._settle(new, taker)

    async def _settle(self, new: Kept, taker: str) -> Kept:
        """Write down what came of it, unless our lease ended and another was faster."""
        async with self._runtime.database.write() as session:
            await self._lock(session)
            kept = await self._read(session)
            if kept.taker != taker:
                return kept if kept.access else new
            await self._write(session, new)
        return new

    async def _lock(self, session: AsyncSession) -> None:
        kind = type(self._of)
        mine = (kind.organisation_id == self._of.organisation_id, kind.id == self._of.id, kind.ended_at.is_(None))
        if (await session.execute(select(kind.id).where(*mine).with_for_update())).first() is None:
            raise AuthExpired("it was disconnected meanwhile")

    async def _read(self, session: AsyncSession) -> Kept:
        try:
            found = (await secrets.get(session, self._runtime.keyring, owner(self._of))).get(NAME)
        except Unreadable:
            found = None
        kept = msgspec.json.decode(found.reveal(), type=Kept) if found is not None else Kept()
        return kept if kept.settings == self._digest else Kept(settings=self._digest, generation=kept.generation)

    async def _write(self, session: AsyncSession, kept: Kept) -> None:
        await secrets.put(session, self._runtime.keyring, owner(self._of), {NAME: Secret(msgspec.json.encode(kept).decode())})
        await session.flush()


def owner(row: Channel | Listener) -> secrets.Owner:
    """Where the session of a channel or listener lies."""
    return secrets.Owner(row.organisation_id, TABLE, row.id)


async def forget(session: AsyncSession, row: Channel | Listener) -> None:
    """It is not needed any more. The network is not told: it ends there by itself."""
    await secrets.forget(session, owner(row))


def _digest(config: msgspec.Struct) -> str:
    """The settings in a form to compare; it is only stored sealed."""
    plain = msgspec.json.encode(config, enc_hook=lambda value: value.reveal() if isinstance(value, Secret) else str(value))
    return hashlib.sha256(plain).hexdigest()


_asking: set[asyncio.Task[Kept]] = set()
"""Sign-ins that go on although nobody waits for them any more; the loop itself holds tasks only weakly."""


def _going_on(task: asyncio.Task[Kept]) -> asyncio.Task[Kept]:
    def done(ended: asyncio.Task[Kept]) -> None:
        _asking.discard(ended)
        if not ended.cancelled():
            ended.exception()

    _asking.add(task)
    task.add_done_callback(done)
    return task
