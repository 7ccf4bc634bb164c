"""The public door for feature plugins: storage, events, work, access, the core's models and verbs.

A feature plugin imports `smhub.sdk` and this, and nothing else of smhub. These names are frozen: a test holds them against
docs/features-names.txt.
"""

from smhub.access.audit import note
from smhub.access.callers import Caller, Scope
from smhub.access.secrets import Owner as SecretOwner
from smhub.access.secrets import forget as forget_secrets
from smhub.access.secrets import get as get_secrets
from smhub.access.secrets import put as put_secrets
from smhub.channels.asking import save_listener
from smhub.channels.listener_schemas import ListenerInfo, NewListener
from smhub.channels.looking import Looked, looked_for
from smhub.channels.models import Channel, Gap, Intake, Listener
from smhub.channels.schemas import OperationStarted
from smhub.db.paging import page
from smhub.db.types import Base, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to
from smhub.db.upsert import add_unless_there, upsert, upsert_all
from smhub.deliveries.holds import place as place_hold
from smhub.deliveries.holds import release as release_hold
from smhub.deliveries.models import Delivery, Hold
from smhub.departments.hours import Hours, business_seconds, open_intervals
from smhub.departments.models import Department, DepartmentMember
from smhub.errors import AlreadyExists, Conflict, CursorInvalid, HubError, Invalid, NotFound, NotPermitted, Stale
from smhub.events.log import Fact, record, record_deed
from smhub.events.log import following as events_after
from smhub.events.models import Event
from smhub.hub.runtime import Runtime
from smhub.hub.web import (
    Asking,
    Body,
    Cursor,
    Limit,
    Moment,
    Name,
    PathId,
    Process,
    Session,
    changes,
    check_match,
    creates,
    does,
    given_fields,
    known,
    own_page,
    reads,
    removes,
    sets,
    shaped,
    starts,
    tagged,
)
from smhub.ids import new_id
from smhub.mentions.annotations import annotate, annotate_all
from smhub.mentions.fields import fields_of
from smhub.mentions.models import Annotation, Author, Mention, MentionVersion, Person, Sighting
from smhub.mentions.routing import views as mention_views
from smhub.net.notifier import File as NoticeFile
from smhub.net.notifying import Told
from smhub.net.notifying import tell as tell_people
from smhub.organisations.actions import found
from smhub.organisations.models import Organisation
from smhub.organisations.plugin_settings import settings_of
from smhub.query import Fields, InJson, Query, QueryField, compile_sql, parse, predicate, to_text
from smhub.work.actions import failed, finished, progress
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
    "Delivery",
    "Department",
    "DepartmentMember",
    "Event",
    "Fact",
    "Fields",
    "Gap",
    "Hold",
    "Hours",
    "HubError",
    "Id",
    "InJson",
    "Intake",
    "Invalid",
    "JobContext",
    "Json",
    "LeaseLost",
    "Limit",
    "Listener",
    "ListenerInfo",
    "Looked",
    "Mention",
    "MentionVersion",
    "Moment",
    "Name",
    "NewListener",
    "NotFound",
    "NotPermitted",
    "NoticeFile",
    "OperationStarted",
    "Organisation",
    "OrganisationRow",
    "PathId",
    "Person",
    "Process",
    "Query",
    "QueryField",
    "Runtime",
    "Scope",
    "SecretOwner",
    "Session",
    "Sighting",
    "Stale",
    "Told",
    "UtcDateTime",
    "Versioned",
    "add_unless_there",
    "annotate",
    "annotate_all",
    "belongs_to_organisation",
    "business_seconds",
    "changes",
    "check_match",
    "compile_sql",
    "creates",
    "does",
    "events_after",
    "failed",
    "fields_of",
    "finished",
    "forget_secrets",
    "found",
    "get_secrets",
    "given_fields",
    "known",
    "later",
    "limit",
    "looked_for",
    "mention_views",
    "new_id",
    "note",
    "open_intervals",
    "own_page",
    "page",
    "parse",
    "place_hold",
    "predicate",
    "progress",
    "put_secrets",
    "reads",
    "record",
    "record_deed",
    "refers_to",
    "release_hold",
    "removes",
    "save_listener",
    "sets",
    "settings_of",
    "shaped",
    "start_operation",
    "starts",
    "still_ours",
    "tagged",
    "tell_people",
    "to_text",
    "upsert",
    "upsert_all",
]
