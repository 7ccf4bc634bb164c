"""An answer as a mail: named after its delivery, below what it answers, with nothing of a stranger's in its headers but in one line."""

from __future__ import annotations

import re
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

import msgspec

from smhub.sdk import ContentRejected, Draft, MentionRef, Violation
from smhub_mail.mentions import ADDRESS, CONTROL, MESSAGE_ID, Kept
from smhub_mail.settings import Settings

ONE_LINE = policy.SMTP.clone(max_line_length=990)
"""Folded at 78, long names of mails would become encoded words, which no other program finds again."""
LONGEST_REFERENCES = 800
LONGEST_SUBJECT = 200


def name_of(config: Settings, key: str) -> str:
    """The Message-ID of a delivery, the same for ever."""
    return f"{key}@{config.address.rpartition('@')[2].lower()}"


def compose(config: Settings, to: MentionRef, draft: Draft, key: str, now: datetime) -> tuple[str, bytes]:
    """The recipient, and the mail."""
    try:
        kept = msgspec.json.decode(to.raw or b"{}", type=Kept)
    except msgspec.DecodeError:
        kept = Kept()
    recipient = kept.answer_to or to.author_handle
    if not ADDRESS.fullmatch(recipient):
        raise ContentRejected("The mail came from nobody who could be answered.")
    parent = kept.message_id or to.external_id
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = Address(display_name=config.name, addr_spec=config.address)
    mail["To"] = Address(addr_spec=recipient)
    mail["Subject"] = _subject(kept.subject)
    mail["Date"] = now
    mail["Message-ID"] = f"<{name_of(config, key)}>"
    if MESSAGE_ID.fullmatch(f"<{parent}>") and not parent.endswith("@digest.invalid"):
        mail["In-Reply-To"] = f"<{parent}>"
        mail["References"] = _references((*kept.references, parent))
    if draft.language:
        mail["Content-Language"] = draft.language
    mail.set_content(draft.text, charset="utf-8", cte="quoted-printable")
    return recipient, mail.as_bytes(policy=ONE_LINE)


def violations(draft: Draft) -> list[Violation]:
    """What a mail cannot be."""
    found = []
    if not draft.text.strip():
        found.append(Violation(field="text", code="empty", detail="a mail needs words"))
    if draft.media:
        found.append(Violation(field="media", code="no_media", detail="files cannot be sent yet"))
    if draft.visibility not in (None, "private"):
        found.append(Violation(field="visibility", code="unknown_visibility", detail="a mail is private"))
    if draft.sensitive is not None:
        found.append(Violation(field="sensitive", code="unknown_warning", detail="mails have no content warnings"))
    return found


def _subject(subject: str) -> str:
    plain = " ".join(CONTROL.sub(" ", subject).split())[:LONGEST_SUBJECT]
    return plain if re.match(r"(?i)(re|aw|antw)\s*:", plain) else f"Re: {plain}".strip()


def _references(names: tuple[str, ...]) -> str:
    """The first, and as many of the last as fit (RFC 5322, 3.6.4, lets long lists be cut)."""
    good = [f"<{one}>" for one in dict.fromkeys(names) if MESSAGE_ID.fullmatch(f"<{one}>")]
    while len(" ".join(good)) > LONGEST_REFERENCES and len(good) > 2:
        del good[1]
    return " ".join(good)
