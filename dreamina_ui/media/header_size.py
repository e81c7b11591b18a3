"""The size in pixels that an image file's header names, without decoding anything: files here come from strangers.

Source: PNG 11.2.1; GIF89a 18; WebP container specification; JPEG, ITU-T T.81, B.2.2.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

MAX_SEGMENTS = 500
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def header_size(file: BinaryIO) -> tuple[int, int] | None:
    """`(width, height)` in pixels, as stored; None if the header does not say.

    Args:
        file: open for reading, or as much of its beginning as there is.
    """
    file.seek(0)
    head = file.read(30)
    try:
        if head[:8] == b"\x89PNG\r\n\x1a\n":
            return _pair(struct.unpack(">II", head[16:24]))
        if head[:4] == b"GIF8":
            return _pair(struct.unpack("<HH", head[6:10]))
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp_size(head)
        if head[:2] == b"\xff\xd8":
            return _jpeg_size(file)
    except (struct.error, IndexError):
        return None
    return None


def _pair(values: tuple[int, ...]) -> tuple[int, int] | None:
    width, height = values
    return (width, height) if width and height else None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", head[26:30])
    return _pair((width & 0x3FFF, height & 0x3FFF))


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(2)
    for _ in range(MAX_SEGMENTS):
        if file.read(1) != b"\xff":
            return None
        marker = 0xFF
        while marker == 0xFF:
            marker = file.read(1)[0]
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", file.read(5)[1:])
            return _pair((width, height))
        file.seek(length - 2, 1)
    return None
