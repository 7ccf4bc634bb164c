"""By which incident a mention is found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exists

from smhub.features import Mention, QueryField
from smhub_monitoring.incidents.models import IncidentMention


def _incident(test: Any) -> Any:
    of = (IncidentMention.organisation_id == Mention.organisation_id, IncidentMention.mention_id == Mention.id)
    return exists().where(*of, test(IncidentMention.incident_id))


FIELDS = [
    QueryField(
        name="monitoring.incident",
        kind="id",
        title="Incident",
        description="Gathered by this incident.",
        expression=_incident,
        plugin="monitoring",
    )
]
