"""What a file is, and an image's preview and thumbnail: the only module that imports Pillow.

An image counts as good only when it was read to its very end and its checksums hold; it is decoded once.
"""

from __future__ import annotations

import contextlib
import errno
import io
import math
import time
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from PIL import Image, ImageOps, UnidentifiedImageError

PREVIEW_PX = 1280
THUMBNAIL_PX = 400
# Method 2 takes half the time of the default 4, for files 3 % larger (benchmarks/README.md).
WEBP_QUALITY = 82
WEBP_METHOD = 2
# A page of the library has 24 of them.
THUMBNAIL_QUALITY = 75

# How much of a file is decoded without the GIL; Pillow's own 64 KiB hand it over more often.
_BLOCK_BYTES = 256 * 1024
# How much is decoded between two checks of a deadline: a JPEG can hold a walk over all its pixels in a few dozen bytes.
_BLOCK_BYTES_WITH_DEADLINE = 256


class Format(NamedTuple):
    """A format that is stored, such as `("PNG", "image", "png", "image/png")`."""

    name: str
    kind: str
    extension: str
    media_type: str


FORMATS = (
    Format("PNG", "image", "png", "image/png"),
    Format("JPEG", "image", "jpg", "image/jpeg"),
    Format("WEBP", "image", "webp", "image/webp"),
    Format("GIF", "image", "gif", "image/gif"),
    Format("AVIF", "image", "avif", "image/avif"),
    Format("MP4", "video", "mp4", "video/mp4"),
    Format("MOV", "video", "mov", "video/quicktime"),
    Format("WEBM", "video", "webm", "video/webm"),
    Format("MKV", "video", "mkv", "video/x-matroska"),
)
_BY_NAME = {form.name: form for form in FORMATS}


class ImageError(Exception):
    """The file is not the good image it should be."""


class Previews(NamedTuple):
    """Size of the original in pixels, before any EXIF orientation, and its previews as WebP files."""

    width: int
    height: int
    preview: bytes
    thumbnail: bytes


def read_size(file: BinaryIO, form: Format) -> tuple[int, int]:
    """Read `(width, height)` in pixels from an image's header.

    Raises:
        ImageError: it has no good header.
        OSError: the file cannot be read.
    """
    with _image_errors(), Image.open(file, formats=(form.name,)) as image:
        return image.size


def make_previews(file: BinaryIO, form: Format, max_pixels: int, deadline_s: float = math.inf) -> Previews:
    """Read an image to its very end and make its previews; small images are not enlarged.

    Args:
        file: open for reading; it stays open.
        deadline_s: when to give up, on the clock of `time.monotonic`; a few seconds later at worst.

    Raises:
        ImageError: it is damaged, cut off or larger than `max_pixels`, or takes too long.
        OSError: the file cannot be read.
    """
    has_deadline = deadline_s < math.inf
    reader = cast(BinaryIO, _DeadlineReader(file, deadline_s)) if has_deadline else file
    with _image_errors():
        reader.seek(0)
        with Image.open(reader, formats=(form.name,)) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(f"the image has {width} x {height} pixels, too many to open")
            if form.name == "PNG":
                image.verify()  # Decoding skips the checksums.
        reader.seek(0)
        with Image.open(reader, formats=(form.name,)) as image:
            image.decodermaxblock = _BLOCK_BYTES_WITH_DEADLINE if has_deadline else _BLOCK_BYTES
            return Previews(width, height, *_scale_down(image))


class _DeadlineReader:
    """A file that breaks at its deadline: Pillow reads on while it decodes, and nothing else stops it."""

    def __init__(self, file: BinaryIO, deadline_s: float) -> None:
        self._file = file
        self._deadline_s = deadline_s
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1, /) -> bytes:
        if time.monotonic() > self._deadline_s:
            raise ImageError("the image takes too long to open")
        return self._file.read(size)


def _scale_down(image: Image.Image) -> tuple[bytes, bytes]:
    """Make the preview and thumbnail, both WebP, out of one decode; small images are not enlarged."""
    image.draft("RGB", (PREVIEW_PX, PREVIEW_PX))
    image.load()
    if image.mode not in ("RGB", "RGBA", "P"):
        image.info.pop("icc_profile", None)  # It describes inks or grays, and the preview is RGB.
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    encoded: list[bytes] = []
    for side_px, quality in ((PREVIEW_PX, WEBP_QUALITY), (THUMBNAIL_PX, THUMBNAIL_QUALITY)):
        # A gap of 1.1 lets the cheap box filter go most of the way.
        image.thumbnail((side_px, side_px), Image.Resampling.BICUBIC, reducing_gap=1.1)
        if not encoded:
            # A damaged EXIF block spoils the orientation only, and Pillow raises many things for one.
            with contextlib.suppress(Exception):
                ImageOps.exif_transpose(image, in_place=True)
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=WEBP_METHOD)
        encoded.append(file.getvalue())
    return encoded[0], encoded[1]


def recognise(head: bytes) -> Format | None:
    """Recognise a file by its first 64 bytes; what a server calls it proves nothing."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _BY_NAME["PNG"]
    if head.startswith(b"\xff\xd8\xff"):
        return _BY_NAME["JPEG"]
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _BY_NAME["GIF"]
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _BY_NAME["WEBP"]
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _BY_NAME["WEBM" if b"webm" in head else "MKV"]
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis", b"mif1", b"msf1"):
            return _BY_NAME["AVIF"]
        if not brand.startswith((b"hei", b"hev")):
            return _BY_NAME["MOV" if brand == b"qt  " else "MP4"]
    return None


@contextlib.contextmanager
def _image_errors() -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as exc:
        # Pillow, too, raises OSError for bad images, but only the system's own have a number. EINVAL is the one that
        # a bad image can cause: a length in it makes Pillow seek to before the beginning.
        if isinstance(exc, OSError) and exc.errno not in (None, errno.EINVAL):
            raise
        text = "" if isinstance(exc, UnidentifiedImageError) else f" ({exc})"
        raise ImageError(f"the image was damaged{text}") from exc
