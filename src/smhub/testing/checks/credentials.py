"""Credentials: who we are, what is refused, and that no secret leaves."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from smhub.sdk import AuthExpired, PermissionMissing
from smhub.testing.network import Answer, answer
from smhub.testing.registry import NotApplicable, check
from smhub.testing.trial import Trial, contained
from smhub.testing.wire import Fault, instead

GROUP = "Credentials"
REFUSED = instead(answer({"error": "invalid_token"}, 401))


@check(9, "bronze", "verify says who we are")
async def who_we_are(t: Trial) -> None:
    account = await t.connect().verify()
    t.expect(
        account.external_id and account.handle, done="called verify", expected="an Account with external_id and handle", came=account
    )


@check(10, "bronze", "Wrong credentials are AuthExpired")
async def wrong_credentials(t: Trial) -> None:
    bad = t.bad_config()
    await t.raises(AuthExpired, t.connect(bad).verify(), done="called verify with credentials that the network refuses")
    if "fetches_mentions" in _can(t):
        await t.raises(AuthExpired, t.pages(raw=bad), done="fetched with credentials that the network refuses")


@check(11, "bronze", "No secret stands in an error, a repr, a log or an address")
async def secrets_stay(t: Trial) -> None:
    if not t.secrets() and t.tokens is None:
        raise NotApplicable("it has no secret")
    told = [repr(t.config()), repr(t.connect())]
    told.append(msgspec.json.encode(await t.connect().verify()).decode())
    faults = (REFUSED, instead(answer({"error": "oops"}, 500)), instead(Answer(body=b"<html>")), Fault(kind="reset"))
    targets = [request.target for request in t.wire.requests]
    for fault in faults:
        t.wire.fails(fault)
        for doing in [t.connect().verify(), *([t.pages()] if "fetches_mentions" in _can(t) else [])]:
            try:
                await doing
            except Exception as error:
                told.append(contained(error))
        targets += [request.target for request in t.wire.requests]
    hub = await t.hub()
    if "fetches_mentions" in _can(t):
        await hub.poll()
    # Where the network takes its credentials in the address they stand there, and nowhere behind.
    front = t.kind.secret_path(t.config())
    targets = [target.removeprefix(front) for target in targets]
    forms = {form for secret in t.secrets() for form in (secret, quote(secret, safe=""), quote(secret))}
    for where, texts in (("an error, a repr or an answer", told), ("an address", targets), ("the log", t.logs)):
        found = [text for text in texts if any(form in text for form in forms)]
        hidden = found[0] if found else ""
        for form in forms:
            hidden = hidden.replace(form, "<the secret>")
        t.expect(not found, done=f"let calls go well and wrong, and read {where}", expected="no secret in it", came=hidden)


@check(15, "silver", "A right that is missing is PermissionMissing and names it")
async def missing_right(t: Trial) -> None:
    t.wire.fails(instead(t.fake.scope_missing()))
    doing = t.pages() if "fetches_mentions" in _can(t) else t.connect().verify()
    error = await t.raises(PermissionMissing, doing, done="called it with credentials that lack a right")
    assert isinstance(error, PermissionMissing)
    t.expect(error.scopes, done="called it with credentials that lack a right", expected="the right's name in `scopes`", came="none")


@check(16, "bronze", "Credentials that end in the middle of paging stop it, and what came before stays", "fetches_mentions")
async def ends_while_paging(t: Trial) -> None:
    known = t.many()
    middle = max(1, await t.requests_of(t.pages()) // 2 + 1)
    t.wire.fails(REFUSED, begin=middle)
    await t.raises(AuthExpired, t.pages(), done=f"fetched; from request {middle} on the network answered 401")
    hub = await t.hub()
    t.wire.fails(REFUSED, begin=middle)
    await hub.poll()
    state = (await hub.intake()).state
    t.expect(state == "auth_required", done=f"polled; from request {middle} on 401", expected="the intake is auth_required", came=state)
    t.wire.reset()
    await hub.resume()
    await hub.poll()
    lost = set(known) - await hub.ids()
    t.expect(not lost, done="gave new credentials and polled again", expected="everything is there", came=f"{len(lost)} are missing")


def _can(t: Trial) -> tuple[str, ...]:
    from smhub.sdk import capabilities

    return capabilities(t.kind)
