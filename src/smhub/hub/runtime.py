"""What a process has: made once at its start, handed on, never global."""

from __future__ import annotations

import random

import msgspec

from smhub.access.keyring import Keyring
from smhub.access.permissions import Permissions
from smhub.access.refused import Refused
from smhub.access.used import UsedKeys
from smhub.db.engine import Database
from smhub.db.gathered import Gathered
from smhub.db.paging import Cursors
from smhub.hub.loader import Hub
from smhub.net import Net
from smhub.settings import Settings
from smhub.time import Clock


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, clock, chance, database, keys, the way out, and the loaded plugins."""

    settings: Settings
    clock: Clock
    chance: random.Random
    database: Database
    keyring: Keyring
    cursors: Cursors
    permissions: Permissions
    used_keys: UsedKeys
    refused: Refused
    delivered: Gathered
    net: Net
    hub: Hub
