"""The hub's OAuth 2 against a server that others wrote: PKCE demanded, refresh tokens rotated, and what is used twice is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

import world
from counterpart import relay, running
from smhub.sdk import Account, Connector, FetchesMentions, OAuth2, Page, Plugin, PluginContext

pytestmark = pytest.mark.counterpart
APP = {"network": "idp", "client_id": "smhub-app", "client_secret": "an-app-secret-of-thirty-two-bytes"}


class IdpConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    base_url: str


class IdpCursor(msgspec.Struct, frozen=True):
    at: int = 0


class Who(msgspec.Struct):
    sub: str


class Idp(Connector[IdpConfig], FetchesMentions):
    """The server as a network: it knows who we are, and that is all it tells."""

    network, title = "idp", "Idp"
    Config, Cursor = IdpConfig, IdpCursor
    auth = OAuth2(
        authorize_url="{base_url}/authorize",
        token_url="{base_url}/token",
        revoke_url="{base_url}/revoke",
        scopes=("openid", "profile", "offline_access"),
    )

    async def verify(self) -> Account:
        who = await self.http.get("/userinfo", Who)
        return Account(external_id=who.sub, handle=who.sub)

    async def fetch_mentions(self, cursor: IdpCursor | None) -> AsyncIterator[Page]:
        await self.http.get("/userinfo", Who)
        yield Page(items=[], cursor=IdpCursor())


class IdpPlugin(Plugin):
    id, title = "idp", "Idp"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [Idp]


class Stage:
    """A hub, the server, and a relay between them that counts and loses."""

    def __init__(self, hub: world.Hub, url: str, posts: list[int]) -> None:
        self.hub, self.url, self._posts = hub, url, posts
        self.lose: Callable[[int], bool] = lambda number: False

    @property
    def asked(self) -> int:
        """How often a token was asked for."""
        return self._posts[-1] if self._posts else 0

    async def connect(self) -> dict[str, Any]:
        await self.hub.post("/v1/oauth-apps", APP)
        made = {"network": "idp", "name": "Firma", "settings": {"base_url": self.url}}
        return await self.hub.post("/v1/channels", made)  # type: ignore[no-any-return]

    async def authorize(self, channel: dict[str, Any], person: str = "firma", idp: str = "") -> httpx2.Response:
        begun = await self.hub.post(f"/v1/channels/{channel['id']}/authorize")
        async with httpx2.AsyncClient() as browser:
            # The person sits at the server itself; only the hub goes by the relay.
            address = begun["authorize_url"].replace(self.url, idp)
            answer = await browser.post(address, data={"username": person, "password": "pw"})
        assert answer.status_code == 302, answer.text[:2000]
        back: str = answer.headers["location"]
        done = await self.hub.as_key(None).get(back.removeprefix("http://hub.test"))
        await self.hub.work()
        await self.hub.work(seconds=5)
        return done

    async def state(self, channel: dict[str, Any]) -> tuple[str, str]:
        known = await self.hub.get(f"/v1/channels/{channel['id']}/authorization")
        health = (await self.hub.get(f"/v1/channels/{channel['id']}"))["health"]
        return known["state"], health["state"]


@pytest.fixture
def idp(tmp_path: Path) -> Any:
    with running("oauth", "/.well-known/oauth-authorization-server", tmp_path / "oauth.log") as url:
        yield url


@asynccontextmanager
async def at(idp: str, database_url: str) -> AsyncIterator[Stage]:
    posts: list[int] = []
    found: list[Stage] = []

    def lose(method: str, number: int) -> bool:
        if method != "POST":
            return False
        posts.append(number)
        return found[0].lose(number)

    async with relay(idp, lose) as url:
        allow = url.removeprefix("http://")
        async with world.start(database_url, plugins=[IdpPlugin()], allow_private_hosts=allow) as hub:
            found.append(Stage(hub, url, posts))
            yield found[0]


async def test_it_lets_us_in_renews_and_turns_us_out(idp: str, database_url: str) -> None:
    async with at(idp, database_url) as stage:
        channel = await stage.connect()
        done = await stage.authorize(channel, idp=idp)
        assert done.status_code == 200, done.text
        assert await stage.state(channel) == ("authorized", "active")
        assert (await stage.hub.get(f"/v1/channels/{channel['id']}"))["account"]["handle"] == "firma"
        # Each renewal shows the token that the one before brought; the server takes each once.
        for number in range(2, 6):
            await stage.hub.work(minutes=60)
            await asyncio.sleep(0)
            assert (stage.asked, await stage.state(channel)) == (number, ("authorized", "active"))
        other = await stage.authorize(channel, "kundin", idp=idp)
        assert other.status_code == 200
        operation = (await stage.hub.get("/v1/operations", params={"subject_id": channel["id"]}))["items"][0]
        assert operation["error"]["code"] == "account_differs"
        assert await stage.state(channel) == ("authorized", "active")
        await stage.hub.ok("DELETE", f"/v1/channels/{channel['id']}")
        await stage.hub.work()


async def test_a_renewal_whose_answer_is_lost_costs_the_authorisation_and_is_told_once(idp: str, database_url: str) -> None:
    async with at(idp, database_url) as stage:
        channel = await stage.connect()
        await stage.authorize(channel, idp=idp)
        stage.lose = lambda number: number == 2
        await stage.hub.work(minutes=60)
        await stage.hub.work(minutes=5)
        # This server gives no grace: what was used once is refused.
        assert await stage.state(channel) == ("lost", "auth_required")
        asked = stage.asked
        for _ in range(10):
            await stage.hub.work(minutes=30)
        assert stage.asked == asked == 3
        await stage.authorize(channel, idp=idp)
        assert await stage.state(channel) == ("authorized", "active")
