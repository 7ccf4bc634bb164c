"""Saying something once: posting, answering, editing, and finding what is out already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from smhub.sdk import (
    BadItem,
    ContentRejected,
    Draft,
    Gone,
    Http,
    MentionRef,
    OutcomeUnknown,
    PayloadMalformed,
    PermissionMissing,
    Published,
    Unsupported,
)
from smhub_mastodon.entities import Context, Found, Profile, Source, Status
from smhub_mastodon.instance import read_instance, told_error
from smhub_mastodon.mentions import VISIBILITY, Kept, absolute, read_status
from smhub_mastodon.settings import Settings
from smhub_mastodon.text import addressed, addressees, loose_form, plain, same_form

OURS = ("public", "unlisted", "followers", "private")
THEIRS = {"public": "public", "unlisted": "unlisted", "followers": "private", "private": "direct"}
SKEW = timedelta(minutes=1)
"""How far the server's clock may be from ours. What is older than an attempt by more than this is never taken for it."""

LOOKED_AT = 5
PAGE = 40
REFUSED = (400, 422)


class Words(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A status as it is sent. It is the same at every try."""

    status: str
    in_reply_to_id: str | None = None
    visibility: str | None = None
    spoiler_text: str | None = None
    sensitive: bool = False
    language: str | None = None
    media_ids: tuple[str, ...] = ()


async def who_we_are(http: Http) -> Profile:
    """Our own account."""
    return await http.get("/api/v1/accounts/verify_credentials", Profile)


async def words_of(http: Http, config: Settings, draft: Draft, to: MentionRef | None, me: Profile) -> Words:
    """What is to be sent: for an answer with those it is for in front, never more public than the mention, under its warning."""
    if draft.visibility is not None and draft.visibility not in OURS:
        raise ContentRejected("Mastodon knows no such visibility.", violations=(f"visibility is one of {', '.join(OURS)}",))
    language = draft.language.partition("-")[0].lower() if draft.language else None
    warning = draft.sensitive
    if to is None:
        visibility = THEIRS[draft.visibility] if draft.visibility else None
        return Words(status=draft.text, visibility=visibility, spoiler_text=warning or None, sensitive=bool(warning), language=language)
    kept = _kept(to)
    warning = (kept.spoiler_text if kept else "") if warning is None else warning
    asked = draft.visibility or "public"
    seen = VISIBILITY.get(kept.visibility, "private") if kept and kept.visibility else to.visibility
    visibility = THEIRS[max((asked, seen if seen in OURS else "private"), key=OURS.index)]
    people = [kept.acct, *kept.mentions] if kept else [to.author_handle]
    parent = to.external_id
    if to.scope and to.scope != config.scope:
        parent = await _resolved(http, (kept.uri if kept else "") or to.url or "")
        here = (await read_instance(http)).name(config.address)
        people = [absolute(one, kept.domain) if kept else one for one in people]
        ours = absolute(me.acct, here)
    else:
        ours = me.acct
    text = addressed(draft.text, [one for one in people if one and one.casefold() != ours.casefold()])
    return Words(
        status=text,
        in_reply_to_id=parent,
        visibility=visibility,
        spoiler_text=warning or None,
        sensitive=bool(warning),
        language=language,
    )


async def say(http: Http, words: Words, key: str) -> Published:
    """Post it under the key. Raises ContentRejected with what the server has against it."""
    return await _written(http, "POST", "/api/v1/statuses", words, key)


async def change(http: Http, external_id: str, draft: Draft, media_ids: Sequence[str], me: Profile) -> Published:
    """Replace the text of our own status; an answer stays addressed to those it was for."""
    path = f"/api/v1/statuses/{quote(external_id, safe='')}"
    status = await http.get(path, Status)
    text = draft.text
    if status.in_reply_to_id:
        others = [one.acct for one in status.mentions if one.acct != me.acct]
        text = addressed(text, addressees(status.content or "", others))
    warning = draft.sensitive or ""
    words = {"status": text, "spoiler_text": warning, "sensitive": bool(warning), "media_ids": list(media_ids)}
    if draft.language:
        words["language"] = draft.language.partition("-")[0].lower()
    return await _written(http, "PUT", path, words, None)


async def _written(http: Http, method: str, path: str, words: object, key: str | None) -> Published:
    try:
        response = await http.request(method, path, json=words, key=key, accept=REFUSED)
    except PermissionMissing as error:
        raise _for_writing(error) from None
    if response.status in REFUSED:
        why = told_error(response)
        raise ContentRejected("The server does not take it.", violations=(why,) if why else (), status=response.status)
    status = read_status(response.body)
    if isinstance(status, BadItem):
        # It was done; asked again under its key, or looked for, it will be found.
        raise PayloadMalformed("Mastodon answered a post in an unexpected form.", status=response.status)
    return Published(external_id=status.id, url=status.url or status.uri)


def _for_writing(error: PermissionMissing) -> PermissionMissing:
    return PermissionMissing(error.message, scopes=("write:statuses",), status=error.status) if error.scopes else error


async def find(http: Http, words: Words, files: int, since: datetime, me: Profile) -> Published | None:
    """Our own status with these words, written after `since`. None: surely not there. Raises OutcomeUnknown when nobody can say."""
    candidates, unread = await _own(http, me, since - SKEW)
    if words.in_reply_to_id:
        # Not every server lists what was said in private; below what it answers it stands.
        candidates = {**candidates, **await _below(http, words.in_reply_to_id, me, since - SKEW)}
    same: list[Status] = []
    for status in candidates.values():
        if not _fits(status, words, files):
            continue
        text = plain(status.content or "")
        exact = same_form(text) == same_form(words.status)
        if exact or (loose_form(text) == loose_form(words.status) and await _was_written(http, status, words)):
            same.append(status)
    if len(same) > 1:
        raise OutcomeUnknown(f"{len(same)} posts of ours say just this; it cannot be said which of them is meant.")
    if not same and unread:
        raise OutcomeUnknown("Some of our own posts cannot be read; this may be among them.")
    return Published(external_id=same[0].id, url=same[0].url or same[0].uri) if same else None


async def _own(http: Http, me: Profile, since: datetime) -> tuple[dict[str, Status], bool]:
    """What we said after `since`, and whether some of it could not be read."""
    found: dict[str, Status] = {}
    unread = False
    below = ""
    for _ in range(LOOKED_AT):
        params: dict[str, str | int] = {"limit": PAGE, "exclude_reblogs": "true", **({"max_id": below} if below else {})}
        rows = await http.items(f"/api/v1/accounts/{quote(me.id, safe='')}/statuses", Status, params=params)
        statuses = [row for row in rows if isinstance(row, Status) and row.created_at.tzinfo is not None]
        unread = unread or len(statuses) < len(rows)
        found |= {status.id: status for status in statuses if _is_ours(status, me, since)}
        if not rows or any(status.created_at < since for status in statuses):
            return found, unread
        if not statuses:
            break
        below = statuses[-1].id
    raise OutcomeUnknown("We have said too much since, or it cannot be read: nobody can say whether this is among it.")


async def _below(http: Http, parent: str, me: Profile, since: datetime) -> dict[str, Status]:
    """Our answers below a status, as far as they are told."""
    try:
        context = await http.get(f"/api/v1/statuses/{quote(parent, safe='')}/context", Context)
    except (Gone, PayloadMalformed, PermissionMissing):
        return {}
    statuses = [read_status(bytes(raw)) for raw in context.descendants]
    return {one.id: one for one in statuses if isinstance(one, Status) and _is_ours(one, me, since)}


def _is_ours(status: Status, me: Profile, since: datetime) -> bool:
    dated = status.created_at.tzinfo is not None and status.created_at >= since
    return dated and status.account.id == me.id and status.reblog is None


def _fits(status: Status, words: Words, files: int) -> bool:
    """Whether it may be ours by everything but its text."""
    # A parent that was deleted meanwhile is no longer told.
    parent = status.in_reply_to_id in (words.in_reply_to_id, None)
    # What silenced accounts say in public becomes unlisted.
    visibility = words.visibility is None or status.visibility == words.visibility or (words.visibility, status.visibility) == SILENCED
    return parent and visibility and len(status.media_attachments) == files


SILENCED = ("public", "unlisted")


async def _was_written(http: Http, status: Status, words: Words) -> bool:
    """Whether a status that reads almost the same was written with our very words. Raises OutcomeUnknown when the server does not tell."""
    try:
        source = await http.get(f"/api/v1/statuses/{quote(status.id, safe='')}/source", Source)
    except (Gone, PayloadMalformed, PermissionMissing, Unsupported):
        raise OutcomeUnknown("A post of ours says almost this; it cannot be said whether it is the same.") from None
    return same_form(source.text) == same_form(words.status)


async def _resolved(http: Http, url: str) -> str:
    """The id under which our server knows a post that was found on another one; Gone when it cannot get it."""
    found = await http.get("/api/v2/search", Found, params={"q": url, "type": "statuses", "resolve": "true", "limit": 1})
    status = read_status(bytes(found.statuses[0])) if url and found.statuses else None
    if not isinstance(status, Status):
        raise Gone("The post that is to be answered cannot be found from our server.")
    return status.id


def _kept(to: MentionRef) -> Kept | None:
    """What was stored with the mention, if it was."""
    try:
        return msgspec.json.decode(to.raw, type=Kept) if to.raw else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
