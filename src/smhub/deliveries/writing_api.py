"""How one says something: a reply to a mention, a post to a channel, and both without saving."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response

from smhub.access import audit
from smhub.access.callers import Caller
from smhub.channels.models import Channel
from smhub.deliveries import actions, media, schemas
from smhub.deliveries.media_models import media_of
from smhub.deliveries.media_schemas import wanted
from smhub.errors import Conflict, NotFound, Unspeakable
from smhub.hub.runtime import Runtime
from smhub.hub.web import Asking, Body, PathId, Process, Session, creates, does, tagged
from smhub.mentions.models import Mention
from smhub.sdk import Draft

TAG = "deliveries"


@creates("/v1/channels/{channel_id:uuid}/posts", actions.POST, NotFound, Conflict, Unspeakable, tag=TAG)
async def write_post(
    caller: Asking, session: Session, runtime: Process, channel_id: PathId, data: Body[schemas.NewPost]
) -> Response[schemas.DeliveryInfo]:
    """Write a post. Unless it is a draft it is checked and goes out when it is due: at most once, and as written."""
    actions.not_in_the_past(data.due_at, runtime.clock.now())
    if not data.draft:
        await _nothing_against(runtime, caller, channel_id, None, data)
    channel = await actions.channel_to_say(session, runtime, caller, channel_id, "post")
    caller.need_for(actions.POST, "channel", channel.department_id, channel.id)
    row = await actions.write(session, runtime, caller, channel, data, None)
    audit.note(session, "delivery", row.id)
    return tagged(schemas.DeliveryInfo.of(row), row.version)


@does("/v1/channels/{channel_id:uuid}/posts/check", actions.POST, NotFound, Conflict, tag=TAG)
async def check_post(caller: Asking, runtime: Process, channel_id: PathId, data: Body[schemas.PostToCheck]) -> schemas.CheckResult:
    """What stands against a post, and how long the network says it is. Nothing is saved."""
    return _result(await _checked(runtime, caller, channel_id, None, data))


@creates("/v1/mentions/{mention_id:uuid}/replies", actions.REPLY, NotFound, Conflict, Unspeakable, tag=TAG)
async def write_reply(
    caller: Asking, session: Session, runtime: Process, mention_id: PathId, data: Body[schemas.NewReply]
) -> Response[schemas.DeliveryInfo]:
    """Answer a mention. If somebody else answers it already, it is a conflict that says what the other is doing."""
    actions.not_in_the_past(data.due_at, runtime.clock.now())
    if not data.draft:
        await _nothing_against(runtime, caller, data.channel_id, mention_id, data)
    mention = await actions.mention_to_answer(session, caller, mention_id)
    await actions.nobody_else_answers(session, mention, data.after_reply_id)
    channel = await actions.channel_to_say(session, runtime, caller, _answering(mention, data.channel_id), "reply")
    _same_network(mention, channel)
    row = await actions.write(session, runtime, caller, channel, data, mention)
    audit.note(session, "delivery", row.id)
    return tagged(schemas.DeliveryInfo.of(row), row.version)


@does("/v1/mentions/{mention_id:uuid}/replies/check", actions.REPLY, NotFound, Conflict, tag=TAG)
async def check_reply(caller: Asking, runtime: Process, mention_id: PathId, data: Body[schemas.ReplyToCheck]) -> schemas.CheckResult:
    """What stands against an answer, and how long the network says it is. Nothing is saved."""
    return _result(await _checked(runtime, caller, data.channel_id, mention_id, data))


def _answering(mention: Mention, given: UUID | None) -> UUID:
    channel_id = given or mention.channel_id
    if channel_id is None:
        raise Conflict(
            "A listener found this mention; name the channel that answers in channel_id.",
            "Ein Listener hat diese Erwähnung gefunden; in channel_id den Kanal nennen, der antwortet.",
        )
    return channel_id


def _same_network(mention: Mention, channel: Channel) -> None:
    if channel.network != mention.network:
        raise Conflict(
            f"The mention is on {mention.network}, the channel on {channel.network}.",
            f"Die Erwähnung ist auf {mention.network}, der Kanal auf {channel.network}.",
        )


async def _nothing_against(runtime: Runtime, caller: Caller, channel_id: UUID | None, mention_id: UUID | None, data: Any) -> None:
    """Plugins are asked before anything is locked; see actions.refuse."""
    actions.refuse(await _checked(runtime, caller, channel_id, mention_id, data))


async def _checked(runtime: Runtime, caller: Caller, channel_id: UUID | None, mention_id: UUID | None, data: Any) -> actions.Checked:
    kind = "post" if mention_id is None else "reply"
    async with runtime.database.read() as session:
        mention = await actions.mention_to_answer(session, caller, mention_id, lock=False) if mention_id is not None else None
        if mention is not None:
            channel_id = _answering(mention, channel_id)
        assert channel_id is not None
        channel = await actions.channel_to_say(session, runtime, caller, channel_id, kind)
        if mention is None:
            caller.need_for(actions.POST, "channel", channel.department_id, channel.id)
        else:
            _same_network(mention, channel)
        files = await media.chosen(session, caller.organisation_id, wanted(data.media))
        draft = Draft(
            text=data.text, media=media_of(files), visibility=data.visibility, language=data.language, sensitive=data.sensitive
        )
        asked = await actions.to_check(session, runtime, caller, channel, draft, mention_id)
    return await actions.check(runtime, asked)


def _result(found: actions.Checked) -> schemas.CheckResult:
    return schemas.CheckResult(
        violations=[schemas.ViolationInfo(**msgspec.structs.asdict(one)) for one in found.violations],
        length=found.length,
        limit=found.presence.limits.max,
        count=found.presence.limits.count,
        safety=found.presence.safety,
    )


ROUTES = [write_post, check_post, write_reply, check_reply]
