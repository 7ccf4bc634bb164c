"""The mail connector, through the whole hub, against servers that others wrote."""

from __future__ import annotations

import imaplib
import json
import smtplib
import urllib.request
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import world
from counterpart import running
from smhub_mail.plugin import MailPlugin

pytestmark = pytest.mark.counterpart
USER, PASSWORD = "firma@firma.test", "pw"


class Post:
    """The servers."""

    def __init__(self, imap: int, smtp: int) -> None:
        self.imap, self.smtp = imap, smtp

    def box(self) -> imaplib.IMAP4:
        box = imaplib.IMAP4("127.0.0.1", self.imap)
        box.login(USER, PASSWORD)
        return box

    def writes(self, text: str, name: str, sender: str = "kundin@kundin.test", html: bool = False, file: bytes = b"") -> None:
        """Somebody sends us a mail."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = sender, USER, "Mein Kessel", f"<{name}>"
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail.set_content(text, subtype="html" if html else "plain")
        if file:
            mail.add_attachment(file, maintype="image", subtype="png", filename="kessel.png")
        with smtplib.SMTP("127.0.0.1", self.smtp) as sending:
            sending.login(USER, PASSWORD)
            sending.send_message(mail)

    def named(self, name: str, folder: str = "INBOX") -> int:
        """How many mails of this name lie there."""
        box = self.box()
        box.select(folder, True)
        _, found = box.uid("search", f'HEADER Message-ID "<{name}>"')
        box.logout()
        return len(found[0].split())


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with running("mail", "/", tmp_path / "mail.log") as url, urllib.request.urlopen(url) as told:
        yield Post(**json.load(told))


@pytest.fixture
async def hub(database_url: str, post: Post) -> AsyncIterator[world.Hub]:
    """A hub with the mailbox."""
    allow = f"127.0.0.1:{post.imap},127.0.0.1:{post.smtp}"
    async with world.start(database_url, plugins=[MailPlugin()], shared=True, allow_private_hosts=allow) as started:
        here = {f"{one}_host": "127.0.0.1" for one in ("imap", "smtp")} | {f"{one}_security": "none" for one in ("imap", "smtp")}
        started.clock.forward(seconds=(datetime.now(UTC) - started.clock.now()).total_seconds())
        settings = {"address": USER, "password": PASSWORD, "imap_port": post.imap, "smtp_port": post.smtp, **here}
        await started.post("/v1/channels", {"network": "mail", "name": "Post", "settings": settings})
        await started.work()
        yield started


async def answered(hub: world.Hub, name: str, text: str) -> dict[str, Any]:
    mention = next(one for one in await hub.mentions() if one["external_id"] == name)
    said = await hub.post(f"/v1/mentions/{mention['id']}/replies", {"text": text})
    await hub.work()
    return await hub.get(f"/v1/deliveries/{said['id']}")  # type: ignore[no-any-return]


async def test_mails_come_in_and_answers_go_out_once(hub: world.Hub, post: Post) -> None:
    post.writes("Mein Kessel ist kaputt. Grüße", "1@kundin.test", file=b"\x89PNG" * 300_000)
    post.writes("<p>Auch <b>meiner</b><script>alert(1)</script></p>", "2@kundin.test", html=True)
    post.writes("Und meiner", "3@kundin.test", sender="lost@kundin.test")
    post.writes("Und meiner auch", "4@kundin.test", sender="nobody@kundin.test")
    await hub.work(minutes=2)
    found = {one["external_id"]: one for one in await hub.mentions()}
    assert {name: one["text"].strip() for name, one in found.items()} == {
        "1@kundin.test": "Mein Kessel ist kaputt. Grüße",
        "2@kundin.test": "Auch meiner",
        "3@kundin.test": "Und meiner",
        "4@kundin.test": "Und meiner auch",
    }
    assert [one["alt_text"] for one in found["1@kundin.test"]["attachments"]] == ["kessel.png"]
    said = await answered(hub, "1@kundin.test", "Wir schicken einen neuen.")
    assert said["state"] == "published"
    assert post.named(said["external_id"], "Sent") == 1
    assert (await answered(hub, "4@kundin.test", "Wohin?"))["state"] == "refused"
    lost = await answered(hub, "3@kundin.test", "Gern.")
    assert lost["state"] == "unknown"
    for _ in range(5):
        await hub.work(minutes=30)
    lost = await hub.get(f"/v1/deliveries/{lost['id']}")
    assert (lost["state"], lost["next_look_at"]) == ("unknown", None)
    box = post.box()
    box.select("INBOX", True)
    assert len(box.uid("search", "FROM", USER, "TO", "lost@kundin.test")[1][0].split()) == 1
    box.logout()
    assert len(await hub.mentions()) == 4
