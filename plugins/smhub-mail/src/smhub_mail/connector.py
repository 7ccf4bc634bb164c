"""The connector: what the core may ask of a mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import ClassVar

from smhub.sdk import (
    Account,
    ConfigInvalid,
    Connector,
    ConnectorError,
    ContentRejected,
    Draft,
    FetchesMentions,
    Limits,
    MentionRef,
    Page,
    Published,
    Replies,
    Safety,
    Streams,
    Unsupported,
    ValidatesContent,
    Violation,
)
from smhub_mail import imap, smtp
from smhub_mail.reading import Reader
from smhub_mail.saying import compose, name_of, violations
from smhub_mail.settings import Place, Settings

PROOF_SECONDS = 40.0


class Mail(Connector[Settings], FetchesMentions, Streams, Replies, ValidatesContent):
    """One mailbox, by IMAP and SMTP."""

    network = "mail"
    title = "E-mail"
    Config = Settings
    Cursor = Place
    ports = imap.PORTS | smtp.PORTS
    poll_seconds = 60
    limits = Limits(max_bytes=1_000_000)
    # SMTP takes the same mail twice, and a mail that is not in Sent may be out nevertheless.
    safety: ClassVar[Safety] = "none"
    settle_seconds = 60.0
    stream_silence = 600.0
    checked_against = "pymap 0.36.7 and aiosmtpd 1.4.6 on this machine"

    async def verify(self) -> Account:
        async with imap.signed_in(self.http, self.config) as reading:
            await reading.examine(self.config.mailbox)
        async with smtp.signed_in(self.http, self.config):
            pass
        address = self.config.address
        return Account(external_id=address.lower(), handle=address, name=self.config.name)

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        since = self.context.since
        if cursor is None and since is None:
            since = self.context.clock.now() - timedelta(days=self.config.first_days)
        async with imap.signed_in(self.http, self.config) as reading:
            found = Reader(reading, self.config.address).pages(
                self.config.mailbox, cursor, since if cursor is None else None, self.context.until
            )
            async with aclosing(found) as pages:  # type: ignore[type-var]
                async for page in pages:
                    yield page

    async def stream(self, cursor: object) -> AsyncIterator[Page]:
        async with imap.signed_in(self.http, self.config) as reading:
            if b"IDLE" not in reading.can:
                raise Unsupported("This IMAP server does not tell of mails by itself (IDLE).")
            async with aclosing(Reader(reading, self.config.address).told(self.config.mailbox)) as pages:  # type: ignore[type-var]
                async for page in pages:
                    yield page

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published:
        if found := violations(draft):
            raise ContentRejected("This is no mail.", violations=[one.detail for one in found])
        recipient, mail = compose(self.config, to, draft, key, self.context.clock.now())
        async with smtp.signed_in(self.http, self.config) as sending:
            await smtp.hand_over(sending, self.config.address, recipient, mail)
        # It is out, whatever becomes of its copy.
        with suppress(ConnectorError, TimeoutError):
            async with asyncio.timeout(PROOF_SECONDS):
                await self._keep(mail, key)
        return Published(external_id=name_of(self.config, key))

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        """Among what was sent. What lies there is out; what does not may be out as well, so nothing is said again for this."""
        async with imap.signed_in(self.http, self.config) as reading:
            found = await self._sent(reading, key)
        return Published(external_id=name_of(self.config, key)) if found else None

    async def _keep(self, mail: bytes, key: str) -> None:
        """Put it into Sent, unless the server has done so by itself."""
        async with imap.signed_in(self.http, self.config) as reading:
            try:
                kept = await self._sent(reading, key)
            except ConfigInvalid:
                await reading.ask(b"CREATE " + imap.quoted(self.config.sent))
                kept = False
            if not kept:
                await reading.append(self.config.sent, mail)

    async def _sent(self, reading: imap.Imap, key: str) -> bool:
        try:
            await reading.examine(self.config.sent)
        except ConfigInvalid:
            raise ConfigInvalid(f"There is no mailbox {self.config.sent}.", field="sent") from None
        return bool(await reading.search(b'HEADER Message-ID "<' + name_of(self.config, key).encode("ascii") + b'>"'))

    def validate(self, draft: Draft) -> list[Violation]:
        return violations(draft)
