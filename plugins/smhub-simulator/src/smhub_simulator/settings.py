"""How lively the network is."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=0.3)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same settings tell the same story, always. Another seed tells another one."""

    seed: Annotated[int, Meta(title="Seed", ge=0, le=2**53)] = 1
    company: Annotated[str, Meta(title="Company", description="Whom people write about.", min_length=1, max_length=80)] = (
        "Nordwind Versand"
    )
    per_minute: Annotated[float, Meta(title="Mentions per minute", description="In the mean over a week.", gt=0, le=60_000)] = 6.0
    backlog: Annotated[
        int, Meta(title="Past mentions", description="How many there are at the first visit, of the last days.", ge=0, le=1_000_000)
    ] = 200
    languages: Annotated[tuple[Literal["de", "en"], ...], Meta(title="Languages", min_length=1)] = ("de", "en")
    edits: Annotated[Share, Meta(title="Share of edits")] = 0.02
    deletes: Annotated[Share, Meta(title="Share of deletions")] = 0.01
    replies: Annotated[Share, Meta(title="Share of replies")] = 0.25
    storm_every_hours: Annotated[int, Meta(title="A storm every … hours", description="0: none.", ge=0, le=10_000)] = 24
    outage_every_hours: Annotated[int, Meta(title="An outage every … hours", description="0: none.", ge=0, le=10_000)] = 0
    page_size: Annotated[int, Meta(title="Mentions per page", ge=1, le=500)] = 200
