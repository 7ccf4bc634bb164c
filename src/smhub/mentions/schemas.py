"""Wire types: mentions, threads, authors, persons, the query language."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.hub.web import Moment, Name, Text, known, shaped
from smhub.mentions.fields import ANNOTATIONS, CONTENT_STATES, STATES
from smhub.mentions.models import Annotation, Author, MentionVersion, Person, Sighting
from smhub.query.fields import FieldDescription
from smhub.sdk import KINDS, VISIBILITIES

Tag = Annotated[str, shaped(r'[^\s,"()]+', min_length=1, max_length=60, examples=["delivery"])]
MentionState = Annotated[str, known(*STATES, description="Triage.")]


class AuthorBrief(msgspec.Struct, kw_only=True):
    """Who said it."""

    id: UUID
    handle: Annotated[str, Meta(examples=["kundin"])]
    name: str
    avatar_url: str | None


class AttachmentInfo(msgspec.Struct, kw_only=True):
    """A picture, video, sound or file, by its address on the network."""

    url: str
    kind: Annotated[str, known("image", "video", "audio", "file")] = "file"
    media_type: str | None = None
    alt_text: str | None = None
    bytes: int | None = None


class AnnotationValue(msgspec.Struct, kw_only=True):
    """What is in force for one key."""

    value: Annotated[Any, Meta(examples=["negative"])]
    confidence: Annotated[float | None, Meta(description="0 to 1; null for a person's word.")]
    producer: str
    human: bool


class MentionInfo(msgspec.Struct):
    """One post, comment, reply, message, review or article, as it stands on the network now."""

    id: UUID
    network: Annotated[str, known("feeds", "mastodon", "simulator", "webhook")]
    scope: Annotated[str, Meta(description="Where external_id is unique; empty on most networks.")]
    external_id: str
    kind: Annotated[str, known(*KINDS)]
    visibility: Annotated[str, known(*VISIBILITIES)]
    title: str | None
    text: Annotated[str, Meta(description="Plain text.", examples=["Wo bleibt meine Lieferung?"])]
    html: Annotated[str | None, Meta(description="Sanitised: no script, image, style or foreign attribute.")]
    language: str | None
    url: str | None
    author: AuthorBrief | None
    thread_id: Annotated[UUID, Meta(description="The same for all of a conversation.")]
    reply_to: Annotated[str | None, Meta(description="The external id of what it answers.")]
    channel_id: UUID | None
    listener_id: UUID | None
    department_id: UUID | None
    routed_by: Annotated[str | None, known("source", "interceptor", "member")]
    routing_reason: str | None
    state: MentionState
    content_state: Annotated[str, known(*CONTENT_STATES)]
    tags: list[str]
    labels: Annotated[list[str], Meta(description="Given by the network.")]
    attachments: list[AttachmentInfo]
    annotations: Annotated[dict[str, AnnotationValue], Meta(description=f"By key: {', '.join(ANNOTATIONS)} and those of plugins.")]
    published_at: Moment
    edited_at: Moment | None
    first_seen_at: Moment
    deleted_at: Moment | None
    version: int


class Mentions(msgspec.Struct):
    """A page of mentions."""

    items: list[MentionInfo]
    next_cursor: str | None


class MentionChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. `tags` replaces all tags."""

    state: Annotated[str, shaped("(new|ignored|answered_elsewhere)", examples=["ignored"])] | UnsetType = UNSET
    department_id: UUID | UnsetType | None = UNSET
    tags: Annotated[list[Tag], Meta(max_length=50)] | UnsetType = UNSET


class MentionVersionInfo(msgspec.Struct, kw_only=True):
    """An earlier text, and until when it stood there at least."""

    version_at: Moment
    title: str | None
    text: str
    seen_at: Moment

    @classmethod
    def of(cls, row: MentionVersion) -> MentionVersionInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class MentionVersions(msgspec.Struct, kw_only=True):
    """All earlier texts, the newest first."""

    items: list[MentionVersionInfo]


class SightingInfo(msgspec.Struct, kw_only=True):
    """An intake saw it."""

    intake_id: UUID
    seen_at: Moment

    @classmethod
    def of(cls, row: Sighting) -> SightingInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Sightings(msgspec.Struct, kw_only=True):
    """Who saw it, the first one first."""

    items: list[SightingInfo]


class AnnotationInfo(msgspec.Struct, kw_only=True):
    """What one producer says."""

    key: str
    value: Any
    confidence: float | None
    producer: str
    producer_version: str
    human: bool
    at: Moment

    @classmethod
    def of(cls, row: Annotation) -> AnnotationInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Annotations(msgspec.Struct, kw_only=True):
    """What everybody says about a mention."""

    items: list[AnnotationInfo]


class NewAnnotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A person's word: it is in force, whatever a program says. A value of null takes the key away."""

    key: Annotated[str, shaped("[a-z][a-z0-9_.]{0,59}", examples=["mood"])]
    value: Annotated[str, Meta(min_length=1, max_length=200)] | bool | Annotated[float, Meta(ge=-1e15, le=1e15)] | None


class Thread(msgspec.Struct, kw_only=True):
    """A conversation on the network, the oldest first."""

    id: UUID
    network: str
    root_external_id: str
    items: Annotated[list[MentionInfo], Meta(description="At most 500.")]


class AuthorInfo(msgspec.Struct, kw_only=True):
    """A profile on one network."""

    id: UUID
    network: str
    external_id: str
    handle: str
    name: str
    url: str | None
    avatar_url: str | None
    followers: int | None
    person_id: UUID | None
    first_seen_at: Moment

    @classmethod
    def of(cls, row: Author) -> AuthorInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Authors(msgspec.Struct, kw_only=True):
    """A page of authors."""

    items: list[AuthorInfo]
    next_cursor: str | None


class PersonInfo(msgspec.Struct, kw_only=True):
    """A human or company behind several profiles."""

    id: UUID
    name: Name
    note: Text
    authors: list[AuthorInfo]
    created_at: Moment
    version: int


def person(row: Person, authors: list[Author]) -> PersonInfo:
    """A person with their profiles."""
    return PersonInfo(
        id=row.id,
        name=row.name,
        note=row.note,
        authors=[AuthorInfo.of(one) for one in authors],
        created_at=row.created_at,
        version=row.version,
    )


class Persons(msgspec.Struct, kw_only=True):
    """A page of persons."""

    items: list[PersonInfo]
    next_cursor: str | None


AuthorIds = Annotated[list[UUID], Meta(min_length=1, max_length=50)]


class NewPerson(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Profiles that belong to one person. A profile that belongs to another leaves it."""

    name: Name
    author_ids: AuthorIds
    note: Text = ""


class PersonChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays."""

    name: Name | UnsetType = UNSET
    note: Text | UnsetType = UNSET


class PersonMerge(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The person that becomes part of this one."""

    person_id: UUID


class PersonSplit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The profiles that become a person of their own."""

    name: Name
    author_ids: AuthorIds


class QueryFieldInfo(msgspec.Struct, kw_only=True):
    """A field that a query may name."""

    name: Annotated[str, Meta(examples=["network"])]
    kind: Annotated[str, known("keyword", "text", "number", "time", "boolean", "id", "path", "tags", "json")]
    title: str
    description: str
    operators: list[str]
    known_values: list[str]
    open: bool
    many: bool
    aliases: list[str]
    plugin: str

    @classmethod
    def of(cls, one: FieldDescription) -> QueryFieldInfo:
        return msgspec.convert(one, cls, from_attributes=True)


class QueryFields(msgspec.Struct, kw_only=True):
    """All fields of this hub, its plugins' included."""

    items: list[QueryFieldInfo]


class QueryUnderstood(msgspec.Struct, kw_only=True):
    """How the hub reads a query."""

    canonical: Annotated[str, Meta(description="The same query, written plainly.", examples=["network:feeds (lieferung OR versand)"])]
    fields: Annotated[list[str], Meta(description="The fields it names.")]
    searches_text: bool
