"""Rules as people write them: found in texts as meant, refused with their place where they are wrong, and never slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smhub_monitoring.analysis.matching import Matcher
from smhub_monitoring.analysis.rule_files import KEYS, MAX_BYTES, RuleError, read_rules
from smhub_monitoring.analysis.rule_sets import SHIPPED, shipped_yaml
from smhub_monitoring.analysis.text import prepared, tokens


def found(words: str, text: str, unless: str = "[]") -> list[str]:
    rules = read_rules(f"rules:\n- {{key: topic, value: it, words: {words}, unless: {unless}}}\n")
    folded = prepared(text)
    return [hit.word for hit in Matcher(rules).hits(folded, tokens(folded))]


@pytest.mark.parametrize(
    ("words", "text", "there"),
    [
        ("[defekt]", "Der Akku ist DEFEKT.", True),
        ("[defekt]", "Der defekte Akku", False),
        ("['defekt*']", "Der defekte Akku", True),
        ("['*verspätung*']", "Schon wieder Zugverspätungen!", True),
        ("[nie angekommen]", "Das Paket ist nie angekommen", True),
        ("[nie angekommen]", "Nie ist es gestern angekommen", False),
        ("[nie .. angekommen]", "Nie ist es gestern angekommen", True),
        ("[nie .. angekommen]", "Nie ist es bis gestern hier angekommen", False),
        ("['?']", "Wo ist mein Paket?", True),
        ("['straße']", "Die STRASSE", True),
        ("[😡]", "So nicht 😡😡😡", True),
        ("[':(']", "Schade :(", True),
        ("[it's late]", "it’s late", False),
    ],
)
def test_a_pattern_finds_what_it_says_and_nothing_else(words: str, text: str, there: bool) -> None:
    assert bool(found(words, text)) is there


def test_a_word_that_speaks_against_it_wins() -> None:
    assert found("['problem*']", "Kein Problem, danke", "[kein problem]") == []
    assert found("['problem*']", "Ein Problem mit der App", "[kein problem]") == ["problem"]


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("rules:\n- key: intnet\n  value: x\n  words: [a]\n", 2, 8, "'intnet' is no key; allowed: mood, intent, urgency, topic"),
        ("rules:\n- key: intent\n  value: anger\n  words: [a]\n", 3, 10, "allowed: question, complaint"),
        ("rules:\n- key: topic\n  value: x\n  wrods: [a]\n", 4, 3, "meant: words?"),
        ("rules:\n- key: topic\n  value: x\n  words: ['a*b*c']\n", 4, 11, "a star stands at the beginning or end"),
        ("rules:\n- key: topic\n  value: x\n  words: ['(a+)+$ ..']\n", 4, 11, "stands between words"),
        ("rules:\n- key: topic\n  value: x\n  words: []\n", 4, 10, "one word at least"),
        ("rules:\n- {key: topic, value: x, weight: 2, words: [a]}\n", 2, 34, "from 0.05 to 0.99"),
        ("rules:\n- key: topic\n  key: mood\n", 3, 3, "stands twice"),
        ("rules: [", 1, 9, "not YAML"),
        ("rule: []", 1, 1, "allowed: rules"),
        ("a: &x [b]\nrules: *x\n", 1, 4, "anchors and aliases"),
        ("rules: !!python/object/apply:os.system [ls]", 1, 8, "tags (!) are not allowed"),
        ("[" * 5000, 1, 6, "nested too deep"),
        ("rules:\n- words: " + "[a]\n" * 1, 2, 3, "needs 'key'"),
        ("x" * (MAX_BYTES + 1), 1, 1, "larger than"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, line: int, column: int, says: str) -> None:
    with pytest.raises(RuleError) as refused:
        read_rules(text)
    assert (refused.value.line, refused.value.column) == (line, column), refused.value
    assert says in str(refused.value)


PIECES = (
    "rules:",
    "\n",
    "- ",
    "  ",
    "key: ",
    "intent",
    "mood",
    "value: ",
    "words: ",
    "[",
    "]",
    "{",
    "}",
    "*",
    "&a ",
    "!t ",
    '"\\\\UFFFFFFFF"',
    "'",
    "..",
    "? ",
    "| ",
    "%YAML 9.9\n",
    "---\n",
    "\t",
)


@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
def test_whatever_is_written_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        assert all(rule.words for rule in read_rules(text))
    except RuleError as error:
        assert error.line >= 1 and error.column >= 1 and error.reason


def test_no_pattern_makes_a_text_slow() -> None:
    parts = " .. ".join(["aaa*"] * 3)
    rules = read_rules("rules:\n" + "".join(f"- {{key: topic, value: t{n}, words: ['{parts}', '*aaaa*']}}\n" for n in range(400)))
    folded = prepared("aaab " * 2000)
    began = time.process_time()
    Matcher(rules).hits(folded, tokens(folded))
    assert time.process_time() - began < 3


def test_the_packages_rules_can_be_read_and_say_every_value() -> None:
    assert SHIPPED == ("any", "de", "en")
    for language in ("de", "en"):
        said = {(rule.key, rule.value) for rule in read_rules(shipped_yaml(language))}
        assert {("intent", value) for value in KEYS["intent"]} <= said
        assert {("urgency", "high"), ("urgency", "low")} <= said
