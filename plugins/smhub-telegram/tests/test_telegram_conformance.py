"""The connector keeps the contract, and the package says so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from described import API, Described, of_fields

import smhub_telegram
from smhub.sdk import Page
from smhub.testing import check_connector
from smhub_telegram.connector import Telegram
from smhub_telegram.plugin import TelegramPlugin


def test_it_is_gold_and_its_badge_says_what_was_found():
    plugin = TelegramPlugin()
    (connector,) = plugin.register_connectors(None)
    report = check_connector(connector, Described, plugin=plugin)
    assert [(one.number, one.done, one.expected, one.came) for one in report.failed] == []
    assert report.level == "gold"
    (badge,) = json.loads((Path(smhub_telegram.__file__).parent / "conformance.json").read_text("utf-8"))["connectors"]
    assert badge["level"] == "gold"
    assert badge["checks"] == {str(one.number): one.state for one in report.results}, "run `smhub plugin check --badge`"


def test_the_description_notices_what_does_not_fit():
    message = {"chat_id": True, "txt": "Hallo", "reply_parameters": {"message_id": "7"}}
    assert of_fields(message, API["methods"]["sendMessage"], "sendMessage") == [
        "sendMessage.text is missing",
        "sendMessage.txt is not known",
        "sendMessage.chat_id is no Integer",
        "sendMessage.reply_parameters.message_id is no Integer",
    ]


class Hasty(Telegram):
    """Asks for the next page before this one is stored, which tells Telegram to forget it."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        pages = [page async for page in super().fetch_mentions(cursor)]
        for page in pages:
            yield page


def test_who_confirms_what_is_not_stored_yet_is_caught():
    report = check_connector(Hasty, Described, plugin=TelegramPlugin())
    assert 19 in {one.number for one in report.failed}
