"""Who the server is: its software, its name in handles, its limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from smhub.sdk import ContentRejected, Gone, Http, Limits, MediaLimit, PayloadMalformed, PermissionMissing, Response, Safety

HONOUR_KEYS = frozenset({"mastodon", "glitch", "glitch-soc", "hometown"})
"""Software that answers a repeated Idempotency-Key with the status it made, for an hour: Mastodon's PostStatusService, and the forks
that kept it. Pleroma and Akkoma have keys too, but they keep refusals under them as well, and only the newest few thousand; GoToSocial
has none. With those, and with whatever is not known, we look for our own post instead."""

LARGEST = {"image": 16 * 1024 * 1024, "video": 99 * 1024 * 1024}
DEFAULT = Limits(
    max=500,
    count="mastodon",
    url_weight=23,
    max_media=4,
    media=(MediaLimit(media_type="image/*", max_bytes=LARGEST["image"]), MediaLimit(media_type="video/*", max_bytes=LARGEST["video"])),
    max_alt_text=1500,
)
NOT_OFFERED = (Gone, PayloadMalformed, PermissionMissing, ContentRejected)


class Instance(msgspec.Struct, frozen=True):
    """What /api/v2/instance and /api/v1/instance have in common; `domain` is the second's `uri`, `max_toot_chars` Pleroma's word."""

    domain: str = ""
    uri: str = ""
    configuration: dict[str, Any] = {}
    max_toot_chars: int | None = None

    def name(self, address: str) -> str:
        """The host in handles, which need not be the one that answers."""
        told = self.domain or self.uri
        host = urlsplit(told).netloc if "://" in told else told
        return (host.strip("/") or urlsplit(address).netloc).lower()


class _Link(msgspec.Struct, frozen=True):
    rel: str = ""
    href: str = ""


class _Links(msgspec.Struct, frozen=True):
    links: tuple[_Link, ...] = ()


class _Software(msgspec.Struct, frozen=True):
    name: str = ""


class _NodeInfo(msgspec.Struct, frozen=True):
    software: _Software = _Software()


async def read_instance(http: Http) -> Instance:
    """The server's own description; an empty one where it gives none."""
    for path in ("/api/v2/instance", "/api/v1/instance"):
        try:
            return await http.get(path, Instance)
        except NOT_OFFERED:
            continue
    return Instance()


async def read_software(http: Http, address: str) -> str:
    """The software's name by NodeInfo, in lower case; empty where it is not told, or told by another host."""
    try:
        found = await http.get("/.well-known/nodeinfo", _Links)
        told = [link.href for link in found.links if link.rel.startswith("http://nodeinfo.diaspora.software/ns/schema/")]
        if not told or urlsplit(told[-1]).netloc != urlsplit(address).netloc:
            return ""
        return (await http.get(f"{address}{urlsplit(told[-1]).path}", _NodeInfo)).software.name.lower()
    except NOT_OFFERED:
        return ""


def safety_of(software: str) -> Safety:
    """Whether a request may be repeated under its key."""
    return "key" if software in HONOUR_KEYS else "lookup"


def limits_of(instance: Instance) -> Limits:
    """The limits that the server tells; Mastodon's own where it does not."""
    statuses, files = (_part(instance.configuration, name) for name in ("statuses", "media_attachments"))
    types = [one for one in files.get("supported_mime_types") or () if isinstance(one, str)]
    media = [MediaLimit(media_type=one, max_bytes=_largest(files, one)) for one in types] or [
        MediaLimit(media_type=f"{kind}/*", max_bytes=_number(files.get(f"{kind}_size_limit"), most)) for kind, most in LARGEST.items()
    ]
    return msgspec.structs.replace(
        DEFAULT,
        max=_number(statuses.get("max_characters"), instance.max_toot_chars or DEFAULT.max or 500),
        url_weight=_number(statuses.get("characters_reserved_per_url"), DEFAULT.url_weight),
        max_media=_number(statuses.get("max_media_attachments"), DEFAULT.max_media),
        media=tuple(media[:100]),
        max_alt_text=_number(files.get("description_limit"), DEFAULT.max_alt_text or 1500),
    )


def _largest(files: dict[str, Any], media_type: str) -> int | None:
    kind = "image" if media_type.startswith("image/") else "video"
    return _number(files.get(f"{kind}_size_limit"), LARGEST[kind])


def _part(configuration: dict[str, Any], name: str) -> dict[str, Any]:
    found = configuration.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else default


class _Error(msgspec.Struct, frozen=True):
    error: str = ""


def told_error(response: Response) -> str:
    """What the server says is wrong; empty when the answer is not one of its own (a proxy's page, say)."""
    try:
        return msgspec.json.decode(response.body, type=_Error).error[:300]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
