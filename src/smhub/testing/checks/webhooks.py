"""Webhooks, as far as a connector answers for them alone: what it declares of the signature, and how it reads a delivery."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from smhub.sdk import BadItem, Challenge, Mention, PayloadMalformed, RawRequest, Secret, Tombstone, Unsupported
from smhub.testing.checks.contract import quickest, watched
from smhub.testing.network import NotOffered
from smhub.testing.registry import NotApplicable, check
from smhub.testing.trial import Trial

GROUP = "Webhooks"
HOOKS = "receives_webhooks"
SECONDS = 0.05
CALLBACK = "https://hub.test/v1/hooks"


@check(59, "bronze", "A good delivery is verified and read, without asking anybody", HOOKS)
async def good_delivery(t: Trial) -> None:
    id_ = t.fake.add("By webhook")
    request = t.fake.delivery(id_)
    t.expect(_verified(t, request), done="verified a signed delivery", expected="`webhook` says how it is signed", came="refused")
    with watched() as opened:
        found = await t.connect().read_webhook(request)
    took = quickest(lambda: t.connect().parse_webhook(request))
    done = "read a signed delivery"
    ids = [one.external_id for one in found if isinstance(one, Mention)] if isinstance(found, list) else found
    t.expect(ids == [id_], done=done, expected=f"the mention {id_}", came=ids)
    came = [*opened, *(f"{one.method} {one.path}" for one in t.wire.requests)]
    t.expect(not came, done=done, expected="nobody is asked, nothing is opened", came=came)
    t.expect(took < SECONDS, done=done, expected=f"less than {SECONDS * 1000:.0f} ms", came=f"{took * 1000:.0f} ms")


@check(60, "bronze", "A delivery with a wrong signature, or none, is refused", HOOKS)
async def wrong_signature(t: Trial) -> None:
    request = _delivery(t)
    header = t.kind.webhook.header.lower()  # type: ignore[attr-defined]
    last = request.headers[header][-1]
    for name, value in {
        "none": None,
        "an empty one": "",
        "a wrong one": request.headers[header][:-1] + ("0" if last != "0" else "1"),
    }.items():
        headers = {key: text for key, text in request.headers.items() if key != header} | ({header: value} if value is not None else {})
        forged = msgspec.structs.replace(request, headers=headers)
        t.expect(not _verified(t, forged), done=f"verified a delivery with {name}", expected="it is refused", came="it was taken")
    other = t.kind.webhook.verify(request, Secret("another secret"), t.clock.now().timestamp())  # type: ignore[attr-defined]
    t.expect(not other, done="verified a delivery with another secret", expected="it is refused", came="it was taken")


@check(61, "bronze", "A delivery whose body was changed is refused", HOOKS)
async def changed_body(t: Trial) -> None:
    if t.kind.webhook.algorithm == "plain":  # type: ignore[attr-defined]
        raise NotApplicable("the network signs nothing: the header carries the secret itself")
    request = _delivery(t)
    for name, body in {"a blank more": request.body + b" ", "nothing": b"", "one byte less": request.body[:-1]}.items():
        forged = msgspec.structs.replace(request, body=body)
        t.expect(
            not _verified(t, forged), done=f"verified a body with {name}", expected="the raw bytes are signed", came="it was taken"
        )


@check(62, "bronze", "An old delivery that is played again is refused", HOOKS)
async def replayed(t: Trial) -> None:
    hmac = t.kind.webhook  # type: ignore[attr-defined]
    if hmac.timestamp_header is None:
        raise NotApplicable("the network signs no time")
    request = _delivery(t)
    stamp = request.headers.get(hmac.timestamp_header.lower(), "")
    later = msgspec.structs.replace(request, headers={**request.headers, hmac.timestamp_header.lower(): str(int(stamp or 0) + 3600)})
    t.clock.forward(hours=1)
    t.expect(not _verified(t, request), done="verified a delivery an hour later", expected="it is refused", came="it was taken")
    done = "verified it with a new time and the old signature"
    t.expect(not _verified(t, later), done=done, expected="it is refused: the time is signed as well", came="it was taken")


@check(67, "bronze", "A delivery that nobody understands does no harm", HOOKS)
async def odd_deliveries(t: Trial) -> None:
    odd = _delivery(t)
    bodies = {
        "that is empty": b"",
        "that is no JSON": b"<html>",
        "of null": b"null",
        "of numbers": b"[1, 2]",
    }
    for name, body in bodies.items():
        done = f"read a delivery {name}"
        try:
            found: Any = await t.connect().read_webhook(msgspec.structs.replace(odd, body=body))
        except PayloadMalformed:
            # The hub keeps the bytes, and tries again when somebody mended the settings.
            continue
        except Exception as error:
            t.expect(False, done=done, expected="PayloadMalformed, or a list with a BadItem for what cannot be read", came=error)
        fits = isinstance(found, list) and all(isinstance(one, Mention | Tombstone | BadItem) for one in found)
        t.expect(fits, done=done, expected="a list of Mention, Tombstone and BadItem", came=found)
    with suppress(NotOffered):
        unknown = t.fake.odd_delivery()
        done = "read a delivery of an unknown kind"
        try:
            await t.connect().read_webhook(unknown)
        except Exception as error:
            t.expect(False, done=done, expected="an empty list, or a BadItem", came=error)


@check(68, "silver", "A handshake is answered", HOOKS)
async def handshake(t: Trial) -> None:
    request, wanted = t.fake.challenge()
    found = t.connect().parse_webhook(request)
    came = found.body if isinstance(found, Challenge) else found
    t.expect(came == wanted, done="read the network's handshake", expected=f"Challenge({wanted!r})", came=came)


@check(69, "silver", "While the secret is replaced, deliveries signed with the old and the new one arrive", HOOKS)
async def two_secrets(t: Trial) -> None:
    rule = t.kind.webhook  # type: ignore[attr-defined]
    if not rule.secret_field:
        raise NotOffered("the hub makes the secret, and no setting replaces it")
    other = Secret(rule.secret_prefix + "c2hhcmVk" * 4)
    ids = [t.fake.add(f"Signed {n}") for n in range(3)]
    hub = await t.hub()
    await hub.change({**t.settings(), rule.secret_field: other.reveal()})
    done = "replaced the signing secret; the network signed one more delivery with the old one, and one with the new one"
    old = await hub.delivered(t.fake.delivery(ids[0]))
    new = await hub.delivered(_signed_by(t, t.fake.delivery(ids[1]), other))
    t.expect(old and new, done=done, expected="both are taken", came=f"the old one {_said(old)}, the new one {_said(new)}")
    missing = set(ids[:2]) - await hub.ids()
    t.expect(not missing, done=done, expected="both mentions are there", came=f"{len(missing)} are missing")
    t.clock.forward(hours=hub.runtime.settings.webhook_overlap_hours, seconds=1)
    late = await hub.delivered(t.fake.delivery(ids[2]))
    t.expect(not late, done="and delivered with the old one a day later", expected="it is refused", came=_said(late))


@check(70, "gold", "Subscribing and its end bear being done twice, and leave nothing", HOOKS)
async def life_cycle(t: Trial) -> None:
    first, second = f"{CALLBACK}/first", f"{CALLBACK}/second"
    t.fake.subscriptions()
    for _ in range(2):
        try:
            await t.connect().subscribe(first)
        except Unsupported:
            raise NotApplicable("a person enters the address there") from None
    await _delivers_to(t, first, "subscribed the same address twice")
    await t.connect().subscribe(second)
    await t.connect().unsubscribe(first)
    await _delivers_to(t, second, "subscribed another address and ended the first")
    still = await t.connect().check_subscription(first)
    t.expect(not still, done="and looked for the first one", expected="check_subscription is false", came=still)
    for _ in range(2):
        await t.connect().unsubscribe(second)
    done = "ended the subscription twice"
    t.expect(not t.fake.subscriptions(), done=done, expected="nothing is left at the network", came=list(t.fake.subscriptions()))
    still = await t.connect().check_subscription(second)
    t.expect(not still, done=done, expected="check_subscription is false", came=still)


async def _delivers_to(t: Trial, address: str, done: str) -> None:
    there = list(t.fake.subscriptions())
    t.expect(there == [address], done=done, expected=f"the network delivers to {address}, once", came=there)
    known = await t.connect().check_subscription(address)
    t.expect(known, done=f"{done}, and looked", expected="check_subscription is true", came=known)


def _said(taken: bool) -> str:
    return "was taken" if taken else "was refused"


def _signed_by(t: Trial, request: RawRequest, secret: Secret) -> RawRequest:
    """The same delivery, signed with another secret."""
    rule = t.kind.webhook  # type: ignore[attr-defined]
    stamp, delivery = (request.headers.get((name or "").lower(), "") for name in (rule.timestamp_header, rule.delivery_header))
    signature = rule.prefix + rule.sign(request.body, secret, timestamp=stamp, delivery=delivery)
    return msgspec.structs.replace(request, headers={**request.headers, rule.header.lower(): signature})


def _delivery(t: Trial) -> RawRequest:
    return t.fake.delivery(t.fake.add("By webhook"))


def _verified(t: Trial, request: RawRequest) -> bool:
    """As the hub does it: by what the connector declares, with the secret from the settings, or the hub's own."""
    hmac = t.kind.webhook  # type: ignore[attr-defined]
    secret = getattr(t.config(), hmac.secret_field) if hmac.secret_field else Secret(t.fake.hook_secret)
    good: bool = hmac.verify(request, secret, t.clock.now().timestamp())
    return good
