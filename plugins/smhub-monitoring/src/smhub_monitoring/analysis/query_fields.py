"""What mentions can be found by, beyond the core's annotations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exists

from smhub.features import Mention, QueryField
from smhub_monitoring.analysis.models import Keyword, Likeness

ID = "monitoring"


def _annotation(key: str, kind: Any, title: str, description: str) -> QueryField:
    return QueryField(
        name=f"{ID}.{key}",
        kind=kind,
        title=title,
        description=description,
        column=lambda: Mention.annotations,
        path=(key, "value"),
        get=lambda mention: mention.annotations.get(key),
        plugin=ID,
    )


def _cluster(test: Any) -> Any:
    of = (Likeness.organisation_id == Mention.organisation_id, Likeness.mention_id == Mention.id)
    return exists().where(*of, test(Likeness.cluster_id))


def _keyword(test: Any) -> Any:
    of = (Keyword.organisation_id == Mention.organisation_id, Keyword.mention_id == Mention.id)
    return exists().where(*of, test(Keyword.word))


FIELDS = (
    QueryField(
        name="monitoring.cluster",
        kind="id",
        title="Copies",
        description="Copies of one another; ids from GET /v1/monitoring/clusters.",
        plugin=ID,
        expression=_cluster,
    ),
    QueryField(
        name="monitoring.keyword", kind="keyword", title="Keyword", description="In small letters.", plugin=ID, expression=_keyword
    ),
    _annotation("language", "json", "Language found", "The language that the text is written in, whatever the network says."),
    _annotation("offence", "boolean", "Offends", "The text offends somebody."),
    _annotation("relevant", "boolean", "About us", "Whether the mention is about the organisation."),
    _annotation("suggested_department", "json", "Suggested department", "The path of the likeliest department."),
)
