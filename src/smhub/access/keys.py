"""API keys: `smhub_<id>_<secret>_<checksum>`. The checksum finds typing mistakes before the database is asked."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from uuid import UUID

import msgspec

from smhub.access.keyring import Keyring
from smhub.ids import new_id
from smhub.secret import Secret


class KeyText(msgspec.Struct, frozen=True):
    """The parts of a key."""

    id: UUID
    secret: str

    def text(self) -> Secret:
        """The whole key, to be shown once."""
        head = f"smhub_{self.id.hex}_{self.secret}"
        return Secret(f"{head}_{_checksum(head)}")


def new_key() -> KeyText:
    """A new key with 256 random bits."""
    return KeyText(new_id(), secrets.token_hex(32))


def parse_key(text: str) -> KeyText | None:
    """The parts of a well-formed key, else None."""
    head, _, checksum = text.rpartition("_")
    if len(text) != 112 or not text.isascii() or not hmac.compare_digest(checksum, _checksum(head)):
        return None
    parts = head.split("_")
    if len(parts) != 3 or parts[0] != "smhub" or len(parts[2]) != 64:
        return None
    try:
        return KeyText(UUID(parts[1]), parts[2])
    except ValueError:
        return None


def hash_secret(secret: str, keyring: Keyring, pepper_id: str | None = None) -> str:
    """HMAC-SHA256 of the secret under the hub's pepper: what is stored. KeyError when the pepper's key is gone."""
    return hmac.new(keyring.derive("api-keys", pepper_id), secret.encode(), hashlib.sha256).hexdigest()


def _checksum(head: str) -> str:
    return f"{zlib.crc32(head.encode()):08x}"
