"""What is to be known of one bot, and where its cursor has come to."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from smhub.sdk import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one bot."""

    token: Annotated[Secret, Meta(title="Bot token", description="As @BotFather gave it: 123456789:AA…")]
    secret: Annotated[
        Secret,
        Meta(
            title="Secret for deliveries",
            description="1 to 256 of A-Z, a-z, 0-9, _ and -. Make one up; the hub tells it to Telegram, which sends it with each delivery.",
        ),
    ]
    chat: Annotated[
        str,
        Meta(
            title="Where posts go",
            description="A channel or group as @name, or its number (-100…). Empty: the bot only answers.",
            pattern=r"^(@[A-Za-z][A-Za-z0-9_]{3,31}|-?[0-9]{1,19})?$",
            examples=["@example"],
        ),
    ] = ""
    base_url: Annotated[
        str,
        Meta(
            title="Address of the Bot API",
            description="Another than Telegram's own for a Bot API server of one's own. Only this machine itself may be named with http://.",
            pattern=r"^(https://[^\s/@?#\\]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)/?$",
            max_length=500,
        ),
    ] = "https://api.telegram.org"

    @property
    def address(self) -> str:
        """The server's address without the slash at its end."""
        return self.base_url.rstrip("/")

    @property
    def me(self) -> int:
        """The bot's own id, which stands in front of its token; 0 when it does not."""
        number = self.token.reveal().partition(":")[0]
        return int(number) if number.isascii() and number.isdecimal() and len(number) < 20 else 0


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far reading has come: every update below `next` is stored. To ask for `next` tells Telegram to forget those below.

    `moved`: when `next` was learned, `seen`: when Telegram was last asked; both in seconds since 1970.
    """

    next: int = 0
    moved: int = 0
    seen: int = 0
