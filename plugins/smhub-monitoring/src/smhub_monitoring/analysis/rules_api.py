"""How one asks for rules and changes them."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias
from uuid import UUID

from litestar import Request, Response
from litestar.params import PathParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Asking,
    Body,
    Caller,
    Cursor,
    CursorInvalid,
    Fact,
    Limit,
    NotFound,
    Process,
    Runtime,
    Session,
    Stale,
    check_match,
    does,
    note,
    page,
    reads,
    record,
    sets,
    settings_of,
    tagged,
)
from smhub_monitoring.analysis import rule_sets
from smhub_monitoring.analysis.analyst import ANY
from smhub_monitoring.analysis.models import RuleSetRow
from smhub_monitoring.analysis.schemas import (
    MonitoringNewRules,
    MonitoringRestoreRules,
    MonitoringRuleSet,
    MonitoringRuleSets,
    MonitoringRuleSetVersions,
)
from smhub_monitoring.analysis.settings import MonitoringSettings

ID = "monitoring"
RuleLanguage: TypeAlias = Annotated[
    str, PathParameter(max_length=10, description="One of the organisation's languages, such as `de`, or `any` for all of them.")
]


@reads("/rule-sets", "monitoring:read", tag=ID, plugin=ID)
async def monitoring_list_rule_sets(caller: Asking, session: Session, runtime: Process) -> MonitoringRuleSets:
    """The rules in force, for each of the organisation's languages and for all."""
    languages = await _languages(session, runtime, caller.organisation_id)
    rows = await rule_sets.in_force(session, caller.organisation_id)
    return MonitoringRuleSets(items=[_shown(language, rows.get(language)) for language in languages])


@reads("/rule-sets/{language:str}", "monitoring:read", NotFound, tag=ID, plugin=ID)
async def monitoring_get_rule_set(
    caller: Asking, session: Session, runtime: Process, language: RuleLanguage
) -> Response[MonitoringRuleSet]:
    """The rules in force for a language, as YAML."""
    await _known(session, runtime, caller, language)
    shown = _shown(language, await rule_sets.newest(session, caller.organisation_id, language))
    return tagged(shown, shown.number)


@sets("/rule-sets/{language:str}", "monitoring:write", NotFound, Stale, tag=ID, plugin=ID)
async def monitoring_put_rule_set(
    request: Request[Any, Any, Any],
    caller: Asking,
    session: Session,
    runtime: Process,
    language: RuleLanguage,
    data: Body[MonitoringNewRules],
) -> Response[MonitoringRuleSet]:
    """Put other rules in force. What cannot be read is refused with its line and column; earlier versions stay."""
    caller.need_everywhere("monitoring:write")
    await _known(session, runtime, caller, language)
    before = await rule_sets.newest(session, caller.organisation_id, language)
    check_match(request, before.number if before else 0)
    rule_sets.checked(data.yaml)
    return await _put(session, runtime, caller, language, data.yaml, shipped=False)


@reads("/rule-sets/{language:str}/versions", "monitoring:read", NotFound, CursorInvalid, tag=ID, plugin=ID)
async def monitoring_list_rule_set_versions(
    caller: Asking, session: Session, runtime: Process, language: RuleLanguage, limit: Limit = 50, cursor: Cursor = None
) -> MonitoringRuleSetVersions:
    """The organisation's versions of the rules for a language, the newest first."""
    await _known(session, runtime, caller, language)
    of = select(RuleSetRow).where(RuleSetRow.organisation_id == caller.organisation_id, RuleSetRow.language == language)
    rows, following = await page(
        session,
        of,
        cursors=runtime.cursors,
        purpose=f"monitoring_rule_set:{language}",
        organisation_id=caller.organisation_id,
        order=[RuleSetRow.number],
        cursor=cursor,
        limit=limit,
    )
    return MonitoringRuleSetVersions(items=[_shown(language, row) for row in rows], next_cursor=following)


@does("/rule-sets/{language:str}/restore", "monitoring:write", NotFound, Stale, tag=ID, plugin=ID)
async def monitoring_restore_rule_set(
    caller: Asking, session: Session, runtime: Process, language: RuleLanguage, data: Body[MonitoringRestoreRules]
) -> Response[MonitoringRuleSet]:
    """Go back to an earlier version of the rules, or to the package's. That makes a new version."""
    caller.need_everywhere("monitoring:write")
    await _known(session, runtime, caller, language)
    if data.number == 0:
        return await _put(session, runtime, caller, language, "", shipped=True)
    row = await session.get(RuleSetRow, (caller.organisation_id, language, data.number))
    if row is None:
        raise NotFound(what="version of the rules")
    return await _put(session, runtime, caller, language, row.yaml, shipped=row.shipped)


async def _put(
    session: AsyncSession, runtime: Runtime, caller: Caller, language: str, yaml: str, *, shipped: bool
) -> Response[MonitoringRuleSet]:
    now = runtime.clock.now()
    organisation_id = caller.organisation_id
    row = await rule_sets.put(session, organisation_id, language, yaml, shipped=shipped, member_id=caller.member_id, now=now)
    note(session, "rule_set", organisation_id, language=language, number=row.number)
    fact = Fact(
        organisation_id=organisation_id,
        type="monitoring.rules_changed",
        subject_type="organisation",
        subject_id=organisation_id,
        at=now,
        actor_id=caller.member_id,
        data={"language": language, "number": row.number},
    )
    await record(session, fact)
    return tagged(_shown(language, row), row.number)


def _shown(language: str, row: RuleSetRow | None) -> MonitoringRuleSet:
    if row is None:
        yaml = rule_sets.shipped_yaml(language)
        return MonitoringRuleSet(language=language, number=0, shipped=True, yaml=yaml, member_id=None, at=None)
    return MonitoringRuleSet.of(row, rule_sets.shipped_yaml(language) if row.shipped else row.yaml)


async def _languages(session: AsyncSession, runtime: Runtime, organisation_id: UUID) -> list[str]:
    settings: MonitoringSettings = await settings_of(session, runtime, organisation_id, ID)
    return [ANY, *sorted(set(settings.languages))]


async def _known(session: AsyncSession, runtime: Runtime, caller: Caller, language: str) -> None:
    if language not in await _languages(session, runtime, caller.organisation_id):
        raise NotFound(what="language of the organisation")


ROUTES = [
    monitoring_list_rule_sets,
    monitoring_get_rule_set,
    monitoring_put_rule_set,
    monitoring_list_rule_set_versions,
    monitoring_restore_rule_set,
]
