"""The hub's own keys: secrets at rest are sealed with them, and everything else that needs a key derives one from them."""

from __future__ import annotations

import re
import secrets
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from smhub.secret import Secret
from smhub.settings import Settings, SettingsError

_FORM = re.compile(r"([a-z0-9]{1,16}):([0-9a-f]{64})")


class Unreadable(Exception):
    """A sealed value cannot be opened: its key is missing, or it was moved or altered."""


class Keyring:
    """Keys by id, the newest first. New things use the newest; old ones stay readable until they are sealed anew."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys
        self.newest = next(iter(keys))
        self._derived: dict[tuple[str, str], bytes] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def derive(self, purpose: str, key_id: str | None = None) -> bytes:
        """32 bytes for one purpose, the same in every process; KeyError for an unknown key."""
        name = (purpose, key_id or self.newest)
        found = self._derived.get(name)
        if found is None:
            found = HKDF(SHA256(), 32, None, purpose.encode()).derive(self._keys[name[1]])
            self._derived[name] = found
        return found

    def seal(self, value: Secret, *, organisation_id: UUID, table: str, row_id: UUID, column: str) -> tuple[str, bytes]:
        """The key's id and the encrypted value, bound to exactly this place (AES-256-GCM)."""
        nonce = secrets.token_bytes(12)
        place = _place(organisation_id, table, row_id, column, self.newest)
        return self.newest, nonce + AESGCM(self.derive("secrets")).encrypt(nonce, value.reveal().encode(), place)

    def open(self, key_id: str, sealed: bytes, *, organisation_id: UUID, table: str, row_id: UUID, column: str) -> Secret:
        """The value again; Unreadable when it was sealed for another place or with a key that is not here."""
        try:
            plain = AESGCM(self.derive("secrets", key_id)).decrypt(
                sealed[:12], sealed[12:], _place(organisation_id, table, row_id, column, key_id)
            )
        except KeyError:
            raise Unreadable(f"the key {key_id!r} is not among SMHUB_SECRET_KEYS") from None
        except (InvalidTag, ValueError):
            raise Unreadable("the value was sealed for another place, or altered") from None
        return Secret(plain.decode())


def _place(organisation_id: UUID, table: str, row_id: UUID, column: str, key_id: str) -> bytes:
    return "|".join((str(organisation_id), table, str(row_id), column, key_id)).encode()


def new_secret_key(key_id: str = "k1") -> str:
    """One entry for SMHUB_SECRET_KEYS."""
    return f"{key_id}:{secrets.token_hex(32)}"


def parse(text: str) -> Keyring:
    """A keyring from `ID:KEY,ID:KEY`; raises SettingsError that never repeats a key."""
    keys: dict[str, bytes] = {}
    for number, part in enumerate(text.split(","), 1):
        match = _FORM.fullmatch(part.strip())
        if match is None or match[1] in keys:
            raise SettingsError(
                f"SMHUB_SECRET_KEYS: entry {number} is not valid or its id is used twice. Expected: ID:KEY, "
                "ID of a-z and 0-9, KEY of 64 hex digits; `smhub key secret` makes one."
            )
        keys[match[1]] = bytes.fromhex(match[2])
    return Keyring(keys)


def load(settings: Settings) -> Keyring:
    """The hub's keyring. With SQLite and nothing set, a key is made once and kept beside the database."""
    if settings.secret_keys is not None:
        return parse(settings.secret_keys.reveal())
    if not settings.sqlite:
        raise SettingsError(
            "SMHUB_SECRET_KEYS is needed with PostgreSQL, so that all processes share it. `smhub key secret` makes one; keep it safe."
        )
    file = settings.data_folder / "secret-keys"
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x") as new:
            file.chmod(0o600)
            new.write(new_secret_key())
    except FileExistsError:
        pass
    return parse(file.read_text("ascii").strip())
