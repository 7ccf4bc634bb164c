"""A network behind a door: a real HTTP server with an OAuth 2 server in it, that rotates, revokes, dawdles and loses answers when told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import httpx2
import msgspec

import world
from smhub.sdk import (
    Account,
    Author,
    Connector,
    Draft,
    FetchesMentions,
    Hmac,
    Item,
    Mention,
    OAuth2,
    Page,
    Pending,
    Plugin,
    PluginContext,
    Published,
    Publishes,
    RawRequest,
    ReceivesWebhooks,
    Secret,
    StandingClock,
)

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
APP, APP_SECRET = "smhub-app", "s3cret with : and %"


class Family(msgspec.Struct):
    """What one person allowed once: the tokens that follow on each other."""

    account: str
    refresh: str = ""
    before: str = ""
    revoked: bool = False


class Door:
    """The network. `person` is who sits at the browser; `script` is asked for each request: "ok", "lose" (done, no answer), "drop" (not done,
    no answer), or a status. `grace`: the refresh token before the present one is still good. `hold` is waited for before a token is given."""

    def __init__(self) -> None:
        self.person = "firma"
        self.says_no = False
        self.rotates, self.grace, self.gives_refresh = True, False, True
        self.expires_in: int | None = 3600
        self.scope: str | None = "read,write"
        self.hold: asyncio.Event | None = None
        self.script: Callable[[str, str], str] = lambda method, path: "ok"
        self.requests: list[tuple[str, str]] = []
        self.grants: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.families: list[Family] = []
        self.access: dict[str, Family] = {}
        self.posts: list[dict[str, Any]] = []
        self.mentions: list[str] = []
        self.told: list[str] = []
        self.hooks: list[str] = []
        self.secret = APP_SECRET

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split("\r\n", 1)[0].split(" ")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = urlsplit(target).path
                self.requests.append((method, path))
                fate = self.script(method, path)
                if fate == "drop":
                    break
                status, answer, more = (int(fate), {}, "") if fate.isdecimal() else await self._act(method, target, headers, body)
                if fate == "lose":
                    break
                content = json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n{more}\r\n".encode() + content)
                await writer.drain()
        writer.close()

    async def _act(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, str]:
        split = urlsplit(target)
        if split.path == "/authorize":
            return self._authorize({k: v[0] for k, v in parse_qs(split.query).items()})
        if split.path in ("/token", "/revoke"):
            form = {k: v[0] for k, v in parse_qs(body.decode()).items()}
            if not self._knows(headers, form):
                return 401, {"error": "invalid_client"}, ""
            if split.path == "/revoke":
                return self._revoke(form)
            if self.hold is not None:
                await self.hold.wait()
            return (*self._token(form), "")
        family = self.access.get(headers.get("authorization", "").removeprefix("Bearer "))
        if family is None or family.revoked:
            return 401, {"error": "invalid_token"}, ""
        if split.path == "/me":
            return 200, {"id": family.account, "handle": family.account}, ""
        if split.path == "/mentions":
            return 200, self.mentions, ""
        if split.path == "/hooks":
            return 200, self._hooks(method, parse_qs(split.query).get("address", [""])[0]), ""
        key = headers.get("idempotency-key")
        known = [post for post in self.posts if key is not None and post["key"] == key]
        if not known:
            self.posts.append({"id": f"p{len(self.posts)}", "key": key, **json.loads(body)})
        return 200, known[0] if known else self.posts[-1], ""

    def _authorize(self, asked: dict[str, str]) -> tuple[int, Any, str]:
        assert asked["client_id"] == APP and asked["response_type"] == "code" and asked["code_challenge_method"] == "S256", asked
        back = {"state": asked["state"], "iss": "https://door.invalid", "session_state": "x"}
        if self.says_no:
            back |= {"error": "access_denied", "error_description": "Not today"}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = {**asked, "account": self.person}
            back["code"] = code
        return 302, {}, f"location: {asked['redirect_uri']}?{urlencode(back)}\r\n"

    def _knows(self, headers: dict[str, str], form: dict[str, str]) -> bool:
        given = headers.get("authorization", "").removeprefix("Basic ")
        if given:
            id_, _, secret = base64.b64decode(given).decode().partition(":")
            return (unquote_plus(id_), unquote_plus(secret)) == (APP, self.secret)
        return (form.get("client_id"), form.get("client_secret")) == (APP, self.secret)

    def _token(self, form: dict[str, str]) -> tuple[int, Any]:
        self.grants.append(form["grant_type"])
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
                return 400, {"error": "invalid_grant"}
            family = Family(account=asked["account"])
            self.families.append(family)
            return 200, self._give(family)
        given = form["refresh_token"]
        family = next((one for one in self.families if given in (one.refresh, one.before)), Family(account="", revoked=True))
        if family.revoked:
            return 400, {"error": "invalid_grant"}
        if given == family.before and not self.grace:
            # Shown twice: a thief, or we ourselves. The whole family ends.
            family.revoked = True
            return 400, {"error": "invalid_grant"}
        return 200, self._give(family)

    def _give(self, family: Family) -> dict[str, Any]:
        if self.rotates or not family.refresh:
            family.before, family.refresh = family.refresh, f"r-{secrets.token_urlsafe(16)}"
        token = f"a-{secrets.token_urlsafe(16)}"
        self.access[token] = family
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if self.gives_refresh:
            answer["refresh_token"] = family.refresh
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        if self.scope is not None:
            answer["scope"] = self.scope
        return answer

    def _hooks(self, method: str, address: str) -> list[str]:
        """Where the network delivers to; PUT adds an address, DELETE takes it away."""
        if method in ("PUT", "DELETE"):
            self.hooks = [one for one in self.hooks if one != address] + ([address] if method == "PUT" else [])
        return self.hooks

    def _revoke(self, form: dict[str, str]) -> tuple[int, Any, str]:
        self.told.append(form["token"])
        for family in self.families:
            if form["token"] in (family.refresh, family.before):
                family.revoked = True
        return 200, {}, ""

    def end_access(self) -> None:
        """No access token that was given so far is good any more; refresh tokens are."""
        self.access.clear()

    def count(self, path: str) -> int:
        return [one for _, one in self.requests].count(path)


class DoorConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    base_url: str


class DoorCursor(msgspec.Struct, frozen=True):
    at: int = 0


class Me(msgspec.Struct):
    id: str
    handle: str


class Said(msgspec.Struct):
    id: str


class DoorConnector(Connector[DoorConfig], FetchesMentions, Publishes):
    """Speaks the network: not a word of tokens in it."""

    network, title = "door", "Door"
    Config, Cursor = DoorConfig, DoorCursor
    safety, settle_seconds = "key", 5.0
    checked_against = "nothing: it is a fake for tests"
    auth: ClassVar[OAuth2 | None] = OAuth2(
        authorize_url="{base_url}/authorize",
        token_url="{base_url}/token",
        revoke_url="{base_url}/revoke",
        scopes=("read", "write"),
        scope_separator=",",
        authorize_parameters={"prompt": "consent"},
    )

    async def verify(self) -> Account:
        me = await self.http.get("/me", Me)
        return Account(external_id=me.id, handle=me.handle)

    async def fetch_mentions(self, cursor: DoorCursor | None) -> AsyncIterator[Page]:
        said = await self.http.get("/mentions", list[str])
        items = [
            Mention(external_id=one, author=Author(external_id="k", handle="kundin"), text="Hallo", published_at=AT) for one in said
        ]
        yield Page(items=items, cursor=DoorCursor(len(said)))

    async def publish(self, draft: Draft, key: str) -> Published | Pending:
        return Published(external_id=(await self.http.post("/posts", Said, json={"text": draft.text}, key=key)).id)


class PlainDoor(DoorConnector):
    """The same without a key: what is sent twice is out twice."""

    network, safety = "plain-door", "none"
    auth = msgspec.structs.replace(DoorConnector.auth, token_endpoint_auth="post")

    async def publish(self, draft: Draft, key: str) -> Published | Pending:
        return Published(external_id=(await self.http.post("/posts", Said, json={"text": draft.text})).id)


class BellConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    base_url: str
    secret: Secret


class BellDoor(DoorConnector, ReceivesWebhooks):
    """The same, and it tells by itself what is said."""

    network, Config = "bell-door", BellConfig  # type: ignore[assignment]
    webhook = Hmac(header="X-Bell", secret_field="secret")

    def parse_webhook(self, request: RawRequest) -> list[Item]:
        return [
            Mention(external_id=one, author=Author(external_id="k", handle="kundin"), text="Hallo", published_at=AT)
            for one in json.loads(request.body)
        ]

    async def subscribe(self, callback_url: str) -> None:
        await self.http.request("PUT", "/hooks", params={"address": callback_url})

    async def check_subscription(self, callback_url: str) -> bool:
        return callback_url in await self.http.get("/hooks", list[str])

    async def unsubscribe(self, callback_url: str) -> None:
        await self.http.request("DELETE", "/hooks", params={"address": callback_url})


class DoorPlugin(Plugin):
    id, title = "door", "Door"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [DoorConnector, PlainDoor, BellDoor]


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Door, int]]:
    """A network that listens, and its port."""
    one = Door()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    try:
        yield one, server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Stage:
    """A hub and the network beside it."""

    def __init__(self, hub: world.Hub, door: Door, url: str) -> None:
        self.hub, self.door, self.url = hub, door, url

    async def app(self, network: str = "door", **more: Any) -> dict[str, Any]:
        app = {"network": network, "client_id": APP, "client_secret": APP_SECRET, **more}
        return await self.hub.post("/v1/oauth-apps", app)  # type: ignore[no-any-return]

    async def channel(self, network: str = "door", **settings: str) -> dict[str, Any]:
        made = {"network": network, "name": "Firma", "settings": {"base_url": self.url, **settings}}
        return await self.hub.post("/v1/channels", made)  # type: ignore[no-any-return]

    async def sent_to(self, channel: dict[str, Any]) -> str:
        """The address at which a person is asked."""
        return (await self.hub.post(f"/v1/channels/{channel['id']}/authorize"))["authorize_url"]  # type: ignore[no-any-return]

    async def allowed(self, address: str) -> str:
        """What a person's browser is sent back to, as a path of the hub."""
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(address)
        assert answer.status_code == 302, answer.text
        back: str = answer.headers["location"]
        assert back.startswith("http://hub.test/v1/oauth/callback?"), back
        return back.removeprefix("http://hub.test")

    async def back(self, path: str) -> httpx2.Response:
        """The browser that came back: it has no key."""
        return await self.hub.as_key(None).get(path)

    async def authorize(self, channel: dict[str, Any], person: str = "firma") -> httpx2.Response:
        """A person lets the hub in, from the first click to the worker's look."""
        self.door.person = person
        answer = await self.back(await self.allowed(await self.sent_to(channel)))
        await self.hub.work()
        await self.hub.work(seconds=5)
        return answer

    async def authorized(self, network: str = "door") -> dict[str, Any]:
        """A channel that somebody has let in."""
        await self.app(network)
        channel = await self.channel(network)
        assert (await self.authorize(channel)).status_code == 200
        return await self.hub.get(f"/v1/channels/{channel['id']}")  # type: ignore[no-any-return]

    async def authorization(self, channel: dict[str, Any]) -> dict[str, Any]:
        return await self.hub.get(f"/v1/channels/{channel['id']}/authorization")  # type: ignore[no-any-return]

    async def health(self, channel: dict[str, Any]) -> dict[str, Any]:
        return (await self.hub.get(f"/v1/channels/{channel['id']}"))["health"]  # type: ignore[no-any-return]

    async def events(self, *types: str) -> list[str]:
        items = (await self.hub.get("/v1/events", params={"limit": 200}))["items"]
        return [one["type"] for one in items if not types or one["type"] in types]


@asynccontextmanager
async def at_the_door(database_url: str, *, again: tuple[str, StandingClock] | None = None, **more: Any) -> AsyncIterator[Stage]:
    """A hub whose plugin speaks the network, and the network."""
    async with listening() as (door, port):
        allow = f"127.0.0.1:{port}"
        async with world.start(
            database_url, plugins=[DoorPlugin()], again=again, shared=True, allow_private_hosts=allow, **more
        ) as hub:
            yield Stage(hub, door, f"http://127.0.0.1:{port}")
