"""Every operation of the contract, with how to ask it rightly. A test that walks the contract finds here what it needs.

A request is written with `Of("channel")` where an id stands; a Stand makes that id in its own organisation. So the same request can be
asked with an id of one's own, of somebody else, and of nobody.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import httpx2
import msgspec
from sqlalchemy import select

import hooked
from echo import AT, mention
from pictures import picture
from smhub.channels.models import BadItem as BadItemRow
from smhub.channels.models import Channel, Intake, WebhookDelivery
from smhub.db.types import Base
from smhub.ids import new_id
from smhub.sdk import Author, BadItem, OutcomeUnknown
from world import Hub

VIEWER_GRANT = "viewer"


MAKERS: dict[str, Callable[[Stand], Awaitable[dict[str, Any]]]] = {}
"""How to make a new thing of a plugin, by its kind."""
FURNISH: list[Callable[[Stand], Awaitable[None]]] = []
"""What plugins put into each stand. Their tests add it, with their own asks (tests/monitoring_asks.py)."""


class Of(msgspec.Struct, frozen=True):
    """The id of such a thing. Kinds that begin with `new_` are made for this one request."""

    kind: str


class Ask(msgspec.Struct, kw_only=True):
    """A way to ask an operation: what stands in its path, query and body."""

    path: dict[str, Any] = {}
    query: dict[str, Any] = {}
    body: Any = None
    uploads: bool = False
    """A file is sent as a form, and no JSON."""
    delivers: str | None = None
    """The body is a delivery, sent by a stranger at the address of a channel of its own; signed with this secret."""

    def places(self) -> Iterator[tuple[str, ...]]:
        """Where ids stand, as paths into path, query and body."""
        for part in ("path", "query", "body"):
            yield from _places(getattr(self, part), (part,))


def _places(value: Any, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Of):
        yield at
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _places(one, (*at, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _places(one, (*at, str(number)))


def ids(**kinds: str) -> dict[str, Of]:
    return {name: Of(kind) for name, kind in kinds.items()}


NEW_CHANNEL = {"network": "echo", "name": "N", "settings": {}}
NEW_APP = {"network": "echo-door", "client_id": "app", "client_secret": "secret"}
NEW_HOOKED = {"network": "hooked", "name": "N", "settings": {"secret": hooked.SECRET}}
NEW_LISTENER = {"network": "echo", "name": "N", "settings": {}, "words": ["liefer"], "purpose": "p", "legal_basis": "l"}
NONE = [Ask()]
CHANNEL, LISTENER = ids(channel_id="channel"), ids(listener_id="listener")
MENTION, INTAKE, DEPARTMENT = ids(mention_id="mention"), ids(intake_id="intake"), ids(department_id="department")
PERSON, DELIVERY, MEDIA = ids(person_id="person"), ids(delivery_id="delivery"), ids(media_id="media")

ASKS: dict[str, list[Ask]] = {
    "get_livez": NONE,
    "get_readyz": NONE,
    "get_metrics": NONE,
    "get_me": NONE,
    "list_errors": NONE,
    "list_networks": NONE,
    "get_network": [Ask(path={"network": "echo"})],
    "list_plugins": NONE,
    "get_plugin_settings": [Ask(path={"plugin_id": "echo"})],
    "put_plugin_settings": [Ask(path={"plugin_id": "echo"}, body={"settings": {"greeting": "Moin"}})],
    "list_organisations": NONE,
    "add_organisation": [Ask(body={"name": "N", "slug": "<slug>"})],
    "get_organisation": NONE,
    "change_organisation": [Ask(body={"name": "Renamed"})],
    "list_members": NONE,
    "add_member": [Ask(body={"name": "N"})],
    "add_service_account": [Ask(body={"name": "N"})],
    "get_member": [Ask(path=ids(member_id="member"))],
    "change_member": [Ask(path=ids(member_id="member"), body={"name": "N"})],
    "list_permissions": NONE,
    "list_roles": NONE,
    "add_role": [Ask(body={"name": "<slug>", "title": "T", "permissions": []})],
    "get_role": [Ask(path=ids(role_id="role"))],
    "change_role": [Ask(path=ids(role_id="role"), body={"title": "T"})],
    "remove_role": [Ask(path=ids(role_id="new_role"))],
    "list_grants": [Ask(), Ask(query=ids(member_id="member"))],
    "give_role": [
        Ask(body=ids(member_id="new_member", role_id="viewer")),
        Ask(body=ids(member_id="new_member", role_id="viewer", department_id="department")),
        Ask(body=ids(member_id="new_member", role_id="viewer", channel_id="channel")),
    ],
    "take_role": [Ask(path=ids(grant_id="new_grant"))],
    "list_keys": [Ask(), Ask(query=ids(member_id="member"))],
    "make_key": [Ask(body={"name": "N"}), Ask(body={"name": "N", **ids(member_id="member")})],
    "get_key": [Ask(path=ids(key_id="new_key"))],
    "revoke_key": [Ask(path=ids(key_id="new_key"))],
    "rotate_key": [Ask(path=ids(key_id="new_key"), body={})],
    "list_audit_entries": [Ask(), Ask(query=ids(subject_id="channel", member_id="member"))],
    "list_departments": NONE,
    "add_department": [
        Ask(body={"name": "N", "slug": "<slug>"}),
        Ask(body={"name": "N", "slug": "<slug>", **ids(parent_id="department")}),
    ],
    "get_department": [Ask(path=DEPARTMENT)],
    "change_department": [
        Ask(path=DEPARTMENT, body={"name": "N"}),
        Ask(path=ids(department_id="new_department"), body=ids(parent_id="department")),
    ],
    "remove_department": [Ask(path=ids(department_id="new_department"))],
    "list_department_members": [Ask(path=DEPARTMENT)],
    "put_department_member": [Ask(path=ids(department_id="department", member_id="member"))],
    "remove_department_member": [Ask(path=ids(department_id="department", member_id="new_seat"))],
    "get_department_hours": [Ask(path=DEPARTMENT)],
    "list_holidays": [Ask(query={"country": "DE"})],
    "list_channels": NONE,
    "connect_channel": [Ask(body=NEW_CHANNEL), Ask(body={**NEW_CHANNEL, **ids(department_id="department")})],
    "get_channel": [Ask(path=CHANNEL)],
    "change_channel": [Ask(path=CHANNEL, body={"name": "N"}), Ask(path=CHANNEL, body=ids(department_id="department"))],
    "disconnect_channel": [Ask(path=ids(channel_id="new_channel"))],
    "verify_channel": [Ask(path=CHANNEL)],
    "pause_channel": [Ask(path=ids(channel_id="new_channel"))],
    "resume_channel": [Ask(path=ids(channel_id="new_channel"))],
    "list_oauth_apps": NONE,
    "add_oauth_app": [Ask(body={**NEW_APP, "server": "https://<slug>.example"})],
    "get_oauth_app": [Ask(path=ids(oauth_app_id="oauth_app"))],
    "change_oauth_app": [Ask(path=ids(oauth_app_id="oauth_app"), body={"client_secret": "other"})],
    "remove_oauth_app": [Ask(path=ids(oauth_app_id="new_oauth_app"))],
    "authorize_channel": [Ask(path=ids(channel_id="door"))],
    "get_channel_authorization": [Ask(path=ids(channel_id="door"))],
    "finish_authorization": [Ask(query={"state": "0" * 75, "code": "c"})],
    "list_listeners": NONE,
    "add_listener": [Ask(body=NEW_LISTENER), Ask(body={**NEW_LISTENER, **ids(department_id="department")})],
    "get_listener": [Ask(path=LISTENER)],
    "change_listener": [Ask(path=LISTENER, body={"name": "N"}), Ask(path=LISTENER, body=ids(department_id="department"))],
    "end_listener": [Ask(path=ids(listener_id="new_listener"))],
    "verify_listener": [Ask(path=LISTENER)],
    "pause_listener": [Ask(path=ids(listener_id="new_listener"))],
    "resume_listener": [Ask(path=ids(listener_id="new_listener"))],
    "list_intakes": NONE,
    "get_intake": [Ask(path=INTAKE)],
    "poll_intake": [Ask(path=INTAKE)],
    "back_fill_intake": [Ask(path=INTAKE, body={"from_at": "2026-11-01T00:00:00Z"})],
    "rotate_webhook": [Ask(path=ids(channel_id="hooked_channel"), body={})],
    "receive_webhook": [Ask(path={"hook": "<told>"}, body={"items": []}, delivers=hooked.SECRET)],
    "greet_webhook": [Ask(path={"hook": "<hook>"}, query={"word": "swordfish", "challenge": "c"})],
    "list_gaps": [Ask(), Ask(query=INTAKE)],
    "get_gap": [Ask(path=ids(gap_id="gap"))],
    "close_gap": [Ask(path=ids(gap_id="new_gap"), body={"reason": "r"})],
    "list_bad_items": [Ask(), Ask(query=INTAKE)],
    "retry_bad_item": [Ask(path=ids(bad_item_id="new_bad_item"))],
    "list_mentions": NONE,
    "get_mention": [Ask(path=MENTION)],
    "change_mention": [Ask(path=MENTION, body={"tags": ["a"]}), Ask(path=MENTION, body=ids(department_id="department"))],
    "list_mention_versions": [Ask(path=MENTION)],
    "list_sightings": [Ask(path=MENTION)],
    "list_annotations": [Ask(path=MENTION)],
    "annotate_mention": [Ask(path=MENTION, body={"key": "mood", "value": "good"})],
    "get_thread": [Ask(path=ids(thread_id="thread"))],
    "upload_media": [Ask(uploads=True)],
    "list_media": NONE,
    "get_media": [Ask(path=MEDIA)],
    "get_media_content": [Ask(path=MEDIA)],
    "change_media": [Ask(path=MEDIA, body={"alternative_text": "Anders"})],
    "remove_media": [Ask(path=ids(media_id="new_media"))],
    "write_post": [Ask(path=CHANNEL, body={"text": "Hallo", "media": [MEDIA]})],
    "check_post": [Ask(path=CHANNEL, body={"text": "Hallo", "media": [MEDIA]})],
    "write_reply": [
        Ask(path=MENTION, body={"text": "Hallo", "media": [MEDIA], **ids(channel_id="channel", after_reply_id="new_newest_reply")})
    ],
    "check_reply": [Ask(path=MENTION, body={"text": "Hallo", "media": [MEDIA], **CHANNEL})],
    "list_deliveries": [Ask(), Ask(query={**CHANNEL, **MENTION})],
    "get_delivery": [Ask(path=DELIVERY)],
    "list_attempts": [Ask(path=DELIVERY)],
    "get_delivery_metrics": [Ask(path=DELIVERY)],
    "change_delivery": [Ask(path=DELIVERY, body={"text": "Anders", "media": [MEDIA]})],
    "queue_delivery": [Ask(path=ids(delivery_id="new_delivery"), body={})],
    "cancel_delivery": [Ask(path=ids(delivery_id="new_delivery"))],
    "edit_published": [Ask(path=ids(delivery_id="new_published"), body={"text": "Anders"})],
    "take_back_delivery": [Ask(path=ids(delivery_id="new_published"))],
    "reconcile_delivery": [Ask(path=ids(delivery_id="new_unknown"))],
    "resend_delivery": [Ask(path=ids(delivery_id="new_unknown"))],
    "confirm_delivery": [Ask(path=ids(delivery_id="new_unknown"), body={"external_id": "1"})],
    "abandon_delivery": [Ask(path=ids(delivery_id="new_unknown"))],
    "list_holds": NONE,
    "place_hold": [Ask(body={"reason": "r"}), Ask(body={"reason": "r", **CHANNEL}), Ask(body={"reason": "r", **DEPARTMENT})],
    "release_hold": [Ask(path=ids(hold_id="new_hold"))],
    "list_query_fields": NONE,
    "explain_query": [Ask(query={"q": "liefer"})],
    "list_authors": [Ask(), Ask(query=PERSON)],
    "get_author": [Ask(path=ids(author_id="author"))],
    "list_persons": NONE,
    "add_person": [Ask(body={"name": "N", "author_ids": [Of("spare_author")]})],
    "get_person": [Ask(path=PERSON)],
    "change_person": [Ask(path=PERSON, body={"note": "n"})],
    "merge_persons": [Ask(path=PERSON, body=ids(person_id="new_person"))],
    "split_person": [Ask(path=ids(person_id="new_pair"), body={"name": "N", "author_ids": [Of("author")]})],
    "list_events": [Ask(), Ask(query=ids(subject_id="channel"))],
    "stream_events": [Ask(), Ask(query=ids(subject_id="channel"))],
    "list_event_types": NONE,
    "list_operations": [Ask(), Ask(query=ids(subject_id="channel"))],
    "get_operation": [Ask(path=ids(operation_id="operation"))],
    "cancel_operation": [Ask(path=ids(operation_id="new_operation"))],
    "list_jobs": NONE,
    "get_job": [Ask(path=ids(job_id="job"))],
    "retry_job": [Ask(path=ids(job_id="new_cancelled_job"))],
    "cancel_job": [Ask(path=ids(job_id="new_job"))],
    "list_schedules": NONE,
}


NOT_HERE = {"get_readyz", "finish_authorization"}
"""What succeeds only with a worker, or for somebody whom a network sent back (tests/oauth)."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the contract."""

    id: str
    method: str
    path: str
    permission: str
    asked: Any

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @property
    def parameters(self) -> set[str]:
        return {one["name"] for one in self.asked.get("parameters", [])}


def everything(_: str) -> bool:
    return True


CHOSEN: Callable[[str], bool] = everything
"""Which operations a walk over the contract asks: a plugin's own walk leaves those of the core out."""


def operations(hub: Hub) -> list[Operation]:
    """Every operation of the contract that is chosen."""
    return [
        Operation(id=one["operationId"], method=method.upper(), path=path, permission=one["x-smhub-permission"], asked=one)
        for path, item in contract(hub)["paths"].items()
        for method, one in item.items()
        if CHOSEN(one["operationId"])
    ]


def contract(hub: Hub) -> dict[str, Any]:
    if "test_contract" not in hub.app.state:
        hub.app.state["test_contract"] = hub.app.state["describe"]()
    found: dict[str, Any] = hub.app.state["test_contract"]
    return found


def id_places(hub: Hub, operation: Operation) -> set[tuple[str, ...]]:
    """Where the contract says that this operation takes an id."""
    schemas = contract(hub)["components"]["schemas"]
    found = {
        (one["in"], one["name"])
        for one in operation.asked.get("parameters", [])
        if one["in"] in ("path", "query") and _is_id(one["schema"])
    }
    body = operation.asked.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return found | set(_id_fields(body, schemas, ("body",)))


def _is_id(schema: Any) -> bool:
    return schema.get("format") == "uuid" or any(_is_id(one) for word in ("anyOf", "oneOf") for one in schema.get(word, []))


def _id_fields(schema: Any, schemas: Any, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
    if _is_id(schema):
        yield at
        return
    for word in ("anyOf", "oneOf"):
        for one in schema.get(word, []):
            yield from _id_fields(one, schemas, at)
    for name, one in schema.get("properties", {}).items():
        yield from _id_fields(one, schemas, (*at, name))
    if isinstance(schema.get("items"), dict):
        yield from _id_fields(schema["items"], schemas, (*at, "0"))


def says(hub: Hub) -> None:
    """What the network of all stands tells: three authors, an edited mention, two items that cannot be read."""
    people = [Author(external_id=f"a{n}", handle=f"h{n}", name=f"Name {n}") for n in range(3)]
    hub.echo.says(*(mention(str(n), f"Wo ist die Lieferung {n}?", author=people[n]) for n in range(3)))
    hub.echo.says(BadItem(raw=b"x", error="unreadable"), BadItem(raw=b"y", error="unreadable"))


class Stand:
    """An organisation with at least two of everything. `keyword` leads its mentions to its department, when it has a name."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.known: dict[str, str] = {}
        self.made = 0

    @classmethod
    async def of(cls, hub: Hub) -> Stand:
        stand = cls(hub)
        await stand._fill()
        return stand

    async def _fill(self) -> None:
        hub, known = self.hub, self.known
        department = await hub.post("/v1/departments", {"name": "Service", "slug": "service", "keywords": ["liefer"]})
        await hub.post("/v1/departments", {"name": "Second", "slug": "second"})
        known["department"] = department["id"]
        channel = await hub.connect()
        known["channel"], known["intake"] = channel["id"], channel["health"]["intake_id"]
        await hub.connect()
        await hub.post("/v1/oauth-apps", NEW_APP)
        known["oauth_app"] = await self.make("new_oauth_app")
        known["door"] = (await hub.post("/v1/channels", {**NEW_CHANNEL, "network": "echo-door"}))["id"]
        for _ in range(2):
            listener = await hub.post("/v1/listeners", NEW_LISTENER)
        known["listener"] = listener["id"]
        for name in ("member", "second member"):
            member = await hub.post("/v1/service-accounts", {"name": name})
            known["member"] = member["id"]
            await hub.ok("PUT", f"/v1/departments/{department['id']}/members/{member['id']}")
        roles = {one["name"]: one["id"] for one in (await hub.get("/v1/roles"))["items"]}
        known["viewer"] = roles["viewer"]
        await hub.post("/v1/keys", {"name": "second"})
        known["role"] = (await hub.post("/v1/roles", {"name": "mine", "title": "Mine", "permissions": []}))["id"]
        await hub.work(seconds=30)
        await hub.work(minutes=5)
        first = (await hub.mentions())[0]
        known["mention"], known["thread"] = first["id"], first["thread_id"]
        authors = (await hub.get("/v1/authors"))["items"]
        known["author"], known["second_author"], known["spare_author"] = (one["id"] for one in authors)
        known["person"] = (await hub.post("/v1/persons", {"name": "P", "author_ids": [authors[0]["id"]]}))["id"]
        await hub.post("/v1/persons", {"name": "Q", "author_ids": [authors[1]["id"]]})
        for kind in ("gap", "gap", "operation", "job", "delivery", "delivery", "hold", "hold", "media", "media"):
            known[kind] = await self.make(f"new_{kind}")
        for furnish in FURNISH:
            await furnish(self)

    async def id(self, kind: str, client: httpx2.AsyncClient | None = None) -> str:
        """The id of such a thing."""
        return self.known[kind] if kind in self.known else await self.make(kind, client)

    async def make(self, kind: str, client: httpx2.AsyncClient | None = None) -> str:
        """A new thing; a key is made by the client itself, where it may, so that it is its own."""
        hub, known = self.hub, self.known
        self.made += 1
        slug = f"x{uuid.uuid4().hex[:12]}"
        match kind.removeprefix("new_"):
            case "role":
                made = await hub.post("/v1/roles", {"name": slug, "title": "T", "permissions": []})
            case "member":
                made = await hub.post("/v1/service-accounts", {"name": slug})
            case "grant":
                member = await self.make("new_member")
                made = await hub.post("/v1/grants", {"member_id": member, "role_id": known["viewer"]})
            case "key":
                answer = await (client or hub.admin).post("/v1/keys", json={"name": slug})
                made = answer.json()["key"] if answer.status_code == 201 else (await hub.post("/v1/keys", {"name": slug}))["key"]
            case "department":
                made = await hub.post("/v1/departments", {"name": "N", "slug": slug})
            case "seat":
                made = {"id": await self.make("new_member")}
                await hub.ok("PUT", f"/v1/departments/{known['department']}/members/{made['id']}")
            case "channel":
                made = await hub.connect()
            case "oauth_app":
                made = await hub.post("/v1/oauth-apps", {**NEW_APP, "server": f"https://{slug}.example"})
            case "hooked_channel":
                made = await hub.post("/v1/channels", NEW_HOOKED)
                known[kind] = made["id"]
            case "media":
                made = await hub.post("/v1/media", files={"file": ("a.png", picture(self.made), "image/png")})
            case "bad_item":
                made = await self._bad_item(slug)
            case "listener":
                made = await hub.post("/v1/listeners", NEW_LISTENER)
            case "gap":
                since = {"from_at": "2026-10-31T00:00:00Z", "to_at": f"2026-11-01T{self.made // 60 % 24:02}:{self.made % 60:02}:00Z"}
                await hub.post(f"/v1/intakes/{known['intake']}/back-fill", since)
                made = (await hub.get("/v1/gaps", params={"limit": 1}))["items"][0]
            case "person" | "pair":
                authors = [known["author"], known["second_author"]] if kind == "new_pair" else [known["second_author"]]
                made = await hub.post("/v1/persons", {"name": "N", "author_ids": authors})
            case "operation":
                made = {"id": (await hub.post(f"/v1/channels/{known['channel']}/verify"))["operation_id"]}
            case "newest_reply":
                made = next(iter(await self._replies()), None) or await self._reply(draft=True)
            case "delivery":
                made = await self._reply(draft=True)
            case "published" | "unknown":
                for hold in (await hub.get("/v1/holds"))["items"]:
                    await hub.post(f"/v1/holds/{hold['id']}/release")
                hub.echo.say_error = OutcomeUnknown("the answer was lost") if kind == "new_unknown" else None
                made = await self._reply(draft=False)
                await hub.work()
                hub.echo.say_error = None
            case "hold":
                made = await hub.post("/v1/holds", {"reason": slug, "channel_id": known["channel"]})
            case "job" | "cancelled_job":
                operation = await hub.get(f"/v1/operations/{await self.make('new_operation')}")
                made = {"id": operation["job_id"]}
                if kind == "new_cancelled_job":
                    await hub.post(f"/v1/jobs/{made['id']}/cancel")
            case name if name in MAKERS:
                made = await MAKERS[name](self)
            case _:
                raise LookupError(f"a Stand cannot make {kind}")
        return str(made["id"])

    async def _hook(self, network: str) -> str:
        """The last part of a new address."""
        made = await self.hub.post("/v1/channels", {**NEW_HOOKED, "network": network})
        address: str = made["webhook"]["callback_url"]
        return address.rpartition("/")[2]

    async def _bad_item(self, slug: str) -> dict[str, Any]:
        """A delivery that was given up."""
        hub = self.hub
        async with hub.database.read() as session:
            rows = await session.scalars(select(Channel).where(Channel.id == UUID(await self.id("hooked_channel"))))
            channel = rows.one()
            intake = (await session.scalars(select(Intake).where(Intake.channel_id == channel.id))).one()
        of = {"organisation_id": channel.organisation_id, "intake_id": intake.id}
        delivery = WebhookDelivery(
            **of,
            id=new_id(),
            channel_id=channel.id,
            state="bad",
            dedupe_key=slug,
            signed_by="current",
            headers={},
            query={},
            body=b"{}",
            attempts=5,
            received_at=hub.clock.now(),
        )
        bad = BadItemRow(**of, id=new_id(), digest=slug, error="e", raw=b"{}", seen_at=hub.clock.now(), delivery_id=delivery.id)
        async with hub.database.write() as session:
            session.add_all([delivery, bad])
        return {"id": bad.id}

    async def _replies(self) -> list[dict[str, Any]]:
        """The answers to the mention that may be out, the newest first."""
        found = (await self.hub.get("/v1/deliveries", params={"mention_id": self.known["mention"], "limit": 200}))["items"]
        return [one for one in found if one["state"] not in ("cancelled", "refused", "expired", "abandoned", "deleted")]

    async def _reply(self, *, draft: bool) -> dict[str, Any]:
        newest = await self._replies()
        body = {
            "text": "Hallo",
            "draft": draft,
            "channel_id": self.known["channel"],
            "after_reply_id": newest[0]["id"] if newest else None,
        }
        made: dict[str, Any] = await self.hub.post(f"/v1/mentions/{self.known['mention']}/replies", body)
        return made

    async def fill(self, value: Any, client: httpx2.AsyncClient | None = None) -> Any:
        """Put ids in."""
        if isinstance(value, Of):
            return await self.id(value.kind, client)
        if isinstance(value, dict):
            return {name: await self.fill(one, client) for name, one in value.items()}
        if isinstance(value, list):
            return [await self.fill(one, client) for one in value]
        if value in ("<hook>", "<told>"):
            return await self._hook("hooked" if value == "<hook>" else "told")
        return value.replace("<slug>", f"x{uuid.uuid4().hex[:12]}") if isinstance(value, str) else value

    async def filled(self, ask: Ask, client: httpx2.AsyncClient | None = None) -> Ask:
        """The request with this stand's ids."""
        body = await self.fill(ask.body, client)
        path, query = await self.fill(ask.path, client), await self.fill(ask.query, client)
        return Ask(path=path, query=query, body=body, uploads=ask.uploads, delivers=ask.delivers)


async def send(client: httpx2.AsyncClient, operation: Operation, ask: Ask, **headers: str) -> httpx2.Response:
    """Ask an operation."""
    if ask.delivers:
        content = json.dumps(ask.body).encode()
        headers |= hooked.signed(content, AT, secret=ask.delivers, rule=hooked.Told.webhook)
        return await client.request(operation.method, operation.path.format(**ask.path), content=content, headers=headers)
    if ask.uploads:
        file = {"file": ("a.png", picture(1), "image/png")}
        return await client.request(operation.method, operation.path, files=file, headers=headers)
    return await client.request(
        operation.method, operation.path.format(**ask.path), params=ask.query or None, json=ask.body, headers=headers or None
    )


def put(ask: Ask, place: tuple[str, ...], value: str) -> Ask:
    """The same request with another id in one place."""
    part, *rest = place
    return msgspec.structs.replace(ask, **{part: _put(getattr(ask, part), rest, value)})


def _put(into: Any, at: list[str], value: str) -> Any:
    if not at:
        return value
    if isinstance(into, list):
        return [_put(one, at[1:], value) if str(n) == at[0] else one for n, one in enumerate(into)]
    return {**into, at[0]: _put(into[at[0]], at[1:], value)}


def kind_at(ask: Ask, place: tuple[str, ...]) -> str:
    """What kind of id stands there."""
    value: Any = getattr(ask, place[0])
    for step in place[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return str(value.kind)


async def digest(hub: Hub, *but: str) -> dict[str, list[str]]:
    """All rows of all tables that this hub has, as text."""
    plugins = {model.__tablename__ for model in hub.runtime.hub.models}
    found = {}
    async with hub.database.read() as session:
        for table in Base.metadata.sorted_tables:
            if (table.name.startswith("core_") or table.name in plugins) and table.name not in but:
                columns = [column for column in table.columns if column.name != "last_used_at"]
                found[table.name] = sorted(map(repr, (await session.execute(select(*columns))).all()))
    return found
