"""Bounds on how an image file is built, checked before any decoder sees it.

Decoders walk what a file announces: thousands of scans over the same pixels, millions of blocks or frames that show
nothing. A few kilobytes of it can hold a core for a minute, and no real image has it.

Source: JPEG, ITU-T T.81, B.1; the WebP container specification; GIF89a, appendix A.
"""

from __future__ import annotations

from typing import BinaryIO

from dreamina_ui.media.decoding.copies import ImageError

MAX_SIDE_PX = 65_535
"""What a JPEG can have. Decoders keep a pointer for each row, however short the rows are, and room for whole rows."""

MAX_SCANS = 100
"""A progressive JPEG has about ten, and those that were optimized by brute force some thirty."""

MAX_SCANNED_PIXELS = 250_000_000
MAX_FULL_SCANS = 10
"""Pixels times scans: ten scans of 25 megapixels, or so many scans of an image that is as large as it may be."""

MAX_PARTS = 5_000
"""Segments before the pixels of a JPEG, sub-blocks before those of a GIF, chunks of a WebP."""

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 4096
_SOS = b"\xff\xda"
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))


def enforce_structure(file: BinaryIO, form_name: str, max_pixels: int) -> None:
    """Refuse a file that is built to be expensive; damage is left to the decoder.

    Args:
        file: open for reading.
        max_pixels: where the decoder makes room before it says how large the image is.

    Raises:
        ImageError: it has too many scans, blocks or frames, or too many pixels for its format's decoder.
        OSError: the file cannot be read.
    """
    file.seek(0)
    if form_name == "JPEG":
        _check_jpeg(file, max_pixels)
    elif form_name == "WEBP":
        _check_webp(file, max_pixels)
    elif form_name == "GIF":
        _check_gif(file)


def is_photo(file: BinaryIO, form_name: str) -> bool:
    """Whether a file has losses and nothing transparent, as far as its head tells: what cameras and web tools write.

    Args:
        file: open for reading; it is read from its beginning.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if form_name == "WEBP":
        return is_lossy_webp(head) and b"ALPH" not in head
    return form_name == "JPEG" or (form_name == "AVIF" and b"auxiliary:alpha" not in head)


def is_lossy_webp(head: bytes) -> bool:
    """Whether a WebP has losses: a chunk of its own kind comes in the first few."""
    return b"VP8 " in head and b"VP8L" not in head


def enforce_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse an image of too many pixels, or with too long a side.

    Raises:
        ImageError: it is too large.
    """
    width, height = size
    if width * height > max_pixels or max(size) > MAX_SIDE_PX:
        raise too_much(f"the image has {width} x {height} pixels, too many to open", size)


def too_much(reason: str, size: tuple[int, int] | None = None) -> ImageError:
    """The error of a file that is no damaged image, but costs more than it may."""
    return ImageError(reason, is_damage=False, size=size)


def _check_jpeg(file: BinaryIO, max_pixels: int) -> None:
    """Count what stands before the first scan, and the scans of a JPEG that has several."""
    file.seek(2)
    for _ in range(MAX_PARTS):
        kind = _next_marker(file)
        if kind is None or kind == 0xDA:
            return
        if kind in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(file.read(2), "big")
        if kind in _PROGRESSIVE:
            header = file.read(5)
            size = int.from_bytes(header[3:5], "big"), int.from_bytes(header[1:3], "big")
            return _check_scans(file, size, min(MAX_SCANNED_PIXELS, MAX_FULL_SCANS * max_pixels))
        file.seek(max(length - 2, 0), 1)
    raise too_much("the image has too many segments")


def _next_marker(file: BinaryIO) -> int | None:
    """The number of the next marker; None at what is none."""
    if file.read(1) != b"\xff":
        return None
    kind = b"\xff"
    while kind == b"\xff":
        kind = file.read(1)
    return kind[0] if kind else None


def _check_scans(file: BinaryIO, size: tuple[int, int], max_scanned_pixels: int) -> None:
    """Compressed data never holds the two bytes that begin a scan; other segments hardly do."""
    file.seek(0)
    scans, last = 0, b""
    most = min(MAX_SCANS, max_scanned_pixels // max(size[0] * size[1], 1))
    while block := file.read(_BLOCK_BYTES):
        scans += (last + block).count(_SOS)
        last = block[-1:]
        if scans > most:
            raise too_much(f"the image has more than {most} scans", size)


def _check_webp(file: BinaryIO, max_pixels: int) -> None:
    file.seek(12)
    for number in range(MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        start = file.read(min(length, 10))
        if number == 0:
            enforce_size(_webp_size(kind, start), max_pixels)
        file.seek(length + length % 2 - len(start), 1)
    raise too_much("the image has too many frames")


def _webp_size(kind: bytes, start: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(start[6:8], "little") & 0x3FFF, int.from_bytes(start[8:10], "little") & 0x3FFF


def _check_gif(file: BinaryIO) -> None:
    """Count the sub-blocks before the first image: comments and what programs add."""
    file.seek(10)
    flags = file.read(3)[:1]
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, 1)
    for _ in range(MAX_PARTS):
        if file.read(1) != b"!":  # an image, the end, or damage
            return
        file.seek(1, 1)
        for _ in range(MAX_PARTS):
            length = file.read(1)
            if length in (b"", b"\0"):
                break
            file.seek(length[0], 1)
        else:
            raise too_much("the image has too many blocks")
    raise too_much("the image has too many blocks")
