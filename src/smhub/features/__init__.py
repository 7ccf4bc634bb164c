"""The public door for feature plugins: storage, events, work, access, the core's models and verbs.

A feature plugin imports `smhub.sdk` and this, and nothing else of smhub. These names are frozen: a test holds them against
docs/features-names.txt.
"""

from smhub.access.audit import note
from smhub.access.callers import Caller, Scope
from smhub.channels.models import Channel, Gap, Intake, Listener
from smhub.channels.schemas import OperationStarted
from smhub.db.paging import page
from smhub.db.types import Base, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to
from smhub.departments.models import Department, DepartmentMember
from smhub.errors import AlreadyExists, Conflict, CursorInvalid, HubError, Invalid, NotFound, NotPermitted, Stale
from smhub.events.log import Fact, record
from smhub.events.models import Event
from smhub.hub.runtime import Runtime
from smhub.hub.web import (
    Asking,
    Body,
    Cursor,
    Limit,
    PathId,
    Process,
    Session,
    changes,
    check_match,
    creates,
    does,
    given_fields,
    known,
    reads,
    removes,
    sets,
    starts,
    tagged,
)
from smhub.ids import new_id
from smhub.mentions.annotations import annotate, annotate_all
from smhub.mentions.models import Annotation, Author, Mention, MentionVersion, Person, Sighting
from smhub.mentions.routing import views as mention_views
from smhub.organisations.actions import found
from smhub.organisations.models import Organisation
from smhub.organisations.plugin_settings import settings_of
from smhub.query import QueryField
from smhub.work.actions import finished, progress
from smhub.work.leases import LeaseLost, still_ours
from smhub.work.queue import JobContext, later, limit, start_operation

__all__ = [
    "AlreadyExists",
    "Annotation",
    "Asking",
    "Author",
    "Base",
    "Body",
    "Caller",
    "Channel",
    "Conflict",
    "Cursor",
    "CursorInvalid",
    "Department",
    "DepartmentMember",
    "Event",
    "Fact",
    "Gap",
    "HubError",
    "Id",
    "Intake",
    "Invalid",
    "JobContext",
    "Json",
    "LeaseLost",
    "Limit",
    "Listener",
    "Mention",
    "MentionVersion",
    "NotFound",
    "NotPermitted",
    "OperationStarted",
    "Organisation",
    "OrganisationRow",
    "PathId",
    "Person",
    "Process",
    "QueryField",
    "Runtime",
    "Scope",
    "Session",
    "Sighting",
    "Stale",
    "UtcDateTime",
    "Versioned",
    "annotate",
    "annotate_all",
    "belongs_to_organisation",
    "changes",
    "check_match",
    "creates",
    "does",
    "finished",
    "found",
    "given_fields",
    "known",
    "later",
    "limit",
    "mention_views",
    "new_id",
    "note",
    "page",
    "progress",
    "reads",
    "record",
    "refers_to",
    "removes",
    "sets",
    "settings_of",
    "start_operation",
    "starts",
    "still_ours",
    "tagged",
]
