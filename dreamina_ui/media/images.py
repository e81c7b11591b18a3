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

from dreamina_ui.media.png import PngError, essential_png

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
    """A format of stored files, such as `("PNG", "image", "png", "image/png")`.

    Attributes:
        kind: `image` where previews can be made, `video`, or `file` for all else.
        is_common: whether browsers show it and the service takes it as an input.
    """

    name: str
    kind: str
    extension: str
    media_type: str
    is_common: bool = True


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
    Format("TIFF", "image", "tif", "image/tiff", is_common=False),
    Format("BMP", "image", "bmp", "image/bmp", is_common=False),
    Format("PSD", "image", "psd", "image/vnd.adobe.photoshop", is_common=False),
    Format("HEIC", "file", "heic", "image/heic", is_common=False),
    Format("JXL", "file", "jxl", "image/jxl", is_common=False),
    Format("SVG", "file", "svg", "image/svg+xml", is_common=False),
    Format("EXR", "file", "exr", "image/x-exr", is_common=False),
    Format("AVI", "file", "avi", "video/x-msvideo", is_common=False),
    Format("WAV", "file", "wav", "audio/wav", is_common=False),
    Format("MP3", "file", "mp3", "audio/mpeg", is_common=False),
    Format("FLAC", "file", "flac", "audio/flac", is_common=False),
    Format("OGG", "file", "ogg", "audio/ogg", is_common=False),
    Format("GLB", "file", "glb", "model/gltf-binary", is_common=False),
    Format("PDF", "file", "pdf", "application/pdf", is_common=False),
    Format("ZIP", "file", "zip", "application/zip", is_common=False),
    Format("GZIP", "file", "gz", "application/gzip", is_common=False),
)
_BY_NAME = {form.name: form for form in FORMATS}
SVG = _BY_NAME["SVG"]
SHOWN_MEDIA_TYPES = frozenset(form.media_type for form in FORMATS if form.is_common)
"""What a browser may show by itself; everything else, such as an SVG with a script in it, it may only download."""

UNKNOWN = Format("BIN", "file", "bin", "application/octet-stream", is_common=False)
"""What is stored though nobody knows what it is."""

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"8BPS": "PSD",
    b"\xff\x0a": "JXL",
    b"\0\0\0\x0cJXL ": "JXL",
    b"\x76\x2f\x31\x01": "EXR",
    b"ID3": "MP3",
    b"\xff\xfb": "MP3",
    b"fLaC": "FLAC",
    b"OggS": "OGG",
    b"glTF": "GLB",
    b"%PDF-": "PDF",
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b\x08": "GZIP",
}
_RIFF = {b"WEBP": "WEBP", b"WAVE": "WAV", b"AVI ": "AVI"}


class ImageError(Exception):
    """No preview can be made of this file.

    Attributes:
        is_damage: whether the file is not the good image it should be; else it is too much for us.
        size: width and height in pixels, if known.
    """

    def __init__(self, reason: str, *, is_damage: bool = True, size: tuple[int, int] | None = None) -> None:
        super().__init__(reason)
        self.is_damage = is_damage
        self.size = size


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
        if form.name == "PNG":
            reader = essential_png(reader)
        reader.seek(0)
        with Image.open(reader, formats=(form.name,)) as image:
            width, height = image.size
            if width * height > max_pixels:
                reason = f"the image has {width} x {height} pixels, too many to open"
                raise ImageError(reason, is_damage=False, size=(width, height))
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
            raise ImageError("the image takes too long to open", is_damage=False)
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
    """Recognize a file by its first 64 bytes; what a server calls it proves nothing."""
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return _BY_NAME[name]
    if head.startswith(b"RIFF") and (name := _RIFF.get(head[8:12], "")):
        return _BY_NAME[name]
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _BY_NAME["WEBM" if b"webm" in head else "MKV"]
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return _BY_NAME["BMP"]
    if head[4:8] == b"ftyp":
        return _BY_NAME[_format_of_brands(head[8:12], head[16 : int.from_bytes(head[:4], "big")])]
    return None


def _format_of_brands(major: bytes, others: bytes) -> str:
    if major in (b"avif", b"avis") or (major in (b"mif1", b"msf1") and b"avi" in others):
        return "AVIF"
    if major in (b"mif1", b"msf1") or major.startswith((b"hei", b"hev")):
        return "HEIC"
    return "MOV" if major == b"qt  " else "MP4"


@contextlib.contextmanager
def _image_errors() -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except PngError as exc:
        raise ImageError(f"the image was damaged ({exc})", is_damage=exc.is_damage) from exc
    except (MemoryError, Image.DecompressionBombError) as exc:
        raise ImageError("the image needs too much memory to open", is_damage=False) from exc
    except Exception as exc:
        # Pillow, too, raises OSError for bad images, but only the system's own have a number. EINVAL is the one that
        # a bad image can cause: a length in it makes Pillow seek to before the beginning.
        if isinstance(exc, OSError) and exc.errno not in (None, errno.EINVAL):
            raise
        text = "" if isinstance(exc, UnidentifiedImageError) else f" ({exc})"
        raise ImageError(f"the image was damaged{text}") from exc
