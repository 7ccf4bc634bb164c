"""What a process has of the net: one client with its guard, the shared budgets, and an http for each connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from smhub.net import grants
from smhub.net.budgets import Budgets, Storage
from smhub.net.client import Client, Fence
from smhub.net.grants import Endpoint, Grant
from smhub.net.guard import AllowList
from smhub.net.http import Credentials
from smhub.net.listening import ConnectorHttp
from smhub.sdk import Connector, Secret
from smhub.settings import Settings, SettingsError
from smhub.time import Clock


class Net:
    """Made once for each process. `client` takes the place of the one that goes out (conformance kit)."""

    def __init__(self, settings: Settings, clock: Clock, storage: Storage, *, client: Client | None = None) -> None:
        try:
            allow = AllowList.parse(settings.allow_private_hosts)
        except ValueError as error:
            raise SettingsError(f"SMHUB_ALLOW_PRIVATE_HOSTS is not valid: {error}") from error
        self._clock = clock
        self._client = client or Client(allow, clock, public_url=settings.public_url)
        self._budgets = Budgets(storage, clock)

    def http_for(
        self,
        kind: type[Connector[Any]],
        config: msgspec.Struct,
        *,
        account: str,
        reserve: float = 0.0,
        fence: Fence | None = None,
        credentials: Credentials | None = None,
    ) -> ConnectorHttp:
        """An http with the connector's credentials, rates and error mapping; `account` says whose budget it uses. `credentials` are those
        that the hub keeps for it."""
        return ConnectorHttp(
            client=self._client,
            network=kind.network,
            clock=self._clock,
            base_url=kind.base_url(config),
            headers=kind.headers(config),
            secret_path=kind.secret_path(config),
            rates=kind.rates,
            budgets=self._budgets if kind.rates else None,
            budget_key=account,
            map_error=kind.map_error,
            reserve=reserve,
            fence=fence,
            credentials=credentials,
            ports=kind.ports,
        )

    def http_to_sign_in(self, kind: type[Connector[Any]], config: msgspec.Struct, credentials: Credentials | None) -> ConnectorHttp:
        """An http for one sign-in or renewal of a session. Networks count those apart, so they use and teach no budget."""
        return ConnectorHttp(
            client=self._client,
            network=kind.network,
            clock=self._clock,
            base_url=kind.base_url(config),
            secret_path=kind.secret_path(config),
            map_error=kind.map_error,
            credentials=credentials,
        )

    async def grant(self, endpoint: Endpoint, fields: Mapping[str, str]) -> Grant:
        """Ask a network for a token; see `grants.ask`."""
        return await grants.ask(self._client, endpoint, fields, self._clock.now())

    async def give_back(self, endpoint: Endpoint, token: Secret) -> bool:
        """Tell a network that a token is not used any more (RFC 7009); whether it says that it understood."""
        answer = await grants.post(self._client, endpoint, {"token": token.reveal()})
        return answer.status < 300

    async def close(self) -> None:
        """Let go of every connection."""
        await self._client.aclose()
