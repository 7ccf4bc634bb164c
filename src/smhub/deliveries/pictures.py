"""What a file really is, decided by its bytes; and images made anew, so that nothing goes out that nobody meant to say.

An image is decoded whole and written again without EXIF, XMP and comments, so the place where it was taken stays here; it is turned as
its EXIF says before that is dropped. Videos, sounds and documents are recognised by their first bytes and left as they are.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import msgspec
import puremagic
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000
"""All frames together; 50 megapixels need about 200 MiB while they are decoded."""
MAX_FRAMES = 1000
STILL = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
READ = ("JPEG", "PNG", "WEBP", "GIF")
OTHERS = {
    "video/mp4": "video/mp4",
    "video/webm": "video/webm",
    "video/quicktime": "video/quicktime",
    "audio/mpeg": "audio/mpeg",
    "audio/ogg": "audio/ogg",
    "application/ogg": "audio/ogg",
    "audio/wav": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/flac": "audio/flac",
    "audio/x-flac": "audio/flac",
    "application/pdf": "application/pdf",
}
TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", *dict.fromkeys(OTHERS.values()))
TURNED = 0x0112
"""The EXIF tag Orientation (Exif 2.32, 4.6.4)."""


class NotTaken(Exception):
    """Why a file is not taken: a code and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is kept."""

    media_type: str
    content: bytes
    digest: str
    width: int | None = None
    height: int | None = None


def look_at(content: bytes, declared: str | None) -> Seen:
    """What the file is, made ready to go out. Needs processor time: call it in a thread. Raises NotTaken."""
    if not content:
        raise NotTaken("empty", "the file is empty")
    image = _opened(content)
    media_type = (STILL.get(image.format or "") or "image/gif") if image is not None else _other(content)
    said = (declared or "").partition(";")[0].strip().lower()
    if (
        said not in ("", "application/octet-stream", "text/plain")
        and OTHERS.get(said, said.replace("image/jpg", "image/jpeg")) != media_type
    ):
        raise NotTaken("wrong_type", f"it is declared as {said[:100]}, but its bytes are {media_type}")
    if image is None:
        return Seen(media_type=media_type, content=content, digest=hashlib.sha256(content).hexdigest())
    try:
        with image:
            made, width, height = _made_anew(image, content)
    except NotTaken:
        raise
    except Exception as error:  # decoders fail in many ways on what strangers made
        raise NotTaken("broken", f"the image cannot be decoded ({type(error).__name__})") from error
    return Seen(media_type=media_type, content=made, digest=hashlib.sha256(made).hexdigest(), width=width, height=height)


def _opened(content: bytes) -> Image.Image | None:
    """The image with its head read and nothing decoded; None when it is none of those that are read."""
    try:
        return Image.open(io.BytesIO(content), formats=READ)
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many() from None
    except Exception as error:
        raise NotTaken("broken", f"the image cannot be read ({type(error).__name__})") from error


def _too_many() -> NotTaken:
    return NotTaken("too_many_pixels", f"all its frames together may have {MAX_PIXELS} pixels")


def _made_anew(image: Image.Image, content: bytes) -> tuple[bytes, int, int]:
    if image.width * image.height > MAX_PIXELS:
        raise _too_many()
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > MAX_FRAMES or image.width * image.height * frames > MAX_PIXELS:
        raise _too_many()
    if image.format == "GIF":
        # It holds no EXIF, and another palette would show.
        for number in range(frames):
            image.seek(number)
            image.load()
        return content, image.width, image.height
    kept: dict[str, Any] = {"icc_profile": image.info.get("icc_profile")}
    if frames > 1:
        image.save(out := io.BytesIO(), image.format, save_all=True, lossless=True, exif=b"", **kept)
        return out.getvalue(), image.width, image.height
    image.load()
    turned = image.getexif().get(TURNED, 1) != 1
    ready = ImageOps.exif_transpose(image) if turned else image
    if image.format in ("JPEG", "MPO"):
        kept |= {"quality": 95} if turned else {"quality": "keep"}
        ready.info.pop("comment", None)
        form = "JPEG"
    else:
        form = image.format or "PNG"
        if form == "PNG" and "transparency" in image.info:
            kept["transparency"] = image.info["transparency"]
        if form == "WEBP":
            kept |= {"quality": 90, "lossless": _is_lossless(content)}
    ready.save(out := io.BytesIO(), form, exif=b"", **kept)
    return out.getvalue(), ready.width, ready.height


def _is_lossless(content: bytes) -> bool:
    """A WebP file holds its pixels in a chunk VP8L, or in VP8 with losses (RFC 9649, 2.6)."""
    return b"VP8L" in content[:4096]


def _other(content: bytes) -> str:
    try:
        found = OTHERS.get(puremagic.from_string(content, mime=True))
    except (puremagic.PureError, ValueError):
        found = None
    if found is None:
        raise NotTaken("unknown_type", f"taken are {', '.join(TYPES)}")
    return found
