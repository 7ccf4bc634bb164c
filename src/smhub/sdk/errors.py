"""What can go wrong between us and a network. Each error is an answer: the hub has exactly one reaction to it.

A connector rarely raises these itself: `http` maps every HTTP answer once. It raises them where a network says "no" in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class ConnectorError(Exception):
    """The root. `message` is shown to the operator; it must hold no secret and no text of people."""

    kind: ClassVar[str] = "connector_error"
    retry: ClassVar[bool] = False

    def __init__(self, message: str = "", *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message or type(self).__name__)
        self.message = message or type(self).__name__
        self.status = status
        self.retry_after = retry_after


class Transient(ConnectorError):
    """No answer, or a 5xx to a read or to a write with a key. The hub tries again with back-off."""

    kind, retry = "transient", True


class RateLimited(ConnectorError):
    """The network wants us to wait `retry_after` seconds. `scope` says whom: "account", "app" or "ip"."""

    kind, retry = "rate_limited", True

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, scope: str = "account", status: int | None = 429
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after)
        self.scope = scope


class AuthExpired(ConnectorError):
    """The credentials are no longer accepted. The intake stops until somebody signs in again."""

    kind = "auth_expired"


class PermissionMissing(ConnectorError):
    """The credentials are good but not enough. `scopes` names what is missing; only this capability stops."""

    kind = "permission_missing"

    def __init__(self, message: str = "", *, scopes: Sequence[str] = (), status: int | None = 403) -> None:
        super().__init__(message, status=status)
        self.scopes = tuple(scopes)


class ConfigInvalid(ConnectorError):
    """A setting is wrong. `field` names it, so that the form can point at it."""

    kind = "config_invalid"

    def __init__(self, message: str = "", *, field: str = "", status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.field = field


class ContentRejected(ConnectorError):
    """The network does not take this content. `violations` lists why; nothing is tried again."""

    kind = "content_rejected"

    def __init__(self, message: str = "", *, violations: Sequence[str] = (), status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.violations = tuple(violations)


class Duplicate(ConnectorError):
    """The network says that it has this already, as `external_id`. Treated as success."""

    kind = "duplicate"

    def __init__(self, message: str = "", *, external_id: str, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.external_id = external_id


class Gone(ConnectorError):
    """What was asked for does not exist (any more): 404 or 410."""

    kind = "gone"


class CursorExpired(ConnectorError):
    """The network no longer continues from our cursor. The hub starts afresh and opens a gap."""

    kind = "cursor_expired"


class PayloadMalformed(ConnectorError):
    """The answer cannot be read: wrong form, too large, truncated. Tried three times, then shown."""

    kind, retry = "payload_malformed", True


class OutcomeUnknown(ConnectorError):
    """A write was sent and its answer was lost. Never tried again blindly."""

    kind = "outcome_unknown"


class Unsupported(ConnectorError):
    """The network cannot do this."""

    kind = "unsupported"
