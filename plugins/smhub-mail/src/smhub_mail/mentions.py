"""Mails become mentions: read by the standard library, which forgives much, and under limits, since it forgives slowly."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import policy
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr, parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from smhub.sdk import Attachment, Author, BadItem, Mention

FIRST_BYTES = 256 * 1024
"""So much of each mail is read: its headers, and nearly always its text. Attachments are told by name and size only."""
LONGEST_HEADER = 4096
HEADERS = 64 * 1024
PARTS = 100
IDS = 50
AHEAD = timedelta(days=1)
MESSAGE_ID = re.compile(r"<([^<>\s\"\\\x00-\x20\x7f-\U0010ffff]{1,250})>")
CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}")
ADDRESS = re.compile(r"[!#-;=?A-Z^-~]{1,64}@[A-Za-z0-9.-]{1,190}")
KINDS = ("image", "video", "audio")


class Letter(NamedTuple):
    """A mail as the server has it: its number, its whole size, when it came, and its first bytes."""

    uid: int
    size: int
    at: datetime
    raw: bytes

    @property
    def digest(self) -> str:
        """A name for a mail that has none of its own."""
        return f"{_digest(self.raw)}@digest.invalid"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer has to know."""

    message_id: str = ""
    references: tuple[str, ...] = ()
    subject: str = ""
    answer_to: str = ""


def message_id(letter: Letter) -> str:
    """What its sender calls it; empty where there is no usable name."""
    head = letter.raw[:HEADERS].partition(b"\r\n\r\n")[0]
    found = re.search(rb"^message-id:\s*(.{1,512})", head, re.IGNORECASE | re.MULTILINE)
    named = MESSAGE_ID.search(found[1].decode("latin-1")) if found else None
    return named[1] if named else ""


def read_mail(letter: Letter, external_id: str) -> Mention | BadItem:
    """The mention that a mail is."""
    if len(letter.raw.partition(b"\r\n\r\n")[0]) > HEADERS:
        return BadItem(raw=letter.raw[:LONGEST_HEADER], error="its headers are larger than 64 KiB")
    try:
        message = BytesParser(EmailMessage, policy=policy.default).parsebytes(letter.raw)
        return _mention(message, letter, external_id)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, LookupError, RecursionError) as error:
        # The standard library raises all of these at mails that somebody broke on purpose.
        return BadItem(raw=letter.raw[:LONGEST_HEADER], error=f"it cannot be read ({type(error).__name__})")


def _mention(message: EmailMessage, letter: Letter, external_id: str) -> Mention | BadItem:
    name, address = _person(message, "from")
    if not address:
        return BadItem(raw=letter.raw[:LONGEST_HEADER], error="it has no sender")
    references = _ids(message, "references")
    answered = _ids(message, "in-reply-to")
    parent = answered[0] if answered else references[-1] if references else None
    labels = tuple(_labels(message))
    bounced = _bounced(message) if "bounce" in labels else None
    subject = _header(message, "subject")
    text, html = _words(message)
    language = LANGUAGE.search(_header(message, "content-language"))
    answer_to = _person(message, "reply-to")[1] or address
    kept = Kept(message_id=message_id(letter), references=references, subject=subject, answer_to=answer_to)
    return Mention(
        external_id=external_id,
        author=Author(external_id=address.lower(), handle=address, name=name),
        published_at=_when(message, letter.at),
        text=text,
        html=html,
        title=subject or None,
        kind="direct_message",
        visibility="private",
        reply_to=bounced or parent,
        root=None if bounced else references[0] if references else parent,
        language=language[0] if language else None,
        attachments=tuple(_attachments(message, letter, external_id)),
        labels=labels,
        raw=msgspec.json.encode(kept),
    )


def _raw(message: EmailMessage, name: str) -> str:
    value = next((str(value) for key, value in message.raw_items() if key.lower() == name), "")
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:LONGEST_HEADER]


def _header(message: EmailMessage, name: str) -> str:
    """A header for people to read: decoded (RFC 2047), in one line."""
    raw = _raw(message, name)
    return CONTROL.sub(" ", str(policy.default.header_factory(name, re.sub(r"\r?\n", "", raw)))).strip() if raw else ""


def _person(message: EmailMessage, name: str) -> tuple[str, str]:
    raw = CONTROL.sub(" ", _raw(message, name))
    if not raw:
        return "", ""
    header = policy.default.header_factory(name, raw)
    found = header.addresses if isinstance(header, AddressHeader) or hasattr(header, "addresses") else ()
    for one in found:
        if ADDRESS.fullmatch(one.addr_spec):
            return CONTROL.sub(" ", one.display_name).strip()[:200], one.addr_spec
    name_, address = parseaddr(raw)
    return (name_[:200], address) if ADDRESS.fullmatch(address) else ("", "")


def _ids(message: EmailMessage, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(MESSAGE_ID.findall(_raw(message, name))))[:IDS]


def _when(message: EmailMessage, arrived: datetime) -> datetime:
    """When its sender says that it was written, unless that is still to come."""
    try:
        written = parsedate_to_datetime(_raw(message, "date"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return arrived
    written = written.replace(tzinfo=UTC) if written.tzinfo is None else written
    return written if written.year > 1980 and written <= arrived + AHEAD else arrived


def _labels(message: EmailMessage) -> Iterator[str]:
    """What no person wrote by hand (RFC 3834, RFC 2919, RFC 3464)."""
    automatic = _raw(message, "auto-submitted").strip().lower()
    if message.get_content_type() == "multipart/report" and str(message.get_param("report-type")).lower() == "delivery-status":
        yield "bounce"
        yield "automatic"
    elif (automatic and automatic != "no") or _raw(message, "precedence").strip().lower() in ("bulk", "junk", "auto_reply"):
        yield "automatic"
    if _raw(message, "list-id") or _raw(message, "list-unsubscribe"):
        yield "mailing_list"


def _bounced(message: EmailMessage) -> str | None:
    """The name of the mail that did not arrive: its headers lie in the report."""
    for part in _leaves(message):
        if part.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers"):
            found = MESSAGE_ID.search(re.sub(r"(?is).*?^message-id:", "", _text(part), count=1, flags=re.MULTILINE))
            return found[1] if found else None
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            named = _ids(inner[0], "message-id") if isinstance(inner, list) and isinstance(inner[0], EmailMessage) else ()
            return named[0] if named else None
    return None


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that are no containers; a mail within a mail is one part."""
    todo: list[EmailMessage] = [message]
    for _ in range(PARTS):
        if not todo:
            return
        part = todo.pop(0)
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            todo = [one for one in payload if isinstance(one, EmailMessage)] + todo
        else:
            yield part


def _is_words(part: EmailMessage) -> bool:
    return part.get_content_type() in ("text/plain", "text/html") and part.get_content_disposition() != "attachment"


def _words(message: EmailMessage) -> tuple[str, str | None]:
    """The plain text, or the HTML where there is none."""
    parts = [part for part in _leaves(message) if _is_words(part)]
    plain = [_flowed(part) for part in parts if part.get_content_type() == "text/plain"]
    text = "\n".join(one.strip("\n") for one in plain).replace("\x00", "")
    html = next((_text(part) for part in parts if part.get_content_type() == "text/html"), None)
    return (text, None) if text.strip() or html is None else ("", html.replace("\x00", ""))


def _text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = str(part.get_param("charset") or "utf-8")
    for name, errors in ((charset, "strict"), ("utf-8", "strict"), (charset, "replace")):
        try:
            return data.decode(name, errors).replace("\r\n", "\n")
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1").replace("\r\n", "\n")


def _flowed(part: EmailMessage) -> str:
    """Lines that were broken for the way put together again (RFC 3676), those of one depth of quoting only."""
    text = _text(part)
    if str(part.get_param("format") or "").lower() != "flowed":
        return text
    del_sp = str(part.get_param("delsp") or "").lower() == "yes"
    lines: list[str] = []
    depth_before, flows = 0, False
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        bare = bare.removeprefix(" ")
        signature = bare == "-- "
        if flows and depth == depth_before and not signature:
            lines[-1] = (lines[-1][:-1] if del_sp else lines[-1]) + bare
        else:
            lines.append(f"{'>' * depth} {bare}" if depth else bare)
        depth_before, flows = depth, bare.endswith(" ") and not signature
    return "\n".join(lines)


def _attachments(message: EmailMessage, letter: Letter, external_id: str) -> Iterator[Attachment]:
    parts = list(_leaves(message))
    for number, part in enumerate(parts):
        if _is_words(part) or (part.get_content_maintype() == "multipart"):
            continue
        payload = part.get_payload(decode=True)
        size = len(payload) if isinstance(payload, bytes) else None
        if part is parts[-1] and letter.size > len(letter.raw):
            # Its end was not read; what is missing is base64, three bytes in four.
            size = (size or 0) + (letter.size - len(letter.raw)) * 3 // 4
        kind = part.get_content_maintype()
        yield Attachment(
            # RFC 2392: a part of a mail, by the mail's name.
            url=f"mid:{quote(external_id, safe='@')}/{number + 1}",
            kind=kind if kind in KINDS else "file",
            media_type=part.get_content_type()[:100],
            alt_text=CONTROL.sub(" ", part.get_filename() or "")[:500] or None,
            bytes=size,
        )


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw.partition(b"\r\n\r\n")[0]).hexdigest()[:32]
