"""As much of SMTP as it takes to hand over one mail (RFC 5321, 4954, 3207), over a guarded connection."""

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
    Gone,
    Http,
    OutcomeUnknown,
    PayloadMalformed,
    RateLimited,
    Transient,
    Wire,
)
from smhub_mail.imap import token
from smhub_mail.settings import Settings, encrypted

LINES = 100
REPLY = re.compile(rb"([2-5]\d\d)([ -])(.*)", re.DOTALL)
DOT = re.compile(rb"^\.", re.MULTILINE)
LATER = 300.0
PORTS = frozenset({25, 465, 587, 2525})


class Reply(NamedTuple):
    """What the server said: a code, and its lines."""

    code: int
    lines: list[bytes]


async def hear(wire: Wire) -> Reply:
    """A whole reply."""
    lines: list[bytes] = []
    while len(lines) < LINES:
        found = REPLY.fullmatch(await wire.line())
        if found is None:
            raise PayloadMalformed("The SMTP server answered what is no SMTP.")
        lines.append(found[3])
        if found[2] == b" ":
            return Reply(int(found[1]), lines)
    raise PayloadMalformed("The SMTP server does not come to an end.")


async def ask(wire: Wire, command: bytes) -> Reply:
    """A command and its reply."""
    await wire.write(command + b"\r\n")
    return await hear(wire)


@asynccontextmanager
async def signed_in(http: Http, config: Settings) -> AsyncIterator[Wire]:
    """A connection that is encrypted and signed in, where the server wants that."""
    encrypted(config.smtp_host, config.smtp_security, "smtp_security")
    async with http.wire(config.smtp_host, config.smtp_port, tls=config.smtp_security == "tls") as wire:
        _expect(await hear(wire), 220)
        # An address of ours is nobody's business; a literal is always allowed (RFC 5321, 4.1.3).
        hello = await ask(wire, b"EHLO [127.0.0.1]")
        _expect(hello, 250)
        if config.smtp_security == "starttls":
            _expect(await ask(wire, b"STARTTLS"), 220)
            await wire.start_tls()
            hello = await ask(wire, b"EHLO [127.0.0.1]")
            _expect(hello, 250)
        await _sign_in(wire, config, hello)
        yield wire
        # The mail is theirs by now; who has gone already needs no good-bye.
        with suppress(ConnectorError):
            await wire.write(b"QUIT\r\n")


async def _sign_in(wire: Wire, config: Settings, hello: Reply) -> None:
    offered = next((line.upper().split()[1:] for line in hello.lines if line.upper().startswith(b"AUTH ")), None)
    if offered is None:
        if config.smtp_security != "none":
            raise ConfigInvalid("The SMTP server lets nobody sign in.", field="smtp_port")
        return
    user, password = config.login, config.password.reveal()
    if config.sign_in == "xoauth2":
        reply = await ask(wire, b"AUTH XOAUTH2 " + token(user, password))
        if reply.code == 334:
            reply = await ask(wire, b"")
    elif b"PLAIN" in offered:
        reply = await ask(wire, b"AUTH PLAIN " + b64encode(f"\0{user}\0{password}".encode()))
    else:
        _expect(await ask(wire, b"AUTH LOGIN"), 334)
        _expect(await ask(wire, b64encode(user.encode())), 334)
        reply = await ask(wire, b64encode(password.encode()))
    if reply.code in (530, 534, 535, 538):
        raise AuthExpired("The SMTP server does not take the password.", status=reply.code)
    _expect(reply, 235)


async def hand_over(wire: Wire, sender: str, recipient: str, message: bytes) -> None:
    """Give a mail to the server, which from its last line on answers for it.

    Raises Gone and ContentRejected for a clear no, Transient before the mail was sent whole, RateLimited when the server wants it later,
    OutcomeUnknown when its last word was lost.
    """
    _expect(await ask(wire, b"MAIL FROM:<" + sender.encode("ascii") + b">"), 250)
    reply = await ask(wire, b"RCPT TO:<" + recipient.encode("ascii") + b">")
    if reply.code in (550, 551, 553, 556):
        raise Gone(f"The recipient is refused ({reply.code}).", status=reply.code)
    _expect(reply, 250, 251, 252)
    _expect(await ask(wire, b"DATA"), 354)
    body = DOT.sub(b"..", message)
    await wire.write(body if body.endswith(b"\r\n") else body + b"\r\n")
    await wire.write(b".\r\n", acts=True)
    try:
        reply = await hear(wire)
    except (PayloadMalformed, Transient):
        raise OutcomeUnknown("The SMTP server's last word was lost. Whether the mail is out is not known.") from None
    if reply.code == 421 or reply.code // 100 == 3:
        raise OutcomeUnknown(f"The SMTP server ended with {reply.code} when it had the whole mail.", status=reply.code)
    if reply.code // 100 == 4:
        # A clear no for now: "the requested action did not occur" (RFC 5321, 4.2.1).
        raise RateLimited(f"The SMTP server wants the mail later ({reply.code}).", retry_after=LATER, status=reply.code)
    _expect(reply, 250)


def _expect(reply: Reply, *codes: int) -> None:
    if reply.code not in codes:
        _refused(reply)


def _refused(reply: Reply) -> NoReturn:
    said = f"The SMTP server answered {reply.code}."
    if reply.code in (530, 535):
        raise AuthExpired(said, status=reply.code)
    if reply.code // 100 == 5:
        raise ContentRejected(said, status=reply.code)
    if reply.code // 100 == 4:
        raise Transient(said, status=reply.code)
    raise PayloadMalformed(said, status=reply.code)
