"""Wire types: organisation, members, roles, grants, keys, audit."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import UNSET, Meta, UnsetType

from smhub.access.models import ApiKey, AuditEntry, Grant, Member, Role
from smhub.hub.web import Moment, Name, Slug, known, shaped
from smhub.organisations.models import Organisation as OrganisationRow

Language = Annotated[str, shaped("(de|en)", description="de or en.", examples=["de"])]
Zone = Annotated[str, Meta(min_length=1, max_length=64, description="An IANA time zone.", examples=["Europe/Berlin"])]
Email = Annotated[str, shaped(r"[^@\s]{1,64}@[^@\s]{1,190}", max_length=255, examples=["service@example.com"])]
PermissionName = Annotated[str, shaped("[a-z0-9_.-]+:[a-z_]+", max_length=100, examples=["mentions:read"])]

MemberFilter = Annotated[UUID | None, QueryParameter(description="Only those of this member.")]


class Organisation(msgspec.Struct, kw_only=True):
    """The company that the key belongs to."""

    id: UUID
    slug: str
    name: Name
    stage: Annotated[int, Meta(ge=1, le=3, description="1 listen and react, 2 publish and serve, 3 a social company.")]
    language: Language
    time_zone: Zone
    created_at: Moment
    version: int

    @classmethod
    def of(cls, row: OrganisationRow) -> Organisation:
        return msgspec.convert(row, cls, from_attributes=True)


class Organisations(msgspec.Struct, kw_only=True):
    """A page of organisations."""

    items: list[Organisation]
    next_cursor: str | None


class NewOrganisation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A company to add to the hub, and its first admin."""

    name: Name
    slug: Slug
    language: Language = "de"
    time_zone: Zone = "Europe/Berlin"
    admin_name: Name = "Admin"


class OrganisationAdded(msgspec.Struct, kw_only=True):
    """The new organisation and its first admin key, shown this once."""

    organisation: Organisation
    admin_key: Annotated[str, Meta(description="Shown once; keep it safe.", examples=["smhub_…"])]


class OrganisationChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays."""

    name: Name | UnsetType = UNSET
    stage: Annotated[int, Meta(ge=1, le=3)] | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    time_zone: Zone | UnsetType = UNSET


class MemberInfo(msgspec.Struct, kw_only=True):
    """A person or a service account."""

    id: UUID
    kind: Annotated[str, known("person", "service_account")]
    name: Name
    email: str | None
    state: Annotated[str, known("active", "disabled")]
    created_at: Moment
    version: int

    @classmethod
    def of(cls, row: Member) -> MemberInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Members(msgspec.Struct, kw_only=True):
    """A page of members."""

    items: list[MemberInfo]
    next_cursor: str | None


class NewMember(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A person to add."""

    name: Name
    email: Email | None = None


class NewServiceAccount(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A program to add."""

    name: Name


class MemberChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. A disabled member's keys stop working at once."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    state: Annotated[str, shaped("(active|disabled)", examples=["disabled"])] | UnsetType = UNSET


class PermissionInfo(msgspec.Struct, kw_only=True):
    """Something that may be allowed."""

    name: PermissionName
    title: str
    roles: Annotated[list[str], Meta(description="The system roles that hold it.")]


class PermissionList(msgspec.Struct, kw_only=True):
    """All permissions of this hub, its plugins' included."""

    items: list[PermissionInfo]


class RoleInfo(msgspec.Struct, kw_only=True):
    """A set of permissions."""

    id: UUID
    name: Annotated[str, known("viewer", "agent", "editor", "approver", "department_lead", "admin", "operator")]
    title: str
    permissions: list[str]
    system: Annotated[bool, Meta(description="Comes with the hub and cannot be changed.")]
    version: int

    @classmethod
    def of(cls, row: Role, held: frozenset[str] | None) -> RoleInfo:
        permissions = sorted(held) if held is not None else list(row.permissions)
        return cls(id=row.id, name=row.name, title=row.title, permissions=permissions, system=row.system, version=row.version)


class Roles(msgspec.Struct, kw_only=True):
    """A page of roles."""

    items: list[RoleInfo]
    next_cursor: str | None


class NewRole(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A role of one's own."""

    name: Slug
    title: Name
    permissions: Annotated[list[PermissionName], Meta(max_length=200)]


class RoleChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays."""

    title: Name | UnsetType = UNSET
    permissions: Annotated[list[PermissionName], Meta(max_length=200)] | UnsetType = UNSET


class GrantInfo(msgspec.Struct, kw_only=True):
    """A member holds a role: in the whole organisation, one department with those below it, or one channel."""

    id: UUID
    member_id: UUID
    role_id: UUID
    department_id: UUID | None
    channel_id: UUID | None
    created_at: Moment

    @classmethod
    def of(cls, row: Grant) -> GrantInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Grants(msgspec.Struct, kw_only=True):
    """A page of grants."""

    items: list[GrantInfo]
    next_cursor: str | None


class NewGrant(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Give a role; name a department or a channel, or neither for the whole organisation."""

    member_id: UUID
    role_id: UUID
    department_id: UUID | None = None
    channel_id: UUID | None = None


class KeyInfo(msgspec.Struct, kw_only=True):
    """A key, without its secret."""

    id: UUID
    member_id: UUID
    name: Name
    scopes: Annotated[list[str] | None, Meta(description="What it is narrowed to; null: everything that the member may.")]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Annotated[Moment | None, Meta(description="Exact to half a minute.")]
    replaces_id: UUID | None

    @classmethod
    def of(cls, row: ApiKey) -> KeyInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Keys(msgspec.Struct, kw_only=True):
    """A page of keys."""

    items: list[KeyInfo]
    next_cursor: str | None


class NewKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A key to make. Scopes must lie within the maker's own rights."""

    name: Name
    member_id: Annotated[UUID | None, Meta(description="Whose key it is; left out: one's own. Others': service accounts only.")] = None
    scopes: Annotated[list[PermissionName], Meta(max_length=200)] | None = None
    expires_in_days: Annotated[int, Meta(ge=1, le=365)] = 90


class KeyRotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long the old key goes on working beside the new one."""

    overlap_hours: Annotated[int, Meta(ge=0, le=168)] = 24
    expires_in_days: Annotated[int, Meta(ge=1, le=365)] = 90


class KeyMade(msgspec.Struct, kw_only=True):
    """The key, and its text, shown this once."""

    key: KeyInfo
    text: Annotated[str, Meta(description="Shown once; keep it safe.", examples=["smhub_…"])]


class AuditRecord(msgspec.Struct, kw_only=True):
    """Who changed what."""

    id: UUID
    at: Moment
    member_id: UUID | None
    key_id: UUID | None
    request_id: str | None
    action: Annotated[str, Meta(description="The operation's id.", examples=["add_member"])]
    subject_type: str | None
    subject_id: UUID | None
    details: dict[str, Any]

    @classmethod
    def of(cls, row: AuditEntry) -> AuditRecord:
        return msgspec.convert(row, cls, from_attributes=True)


class AuditRecords(msgspec.Struct, kw_only=True):
    """A page of audit entries, the newest first."""

    items: list[AuditRecord]
    next_cursor: str | None


class PluginSettingsInfo(msgspec.Struct, kw_only=True):
    """What the organisation set for a plugin."""

    plugin: str
    settings: Annotated[dict[str, Any], Meta(description="Without secrets.")]
    secrets: Annotated[list[str], Meta(description="The secrets that are stored, by name.")]
    settings_schema: Annotated[dict[str, Any], Meta(description="JSON Schema (2020-12) of the settings, for a form.")]
    version: int


class NewPluginSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Settings of a plugin, as its `settings_schema` says."""

    settings: Annotated[dict[str, Any], Meta(max_length=200)]
