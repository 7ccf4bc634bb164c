"""The kinds of events that the hub itself writes. A plugin registers its own."""

from __future__ import annotations

import msgspec

from smhub.events import schemas
from smhub.sdk import EventType

_TABLE: tuple[tuple[str, type[msgspec.Struct], str], ...] = (
    ("mention.discovered", schemas.SeenData, "A mention was taken in for the first time."),
    ("mention.sighted", schemas.SeenData, "Another intake saw a mention that is here already."),
    ("mention.content_changed", schemas.SeenData, "A mention was edited on its network."),
    ("mention.deleted", schemas.SeenData, "A mention was deleted on its network."),
    ("mention.annotated", schemas.AnnotatedData, "Something was said about a mention."),
    ("mention.routed", schemas.RoutedData, "A mention was given to a department."),
    ("mention.changed", schemas.ChangedData, "Somebody changed the state, tags or department of a mention."),
    ("person.added", schemas.NoData, "A person was made of one or more authors."),
    ("person.changed", schemas.ChangedData, "A person was described, or got or lost authors."),
    ("person.merged", schemas.NoData, "Two persons turned out to be one."),
    ("person.split", schemas.NoData, "A person turned out to be two."),
    ("channel.connected", schemas.NoData, "A channel was connected."),
    ("channel.changed", schemas.ChangedData, "A channel was changed."),
    ("channel.verified", schemas.NoData, "A network confirmed the credentials of a channel."),
    ("channel.paused", schemas.NoData, "A channel is not read for now."),
    ("channel.resumed", schemas.NoData, "A channel is read again."),
    ("channel.disconnected", schemas.NoData, "A channel was disconnected."),
    ("listener.added", schemas.NoData, "A listener was added."),
    ("listener.changed", schemas.ChangedData, "A listener was changed."),
    ("listener.verified", schemas.NoData, "A network confirmed the settings of a listener."),
    ("listener.paused", schemas.NoData, "A listener does not listen for now."),
    ("listener.resumed", schemas.NoData, "A listener listens again."),
    ("listener.ended", schemas.NoData, "A listener was ended."),
    ("intake.connected", schemas.IntakeData, "An intake read its network for the first time."),
    ("intake.restored", schemas.IntakeData, "An intake is well again."),
    ("intake.degraded", schemas.IntakeData, "An intake cannot read its network for now, and goes on trying."),
    ("intake.auth_required", schemas.IntakeData, "An intake needs new credentials."),
    ("intake.config_error", schemas.IntakeData, "An intake needs other settings."),
    ("intake.blocked", schemas.IntakeData, "A network refuses an intake."),
    ("intake.quarantined", schemas.IntakeData, "An intake failed again and again and is tried rarely."),
    ("gap.opened", schemas.GapData, "Mentions of a stretch of time may be missing."),
    ("gap.filled", schemas.GapData, "A gap was closed, in whole or in part; `state` says which."),
    ("organisation.changed", schemas.ChangedData, "The organisation was changed."),
    ("member.added", schemas.NoData, "A person or service account was added."),
    ("member.changed", schemas.ChangedData, "A member was changed, disabled or enabled."),
    ("grant.given", schemas.NoData, "A member was given a role."),
    ("grant.taken", schemas.NoData, "A member lost a role."),
    ("key.made", schemas.NoData, "A key was made."),
    ("key.rotated", schemas.NoData, "A key got a successor."),
    ("key.revoked", schemas.NoData, "A key was ended."),
    ("department.added", schemas.NoData, "A department was added."),
    ("department.changed", schemas.ChangedData, "A department was changed, or moved with one above it."),
    ("department.removed", schemas.NoData, "A department was removed."),
    ("department.member_added", schemas.WhoData, "A member was put into a department."),
    ("department.member_removed", schemas.WhoData, "A member was taken out of a department."),
)
CORE_EVENTS: tuple[EventType, ...] = tuple(EventType(name=name, data=data, description=text) for name, data, text in _TABLE)
