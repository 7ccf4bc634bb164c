"""The permissions and the system roles, as data. A plugin adds its own through `register_permissions`."""

from __future__ import annotations

from collections.abc import Iterable

from smhub.sdk import Permission

VIEWER, AGENT, EDITOR, APPROVER = "viewer", "agent", "editor", "approver"
LEAD, ADMIN, OPERATOR = "department_lead", "admin", "operator"

ROLES: dict[str, str] = {
    VIEWER: "Reads mentions in its scope",
    AGENT: "Works on mentions in its scope",
    EDITOR: "Writes what the company says",
    APPROVER: "Approves what the company says",
    LEAD: "Leads a department",
    ADMIN: "Runs the organisation; reads no content of its own accord",
    OPERATOR: "Runs the hub: organisations and work",
}

_READERS = (VIEWER, AGENT, EDITOR, APPROVER, LEAD)
_WORKERS = (AGENT, EDITOR, LEAD)
_ALL = (*_READERS, ADMIN)

CORE: tuple[Permission, ...] = tuple(
    Permission(name=name, title=title, roles=roles)
    for name, title, roles in (
        ("organisation:read", "See the organisation's name, stage and settings", _ALL),
        ("organisation:write", "Change the organisation, its stage included", (ADMIN,)),
        ("organisations:read", "List the hub's organisations", (OPERATOR,)),
        ("organisations:create", "Add an organisation to the hub", (OPERATOR,)),
        ("members:read", "See who is a member", _ALL),
        ("members:write", "Add, change and disable members", (ADMIN,)),
        ("service_accounts:write", "Add, change and disable service accounts", (ADMIN,)),
        ("roles:read", "See roles and their permissions", _ALL),
        ("roles:write", "Make and change roles", (ADMIN,)),
        ("grants:read", "See who holds which role", (LEAD, ADMIN)),
        ("grants:write", "Give and take roles, up to one's own rights", (LEAD, ADMIN)),
        ("grants:any", "Give any role but the operator's", (ADMIN,)),
        ("keys:own", "Make and end keys of one's own", (*_ALL, OPERATOR)),
        ("keys:read", "See everybody's keys, never their secrets", (ADMIN,)),
        ("keys:write", "Make keys for service accounts, end anybody's keys", (ADMIN,)),
        ("audit:read", "Read who changed what", (ADMIN,)),
        ("events:read", "Follow the log of events", (*_READERS, ADMIN)),
        ("jobs:read", "See the organisation's jobs", (ADMIN, OPERATOR)),
        ("jobs:write", "Retry and cancel jobs", (ADMIN, OPERATOR)),
        ("operations:read", "Follow long work", (*_ALL, OPERATOR)),
        ("operations:write", "Cancel long work", (LEAD, ADMIN)),
        ("departments:read", "See departments, hours and holidays", _ALL),
        ("departments:write", "Make and change departments", (ADMIN,)),
        ("departments:staff", "Put members into departments", (LEAD, ADMIN)),
        ("channels:read", "See channels and their health", _ALL),
        ("channels:write", "Connect, change and disconnect channels", (ADMIN,)),
        ("channels:verify", "Check a channel's credentials", (LEAD, ADMIN)),
        ("oauth_apps:read", "See the organisation's apps at networks, never their secrets", (ADMIN,)),
        ("oauth_apps:write", "Store, change and remove the organisation's apps at networks", (ADMIN,)),
        ("listeners:read", "See listeners", _ALL),
        ("listeners:write", "Make and change listeners", (LEAD, ADMIN)),
        ("intakes:read", "See intakes, gaps and what could not be read", (*_READERS, ADMIN)),
        ("intakes:write", "Poll now, back-fill, close gaps", (LEAD, ADMIN)),
        ("mentions:read", "Read mentions", _READERS),
        ("mentions:write", "Triage, tag and hand over mentions", _WORKERS),
        ("mentions:annotate", "Say what a mention is about; a person's word is in force", _WORKERS),
        ("deliveries:read", "See what is said, and what became of it", (*_READERS, ADMIN)),
        ("replies:write", "Answer mentions", _WORKERS),
        ("posts:write", "Post to channels", (EDITOR, LEAD)),
        ("deliveries:write", "Change, queue, cancel, edit and take back what one may write", _WORKERS),
        ("deliveries:settle", "Decide what is unclear: send again, confirm, abandon", (APPROVER, LEAD)),
        ("media:read", "See uploaded files", (*_READERS, ADMIN)),
        ("media:write", "Upload files, describe and remove them", _WORKERS),
        ("holds:read", "See what is held back, and why", (*_READERS, ADMIN)),
        ("holds:write", "Hold back what is to be said, and let it go", (LEAD, ADMIN)),
        ("authors:read", "See authors and persons", _READERS),
        ("persons:write", "Describe, merge and split persons", _WORKERS),
        ("networks:read", "See networks, their settings and limits", (*_ALL, OPERATOR)),
        ("plugins:read", "See plugins and why one did not load", (*_ALL, OPERATOR)),
        ("plugins:write", "Set a plugin up for the organisation", (ADMIN,)),
    )
)


class Permissions:
    """Every permission of this hub, and what each system role holds."""

    def __init__(self, more: Iterable[Permission] = ()) -> None:
        self.all: dict[str, Permission] = {permission.name: permission for permission in CORE}
        for permission in more:
            if permission.name in self.all:
                raise ValueError(f"permission {permission.name} is declared twice")
            self.all[permission.name] = permission
        self.system: dict[str, frozenset[str]] = {
            role: frozenset(name for name, permission in self.all.items() if role in permission.roles) for role in ROLES
        }
