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
        ("mastodon", "(https://example.com/a/very/long/address), indeed", 1 + 23 + len("), indeed")),
        ("mastodon", "https://example.org/wiki/Stage_(theatre) yes", 23 + 4),
        ("x_weight", "", 0),
    ],
)
def test_a_text_is_as_long_as_the_network_says(count: str, text: str, expected: int) -> None:
    assert length(text, count) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a" * 476 + " http://" + "b" * 30 + ".com/example", True),
        ("a" * 476 + "http://" + "b" * 30 + ".com/example", False),
        ("http://example.com/valid?" + "#foo?" * 1000, False),
        ("a" * 475 + " @alice@" + "b" * 30 + ".com", True),
        ("@alice@" + "b" * 500 + ".com", False),
        ("\u2728" * 500, True),
        ("\U0001f3f3\ufe0f\u200d\u26a7\ufe0f" * 500, True),
        ("a" * 501, False),
    ],
)
def test_mastodon_counts_as_its_own_cases_say(text: str, fits: bool) -> None:
    assert (Limits(max=500, count="mastodon").check(text) == []) is fits


def test_a_limit_names_what_is_broken_and_cuts_nothing() -> None:
    limits = Limits(max=5, count="graphemes", max_bytes=10, max_hashtags=1)
    assert limits.check("Hallo") == []
    found = limits.check("Hallo Welt #eins #zwei")
    assert [(one.field, one.code, one.limit, one.actual) for one in found] == [
        ("text", "too_long", 5, 22),
        ("text", "too_long", 10, 22),
        ("text", "too_many_hashtags", 1, 2),
    ]
