"""The signed door: the public vectors, somebody's JSON, and what goes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from smhub.sdk import (
    BadItem,
    ConfigInvalid,
    Draft,
    Hmac,
    Mention,
    MentionRef,
    PayloadMalformed,
    RawRequest,
    Secret,
    Tombstone,
    Transient,
    Unsupported,
    read_settings,
)
from smhub_webhook.connector import Webhook

Door = Callable[..., Webhook]
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The vector that Standard Webhooks publishes."""


def vector(**changed: str) -> RawRequest:
    headers = {"webhook-id": ID, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE, **changed}
    return RawRequest(headers={name: value for name, value in headers.items() if value}, body=BODY)


RULE = Webhook.webhook


def test_the_public_vector_is_what_we_sign_and_what_we_accept() -> None:
    assert "v1," + RULE.sign(BODY, SECRET, timestamp=str(AT), delivery=ID) == SIGNATURE
    assert RULE.verify(vector(), SECRET, AT)
    # The libraries take a secret without its prefix too.
    assert RULE.verify(vector(), Secret(SECRET.reveal().removeprefix("whsec_")), AT)


@pytest.mark.parametrize("given", [f"v1,{'A' * 43}= {SIGNATURE}", f"{SIGNATURE} v2,other", f"v1,short  {SIGNATURE}"])
def test_of_several_signatures_one_is_enough(given: str) -> None:
    assert RULE.verify(vector(**{"webhook-signature": given}), SECRET, AT)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": str(AT + 1)},
        {"webhook-signature": ""},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": SIGNATURE.replace("v1,", "v2,")},
        {"webhook-signature": SIGNATURE[:-1]},
    ],
    ids=repr,
)
def test_what_differs_in_anything_is_refused(changed: dict[str, str]) -> None:
    assert not RULE.verify(vector(**changed), SECRET, AT)


def test_what_is_more_than_five_minutes_off_is_refused() -> None:
    assert [RULE.verify(vector(), SECRET, AT + off) for off in (-301, -300, 300, 301)] == [False, True, True, False]
    assert not RULE.verify(vector(), Secret("whsec_!not base64!"), AT)


def test_other_forms_of_signing() -> None:
    slack = Hmac(header="X-Slack-Signature", secret_field="s", prefix="v0=", timestamp_header="X-T", signed="v0:{timestamp}:{body}")
    signature = slack.sign(b"token=x", Secret("8f742231b10e8888abcd99yyyzzz85a5"), timestamp="1531420618")
    request = RawRequest(headers={"x-slack-signature": f"v0={signature}", "x-t": "1531420618"}, body=b"token=x")
    assert slack.verify(request, Secret("8f742231b10e8888abcd99yyyzzz85a5"), 1531420618)
    plain = Hmac(header="X-Token", secret_field="s", algorithm="plain")
    assert plain.verify(RawRequest(headers={"x-token": "s3cret"}), Secret("s3cret"), 0)
    assert not plain.verify(RawRequest(headers={"x-token": "s3cre"}), Secret("s3cret"), 0)
    assert not plain.verify(RawRequest(), Secret("s3cret"), 0)


def parsed(door: Webhook, said: Any) -> list[Any]:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    found = door.parse_webhook(RawRequest(headers={"webhook-timestamp": str(AT)}, body=body))
    assert isinstance(found, list)
    return found


def test_a_plain_delivery_needs_no_settings_but_the_secret(door: Door) -> None:
    said = {"id": 4711, "text": "Wo ist es?", "author": "Eine Kundin", "time": "2026-11-02T10:00:00+01:00", "url": "https://shop/4711"}
    [found] = parsed(door(), {**said, "kind": "review", "reply_to": "4710"})
    assert (found.external_id, found.text, found.kind, found.reply_to) == ("4711", "Wo ist es?", "review", "4710")
    assert found.published_at == datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert (found.author.external_id, found.author.handle, found.url) == ("Eine Kundin", "Eine Kundin", "https://shop/4711")


def test_a_ticket_systems_json_is_read_by_the_places_in_the_settings(door: Door) -> None:
    places = {
        "items": "ticket.comments",
        "id": "nr",
        "text": "plain|content.0.words",
        "html": "html",
        "author": "by.name",
        "author_id": "by.id",
        "time": "at",
        "edited": "changed",
        "deleted": "gone",
        "usual_kind": "comment",
    }
    comments = [
        {"nr": "a", "content": [{"words": "Kaputt"}], "by": {"name": "Anna", "id": 7}, "at": 1_772_000_000},
        {"nr": "b", "html": "<p>Auch</p>", "at": 1_772_000_000_000, "changed": "2026-11-02T09:00:00", "kind": "nonsense"},
        {"nr": "c", "gone": True},
        {"content": "no id"},
        {"nr": "d", "at": "yesterday"},
        "no object",
    ]
    found = parsed(door(**places), {"ticket": {"comments": comments}})
    first, second, third, *bad = found
    assert (first.text, first.kind, first.author.external_id, first.author.name) == ("Kaputt", "comment", "7", "Anna")
    assert first.published_at == second.published_at
    assert (second.html, second.kind, second.edited_at) == ("<p>Auch</p>", "comment", datetime(2026, 11, 2, 9, tzinfo=UTC))
    assert third == Tombstone(external_id="c", at=datetime.fromtimestamp(AT, UTC))
    assert [type(one) for one in bad] == [BadItem] * 3


@pytest.mark.parametrize(
    "said", [b"", b"\xff", b"{", {"no": "id"}, {"id": ""}, {"id": True}, {"id": "x" * 501}, {"id": 1, "time": []}], ids=repr
)
def test_a_delivery_of_which_nothing_can_be_read_may_be_read_again(door: Door, said: Any) -> None:
    with pytest.raises(PayloadMalformed):
        parsed(door(), said)


@pytest.mark.parametrize(
    "said",
    [{"id": 1}, {"id": 1, "text": None}, {"id": 1, "text": {"a": 1}}, {"id": 1, "author": 7}, {"id": 1, "url": "javascript:x"}],
    ids=repr,
)
def test_what_is_missing_or_odd_is_left_out(door: Door, said: Any) -> None:
    [found] = parsed(door(), said)
    assert isinstance(found, Mention)
    assert (found.text, found.url, found.published_at) == ("", None, datetime.fromtimestamp(AT, UTC))


def test_an_empty_list_is_nothing(door: Door) -> None:
    assert parsed(door(items="list"), {"list": []}) == []


@pytest.mark.parametrize(
    "wrong", [{"post_url": "http://shop.example/in"}, {"usual_kind": "rumour"}, {"colour": "red"}, {"secret": ""}], ids=repr
)
def test_wrong_settings_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_settings(Webhook.Config, {"secret": "whsec_AAAA", **wrong})


async def test_verify_says_whether_the_secrets_can_be_used(door: Door) -> None:
    assert (await door().verify()).handle == "webhook"
    for field in ("secret", "post_secret"):
        with pytest.raises(ConfigInvalid) as raised:
            await door(**{field: "whsec_not base64"}).verify()
        assert raised.value.field == field


async def test_what_we_say_goes_out_signed_under_one_key(door: Door, receiver: Any, clock: Any) -> None:
    out = door(post_url="https://shop.example/in")
    to = MentionRef(external_id="4711", root="4700")
    done = await out.reply(to, Draft(text="Ist unterwegs ✓", language="de"), "ab" * 16)
    [sent] = receiver.got
    assert (sent["method"], sent["url"], sent["key"], done.external_id) == ("POST", "https://shop.example/in", "ab" * 16, "ab" * 16)
    assert json.loads(sent["body"]) == {
        "type": "reply",
        "text": "Ist unterwegs ✓",
        "id": "ab" * 16,
        "in_reply_to": "4711",
        "thread": "4700",
        "language": "de",
    }
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    assert RULE.verify(RawRequest(headers=headers, body=sent["body"]), SECRET, clock.now().timestamp())
    receiver.answer = b'{"id": 12, "url": "https://shop.example/12"}'
    said = await out.publish(Draft(text="Hallo"), "cd" * 16)
    assert (said.external_id, said.url) == ("12", "https://shop.example/12")


async def test_what_cannot_go_out_is_refused_by_name(door: Door, receiver: Any) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        await door().publish(Draft(text="Hallo"), "k")
    assert raised.value.field == "post_url"
    receiver.error = Transient("away")
    with pytest.raises(Transient):
        await door(post_url="https://shop.example/in").publish(Draft(text="Hallo"), "k")
    with pytest.raises(Unsupported):
        await door().subscribe("https://hub.example/v1/hooks/x")
