"""Pictures of a post: uploaded as blobs, then named in its record with their alternative text and shape."""

from __future__ import annotations

from typing import Any

import msgspec

from smhub.sdk import Draft, Http, Media, MediaLimit, PayloadMalformed, Violation
from smhub_bluesky.xrpc import path

MOST = 4
LARGEST = 1_000_000
LIMITS = (MediaLimit(media_type="image/*", max_bytes=LARGEST),)
"""app.bsky.embed.images: images maxLength 4, image accept image/*, maxSize 1000000 (bytes)."""
SECONDS = 120.0


class _Uploaded(msgspec.Struct, frozen=True):
    blob: dict[str, Any]


def violations(draft: Draft) -> list[Violation]:
    """What stands against the files."""
    found = []
    if len(draft.media) > MOST:
        found.append(Violation(field="media", code="too_many_files", detail="too many", limit=MOST, actual=len(draft.media)))
    for number, one in enumerate(draft.media):
        if not one.media_type.startswith("image/"):
            found.append(Violation(field=f"media.{number}", code="type_not_taken", detail="only images are sent to Bluesky"))
        elif (size := max(one.size, len(one.content))) > LARGEST:
            detail = f"{size} bytes, {LARGEST} are allowed"
            found.append(Violation(field=f"media.{number}", code="file_too_large", detail=detail, limit=LARGEST, actual=size))
    return found


async def embedded(http: Http, media: tuple[Media, ...]) -> dict[str, Any]:
    """Upload the pictures; what names them in the record. A blob that no record names the server throws away after a while
    (https://atproto.com/specs/blob), so to upload once more does no harm."""
    return {"$type": "app.bsky.embed.images", "images": [await _image(http, one) for one in media]}


async def _image(http: Http, one: Media) -> dict[str, Any]:
    headers = {"Content-Type": one.media_type}
    method = path("com.atproto.repo.uploadBlob")
    response = await http.request("POST", method, headers=headers, body=one.content, prepares=True, deadline=SECONDS)
    try:
        blob = msgspec.json.decode(response.body, type=_Uploaded).blob
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise PayloadMalformed("Bluesky answered an upload in an unexpected form.", status=response.status) from None
    image: dict[str, Any] = {"alt": one.alt_text, "image": blob}
    if one.width and one.height:
        image["aspectRatio"] = {"width": one.width, "height": one.height}
    return image
