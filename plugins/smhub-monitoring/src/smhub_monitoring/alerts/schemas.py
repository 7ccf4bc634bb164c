"""What alerts look like on the wire."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.features import Moment, Name, known, shaped
from smhub_monitoring.alerts import conditions, models

TargetName = Annotated[Name, Meta(description="For people.", examples=["Bereitschaft"])]
Address = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=2000,
        description="An Apprise address: mailto://…, slack://…, msteams://…, json://…. A secret: it is never given back.",
        examples=["mailto://user:password@mail.example?to=service@example.com"],
    ),
]
NoticeLanguage = Annotated[str, shaped("(de|en)", description="In which language it is told: de or en.", examples=["de"])]
Severity = Annotated[str, known(*models.SEVERITIES, example="warning")]
GivenSeverity = Annotated[str, shaped("(info|warning|critical)", description="info, warning or critical.", examples=["warning"])]
RuleQuery = Annotated[
    str, Meta(max_length=2000, description="Which mentions count, in the query language; empty: all.", examples=["nordwind"])
]
Wall = Annotated[str, shaped("([01][0-9]|2[0-3]):[0-5][0-9]", description="HH:MM on the organisation's wall.", examples=["22:00"])]
Cooldown = Annotated[int, Meta(ge=0, le=10_080, description="For how many minutes after it cleared it is not raised again.")]


class MonitoringTarget(msgspec.Struct, kw_only=True):
    """Where people look."""

    id: UUID
    name: TargetName
    service: Annotated[str, Meta(description="The first word of its address.", examples=["mailto"])]
    language: NoticeLanguage
    created_at: Moment
    version: int


class MonitoringTargets(msgspec.Struct, kw_only=True):
    """A page of targets."""

    items: list[MonitoringTarget]
    next_cursor: str | None


class MonitoringNewTarget(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A place to tell people at."""

    name: TargetName
    address: Address
    language: NoticeLanguage = "de"


class MonitoringTargetChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays."""

    name: TargetName | UnsetType = UNSET
    address: Address | UnsetType = UNSET
    language: NoticeLanguage | UnsetType = UNSET


class MonitoringStep(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom to tell so many minutes after an alert was raised, unless somebody acknowledged it before."""

    target_ids: Annotated[list[UUID], Meta(min_length=1, max_length=20)]
    after_minutes: Annotated[int, Meta(ge=0, le=10_080)] = 0


Steps = Annotated[list[MonitoringStep], Meta(max_length=10, description="In the order of their time.")]


class MonitoringAlertRule(msgspec.Struct, kw_only=True):
    """When to warn."""

    id: UUID
    name: Name
    condition: conditions.Condition
    query: RuleQuery
    department_id: UUID | None
    severity: Severity
    steps: Steps
    quiet_from: Wall | None
    quiet_until: Wall | None
    cooldown_minutes: Cooldown
    enabled: bool
    problem: Annotated[
        str | None, Meta(description="Why it cannot be looked at, for example because its query names a field that is gone.")
    ]
    alert_id: Annotated[UUID | None, Meta(description="The alert that is open now.")]
    looked_at: Moment | None
    created_at: Moment
    version: int


class MonitoringAlertRules(msgspec.Struct, kw_only=True):
    """A page of rules."""

    items: list[MonitoringAlertRule]
    next_cursor: str | None


class MonitoringNewAlertRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A rule to watch from now on. With a department only its mentions and those of departments below it count."""

    name: Name
    condition: conditions.Condition
    query: RuleQuery = ""
    department_id: UUID | None = None
    severity: GivenSeverity = "warning"
    steps: Steps = []
    quiet_from: Wall | None = None
    quiet_until: Wall | None = None
    cooldown_minutes: Cooldown = 60
    enabled: bool = True


class MonitoringAlertRuleChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. An open alert stays as it was raised, and clears when the new rule is not true."""

    name: Name | UnsetType = UNSET
    condition: conditions.Condition | UnsetType = UNSET
    query: RuleQuery | UnsetType = UNSET
    severity: GivenSeverity | UnsetType = UNSET
    steps: Steps | UnsetType = UNSET
    quiet_from: Wall | UnsetType | None = UNSET
    quiet_until: Wall | UnsetType | None = UNSET
    cooldown_minutes: Cooldown | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class MonitoringMeasured(msgspec.Struct, kw_only=True):
    """What a rule would say now."""

    true: bool
    figures: dict[str, Any]
    mention_ids: list[UUID]


class MonitoringAlert(msgspec.Struct, kw_only=True):
    """A rule that came true."""

    id: UUID
    rule_id: UUID
    department_id: UUID | None
    state: Annotated[str, known(*models.STATES)]
    severity: Severity
    figures: Annotated[
        dict[str, Any], Meta(description="What was measured when it was raised; which figures there are depends on the kind.")
    ]
    mention_ids: Annotated[list[UUID], Meta(description="The newest mentions that caused it, 20 at most.")]
    raised_at: Moment
    true_at: Annotated[Moment, Meta(description="When its rule was last true.")]
    acknowledged_at: Moment | None
    acknowledged_by: UUID | None
    cleared_at: Moment | None
    next_step_at: Annotated[Moment | None, Meta(description="When the next people are told.")]
    version: int

    @classmethod
    def of(cls, row: models.Alert) -> MonitoringAlert:
        return msgspec.convert(row, cls, from_attributes=True)


class MonitoringAlerts(msgspec.Struct, kw_only=True):
    """A page of alerts."""

    items: list[MonitoringAlert]
    next_cursor: str | None


class MonitoringNotice(msgspec.Struct, kw_only=True):
    """One target was told of one step, or is to be."""

    id: UUID
    target_id: UUID
    what: Annotated[str, known("raised", "cleared")]
    step: int
    state: Annotated[str, known(*models.NOTICE_STATES)]
    reason: str | None
    attempts: int
    due_at: Moment
    told_at: Moment | None


class MonitoringNotices(msgspec.Struct, kw_only=True):
    """Who was told of an alert."""

    items: list[MonitoringNotice]


def target(row: models.Target) -> MonitoringTarget:
    """A target as it goes over the wire, without its address."""
    return msgspec.convert(row, MonitoringTarget, from_attributes=True)


def rule(row: models.AlertRule, alert_id: UUID | None) -> MonitoringAlertRule:
    """A rule with the alert that is open."""
    return MonitoringAlertRule(
        id=row.id,
        name=row.name,
        condition=conditions.read(row.condition),
        query=row.query,
        department_id=row.department_id,
        severity=row.severity,
        steps=msgspec.convert(row.steps, list[MonitoringStep]),
        quiet_from=row.quiet_from,
        quiet_until=row.quiet_until,
        cooldown_minutes=row.cooldown_minutes,
        enabled=row.enabled,
        problem=row.problem,
        alert_id=alert_id,
        looked_at=row.looked_at,
        created_at=row.created_at,
        version=row.version,
    )
