"""What came of one try, and what each error of a connector means for what we wanted to say.

The rule: a clear no is a no; an error before a write went out whole is no outcome at all; everything else is unclear.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from smhub.db.engine import is_unavailable
from smhub.db.read import DatabaseAway
from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    ContentRejected,
    Duplicate,
    Gone,
    OutcomeUnknown,
    Pending,
    PermissionMissing,
    Published,
    RateLimited,
    Unsupported,
)

BUG = "connector_bug"
LONGEST_WAIT = 3600.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`kind`: published, pending, refused, held (the channel needs a person), again (surely not out; `after` seconds when the network
    said so), unknown, not_found (we looked, and it is surely not there)."""

    kind: Literal["published", "pending", "refused", "held", "again", "unknown", "not_found"]
    code: str | None = None
    reason: str | None = None
    status: int | None = None
    after: float | None = None
    external_id: str | None = None
    url: str | None = None
    state: Any = None
    acted: bool = False


def of_answer(answer: object, *, acted: bool) -> Outcome:
    """What the connector returned. What it must not return is treated as its bug."""
    if isinstance(answer, Published) and answer.external_id:
        return Outcome(kind="published", external_id=answer.external_id, url=answer.url, acted=acted)
    if isinstance(answer, Pending):
        return Outcome(
            kind="pending", state=msgspec.to_builtins(answer.state), after=min(answer.check_after, LONGEST_WAIT), acted=acted
        )
    return Outcome(
        kind="unknown" if acted else "again", code=BUG, reason=f"the connector returned {type(answer).__name__}", acted=acted
    )


def of_error(error: BaseException, *, acted: bool) -> Outcome:
    """What an error means."""
    if isinstance(error, SQLAlchemyError | DatabaseAway) and is_unavailable(error):
        return Outcome(kind="unknown" if acted else "again", code="unavailable", reason="the hub's database was away", acted=acted)
    if not isinstance(error, ConnectorError):
        code, words = (
            ("timeout", "no answer in time")
            if isinstance(error, TimeoutError)
            else (BUG, f"the connector failed: {type(error).__name__}")
        )
        return Outcome(kind="unknown" if acted else "again", code=code, reason=words, acted=acted)
    said: dict[str, Any] = {"code": error.kind, "reason": error.message, "status": error.status, "acted": acted}
    match error:
        case Duplicate():
            return Outcome(kind="published", external_id=error.external_id, **said)
        case ContentRejected():
            return Outcome(kind="refused", **{**said, "reason": "; ".join((error.message, *error.violations))})
        case Gone() | Unsupported():
            return Outcome(kind="refused", **said)
        case AuthExpired() | PermissionMissing() | ConfigInvalid():
            return Outcome(kind="held", **said)
        case RateLimited():
            return Outcome(kind="again", after=min(error.retry_after if error.retry_after is not None else 60.0, LONGEST_WAIT), **said)
        case OutcomeUnknown():
            return Outcome(kind="unknown", **said)
    return Outcome(kind="unknown" if acted else "again", after=error.retry_after, **said)
