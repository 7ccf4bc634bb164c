"""Pictures as cameras and phones make them, each another one by its number."""

from __future__ import annotations

import io

from PIL import Image


def picture(number: int = 0, *, width: int = 8, height: int = 6, form: str = "PNG", **more: object) -> bytes:
    """An image file of one colour."""
    image = Image.new("RGB", (width, height), (number % 256, number // 256 % 256, 77))
    image.save(out := io.BytesIO(), form, **more)
    return out.getvalue()


def photo(number: int = 0, *, turned: int = 1, form: str = "JPEG") -> bytes:
    """A photo that tells where it was taken, with what, and how the camera was held (Exif 2.32, 4.6.4 and 4.6.6)."""
    exif = Image.Exif()
    exif[0x0112] = turned
    exif[0x010F] = "Kamerawerk"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    image = Image.new("RGB", (40, 20), (number % 256, 90, 77))
    image.save(out := io.BytesIO(), form, exif=exif)
    return out.getvalue()


def frames(form: str, count: int = 3) -> bytes:
    """A moving picture."""
    first, *rest = (Image.new("RGB", (8, 6), (n * 40, 0, 0)) for n in range(count))
    first.save(out := io.BytesIO(), form, save_all=True, append_images=rest, duration=100, loop=0)
    return out.getvalue()
