"""The kit's side of OAuth 2: the token endpoint of the network, and the person who let the channel in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels import apps, tokens
from smhub.channels.candidates import TAKE, Take
from smhub.channels.models import Channel
from smhub.channels.oauth_models import CANDIDATE, OAuthToken
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.net import Grant
from smhub.sdk import Connector, Secret
from smhub.testing.network import Answer, Request, answer
from smhub.work.queue import start_operation

if TYPE_CHECKING:
    from smhub.testing.trial import Trial

APP, APP_SECRET = "kit-app", "kit-app-secret-3c9f"


class TokenEndpoint:
    """Gives access tokens for a refresh token, each of which is good for one use: who shows one twice, or one that was revoked, gets no more.
    `good` are the access tokens that the network takes. `asked` counts who asked for a token."""

    def __init__(self, kind: type[Connector[Any]], config: Any, good: set[str]) -> None:
        assert kind.auth is not None
        self.auth, self.good = kind.auth, good
        self._at = urlsplit(kind.auth.address(kind.auth.token_url, config))
        self._number = 0
        self._refresh = ""
        self.asked = 0
        self.secrets: list[str] = []

    def is_asked(self, request: Request) -> bool:
        """Whether a request goes here, and not to the rest of the network."""
        return request.path == self._at.path and request.headers.get("host") == self._at.netloc

    def let_in(self) -> Grant:
        """A person lets us in."""
        self._refresh = self._new("refresh")
        return Grant(access_token=Secret(self.give()), refresh_token=Secret(self._refresh))

    def give(self) -> str:
        """An access token for who keeps it in hand."""
        self.good.add(access := self._new("access"))
        return access

    def end_access(self) -> None:
        """No access token is good any more; the refresh token is."""
        self.good.clear()

    def revoke(self) -> None:
        """The person takes it back."""
        self.good.clear()
        self._refresh = ""

    def answer(self, request: Request) -> Answer:
        """What the token endpoint says."""
        self.asked += 1
        form = {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        if not self._refresh or (form.get("grant_type"), form.get("refresh_token")) != ("refresh_token", self._refresh):
            # Whoever shows an old one may have stolen it: everything ends.
            self.revoke()
            return answer({"error": "invalid_grant"}, 400)
        given = self.let_in()
        return answer({"access_token": given.access_token.reveal(), "refresh_token": self._refresh, "token_type": "Bearer"})

    def _new(self, what: str) -> str:
        self._number += 1
        self.secrets.append(f"kit-{what}-{self._number:04d}-71f0b2")
        return self.secrets[-1]


async def let_in(session: AsyncSession, runtime: Runtime, trial: Trial, channel: Channel) -> None:
    """As the callback does when a person came back: a candidate, and the job that looks whose account it is."""
    endpoint, auth, config, now = trial.tokens, trial.kind.auth, trial.config(), runtime.clock.now()
    assert endpoint is not None and auth is not None
    server = apps.server_of(auth.address(auth.authorize_url, config))
    of = {"network": trial.kind.network, "client_id": APP}
    await apps.add(session, runtime, channel.organisation_id, server=server, secret=APP_SECRET, **of)
    row = OAuthToken(
        organisation_id=channel.organisation_id,
        id=new_id(),
        channel_id=channel.id,
        member_id=new_id(),
        state=CANDIDATE,
        client_id=APP,
        server=server,
        token_url=auth.address(auth.token_url, config),
        revoke_url=None,
        home=trial.kind.base_url(config),
        scopes=list(auth.scopes),
        generation=0,
        obtained_at=now,
        unclear=False,
        on_trial=False,
    )
    session.add(row)
    await session.flush()
    await tokens.keep(session, runtime, row, endpoint.let_in())
    await start_operation(
        session,
        TAKE,
        Take(token_id=row.id),
        now=now,
        organisation_id=channel.organisation_id,
        subject_type="channel",
        subject_id=channel.id,
        created_by=None,
    )
