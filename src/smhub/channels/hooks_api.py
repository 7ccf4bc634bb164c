"""How networks deliver, and how one rotates the address at which they do."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl

from litestar import MediaType, Request, Response
from litestar.params import PathParameter

from smhub.access import audit
from smhub.channels import hook_schemas, hooks, receiving, schemas, subscribing
from smhub.channels.asking import TAG, shown, still_on, the_channel
from smhub.errors import Conflict, HandshakeRefused, Invalid, NotFound, RouteNotFound, SignatureRefused
from smhub.events.log import record_deed
from smhub.hub.web import PUBLIC, Asking, Body, PathId, Process, Session, answers_strangers, does, tagged
from smhub.sdk import Challenge, RawRequest

HookPath = Annotated[str, PathParameter(max_length=200, description="The last part of the address that the network was told.")]
TAKEN = Challenge(body="ok")


@answers_strangers("POST", "/v1/hooks/{hook:str}", PUBLIC, RouteNotFound, SignatureRefused, tag=TAG, media_type=MediaType.TEXT)
async def receive_webhook(request: Request[Any, Any, Any], runtime: Process, hook: HookPath) -> Response[str]:
    """Take what a network delivers to a channel's `callback_url`.

    Any content type, at most 1 MiB, signed as the network signs. The body is stored as it came before this answers; what it says is read
    afterwards. 503 with Retry-After: too much waits already, send it again later."""
    raw = _raw(request, await request.body())
    return _said(await receiving.receive(runtime, hook, raw) or TAKEN)


@answers_strangers("GET", "/v1/hooks/{hook:str}", PUBLIC, RouteNotFound, HandshakeRefused, tag=TAG, media_type=MediaType.TEXT)
async def greet_webhook(request: Request[Any, Any, Any], runtime: Process, hook: HookPath) -> Response[str]:
    """Answer a network that asks whether a `callback_url` is ours."""
    return _said(await receiving.greet(runtime, hook, _raw(request, b"")))


def _raw(request: Request[Any, Any, Any], body: bytes) -> RawRequest:
    try:
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise Invalid.field("query", "100 fields at most") from error
    headers: dict[str, str] = {}
    for name, value in request.scope["headers"]:
        word, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[word] = f"{headers[word]}, {text}" if word in headers else text
    return RawRequest(method=request.method, headers=headers, query=query, body=body)


def _said(challenge: Challenge) -> Response[str]:
    return Response(challenge.body, media_type=challenge.media_type)


@does("/v1/channels/{channel_id:uuid}/rotate-webhook", "channels:write", NotFound, Conflict, tag=TAG)
async def rotate_webhook(
    caller: Asking, session: Session, runtime: Process, channel_id: PathId, data: Body[hook_schemas.WebhookRotation]
) -> Response[schemas.ChannelInfo]:
    """Give a channel another `callback_url`; its network is told at once. The old one holds for a while, unless it is ended now."""
    row = await the_channel(session, caller, channel_id, "channels:write", to_change=True)
    still_on(row)
    hook = await hooks.hook_of(session, row, to_change=True)
    if hook is None:
        raise Conflict(f"{row.network} does not deliver by webhook.", f"{row.network} liefert nicht per Webhook.")
    now = runtime.clock.now()
    await hooks.rotate(session, runtime, hook, now, end_old_now=data.end_old_now)
    await subscribing.keep_later(session, row.organisation_id, row.id, now)
    row.changed()
    await session.flush()
    audit.note(session, "channel", row.id, end_old_now=data.end_old_now)
    await record_deed(session, runtime, caller, "channel.hook_rotated", row.id)
    return tagged(await shown(session, runtime, caller, row), row.version)


ROUTES = [receive_webhook, greet_webhook, rotate_webhook]
