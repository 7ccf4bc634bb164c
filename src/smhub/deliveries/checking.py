"""May it go out? The network's limits, the connector's own rules, and the interceptors `draft.check` and `delivery.before`."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.keyring import Unreadable
from smhub.channels.connecting import connect
from smhub.channels.models import Channel
from smhub.deliveries.envelope import Presence, presence_of
from smhub.hub.runtime import Runtime
from smhub.mentions.routing import views
from smhub.organisations.plugin_settings import settings_of
from smhub.sdk import Draft, DraftView, Interceptor, InterceptorContext, MentionView, Publishes, Replies, ValidatesContent, Violation

log = structlog.get_logger("smhub.deliveries")
BEFORE, CHECK = "delivery.before", "draft.check"
NEEDED = {"reply": Replies, "post": Publishes}


def can_say(runtime: Runtime, network: str, kind: str) -> bool:
    """Whether the network's connector can post, or reply."""
    connector = runtime.hub.connectors.get(network)
    return connector is not None and issubclass(connector, NEEDED[kind])


def by_network(runtime: Runtime, channel: Channel, config: msgspec.Struct, draft: Draft) -> list[Violation]:
    """What the network itself would refuse, without asking it."""
    connector = connect(runtime, channel, config)
    found = [] if draft.text.strip() or draft.media else [Violation(field="text", code="empty", detail="say something")]
    limits = presence_of(runtime, channel).limits
    found += [*limits.check(_counted(draft)), *limits.check_media(draft.media)]
    if isinstance(connector, ValidatesContent):
        try:
            found += connector.validate(draft)
        except Exception as error:
            log.warning("validate_failed", network=channel.network, error=type(error).__name__)
            found.append(Violation(field="text", code="check_failed", detail="the connector could not check it"))
    return found


def _counted(draft: Draft) -> str:
    """A content warning counts, as networks count it."""
    return f"{draft.sensitive}{draft.text}" if draft.sensitive else draft.text


def counted(presence: Presence, draft: Draft) -> int:
    """The length of the draft as the network counts it."""
    return presence.limits.length(_counted(draft))


class Judge:
    """Asks the interceptors of one organisation. Made in a session, asked outside of it."""

    def __init__(self, runtime: Runtime, context: InterceptorContext, settings: dict[str, Any]) -> None:
        self._runtime = runtime
        self._context = context
        self._settings = settings

    @classmethod
    async def of(cls, session: AsyncSession, runtime: Runtime, organisation_id: Any) -> Judge:
        """With the settings of every plugin that has a say."""
        asked = {plugin for point in (CHECK, BEFORE) for plugin, _ in runtime.hub.asked(point)}
        settings: dict[str, Any] = {}
        for plugin in sorted(asked):
            try:
                settings[plugin] = await settings_of(session, runtime, organisation_id, plugin)
            except (msgspec.ValidationError, Unreadable):
                settings[plugin] = None
        return cls(runtime, InterceptorContext(organisation_id=organisation_id, clock=runtime.clock), settings)

    async def check(self, view: DraftView) -> list[Violation]:
        """What all checks say. One that fails blocks, as if it had said no."""
        found: list[Violation] = []
        for plugin, one in self._runtime.hub.asked(CHECK):
            said = await self._ask(plugin, one, view)
            answers = said if isinstance(said, list) else [said]
            found += [answer for answer in answers if isinstance(answer, Violation)]
        return found

    async def veto(self, view: DraftView) -> Violation | None:
        """The first no, right before it goes out."""
        for plugin, one in self._runtime.hub.asked(BEFORE):
            said = await self._ask(plugin, one, view)
            if isinstance(said, Violation):
                return said
        return None

    async def _ask(self, plugin: str, one: Interceptor, view: DraftView) -> Any:
        context = msgspec.structs.replace(self._context, settings=self._settings.get(plugin))
        try:
            async with asyncio.timeout(one.timeout):
                return await one.handler(context, view)
        except (Exception, SystemExit) as error:
            log.warning("interceptor_failed", plugin=plugin, interceptor=one.name, point=one.point, error=type(error).__name__)
            if one.on_error == "skip":
                return None
            return Violation(field="", code="check_failed", detail=f"{one.name} of {plugin} could not check it; try again later")


async def view_of(session: AsyncSession, channel: Channel, draft: Draft, **more: Any) -> DraftView:
    """A draft as interceptors see it; `mention_id` becomes the mention that is answered."""
    mention_id = more.pop("mention_id", None)
    to: MentionView | None = None
    if mention_id is not None:
        found = await views(session, channel.organisation_id, [mention_id])
        to = found[0] if found else None
    return DraftView(
        organisation_id=channel.organisation_id,
        channel_id=channel.id,
        network=channel.network,
        kind="post" if mention_id is None else "reply",
        text=draft.text,
        language=draft.language,
        visibility=draft.visibility,
        sensitive=draft.sensitive,
        media=len(draft.media),
        to=to,
        **more,
    )
