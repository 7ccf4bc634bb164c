"""Files of a draft, on their way to the server."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from smhub.sdk import ContentRejected, Http, Media, PayloadMalformed
from smhub_mastodon.entities import Attached
from smhub_mastodon.instance import told_error

REFUSED = (400, 413, 415, 422)
SECONDS = 120.0


async def upload(http: Http, media: Media, key: str) -> tuple[str, bool]:
    """Send one file; its id, and whether the server is done with it. What is never attached the server throws away after a while."""
    boundary = "smhub-" + blake2b(media.content, digest_size=16).hexdigest()
    name = f"file.{media.media_type.partition('/')[2].partition('+')[0] or 'bin'}"
    parts = [_part(boundary, f'name="file"; filename="{name}"', media.content, media.media_type)]
    if media.alt_text:
        parts.append(_part(boundary, 'name="description"', media.alt_text.encode()))
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    response = await http.request(
        "POST", "/api/v2/media", headers=headers, body=body, key=key, prepares=True, accept=REFUSED, deadline=SECONDS
    )
    if response.status in REFUSED:
        raise ContentRejected("The server does not take a file.", violations=(told_error(response),), status=response.status)
    try:
        return msgspec.json.decode(response.body, type=Attached).id, response.status != 202
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise PayloadMalformed("Mastodon answered an upload in an unexpected form.", status=response.status) from None


async def is_ready(http: Http, media_id: str) -> bool:
    """Whether the server is done with a file that it had to work on."""
    response = await http.request("GET", f"/api/v1/media/{media_id}", accept=(422,))
    if response.status == 422:
        raise ContentRejected("The server could not work with a file.", violations=(told_error(response),), status=response.status)
    return response.status != 206


def _part(boundary: str, disposition: str, content: bytes, media_type: str | None = None) -> bytes:
    kind = f"Content-Type: {media_type}\r\n" if media_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode() + content + b"\r\n"
