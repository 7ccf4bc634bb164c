"""How a network lets us in when it trades a password for a session: the connector asks, the hub keeps, shows and renews what came."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any

import msgspec

from smhub.sdk.errors import AuthExpired
from smhub.sdk.http import Http
from smhub.secret import Secret


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in gave. `access` stands in `Authorization: Bearer …`; `expires_at` is its end, None where the network does not say.

    `refresh` is what `renew_session` shows; a network may give each out for one use.
    """

    access: Secret
    refresh: Secret | None = None
    expires_at: datetime | None = None


class SignsIn(ABC):
    """A connector whose settings hold a password that the network trades for a session.

    The hub calls the two methods below and nothing else with it: every other request of the connector's `http` to the host of `base_url`
    carries the session. The session is sealed in the database and outlives the process; over all workers one sign-in or renewal goes out,
    and what came is stored before it is shown. It belongs to the settings it was made with: other settings need another one.
    """

    @classmethod
    @abstractmethod
    async def sign_in(cls, config: Any, http: Http) -> Session:
        """Show the password. `http` carries no credentials. Raises AuthExpired when the network does not take it."""

    @classmethod
    async def renew_session(cls, config: Any, http: Http, session: Session) -> Session:
        """A new session for the old one. `http` carries `session.refresh` as Bearer. AuthExpired: it is over, the hub signs in anew."""
        raise AuthExpired("this network renews no sessions")
