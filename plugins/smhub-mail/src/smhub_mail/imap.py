"""As much of IMAP as it takes to read a mailbox (RFC 3501, 2177, 4315, 4959), over a guarded connection and within caps."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, NoReturn

from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    ContentRejected,
    Http,
    PayloadMalformed,
    PermissionMissing,
    RateLimited,
    Transient,
    Wire,
)
from smhub_mail.settings import Settings, encrypted

LINE = 64 * 1024
LITERAL = re.compile(rb"\{(\d{1,9})\+?\}$")
CODE = re.compile(rb"\[([A-Z-]+)")
UNTAGGED_AT_MOST = 20_000
PORTS = frozenset({143, 993})


class Told(NamedTuple):
    """An untagged answer: its text, with \\x00 where a literal stood, and the literals."""

    text: bytes
    literals: list[bytes]


class Selected(NamedTuple):
    """A mailbox: the count of its UIDs, and the next one."""

    validity: int
    next: int


class Imap:
    """One signed-in connection."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.can: frozenset[bytes] = frozenset()
        self._number = 0

    async def ask(self, command: bytes, *, largest: int = LINE) -> list[Told]:
        """A command and what the server told until it was done. Raises what a NO means."""
        tag = await self.begin(command)
        return await self.until_done(tag, largest=largest)

    async def begin(self, command: bytes) -> bytes:
        """Send a command; its tag."""
        self._number += 1
        tag = b"a%d" % self._number
        await self.wire.write(tag + b" " + command + b"\r\n")
        return tag

    async def until_done(self, tag: bytes, *, largest: int = LINE) -> list[Told]:
        """What is told until the command ends."""
        told: list[Told] = []
        while len(told) < UNTAGGED_AT_MOST:
            text, literals = await self.hear(largest)
            if text.startswith(tag + b" "):
                if not text[len(tag) + 1 :].upper().startswith(b"OK"):
                    refused(text[len(tag) + 1 :])
                return told
            if not text.startswith(b"* "):
                raise PayloadMalformed("The IMAP server answered what is no IMAP.")
            told.append(Told(text[2:], literals))
        raise PayloadMalformed("The IMAP server does not come to an end.")

    async def hear(self, largest: int = LINE, silence: float | None = None) -> Told:
        """The next answer, its literals included; none of them may be larger than this."""
        text, literals = await self.wire.line(LINE, silence=silence), list[bytes]()
        while found := LITERAL.search(text):
            if int(found[1]) > largest:
                raise PayloadMalformed("The IMAP server sends more than was asked for.")
            literals.append(await self.wire.exactly(int(found[1])))
            text = text[: found.start()] + b"\x00" + await self.wire.line(LINE)
            if len(text) > LINE:
                raise PayloadMalformed("The IMAP server sends a line that is too long.")
        if text[:6].upper() == b"* BYE " and not literals:
            refused(text[2:])
        return Told(text, literals)

    async def capabilities(self) -> None:
        """What the server can now: others before and after encryption and sign-in."""
        for one in await self.ask(b"CAPABILITY"):
            if one.text.upper().startswith(b"CAPABILITY "):
                self.can = frozenset(one.text.upper().split()[1:])

    async def examine(self, mailbox: str) -> Selected:
        """Look at a mailbox without changing anything of it."""
        try:
            told = await self.ask(b"EXAMINE " + quoted(mailbox))
        except ContentRejected:
            raise ConfigInvalid(f"There is no mailbox {mailbox}.", field="mailbox") from None
        text = b"\n".join(one.text for one in told)
        validity, following = re.search(rb"\[UIDVALIDITY (\d{1,10})\]", text, re.I), re.search(rb"\[UIDNEXT (\d{1,10})\]", text, re.I)
        if validity is None:
            raise PayloadMalformed("The IMAP server gives its mails no lasting numbers (UIDVALIDITY).")
        if following is not None:
            return Selected(int(validity[1]), int(following[1]))
        return Selected(int(validity[1]), max(await self.search(b"ALL"), default=0) + 1)

    async def search(self, what: bytes) -> list[int]:
        """The UIDs of what fits, in order."""
        found: set[int] = set()
        for one in await self.ask(b"UID SEARCH " + what):
            if one.text.upper().startswith(b"SEARCH"):
                found.update(int(number) for number in one.text.split()[1:] if number.isdigit() and len(number) <= 10)
        return sorted(found)

    async def append(self, mailbox: str, message: bytes) -> None:
        """Put a mail into a mailbox."""
        tag = await self.begin(b"APPEND " + quoted(mailbox) + b" (\\Seen) {%d}" % len(message))
        while not (text := (await self.hear()).text).startswith(b"+"):
            if text.startswith(tag + b" "):
                refused(text[len(tag) + 1 :])
        await self.wire.write(message + b"\r\n")
        await self.until_done(tag)


def quoted(text: str) -> bytes:
    """Between quotes; line ends and NUL never came so far."""
    return b'"' + text.encode("ascii", "replace").replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def refused(text: bytes) -> NoReturn:
    """What NO, BAD and BYE mean, by their response codes (RFC 5530)."""
    found = CODE.search(text.upper())
    code = found[1] if found else b""
    said = f"The IMAP server refused it ({code.decode() or text[:3].decode('ascii', 'replace').strip()})."
    problems: dict[bytes, ConnectorError] = {
        b"AUTHENTICATIONFAILED": AuthExpired(said),
        b"AUTHORIZATIONFAILED": AuthExpired(said),
        b"EXPIRED": AuthExpired(said),
        b"NOPERM": PermissionMissing(said),
        b"LIMIT": RateLimited(said),
        b"OVERQUOTA": ContentRejected(said),
        b"NONEXISTENT": ContentRejected(said),
        b"TRYCREATE": ContentRejected(said),
    }
    if code in problems:
        raise problems[code]
    if text[:3].upper() in (b"BYE", b"BAD") or code in (b"UNAVAILABLE", b"INUSE", b"SERVERBUG", b"CONTACTADMIN"):
        raise Transient(said)
    raise ContentRejected(said)


@asynccontextmanager
async def signed_in(http: Http, config: Settings) -> AsyncIterator[Imap]:
    """A connection that is encrypted and signed in, for as long as it is needed."""
    encrypted(config.imap_host, config.imap_security, "imap_security")
    async with http.wire(config.imap_host, config.imap_port, tls=config.imap_security == "tls") as wire:
        imap = Imap(wire)
        greeting = (await imap.hear()).text
        if not greeting.upper().startswith((b"* OK", b"* PREAUTH")):
            raise PayloadMalformed("This is no IMAP server.")
        if config.imap_security == "starttls":
            await imap.ask(b"STARTTLS")
            await wire.start_tls()
        await imap.capabilities()
        await _sign_in(imap, config)
        await imap.capabilities()
        yield imap
        # Everything was said; who has gone already needs no good-bye.
        with suppress(ConnectorError):
            await imap.begin(b"LOGOUT")


async def _sign_in(imap: Imap, config: Settings) -> None:
    user, password = config.login, config.password.reveal()
    xoauth2 = config.sign_in == "xoauth2"
    shown = token(user, password) if xoauth2 else b64encode(f"\0{user}\0{password}".encode())
    mechanism = b"XOAUTH2" if xoauth2 else b"PLAIN"
    try:
        if b"AUTH=" + mechanism not in imap.can and not xoauth2:
            if not password.isascii() or set("\r\n\0") & set(password):
                raise AuthExpired("The IMAP server takes no such password.")
            await imap.ask(b"LOGIN " + quoted(user) + b" " + quoted(password))
        elif b"SASL-IR" in imap.can:
            await _authenticate(imap, b"AUTHENTICATE " + mechanism + b" " + shown, b"")
        else:
            await _authenticate(imap, b"AUTHENTICATE " + mechanism, shown)
    except ContentRejected:
        raise AuthExpired("The IMAP server does not take the password.") from None


async def _authenticate(imap: Imap, command: bytes, shown: bytes) -> None:
    tag = await imap.begin(command)
    text = (await imap.hear()).text
    while not text.startswith(tag + b" "):
        if text.startswith(b"+"):
            # With an error XOAUTH2 asks once more, for an empty line.
            await imap.wire.write(shown + b"\r\n")
            shown = b""
        elif not text.startswith(b"* "):
            raise PayloadMalformed("The IMAP server answered what is no IMAP.")
        text = (await imap.hear()).text
    if not text[len(tag) + 1 :].upper().startswith(b"OK"):
        refused(text[len(tag) + 1 :])


def token(user: str, access: str) -> bytes:
    """How an OAuth 2 access token is shown (https://developers.google.com/gmail/imap/xoauth2-protocol)."""
    return b64encode(f"user={user}\x01auth=Bearer {access}\x01\x01".encode())
