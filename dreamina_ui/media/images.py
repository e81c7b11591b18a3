"""What a file is, and a picture's preview and thumbnail: the only place that knows Pillow.

A picture counts as good only when it was read to its very end and its check sums hold; it is decoded once.
"""

from __future__ import annotations

import contextlib
import errno
import io
import math
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

try:
    from isal import isal_zlib
except ImportError:  # there is none for this machine: Pillow then inflates by itself
    isal_zlib = None  # type: ignore[assignment]

PREVIEW_PX = 1280
THUMBNAIL_PX = 400
# Measured on 1280 x 853 photo-like previews: method 2 takes half the time of the default 4 for files 3 % larger.
WEBP_QUALITY = 82
WEBP_METHOD = 2
# A page of the library has 24 of them: measured 20 % smaller than with the preview's quality.
THUMBNAIL_QUALITY = 75

# So much of a file is decoded in one go, without Python's lock; Pillow's own 64 KiB hand it over more often.
_BYTES_AT_ONCE = 256 * 1024
# Of a picture in a hurry so much is decoded between two looks at the clock: a JPEG can hold a walk over all its pixels,
# measured 0.2 s for 36 million, in a few dozen bytes.
_HURRIED_BYTES = 256


class Format(NamedTuple):
    """A kind of file that is kept, such as `("PNG", "image", "png", "image/png")`."""

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
    """The file is not the good picture it should be."""


class Previews(NamedTuple):
    """Size of the stored picture in pixels, before any EXIF orientation, and its copies as WebP files."""

    width: int
    height: int
    preview: bytes
    thumbnail: bytes


def read_size(path: Path, form: Format) -> tuple[int, int]:
    """Read `(width, height)` in pixels from a picture's header.

    Raises:
        PictureFault: it has no good header.
        OSError: the disk cannot be read.
    """
    with _picture_faults(), Image.open(path, formats=(form.name,)) as image:
        return image.size


def make_previews(path: Path, form: Format, max_pixels: int, deadline_s: float = math.inf) -> Previews:
    """Read a picture to its very end and make its copies; small pictures are not enlarged.

    Args:
        deadline_s: when to give up, on the clock of `time.monotonic`; a few seconds later at worst.

    Raises:
        PictureFault: it is damaged, cut off or larger than `max_pixels`, or takes too long.
        OSError: the disk cannot be read.
    """
    is_hurried = deadline_s < math.inf
    with _picture_faults(), _Hurried(path, deadline_s) if is_hurried else path.open("rb") as file:
        with Image.open(file, formats=(form.name,)) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(f"the picture has {width} x {height} pixels, too many to open")
            if form.name == "PNG":
                image.verify()  # Decoding skips the check sums.
        # In small steps ISA-L is slower than Pillow alone.
        with _open(file, form, with_isal=not is_hurried) as image:
            image.decodermaxblock = _HURRIED_BYTES if is_hurried else _BYTES_AT_ONCE
            return Previews(width, height, *_scale_down(image))


def _open(file: IO[bytes], form: Format, *, with_isal: bool) -> ImageFile.ImageFile:
    if form.name == "PNG" and isal_zlib and with_isal:
        file.seek(0)
        return _Png(file)
    return Image.open(file, formats=(form.name,))


class _Png(PngImageFile):
    """A PNG that ISA-L inflates, in half the time that zlib takes; Pillow gets it packed again without compression."""

    def load_prepare(self) -> None:
        super().load_prepare()
        self._inflater = isal_zlib.decompressobj()
        self._packer = zlib.compressobj(0)

    def load_read(self, read_bytes: int) -> bytes:
        packed = b""
        while not (packed or self._inflater.eof):
            squeezed = self._inflater.unconsumed_tail or self._read_squeezed(read_bytes)
            data = self._inflater.decompress(squeezed, read_bytes)
            if not (squeezed or data):
                break
            packed = self._packer.compress(data)
            if self._inflater.eof:
                packed += self._packer.flush()
        return packed

    def _read_squeezed(self, size_bytes: int) -> bytes:
        """Read so much of the data, or what is left of it; one chunk often holds 8 or 64 KiB."""
        parts: list[bytes] = []
        while size_bytes > 0 and (part := super().load_read(size_bytes)):
            parts.append(part)
            size_bytes -= len(part)
        return b"".join(parts)


class _Hurried(io.FileIO):
    """A file that breaks at its deadline: Pillow reads on while it decodes, and nothing else stops it."""

    def __init__(self, path: Path, deadline_s: float) -> None:
        super().__init__(path)
        self._deadline_s = deadline_s

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline_s:
            raise ImageError("the picture takes too long to open")
        return super().read(-1 if size is None else size)


def _scale_down(image: Image.Image) -> tuple[bytes, bytes]:
    """Make the preview and thumbnail, both WebP, out of one decode; small pictures are not enlarged."""
    image.draft("RGB", (PREVIEW_PX, PREVIEW_PX))
    image.load()
    if image.mode not in ("RGB", "RGBA", "P"):
        image.info.pop("icc_profile", None)  # It describes inks or greys, and the preview is RGB.
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    encoded: list[bytes] = []
    for side_px, quality in ((PREVIEW_PX, WEBP_QUALITY), (THUMBNAIL_PX, THUMBNAIL_QUALITY)):
        # A gap of 1.1 lets the cheap box filter go most of the way: measured 45 ms, not 110 with 2.0 (16 megapixels).
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
def _picture_faults() -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as exc:
        # Pillow, too, raises OSError for bad pictures, but only the system's own have a number. EINVAL is the one that
        # a bad picture can cause: a length in it makes Pillow seek to before the beginning.
        if isinstance(exc, OSError) and exc.errno not in (None, errno.EINVAL):
            raise
        text = "" if isinstance(exc, UnidentifiedImageError) else f" ({exc})"
        raise ImageError(f"the picture was damaged{text}") from exc
