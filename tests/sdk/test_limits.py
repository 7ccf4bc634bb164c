"""Six ways to count a text, as networks document them."""

from __future__ import annotations

import pytest

from smhub.sdk import Limits, length

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


@pytest.mark.parametrize(
    ("count", "text", "expected"),
    [
        ("code_points", FAMILY, 7),
        ("utf16", FAMILY, 11),
        ("graphemes", FAMILY, 1),
        ("bytes", FAMILY, 25),
        ("x_weight", FAMILY, 2),
        ("mastodon", FAMILY, 1),
        ("code_points", "Grüße", 5),
        ("bytes", "Grüße", 7),
        ("utf16", "a\U0001f600", 3),
        ("graphemes", "e\u0301", 1),
        ("x_weight", "日本", 4),
        ("x_weight", "see https://example.com/a/very/long/address/indeed now", 4 + 23 + 4),
        ("mastodon", "see https://example.com/a/very/long/address/indeed", 4 + 23),
        ("mastodon", "@kundin@social.example hallo", len("@kundin hallo")),
        ("x_weight", "", 0),
    ],
)
def test_a_text_is_as_long_as_the_network_says(count: str, text: str, expected: int) -> None:
    assert length(text, count) == expected  # type: ignore[arg-type]


def test_a_limit_names_what_is_broken_and_cuts_nothing() -> None:
    limits = Limits(max=5, count="graphemes", max_bytes=10, max_hashtags=1)
    assert limits.check("Hallo") == []
    found = limits.check("Hallo Welt #eins #zwei")
    assert [(one.field, one.code, one.limit, one.actual) for one in found] == [
        ("text", "too_long", 5, 22),
        ("text", "too_long", 10, 22),
        ("text", "too_many_hashtags", 1, 2),
    ]
