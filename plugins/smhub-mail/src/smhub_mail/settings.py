"""What is to be known of one mailbox, and where its cursor has come to."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from smhub.sdk import ConfigInvalid, Secret

Security = Literal["tls", "starttls", "none"]
HERE = frozenset({"127.0.0.1", "localhost", "::1"})
Host = Annotated[str, Meta(title="Server", pattern=r"^[A-Za-z0-9_.:-]+$", min_length=1, max_length=255)]
Port = Annotated[int, Meta(title="Port", ge=1, le=65535)]
# What cannot stand between quotes in IMAP has no place in a folder's name here; international names are written in modified UTF-7.
Folder = Annotated[str, Meta(title="Folder", pattern=r'^[^\x00-\x1f\x7f-\uffff"\\]+$', max_length=200)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one mailbox."""

    address: Annotated[
        str,
        Meta(title="Address", description="Ours, as in firma@firma.example.", pattern=r"^[!-?A-~]+@[A-Za-z0-9.-]+$", max_length=254),
    ]
    imap_host: Annotated[Host, Meta(title="IMAP server")]
    smtp_host: Annotated[Host, Meta(title="SMTP server")]
    password: Annotated[Secret, Meta(title="Password", description="Of the mailbox, an app password, or an OAuth 2 access token.")]
    user: Annotated[
        str, Meta(title="User", description="The address, if left empty.", pattern=r"^[^\x00-\x1f\x7f]*$", max_length=254)
    ] = ""
    sign_in: Annotated[Literal["password", "xoauth2"], Meta(title="How to sign in")] = "password"
    name: Annotated[str, Meta(title="Display name", pattern=r"^[^\x00-\x1f\x7f]*$", max_length=100)] = ""
    imap_port: Annotated[Port, Meta(title="IMAP port")] = 993
    imap_security: Annotated[Security, Meta(title="IMAP encryption", description="None only for this machine itself.")] = "tls"
    smtp_port: Annotated[Port, Meta(title="SMTP port")] = 465
    smtp_security: Annotated[Security, Meta(title="SMTP encryption", description="None only for this machine itself.")] = "tls"
    mailbox: Annotated[Folder, Meta(title="Mailbox to read")] = "INBOX"
    sent: Annotated[Folder, Meta(title="Mailbox for what was sent")] = "Sent"
    first_days: Annotated[int, Meta(title="Days at the first visit", description="How far back to go at first.", ge=0, le=3650)] = 30

    @property
    def login(self) -> str:
        """Who signs in."""
        return self.user or self.address


def encrypted(host: str, security: Security, field: str) -> None:
    """Raises ConfigInvalid where a password would go over the net for everybody to read."""
    if security == "none" and host.lower() not in HERE:
        raise ConfigInvalid("Without encryption everybody on the way could read the password.", field=field)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Everything up to the UID `last` is stored, as the mailbox counts since `validity` (RFC 3501, 2.3.1.1)."""

    validity: int
    last: int = 0
