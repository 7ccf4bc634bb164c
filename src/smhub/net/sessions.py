"""A session that a connector signs in for: asked for with an http of its own, and held in hand where nothing is to be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from smhub.net.http import Credentials
from smhub.sdk import AuthExpired, Http, Session, SignsIn
from smhub.secret import Secret

HttpWith = Callable[[Credentials | None], Http]
"""Makes an http for one sign-in or renewal, which shows these credentials."""


class Shown:
    """Credentials that are shown as they are and never renewed."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    async def present(self) -> str:
        return f"Bearer {self._secret.reveal()}"

    async def accepted(self, shown: str) -> None:
        return None

    async def refused(self, shown: str) -> None:
        raise AuthExpired("the network does not take it")


async def next_session(kind: type[SignsIn], config: msgspec.Struct, old: Session | None, http_with: HttpWith) -> Session:
    """Renew the old session, or sign in where there is none or it is over."""
    if old is not None and old.refresh is not None:
        try:
            return await kind.renew_session(config, http_with(Shown(old.refresh)), old)
        except AuthExpired:
            pass
    return await kind.sign_in(config, http_with(None))


class SessionInHand:
    """A session for as long as this object lives: for trials and the conformance kit. The hub keeps its own in the database."""

    def __init__(self, kind: type[SignsIn], config: Any, http_with: HttpWith) -> None:
        self._kind, self._config, self._http_with = kind, config, http_with
        self._session: Session | None = None
        self._on_trial = False

    async def present(self) -> str:
        if self._session is None:
            self._session, self._on_trial = await next_session(self._kind, self._config, None, self._http_with), True
        return f"Bearer {self._session.access.reveal()}"

    async def accepted(self, shown: str) -> None:
        self._on_trial = False

    async def refused(self, shown: str) -> None:
        if self._on_trial:
            raise AuthExpired("the network refuses a session that it has just given")
        self._session, self._on_trial = await next_session(self._kind, self._config, self._session, self._http_with), True
