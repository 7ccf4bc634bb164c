"""A mailbox through the whole hub: mails in, answers out once, and what never arrived."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from post import Stage, with_a_mailbox

LOOKS = 12


def sent(stage: Stage) -> list[EmailMessage]:
    return [BytesParser(EmailMessage, policy=policy.default).parsebytes(raw) for _, raw in stage.post.sent]


async def the_mention(stage: Stage) -> dict[str, Any]:
    (mention,) = await stage.hub.mentions()
    return mention


async def test_a_mail_is_answered_in_its_thread_and_the_answer_lies_in_sent(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        name = stage.post.add("Mein Kessel ist kaputt. Grüße")
        await stage.channel(name="Firma GmbH")
        mention = await the_mention(stage)
        assert mention["text"].strip() == "Mein Kessel ist kaputt. Grüße"
        assert (mention["external_id"], mention["title"], mention["visibility"]) == (name, "Mein Kessel", "private")
        said = await stage.answer("Wir schicken einen neuen.\n.\nFirma", mention)
        assert said["state"] == "published"
        (mail,) = sent(stage)
        assert stage.post.sent[0][0] == "kundin@kundin.test"
        assert (mail["Subject"], mail["In-Reply-To"], mail["References"]) == ("Re: Mein Kessel", f"<{name}>", f"<{name}>")
        assert mail["Message-ID"] == f"<{said['external_id']}>"
        assert mail.get_content().splitlines() == ["Wir schicken einen neuen.", ".", "Firma"]
        assert len(stage.post.folders["Sent"]) == 1


async def test_a_last_word_that_is_lost_is_never_followed_by_a_second_mail(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        stage.post.add("Hallo?")
        await stage.channel()
        stage.post.lose_final = True
        said = await stage.answer("Ja?", await the_mention(stage))
        assert said["state"] == "unknown"
        for _ in range(LOOKS):
            await stage.hub.work(minutes=30)
        said = await stage.hub.get(f"/v1/deliveries/{said['id']}")
        assert (said["state"], said["reason_code"], said["next_look_at"]) == ("unknown", "not_found", None)
        assert len(stage.post.sent) == 1


async def test_a_lost_last_word_is_cleared_up_by_the_copy_that_the_server_keeps(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        stage.post.add("Hallo?")
        await stage.channel()
        stage.post.lose_final = True
        said = await stage.answer("Ja?", await the_mention(stage))
        stage.post.receive(stage.post.sent[0][1], folder="Sent")
        await stage.hub.work(minutes=2)
        said = await stage.hub.get(f"/v1/deliveries/{said['id']}")
        assert (said["state"], said["settled_by"]) == ("published", "lookup")
        assert len(stage.post.sent) == 1


async def test_a_clear_no_is_no_and_a_later_is_tried_later(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        stage.post.add("Hallo?")
        await stage.channel()
        mention = await the_mention(stage)
        stage.post.recipient = "550 no such person"
        assert (await stage.answer("Eins", mention))["state"] == "refused"
        stage.post.recipient, stage.post.final = "250 fine", "451 come back later"
        said = await stage.answer("Zwei", mention)
        assert said["state"] == "queued"
        stage.post.final = "250 taken"
        await stage.hub.work(minutes=10)
        assert (await stage.hub.get(f"/v1/deliveries/{said['id']}"))["state"] == "published"
        assert [mail.get_content().strip() for mail in sent(stage)] == ["Zwei"]


async def test_a_strangers_subject_and_names_bring_no_header_into_our_mail(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        stage.post.receive(
            b"From: Eve <eve@kundin.test>\r\nSubject: =?utf-8?q?Hi=0D=0ABcc=3A_all@kundin.test?=\r\n"
            b"Message-ID: <eve@kundin.test>\r\nReferences: <a@kundin.test>\r\n <b@kundin.test>\r\n\r\nHallo\r\n"
        )
        await stage.channel()
        assert (await stage.answer("Ja", await the_mention(stage)))["state"] == "published"
        (mail,) = sent(stage)
        assert mail["Bcc"] is None
        assert mail["References"] == "<a@kundin.test> <b@kundin.test> <eve@kundin.test>"


async def test_a_bounce_points_at_what_did_not_arrive_and_our_own_mail_is_no_mention(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        stage.post.add("Hallo?")
        await stage.channel()
        said = await stage.answer("Ja", await the_mention(stage))
        report = (
            "From: MAILER-DAEMON@smtp.test\r\nSubject: Undelivered\r\nAuto-Submitted: auto-replied\r\nMessage-ID: <dsn@smtp.test>\r\n"
            'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nIt did not arrive.\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; smtp.test\r\n\r\nAction: failed\r\n\r\n"
            f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Re\r\nMessage-ID: <{said['external_id']}>\r\n\r\n--b--\r\n"
        )
        stage.post.receive(report.encode())
        stage.post.receive(stage.post.sent[0][1])
        await stage.hub.work(minutes=2)
        found = {one["external_id"]: one for one in await stage.hub.mentions()}
        assert len(found) == 2
        assert found["dsn@smtp.test"]["text"].strip() == "It did not arrive."
        assert set(found["dsn@smtp.test"]["labels"]) == {"bounce", "automatic"}
        assert found["dsn@smtp.test"]["reply_to"] == said["external_id"]


async def test_a_name_that_is_taken_overwrites_nothing_and_a_new_count_is_a_gap(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        name = stage.post.add("Das Original")
        await stage.channel()
        stage.post.receive(f"From: eve@kundin.test\r\nMessage-ID: <{name}>\r\n\r\nDie Kopie\r\n".encode())
        await stage.hub.work(minutes=2)
        assert sorted(one["text"].strip() for one in await stage.hub.mentions()) == ["Das Original", "Die Kopie"]
        stage.post.forget()
        for _ in range(2):
            await stage.hub.work(minutes=10)
        assert len(await stage.hub.mentions()) == 2
        gaps = (await stage.hub.get("/v1/gaps"))["items"]
        assert [one["cause"] for one in gaps] == ["missed"]


async def test_of_a_large_mail_the_words_are_read_and_the_file_is_told(database_url: str) -> None:
    async with with_a_mailbox(database_url) as stage:
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"], mail["Message-ID"] = "kundin@kundin.test", "<large@kundin.test>"
        mail.set_content("Anbei das Bild")
        mail.add_attachment(b"\x89PNG" * 500_000, maintype="image", subtype="png", filename="kessel.png")
        stage.post.receive(mail.as_bytes())
        await stage.channel()
        mention = await the_mention(stage)
        (file,) = mention["attachments"]
        assert mention["text"].strip() == "Anbei das Bild"
        assert (file["kind"], file["media_type"], file["alt_text"]) == ("image", "image/png", "kessel.png")
        assert abs(file["bytes"] - 2_000_000) < 60_000
