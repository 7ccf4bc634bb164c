"""Mails as they come: odd, broken, and written to break something."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smhub.net import ConnectorHttp, client_inside
from smhub.sdk import BadItem, ConfigInvalid, ConnectorContext, Mention, StandingClock, Unsupported, read_settings
from smhub.testing.wire import Wire
from smhub_mail.connector import Mail
from smhub_mail.fake import Fake
from smhub_mail.mentions import Letter, message_id, read_mail

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)


def read(raw: str | bytes) -> Mention:
    data = raw.encode() if isinstance(raw, str) else raw
    found = read_mail(Letter(1, len(data), AT, data.replace(b"\n", b"\r\n")), "1@kundin.test")
    assert isinstance(found, Mention)
    return found


def test_names_and_subjects_are_decoded_and_stay_on_one_line():
    mail = read("From: =?utf-8?q?Kundin_K=C3=B6ster?= <Kundin@Kundin.test>\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\n aus Kiel\n\nHallo")
    assert (mail.author.name, mail.author.external_id, mail.author.handle) == (
        "Kundin Köster",
        "kundin@kundin.test",
        "Kundin@Kundin.test",
    )
    assert mail.title == "Grüße aus Kiel"


@pytest.mark.parametrize(
    ("charset", "words", "text"),
    [
        ("iso-8859-15", b"5 \xa4", "5 €"),
        ("no-such-thing", "Grüße".encode(), "Grüße"),
        ("utf-8", b"Gr\xfc\xdfe", "Gr��e"),
        ("", b"Hallo", "Hallo"),
    ],
)
def test_odd_charsets_are_read_as_well_as_can_be(charset, words, text):
    head = f'From: a@kundin.test\nContent-Type: text/plain; charset="{charset}"\nContent-Transfer-Encoding: 8bit\n\n'.encode()
    assert read(head + words).text == text


def test_lines_that_were_broken_for_the_way_are_put_together():
    words = "Das ist \neine Zeile.\n> Und \n> ein Zitat\nEnde\n-- \nKundin"
    mail = read("From: a@kundin.test\nContent-Type: text/plain; format=flowed\n\n" + words)
    assert mail.text == "Das ist eine Zeile.\n> Und ein Zitat\nEnde\n-- \nKundin"


@pytest.mark.parametrize("date", ["Mon, 99 Foo 2026", "Fri, 1 Jan 2100 00:00:00 +0000", "", "Thu, 1 Jan 1970 00:00:00 +0000"])
def test_a_time_that_cannot_be_is_that_of_the_arrival(date):
    assert read(f"From: a@kundin.test\nDate: {date}\n\nHallo").published_at == AT


@pytest.mark.parametrize(
    ("header", "labels"),
    [
        ("Auto-Submitted: auto-replied", ("automatic",)),
        ("Auto-Submitted: no", ()),
        ("List-Id: <news.kundin.test>", ("mailing_list",)),
        ("Precedence: bulk", ("automatic",)),
    ],
)
def test_what_no_person_wrote_by_hand_is_marked(header, labels):
    assert read(f"From: a@kundin.test\n{header}\n\nHallo").labels == labels


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"From: \r\n\r\nHallo",
        b"From: " + b"<" * 50_000 + b"\r\n\r\nHallo",
        b"X: " + b"y" * 70_000 + b"\r\nFrom: a@kundin.test\r\n\r\nHallo",
    ],
)
def test_what_nobody_can_read_or_answer_is_kept_with_its_reason(raw):
    assert isinstance(read_mail(Letter(1, len(raw), AT, raw), "1@kundin.test"), BadItem)


def test_containers_without_end_end():
    head, part = "From: a@kundin.test\nMIME-Version: 1.0\n", ""
    for number in range(400):
        part += f'Content-Type: multipart/mixed; boundary="b{number}"\n\n--b{number}\n'
    read_mail(Letter(1, 1, AT, (head + part).replace("\n", "\r\n").encode()), "1@kundin.test")


@pytest.mark.parametrize("name", ["", "<a b@x>", '<a"b@x>', "<ä@x>", "<" + "x" * 300 + ">"])
def test_a_name_that_is_none_is_not_taken(name):
    assert message_id(Letter(1, 1, AT, f"From: a@kundin.test\r\nMessage-ID: {name}\r\n\r\nHallo".encode())) == ""


def connector(fake: Fake, **more: object) -> Mail:
    clock = StandingClock()
    config = read_settings(Mail.Config, {**fake.config(""), **more})
    http = ConnectorHttp(client=client_inside(Wire(fake).inside, clock), network="mail", clock=clock, ports=Mail.ports)
    return Mail(config, http, ConnectorContext(clock=clock))


async def test_a_server_that_can_tells_of_a_mail_at_once_and_one_that_cannot_is_polled():
    fake = Fake()
    fake.add("Before")
    pages = connector(fake).stream(None)
    fake.on_idle = lambda: fake.receive(b"From: a@kundin.test\r\nMessage-ID: <2@kundin.test>\r\n\r\nNow\r\n")
    page = await anext(pages)
    assert [one.external_id for one in page.items] == ["2@kundin.test"]
    await pages.aclose()
    fake.idle = False
    with pytest.raises(Unsupported):
        await anext(connector(fake).stream(None))


async def test_a_password_is_shown_to_nobody_on_the_way():
    for field in ("imap_security", "smtp_security"):
        with pytest.raises(ConfigInvalid) as refused:
            await connector(Fake(), **{field: "none"}).verify()
        assert refused.value.field == field
