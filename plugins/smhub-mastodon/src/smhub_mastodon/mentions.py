"""A status as a mention."""

from __future__ import annotations

import zlib
from html import escape
from typing import Any

import msgspec

from smhub.sdk import Attachment, Author, BadItem, Mention
from smhub_mastodon.entities import Status
from smhub_mastodon.settings import Known

VISIBILITY = {"public": "public", "unlisted": "unlisted", "private": "followers", "mutuals_only": "followers", "direct": "private"}
"""The servers' words in ours. A word that only one server knows is taken for private: an answer is never more public."""

FILES = {"image": "image", "gifv": "video", "video": "video", "audio": "audio"}


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an answer needs to know of the mention, stored with it as `raw`. Handles are as the server at `domain` writes them."""

    acct: str
    domain: str
    visibility: str = ""
    mentions: tuple[str, ...] = ()
    spoiler_text: str = ""
    uri: str = ""


def read_status(raw: bytes) -> Status | BadItem:
    """A status, or why it cannot be read, without a word of its content."""
    try:
        return msgspec.json.decode(raw, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _, _, where = str(error).partition(" - at ")
        return BadItem(raw=raw, error=f"not a status{': ' + where if where else ''}")


def absolute(acct: str, domain: str) -> str:
    """`name@host`, also for accounts of the server itself."""
    return acct if "@" in acct else f"{acct}@{domain}"


def mention(status: Status, scope: str, domain: str) -> Mention:
    """The content is handed over as the HTML that it is; the content warning is the title."""
    handle = absolute(status.account.acct, domain)
    warning = (status.spoiler_text or "").strip()
    direct = status.visibility == "direct"
    kept = Kept(
        acct=status.account.acct,
        domain=domain,
        visibility=status.visibility,
        mentions=tuple(person.acct for person in status.mentions),
        spoiler_text=warning,
        uri=status.uri or "",
    )
    return Mention(
        external_id=status.id,
        scope=scope,
        kind="direct_message" if direct else "reply" if status.in_reply_to_id else "post",
        visibility=VISIBILITY.get(status.visibility, "private"),
        author=Author(
            # The handle in lower case: the account's id is another one on each server that knows it.
            external_id=handle.lower(),
            handle=handle,
            name=status.account.display_name or "",
            url=status.account.url,
            avatar_url=status.account.avatar,
            followers=status.account.followers_count,
        ),
        published_at=status.created_at,
        edited_at=status.edited_at,
        html=(status.content or "") + _choices(status.poll),
        title=warning or None,
        url=status.url or status.uri,
        reply_to=status.in_reply_to_id,
        language=status.language or None,
        attachments=tuple(
            Attachment(url=url, kind=FILES.get(one.type, "file"), alt_text=one.description or None)
            for one in status.media_attachments
            if (url := one.url or one.remote_url)
        ),
        labels=("sensitive",) if status.sensitive else (),
        raw=msgspec.json.encode(kept),
    )


def _choices(poll: Any) -> str:
    """What can be chosen in a poll, as a list below the text (https://docs.joinmastodon.org/entities/Poll/). Not the votes: they change all
    the time, and say nothing of what was asked."""
    options = poll.get("options") if isinstance(poll, dict) else None
    found = options if isinstance(options, list) else []
    titles = [one["title"] for one in found if isinstance(one, dict) and isinstance(one.get("title"), str)]
    return f"<ul>{''.join(f'<li>{escape(title)}</li>' for title in titles)}</ul>" if titles else ""


def mark(status: Status) -> Known:
    """How the status is now, in eight characters."""
    return Known(status.id, short("\0".join((status.content or "", status.spoiler_text or "", str(status.edited_at or "")))))


def short(text: str) -> str:
    """A text in eight characters, to tell it from others in a cursor."""
    return f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}"
