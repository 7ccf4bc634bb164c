"""What an organisation sets for the analysis."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Language = Annotated[str, Meta(pattern=r"^[a-z]{2}\Z", examples=["de"])]
BrandName = Annotated[str, Meta(min_length=2, max_length=80)]


class MonitoringSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The organisation's languages and names, and how sure the analysis has to be before it says something."""

    languages: Annotated[
        tuple[Language, ...], Meta(title="Languages", description="Texts in others have no language here.", min_length=1, max_length=20)
    ] = ("de", "en")
    names: Annotated[
        tuple[BrandName, ...],
        Meta(
            title="Names",
            description="What the company and its products are called; they tell whether a mention is about us.",
            max_length=200,
        ),
    ] = ()
    least_confidence: Annotated[
        float,
        Meta(title="Least confidence", description="Below it nothing is said, and no word is not a neutral one.", ge=0.3, le=0.95),
    ] = 0.5
