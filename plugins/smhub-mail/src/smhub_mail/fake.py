"""A mail server in memory, for the conformance kit and the tests: IMAP on port 993, SMTP on 465."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime
from typing import Any, NamedTuple

from smhub.testing import Answer, FakeNetwork, NotOffered, Post, Request, Talk

PASSWORD = "sesame-4711"  # noqa: S105
ADDRESS = "firma@firma.test"
GOOD = f"\0{ADDRESS}\0{PASSWORD}".encode()
SAID = {401: b"[AUTHENTICATIONFAILED] who are you?", 403: b"[NOPERM] not for you"}


class Stored(NamedTuple):
    """A mail in a folder."""

    uid: int
    at: datetime
    raw: bytes


class Fake(FakeNetwork):
    """One mailbox. Mails are neither edited nor taken back; `sent` is what SMTP took, with its recipient."""

    def __init__(self) -> None:
        super().__init__()
        self.folders: dict[str, list[Stored]] = {"INBOX": [], "Sent": []}
        self.validity = 7
        self.idle = True
        self.sent: list[tuple[str, bytes]] = []
        self.recipient, self.final = "250 fine", "250 taken"
        self.lose_final = False
        self.on_idle: Callable[[], None] = lambda: None

    def config(self, base_url: str) -> dict[str, Any]:
        return {"address": ADDRESS, "name": "Firma", "imap_host": "imap.test", "smtp_host": "smtp.test", "password": PASSWORD}

    def bad_config(self, base_url: str) -> dict[str, Any]:
        return {**self.config(base_url), "password": "not-the-word"}

    def __call__(self, request: Request) -> Answer:
        return Answer(status=404)

    def talk(self, port: int) -> Talk:
        if port not in (465, 993):
            raise NotOffered("nobody is there")
        return Imap(self) if port == 993 else Smtp(self)

    def in_words(self, answer: Answer, request: Request) -> bytes:
        if answer.status < 400:
            return answer.body + b"\r\n"
        if answer.status == 429:
            raise NotOffered("mail servers do not say how long to wait")
        if request.target == "465":
            return b"535 who are you?\r\n" if answer.status == 401 else b"421 not now\r\n"
        tag = request.body.split(b" ")[0] or b"*"
        return tag + b" NO " + SAID.get(answer.status, b"[UNAVAILABLE] not now") + b"\r\n"

    def add(self, text: str, *, at: datetime | None = None) -> str:
        return self._add(text, "plain", at)

    def add_html(self, html: str) -> str:
        return self._add(html, "html", None)

    def _add(self, words: str, subtype: str, at: datetime | None) -> str:
        mail = EmailMessage(policy=policy.SMTP)
        name = f"{len(self.folders['INBOX']) + 1}.{self.validity}@kundin.test"
        moment = at or self.clock.now()
        mail["From"], mail["To"], mail["Subject"] = "Kundin Köster <kundin@kundin.test>", ADDRESS, "Mein Kessel"
        mail["Date"], mail["Message-ID"] = format_datetime(moment), f"<{name}>"
        mail.set_content(words, subtype=subtype, charset="utf-8", cte="base64")
        self.receive(mail.as_bytes(), moment)
        return name

    def receive(self, raw: bytes, at: datetime | None = None, folder: str = "INBOX") -> None:
        """A mail comes in as it is."""
        mails = self.folders[folder]
        mails.append(Stored(mails[-1].uid + 1 if mails else 1, at or self.clock.now(), raw))

    def malformed(self) -> None:
        self.receive(b"\xff\xfe this is no mail\r\n\r\n\x00")

    def forget(self) -> None:
        self.validity += 1
        self.folders["INBOX"] = [one._replace(uid=number + 1) for number, one in enumerate(self.folders["INBOX"])]

    def posts(self) -> Sequence[Post]:
        found = []
        for _, raw in self.sent:
            mail = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)
            name, parent = str(mail["Message-ID"]).strip("<>"), str(mail["In-Reply-To"] or "").strip("<>")
            found.append(Post(external_id=name, text=mail.get_content(), reply_to=parent or None))
        return found


class Imap(Talk):
    """A connection to read."""

    def __init__(self, fake: Fake) -> None:
        self._fake, self._in, self._folder = fake, False, ""
        self._waiting: tuple[bytes, str] | None = None

    def greeting(self) -> bytes:
        return b"* OK ready\r\n"

    def hear(self, data: bytes) -> bytes:
        if self._waiting is not None:
            tag, folder = self._waiting
            self._waiting = None
            if folder:
                self._fake.receive(data.removesuffix(b"\r\n"), folder=folder)
            return tag + b" OK done\r\n"
        tag, _, command = data.removesuffix(b"\r\n").partition(b" ")
        verb, _, rest = command.partition(b" ")
        if verb == b"UID":
            verb, _, rest = rest.partition(b" ")
        if verb == b"AUTHENTICATE":
            self._in = b64decode(rest.rpartition(b" ")[2]) == GOOD
            return tag + (b" OK in\r\n" if self._in else b" NO [AUTHENTICATIONFAILED] no\r\n")
        if verb == b"CAPABILITY":
            return b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN" + (b" IDLE" if self._fake.idle else b"") + b"\r\n" + tag + b" OK\r\n"
        if verb == b"LOGOUT":
            return b"* BYE\r\n" + tag + b" OK\r\n"
        if not self._in:
            return tag + b" NO sign in first\r\n"
        return self._read(tag, verb, rest.decode())

    def _read(self, tag: bytes, verb: bytes, rest: str) -> bytes:
        folders = self._fake.folders
        match verb:
            case b"EXAMINE":
                self._folder = rest.strip('"')
                if self._folder not in folders:
                    return tag + b" NO [NONEXISTENT] no such folder\r\n"
                mails = folders[self._folder]
                following = mails[-1].uid + 1 if mails else 1
                return (
                    f"* {len(mails)} EXISTS\r\n* OK [UIDVALIDITY {self._fake.validity}]\r\n* OK [UIDNEXT {following}]\r\n".encode()
                    + (tag + b" OK\r\n")
                )
            case b"SEARCH":
                uids = " ".join(str(one.uid) for one in folders[self._folder] if _fits(one, rest, folders[self._folder][-1].uid))
                return f"* SEARCH {uids}\r\n".encode() + tag + b" OK\r\n"
            case b"FETCH":
                wanted = {int(one) for one in rest.split(" ", maxsplit=1)[0].split(",")}
                return b"".join(map(_told, (one for one in folders[self._folder] if one.uid in wanted))) + tag + b" OK\r\n"
            case b"APPEND":
                self._waiting = (tag, rest.split('"')[1])
                return b"+ go on\r\n"
            case b"CREATE":
                folders[rest.strip('"')] = []
                return tag + b" OK\r\n"
            case b"IDLE":
                self._waiting = (tag, "")
                self._fake.on_idle()
                return b"+ idling\r\n* 1 EXISTS\r\n"
        return tag + b" BAD unknown\r\n"


def _fits(one: Stored, what: str, highest: int) -> bool:
    low, high = re.search(r"UID (\d+):", what), re.search(r"UID \d+:(\d+)", what)
    if (low and one.uid < min(int(low[1]), highest)) or (high and one.uid > int(high[1])):
        return False
    names = re.findall(r'HEADER Message-ID "([^"]+)"', what)
    if names and not any(f"Message-ID: {name}".encode() in one.raw for name in names):
        return False
    since, before = (re.search(rf"{word} (\S+)", what) for word in ("SINCE", "BEFORE"))
    day = one.at.date()
    return not (since and day < _date(since[1])) and not (before and day >= _date(before[1]))


def _date(text: str) -> Any:
    return datetime.strptime(text + " +0000", "%d-%b-%Y %z").date()


def _told(one: Stored) -> bytes:
    first = one.raw[: 256 * 1024]
    at = one.at.strftime("%d-%b-%Y %H:%M:%S %z")
    head = f'* {one.uid} FETCH (UID {one.uid} RFC822.SIZE {len(one.raw)} INTERNALDATE "{at}" BODY[]<0> {{{len(first)}}}\r\n'
    return head.encode() + first + b")\r\n"


class Smtp(Talk):
    """A connection to send."""

    def __init__(self, fake: Fake) -> None:
        self._fake, self._recipient, self._taken = fake, "", bytearray()
        self._data = False

    def greeting(self) -> bytes:
        return b"220 ready\r\n"

    def hear(self, data: bytes) -> bytes:
        if self._data:
            return self._content(data)
        verb = data.split(b"\r\n")[0].split(b" ")[0].split(b":")[0]
        match verb:
            case b"EHLO":
                return b"250-smtp.test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n"
            case b"AUTH":
                good = b64decode(data.strip().rpartition(b" ")[2]) == GOOD
                return b"235 in\r\n" if good else b"535 no\r\n"
            case b"RCPT":
                self._recipient = data[data.index(b"<") + 1 : data.index(b">")].decode()
                return self._fake.recipient.encode() + b"\r\n"
            case b"DATA":
                self._data = True
                return b"354 go on\r\n"
            case b"QUIT":
                return b"221 bye\r\n"
        return b"250 fine\r\n"

    def _content(self, data: bytes) -> bytes:
        self._taken += data
        if not self._taken.endswith(b"\r\n.\r\n"):
            return b""
        self._data = False
        if self._fake.final.startswith("250"):
            self._fake.sent.append((self._recipient, bytes(self._taken[:-3]).replace(b"\r\n..", b"\r\n.")))
        if self._fake.lose_final:
            raise ConnectionResetError
        return self._fake.final.encode() + b"\r\n"
