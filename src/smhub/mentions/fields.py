"""The fields by which mentions are found; plugins add their own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, exists

from smhub.db.search import terms
from smhub.departments.models import Department
from smhub.hub.loader import Hub
from smhub.mentions.models import Author, Mention, Sighting
from smhub.query import Fields, QueryField
from smhub.query.fields import ColumnTest
from smhub.sdk import KINDS, VISIBILITIES

STATES = ("new", "in_case", "ignored", "answered_elsewhere")
CONTENT_STATES = ("live", "edited", "deleted")
ANNOTATIONS = {
    "mood": ("negative", "neutral", "positive"),
    "intent": ("question", "complaint", "praise", "request", "spam", "application", "idea"),
    "urgency": ("low", "normal", "high"),
    "topic": (),
}

_path: Any = Department.path
_seen_by: Any = Sighting.intake_id


def _department(test: ColumnTest) -> Any:
    return exists().where(
        and_(Department.organisation_id == Mention.organisation_id, Department.id == Mention.department_id, test(_path))
    )


def _author(column: Any) -> Any:
    def applied(test: ColumnTest) -> Any:
        return exists().where(and_(Author.organisation_id == Mention.organisation_id, Author.id == Mention.author_id, test(column)))

    return applied


def _intake(test: ColumnTest) -> Any:
    return exists().where(and_(Sighting.organisation_id == Mention.organisation_id, Sighting.mention_id == Mention.id, test(_seen_by)))


def _annotation(key: str, values: tuple[str, ...]) -> QueryField:
    return QueryField(
        name=key,
        kind="json",
        title=key.capitalize(),
        description=f"The {key} in force.",
        column=lambda: Mention.annotations,
        path=(key, "value"),
        get=lambda mention: mention.annotations.get(key),
        known_values=values,
    )


CORE: tuple[QueryField, ...] = (
    QueryField(name="network", kind="keyword", title="Network", column=lambda: Mention.network, get=lambda m: m.network),
    QueryField(name="kind", kind="keyword", title="Kind", column=lambda: Mention.kind, get=lambda m: m.kind, known_values=KINDS),
    QueryField(
        name="visibility",
        kind="keyword",
        title="Visibility",
        column=lambda: Mention.visibility,
        get=lambda m: m.visibility,
        known_values=VISIBILITIES,
    ),
    QueryField(name="state", kind="keyword", title="Triage", column=lambda: Mention.state, known_values=STATES),
    QueryField(name="content", kind="keyword", title="Content", column=lambda: Mention.content_state, known_values=CONTENT_STATES),
    QueryField(
        name="language", kind="keyword", title="Language", column=lambda: Mention.language, get=lambda m: m.language, aliases=("lang",)
    ),
    QueryField(
        name="department",
        kind="path",
        title="Department",
        description="A path; service/* takes those below along.",
        expression=_department,
    ),
    QueryField(name="channel", kind="id", title="Channel", column=lambda: Mention.channel_id, get=lambda m: m.channel_id),
    QueryField(name="listener", kind="id", title="Listener", column=lambda: Mention.listener_id, get=lambda m: m.listener_id),
    QueryField(name="intake", kind="id", title="Intake", description="Seen by this intake.", expression=_intake),
    QueryField(name="thread", kind="id", title="Thread", column=lambda: Mention.thread_id),
    QueryField(name="author", kind="keyword", title="Author", description="The handle.", expression=_author(Author.handle)),
    QueryField(name="person", kind="id", title="Person", expression=_author(Author.person_id)),
    QueryField(name="followers", kind="number", title="Followers of the author", expression=_author(Author.followers)),
    QueryField(name="tag", kind="tags", title="Tag", column=lambda: Mention.tags, get=lambda m: m.tags),
    QueryField(name="label", kind="tags", title="Label", description="Given by the network.", column=lambda: Mention.labels),
    QueryField(name="published", kind="time", title="Published", column=lambda: Mention.published_at, get=lambda m: m.published_at),
    QueryField(name="seen", kind="time", title="First seen", column=lambda: Mention.first_seen_at),
    QueryField(name="edited", kind="time", title="Edited", column=lambda: Mention.edited_at),
    *(_annotation(key, values) for key, values in ANNOTATIONS.items()),
)


@lru_cache(maxsize=16)
def fields_of(hub: Hub) -> Fields:
    """The fields by which this hub's mentions are found, those of its plugins included."""
    return mention_fields(field for _, field in hub.query_fields)


def mention_fields(more: Iterable[QueryField] = ()) -> Fields:
    """All fields of this hub."""
    return Fields(
        (*CORE, *more),
        key=lambda: Mention.id,
        document=lambda mention: terms(f"{mention.title}\n{mention.text}" if mention.title else mention.text, mention.language),
        time="published",
    )
