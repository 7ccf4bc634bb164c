"""WebSub (W3C Recommendation of 2018): who tells of what is new in a feed, asking them to, and answering when they ask back."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple
from urllib.parse import urlencode, urljoin

from smhub.sdk import Challenge, Http, PayloadMalformed, RawRequest, Response, Secret, Subscription, Unsupported
from smhub_feeds.document import Document

LEASE = 10 * 24 * 3600
"""What we ask for, in seconds. The hub decides, and says so when it asks back."""
UNTOLD = 24 * 3600.0
"""What is taken when it does not."""

MARK = "t"
REDIRECTS = (307, 308)
LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s\",;]+))?)*)")
PARAMETER = re.compile(r";\s*([\w*-]+)\s*(?:=\s*(?:\"([^\"]*)\"|([^\s\",;]+)))?")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Offer(NamedTuple):
    """Where one can ask to be told of a feed, and what the feed is called there."""

    hub: str
    topic: str


def linked(response: Response) -> dict[str, list[str]]:
    """The addresses that the header Link gives, by their relation."""
    found: dict[str, list[str]] = {}
    for address, rest in LINK.findall(response.headers.get("link", "")):
        told = {name.lower(): quoted or plain for name, quoted, plain in reversed(PARAMETER.findall(rest))}
        for name in told.get("rel", "").lower().split():
            found.setdefault(name, []).append(address)
    return found


def offer(response: Response, document: Document | None) -> Offer | None:
    """What the headers say goes before what the document says."""
    links = linked(response)
    hubs = links.get("hub") or list(document.hubs if document else ())
    own = next(iter(links.get("self", ())), "") or (document.own if document else "")
    for hub in hubs:
        if (address := _joined(response.url, hub)) and not (response.url.startswith("https:") and not address.startswith("https:")):
            return Offer(address, _joined(response.url, own) or response.url)
    return None


def _joined(base: str, address: str) -> str:
    try:
        whole = urljoin(base, address.strip()) if address else ""
    except ValueError:
        return ""
    return whole if whole.startswith(("http://", "https://")) else ""


def mark(topic: str, secret: Secret) -> str:
    """Stands in the address that a hub calls: so we know again for which topic we gave it, and nobody else can make one."""
    return hmac.new(secret.reveal().encode(), topic.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


async def ask(http: Http, offered: Offer, mode: str, callback_url: str, secret: Secret) -> None:
    """Ask the hub to begin or to stop. It only accepts the question; whether it does it, it asks back."""
    given = {"hub.mode": mode, "hub.topic": offered.topic, "hub.callback": f"{callback_url}?{MARK}={mark(offered.topic, secret)}"}
    if mode == "subscribe":
        given |= {"hub.lease_seconds": str(LEASE), "hub.secret": secret.reveal()}
    body, hub = urlencode(given).encode(), offered.hub
    response = await http.request("POST", hub, headers=FORM, body=body, prepares=True, accept=REDIRECTS)
    if response.status in REDIRECTS:
        there = _joined(hub, response.headers.get("location", ""))
        if not there or (hub.startswith("https:") and not there.startswith("https:")):
            raise PayloadMalformed("The hub of the feed redirects to nowhere.", status=response.status)
        await http.request("POST", there, headers=FORM, body=body, prepares=True)


def answer(request: RawRequest, subscription: Subscription | None) -> Challenge | None:
    """The answer to a hub that asks whether we meant it; None when we did not."""
    topic, given = request.query.get("hub.topic", ""), request.query.get(MARK, "")
    if subscription is None or subscription.secret is None or not topic:
        return None
    if not hmac.compare_digest(mark(topic, subscription.secret).encode(), given.encode("utf-8", "replace")):
        return None
    challenge = request.query.get("hub.challenge", "")
    match request.query.get("hub.mode", ""):
        case "subscribe" if challenge and not subscription.ending:
            return Challenge(body=challenge, lease_seconds=_seconds(request.query.get("hub.lease_seconds", "")))
        case "unsubscribe" if challenge and subscription.ending:
            return Challenge(body=challenge)
        case "denied":
            # There is nothing to agree to: it is asked again later, and the polls go on.
            return Challenge(body="")
    return None


def _seconds(told: str) -> float:
    return float(told) if told.isascii() and told.isdecimal() and len(told) < 12 else UNTOLD


def the(offered: Offer | None) -> Offer:
    """Raises Unsupported when nobody tells of this feed."""
    if offered is None:
        raise Unsupported("The feed names no hub that would tell of what is new in it; it is polled.")
    return offered
