"""What a listener looks for, as a connector may ask it before it hands something over."""

from __future__ import annotations

import pytest

from smhub.sdk import Search


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Die LIEFERUNG kam nie", True),
        ("lieferzeit?", True),
        ("ausgeliefert", False),
        ("es ist heiß\n gelaufen", True),
        ("HEISS  GELAUFEN", True),
        ("heiß, dann gelaufen", False),
        ("", False),
    ],
)
def test_it_finds_what_the_hub_would_keep(text: str, found: bool) -> None:
    assert Search(words=("liefer", "heiß gelaufen")).finds(text) is found
