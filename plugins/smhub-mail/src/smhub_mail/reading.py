"""Mails by their numbers, the oldest first, a window at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from smhub.sdk import BadItem, CursorExpired, Item, Mention, Page, PayloadMalformed
from smhub_mail.imap import Imap, Told
from smhub_mail.mentions import FIRST_BYTES, Letter, message_id, read_mail
from smhub_mail.settings import Place

PAGE = 40
LONGEST_IDLE = 240.0
"""Begun again so often: servers end it after half an hour (RFC 2177), and routers forget a silent connection earlier."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ARRIVED = re.compile(rb'INTERNALDATE "([ 0-9]\d)-([A-Za-z]{3})-(\d{4}) (\d\d:\d\d:\d\d) ([+-]\d{4})"', re.IGNORECASE)


class Reader:
    """One mailbox on one connection. `ours` is our own address: what it sent is no mention."""

    def __init__(self, imap: Imap, ours: str) -> None:
        self._imap, self._ours = imap, ours.lower()

    async def pages(self, mailbox: str, cursor: Place | None, since: datetime | None, until: datetime | None) -> AsyncIterator[Page]:
        """See `FetchesMentions`. CursorExpired when the mailbox counts anew."""
        there = await self._imap.examine(mailbox)
        if cursor is not None and cursor.validity != there.validity:
            raise CursorExpired("The mailbox gave its mails new numbers (UIDVALIDITY).")
        last = cursor.last if cursor else 0
        uids = [uid for uid in await self._imap.search(_wanted(last, since, until)) if last < uid < there.next]
        for begin in range(0, len(uids), PAGE):
            letters = await self.letters(uids[begin : begin + PAGE])
            within = [one for one in letters if (since is None or one.at >= since) and (until is None or one.at <= until)]
            last = uids[begin : begin + PAGE][-1]
            yield Page(items=await self.items(within), cursor=Place(validity=there.validity, last=last))
        if cursor is None or last < there.next - 1:
            end = Place(validity=there.validity, last=there.next - 1)
            if not uids or end.last != last:
                yield Page(items=(), cursor=end)

    async def letters(self, uids: Sequence[int]) -> list[Letter]:
        """These mails, each up to its cap; one that was deleted meanwhile is left out."""
        numbers = b",".join(b"%d" % uid for uid in uids)
        what = b" (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.%d>)" % FIRST_BYTES
        told = await self._imap.ask(b"UID FETCH " + numbers + what, largest=FIRST_BYTES)
        found = {letter.uid: letter for one in told if (letter := _letter(one)) is not None}
        return [found[uid] for uid in uids if uid in found]

    async def items(self, letters: Sequence[Letter]) -> list[Item]:
        """What these mails are. One whose name an older one has already is known by a digest: nobody overwrites another's mail."""
        names = {one.uid: message_id(one) for one in letters}
        taken = await self._taken(sorted({name for name in names.values() if name}), min(names, default=1))
        items: list[Item] = []
        for one in letters:
            name = names[one.uid]
            read = read_mail(one, name if name and name not in taken else one.digest)
            taken.add(name)
            if isinstance(read, BadItem) or read.author is None or read.author.external_id != self._ours:
                items.append(read)
        return items

    async def _taken(self, names: Sequence[str], first: int) -> set[str]:
        """Which of these names older mails have."""
        if first <= 1 or not names:
            return set()
        below = b"UID 1:%d " % (first - 1)
        headers = [b'HEADER Message-ID "<' + name.encode("ascii") + b'>"' for name in names]
        every = b"OR " * (len(headers) - 1) + b" ".join(headers)
        if not await self._imap.search(below + every):
            return set()
        return {name for name, header in zip(names, headers, strict=True) if await self._imap.search(below + header)}

    async def told(self, mailbox: str) -> AsyncIterator[Page]:
        """Mails as they come, as long as the connection lasts (IDLE)."""
        following = (await self._imap.examine(mailbox)).next
        while True:
            tag = await self._imap.begin(b"IDLE")
            await self._until_something_comes()
            await self._imap.wire.write(b"DONE\r\n")
            await self._imap.until_done(tag)
            uids = [uid for uid in await self._imap.search(b"UID %d:*" % following) if uid >= following]
            for begin in range(0, len(uids), PAGE):
                letters = await self.letters(uids[begin : begin + PAGE])
                yield Page(items=[one for one in await self.items(letters) if isinstance(one, Mention | BadItem)], cursor=None)
            following = uids[-1] + 1 if uids else following

    async def _until_something_comes(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_IDLE):
                while True:
                    text = (await self._imap.hear(silence=LONGEST_IDLE * 2)).text.upper()
                    if text.startswith(b"* ") and text.endswith(b" EXISTS"):
                        return
                    if not text.startswith((b"+", b"* ")):
                        raise PayloadMalformed("The IMAP server answered IDLE with what is no IMAP.")
        except TimeoutError:
            return


def _wanted(last: int, since: datetime | None, until: datetime | None) -> bytes:
    """IMAP knows days only, and each server those of its own zone: a day more on both sides."""
    parts = [b"UID %d:*" % (last + 1)]
    if since is not None:
        parts.append(b"SINCE " + _day(since - timedelta(days=1)))
    if until is not None:
        parts.append(b"BEFORE " + _day(until + timedelta(days=2)))
    return b" ".join(parts)


def _day(at: datetime) -> bytes:
    return f"{at.day}-{MONTHS[at.month - 1]}-{at.year:04}".encode()


def _letter(told: Told) -> Letter | None:
    uid, size = re.search(rb"\bUID (\d{1,10})\b", told.text), re.search(rb"RFC822\.SIZE (\d{1,12})", told.text, re.IGNORECASE)
    arrived = ARRIVED.search(told.text)
    if not re.match(rb"\d+ FETCH \(", told.text, re.IGNORECASE) or uid is None or arrived is None or not told.literals:
        return None
    try:
        month = MONTHS.index(arrived[2].decode().title()) + 1
        text = f"{arrived[3].decode()}-{month:02}-{int(arrived[1]):02}T{arrived[4].decode()}{arrived[5].decode()}"
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise PayloadMalformed("The IMAP server tells a time that nobody can read.") from None
    return Letter(int(uid[1]), int(size[1]) if size else len(told.literals[0]), at, told.literals[0])
