"""The rules in force: an organisation's own, else those of the package."""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Invalid, Stale
from smhub_monitoring.analysis.analyst import ANY, RuleSet
from smhub_monitoring.analysis.matching import Matcher
from smhub_monitoring.analysis.models import RuleSetRow
from smhub_monitoring.analysis.rule_files import RuleError, read_rules

FOLDER = Path(__file__).parent / "rules"
SHIPPED = tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


@cache
def shipped_yaml(language: str) -> str:
    """The package's rules for a language; none where it has none."""
    return (FOLDER / f"{language}.yaml").read_text(encoding="utf-8") if language in SHIPPED else "rules: []\n"


@lru_cache(maxsize=128)
def matcher(yaml: str) -> Matcher:
    """A file of rules, made ready."""
    return Matcher(read_rules(yaml))


def checked(yaml: str) -> None:
    """Raise Invalid with line and column when it cannot be read."""
    try:
        read_rules(yaml)
    except RuleError as error:
        raise Invalid.field("yaml", str(error), "rule_invalid") from error


async def newest(session: AsyncSession, organisation_id: UUID, language: str) -> RuleSetRow | None:
    """The organisation's newest version; None where it never had one."""
    of = select(RuleSetRow).where(RuleSetRow.organisation_id == organisation_id, RuleSetRow.language == language)
    return (await session.scalars(of.order_by(RuleSetRow.number.desc()).limit(1))).one_or_none()


async def in_force(session: AsyncSession, organisation_id: UUID) -> dict[str, RuleSetRow]:
    """The newest version for each language for which there is one."""
    of = select(RuleSetRow).where(RuleSetRow.organisation_id == organisation_id).order_by(RuleSetRow.language, RuleSetRow.number)
    return {row.language: row for row in (await session.scalars(of)).all()}


async def put(
    session: AsyncSession, organisation_id: UUID, language: str, yaml: str, *, shipped: bool, member_id: UUID, now: datetime
) -> RuleSetRow:
    """A new version, in force from now on. Of two people who write the same version one is told that it is there."""
    before = await newest(session, organisation_id, language)
    number = before.number + 1 if before else 1
    made = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {"organisation_id": organisation_id, "language": language, "number": number}
    values |= {"shipped": shipped, "yaml": yaml, "member_id": member_id, "at": now}
    added = await session.execute(made(RuleSetRow).values(values).on_conflict_do_nothing().returning(RuleSetRow.number))
    if added.first() is None:
        raise Stale
    return await session.get_one(RuleSetRow, (organisation_id, language, number))


def made(rows: dict[str, RuleSetRow], languages: tuple[str, ...]) -> dict[str, RuleSet]:
    """The rules that the organisation's texts are held against."""
    found = {}
    for language in (ANY, *languages):
        row = rows.get(language)
        own = row is not None and not row.shipped
        yaml = row.yaml if row is not None and own else shipped_yaml(language)
        version = f"rules-{language}@{row.number if row is not None and own else 0}"
        found[language] = RuleSet(matcher(yaml), version)
    return {language: one for language, one in found.items() if language == ANY or one.matcher.rules}
