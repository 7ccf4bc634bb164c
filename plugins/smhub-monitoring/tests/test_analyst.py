"""What the analysis says about texts, with what comes in the package alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from smhub.sdk import DepartmentView
from smhub_monitoring.analysis.analyst import Analyst
from smhub_monitoring.analysis.keywords import counted, words_of
from smhub_monitoring.analysis.rule_sets import made
from smhub_monitoring.analysis.settings import MonitoringSettings
from smhub_monitoring.analysis.text import prepared, tokens

DEPARTMENTS = tuple(
    DepartmentView(id=UUID(int=n), path=path, name=path, keywords=keywords)
    for n, (path, keywords) in enumerate(
        [
            ("service", ("liefer", "paket", "deliver")),
            ("billing", ("rechnung", "invoice")),
            ("hr", ("bewerb",)),
            ("press", ("interview",)),
        ]
    )
)


def analyst(**settings: Any) -> Analyst:
    of = MonitoringSettings(**settings)
    return Analyst(of, made({}, of.languages), DEPARTMENTS)


def said(text: str, *, ours: bool | None = None, told: str | None = None, **settings: Any) -> dict[str, Any]:
    by = analyst(**settings)
    return {one.key: one.value for one in by.analyse(by.text(text, told=told), ours=ours).said}


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("Meine Lieferung ist nie angekommen, ich bin sehr enttäuscht!", "intent", "complaint"),
        ("Vielen Dank für den tollen Service, ihr seid großartig!", "intent", "praise"),
        ("Wo finde ich bitte eure Öffnungszeiten?", "intent", "question"),
        ("Könntet ihr bitte meine Adresse ändern", "intent", "request"),
        ("Ich möchte mich als Praktikantin bewerben", "intent", "application"),
        ("Es wäre schön wenn die App einen dunklen Modus hätte, nur ein Vorschlag", "intent", "idea"),
        ("Jetzt gratis Bitcoin sichern und schnelles Geld verdienen", "intent", "spam"),
        ("My parcel never arrived and nobody answers", "intent", "complaint"),
        ("Thank you so much, excellent service", "intent", "praise"),
        ("I am applying for the internship in your office", "intent", "application"),
        ("Das ist dringend, ich brauche heute noch eine Antwort", "urgency", "high"),
        ("Bitte schaut euch das an, ist aber nicht dringend", "urgency", "low"),
        ("Die Rechnung wurde doppelt abgebucht", "topic", "billing"),
        ("Ich liebe diese App, einfach wunderbar und toll", "mood", "positive"),
        ("Das ist das Letzte, so traurig und schlecht", "mood", "negative"),
        ("I love this, it is wonderful", "mood", "positive"),
        ("This is not good at all, I hate it", "mood", "negative"),
        ("Ihr seid doch alle Idioten und Verbrecher, verpisst euch", "offence", True),
    ],
)
def test_it_says_what_a_reader_would_say(text: str, key: str, value: Any) -> None:
    assert said(text)[key] == value


@pytest.mark.parametrize(
    ("text", "languages", "language"),
    [
        ("Wo ist denn mein Paket geblieben?", ("de", "en"), "de"),
        ("Where on earth is my parcel now?", ("de", "en"), "en"),
        ("Où est donc passé mon colis, je vous prie ?", ("de", "en"), None),
        ("Où est donc passé mon colis, je vous prie ?", ("de", "fr"), "fr"),
        ("ok ja", ("de", "en"), None),
        ("https://example.org/der-lange-deutsche-satz @jemand 123456", ("de", "en"), None),
        ("", ("de", "en"), None),
    ],
)
def test_it_knows_the_organisations_languages_and_guesses_no_other(text: str, languages: tuple[str, ...], language: str | None) -> None:
    assert said(text, languages=languages).get("language") == language


def test_where_it_is_not_sure_it_says_nothing() -> None:
    text = "Die Lieferung kommt morgen."
    assert "mood" in said(text, least_confidence=0.3)
    assert "mood" not in said(text, least_confidence=0.95)
    assert said("日本語の文章です、とても長い") == {}
    assert said("\x00 \u202e \ufdfd" * 50) == {}


def test_emoji_speak_in_every_language() -> None:
    assert said("Ça va pas du tout 😡😡")["mood"] == "negative"
    assert said("👍 🥰")["mood"] == "positive"


def test_the_language_that_the_network_tells_is_taken_where_none_is_found() -> None:
    assert said("Defekt!", told="de")["intent"] == "complaint"
    assert "mood" in said("Defekt!", told="de-AT", least_confidence=0.3)


def test_whether_it_is_about_us_is_told_by_names_and_by_the_way_it_came() -> None:
    names = {"names": ("Nordwind Versand",)}
    assert said("Bei nordwind versand bestellt", ours=False, **names)["relevant"] is True
    assert said("Der Nordwind weht heute stark", ours=False, **names)["relevant"] is False
    assert said("Wo bleibt das?", ours=True, **names)["relevant"] is True
    assert "relevant" not in said("Wo bleibt das?", ours=False)


def test_up_to_three_departments_are_suggested_the_likeliest_first() -> None:
    found = said("Lieferung, Lieferant und Paket fehlen; dazu die Rechnung, eine Bewerbung und ein Interview")
    assert found["suggested_department"] == "service"
    assert {found["suggested_department_2"], found["suggested_department_3"]} <= {"billing", "hr", "press"}
    assert "suggested_department" not in said("Guten Morgen zusammen")


def test_keywords_are_what_is_rare_here_and_used_by_others_too() -> None:
    texts = ["Hallo, wann kommt meine Bestellung?"] * 40 + ["Der Adventskalender fehlt in der Bestellung"] * 3
    background = counted(words_of(tokens(prepared(text))) for text in texts)
    of = MonitoringSettings()
    by = Analyst(of, made({}, of.languages), background=background)
    words = [word for word, _ in by.analyse(by.text("Bestellung ohne #Adventskalender und Xqzy")).keywords]
    assert words[0] == "adventskalender"
    assert "xqzy" not in words and "bestellung" not in words


def test_a_text_of_any_length_is_read_in_a_moment() -> None:
    by = analyst()
    assert by.analyse(by.text("Wo ist mein Paket? " * 50_000)).said
