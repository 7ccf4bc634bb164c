"""What the analysis sends and takes over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.features import known
from smhub_monitoring.analysis.analyst import LEARNED
from smhub_monitoring.analysis.models import Choice, Cluster, OwnModelRow, RuleSetRow
from smhub_monitoring.analysis.rule_files import MAX_BYTES

Key = Annotated[str, known(*LEARNED)]
Yaml = Annotated[
    str, Meta(max_length=MAX_BYTES, examples=["rules:\n- key: intent\n  value: complaint\n  words: [defekt*, nie .. angekommen]\n"])
]


class MonitoringRuleSet(msgspec.Struct, kw_only=True):
    """The rules for a language. `number` is 0 where the organisation never had its own; `shipped`: those of the package are in force."""

    language: Annotated[str, Meta(examples=["de"])]
    number: int
    shipped: bool
    yaml: str
    member_id: UUID | None
    at: datetime | None

    @classmethod
    def of(cls, row: RuleSetRow, yaml: str) -> MonitoringRuleSet:
        return cls(language=row.language, number=row.number, shipped=row.shipped, yaml=yaml, member_id=row.member_id, at=row.at)


class MonitoringRuleSets(msgspec.Struct, kw_only=True):
    """The rules in force, by language; `any` holds for all."""

    items: list[MonitoringRuleSet]


class MonitoringRuleSetVersions(msgspec.Struct, kw_only=True):
    """The versions of the rules for a language, the newest first."""

    items: list[MonitoringRuleSet]
    next_cursor: str | None


class MonitoringNewRules(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Rules as YAML. They take the place of those in force."""

    yaml: Yaml


class MonitoringRestoreRules(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The version to go back to; 0: the package's rules."""

    number: Annotated[int, Meta(ge=0, le=2**31 - 1)]


class MonitoringText(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A text to be analysed as if it came from a network. Nothing of it is kept."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000)]
    language: Annotated[str, Meta(pattern=r"^[a-z]{2}\Z", description="What the network would say.", examples=["de"])] | None = None
    ours: Annotated[bool, Meta(description="It would come by a channel of our own.")] | None = None


class MonitoringSaid(msgspec.Struct, kw_only=True):
    """One thing that is said about a text, how sure, by what, and by which words of rules."""

    key: Annotated[str, known("mood", "intent", "urgency", "topic", "offence", "relevant", "language", "suggested_department")]
    value: str | bool
    confidence: float
    version: str
    because: list[str]


class MonitoringKeyword(msgspec.Struct, kw_only=True):
    """A word that a text is about."""

    word: str
    weight: float


class MonitoringAnalysis(msgspec.Struct, kw_only=True):
    """What is said about a text. What is not sure enough is left out."""

    said: list[MonitoringSaid]
    keywords: list[MonitoringKeyword]


class MonitoringScores(msgspec.Struct, kw_only=True):
    """Share of right answers, and the mean of the values' F1, over `n` labels."""

    n: int
    accuracy: float
    macro_f1: float


class MonitoringShippedModel(msgspec.Struct, kw_only=True):
    """A model of the package. `scores` are null where no labelled texts were at hand."""

    name: str
    task: str
    classes: list[str]
    made_at: str
    sources: list[str]
    attribution: str
    scores: MonitoringScores | None
    remarks: str


class MonitoringShippedModels(msgspec.Struct, kw_only=True):
    """The models of the package."""

    items: list[MonitoringShippedModel]


class MonitoringOwnModel(msgspec.Struct, kw_only=True):
    """A model made of the organisation's corrections. Both scores are of the same corrections, all newer than those it learned from."""

    id: UUID
    key: Key
    number: int
    classes: list[str]
    trained_on: int
    with_it: MonitoringScores
    without_it: MonitoringScores
    better: bool
    made_at: datetime

    @classmethod
    def of(cls, row: OwnModelRow) -> MonitoringOwnModel:
        with_it, without_it = (msgspec.convert(row.judged[one], MonitoringScores) for one in ("with_it", "without_it"))
        return cls(
            id=row.id,
            key=row.key,
            number=row.number,
            classes=row.classes,
            trained_on=row.trained_on,
            with_it=with_it,
            without_it=without_it,
            better=row.better,
            made_at=row.made_at,
        )


class MonitoringOwnModels(msgspec.Struct, kw_only=True):
    """Own models, the newest first."""

    items: list[MonitoringOwnModel]
    next_cursor: str | None


class MonitoringChoice(msgspec.Struct, kw_only=True):
    """How a key is learned: labels so far, and the own model that decides. `automatic`: a better one takes its place by itself."""

    key: Key
    labels: int
    labels_needed: int
    model_id: UUID | None
    automatic: bool
    version: int

    @classmethod
    def of(cls, key: str, labels: int, needed: int, row: Choice | None) -> MonitoringChoice:
        chosen = (row.model_id, row.automatic, row.version) if row is not None else (None, True, 0)
        model_id, automatic, version = chosen
        return cls(key=key, labels=labels, labels_needed=needed, model_id=model_id, automatic=automatic, version=version)


class MonitoringChoices(msgspec.Struct, kw_only=True):
    """All keys that can be learned."""

    items: list[MonitoringChoice]


class MonitoringChoiceChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Another own model, an older one or none (null). Choosing one by hand ends the automatic choice unless it is said otherwise."""

    model_id: UUID | UnsetType | None = UNSET
    automatic: bool | UnsetType = UNSET


class MonitoringLearn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The key to learn now."""

    key: Annotated[str, Meta(min_length=1, max_length=40, examples=["mood"])]


class MonitoringRecompute(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which mentions to analyse again: those published since then, or all."""

    since: Annotated[datetime, Meta(tz=True)] | None = None


class MonitoringOpinion(msgspec.Struct, kw_only=True):
    """What somebody said about a mention."""

    mention_id: UUID
    value: str
    producer: str


class MonitoringContradiction(msgspec.Struct, kw_only=True):
    """Corrections that differ about one text or copies of it; own models learn from none of one mention's."""

    key: Key
    said: list[MonitoringOpinion]


class MonitoringContradictions(msgspec.Struct, kw_only=True):
    """Contradicting corrections."""

    items: list[MonitoringContradiction]
    next_cursor: str | None


class MonitoringCluster(msgspec.Struct, kw_only=True):
    """Mentions that are copies of one another; find them with the query `monitoring.cluster:<id>`."""

    id: UUID
    size: int
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, row: Cluster) -> MonitoringCluster:
        return cls(id=row.id, size=row.size, first_at=row.first_at, last_at=row.last_at)


class MonitoringClusters(msgspec.Struct, kw_only=True):
    """Clusters of two mentions or more, those that began last first."""

    items: list[MonitoringCluster]
    next_cursor: str | None


class MonitoringRulesData(msgspec.Struct, kw_only=True):
    """What monitoring.rules_changed tells."""

    language: str
    number: int


class MonitoringLearnedData(msgspec.Struct, kw_only=True):
    """What monitoring.learned tells."""

    key: str
    number: int
    better: bool
    in_force: bool


class MonitoringChosenData(msgspec.Struct, kw_only=True):
    """What monitoring.model_chosen tells."""

    key: str
    model_id: UUID | None
    automatic: bool


class MonitoringRecomputedData(msgspec.Struct, kw_only=True):
    """What monitoring.recomputed tells."""

    mentions: int
