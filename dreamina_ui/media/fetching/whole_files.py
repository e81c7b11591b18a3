"""Whether a file is whole by its own format, whatever a host says of its length.

Only formats that say themselves where they end are judged; of all others nobody can know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from dreamina_ui.media.formats import Format

_TAIL_BYTES = 4096
_MAX_PARTS = 100_000
_SEGMENT = b"\x18\x53\x80\x67"


def is_whole(file: BinaryIO, form: Format) -> bool:
    """Whether the end of a file of this format is there; False too where the format does not tell.

    Source: the specifications of PNG, JPEG, GIF, RIFF, ISO base media, Matroska and glTF.
    """
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    file.seek(0)
    if form.name == "PNG":
        return _has_end_chunk(file, size_bytes)
    if form.name == "JPEG":
        return tail.rstrip(b"\0\r\n").endswith(b"\xff\xd9")
    if form.name == "GIF":
        return tail.rstrip(b"\0\r\n").endswith(b"\0;")
    if form.name in ("WEBP", "WAV", "AVI"):
        return int.from_bytes(file.read(8)[4:], "little") + 8 <= size_bytes
    if form.name == "GLB":
        return int.from_bytes(file.read(12)[8:], "little") <= size_bytes
    if form.name in ("MP4", "MOV", "AVIF", "HEIC"):
        return _has_all_boxes(file, size_bytes)
    if form.name in ("WEBM", "MKV"):
        return _has_whole_segment(file, size_bytes)
    return False


def _has_end_chunk(file: BinaryIO, size_bytes: int) -> bool:
    start = 8
    for _ in range(_MAX_PARTS):
        file.seek(start)
        head = file.read(8)
        start += 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or start > size_bytes:
            return False
        if head[4:] == b"IEND":
            return True
    return False


def _has_all_boxes(file: BinaryIO, size_bytes: int) -> bool:
    """Whether a file is made of whole boxes, with what describes its data and the data itself."""
    kinds = set()
    for kind, end in _boxes(file, size_bytes):
        if end > size_bytes:
            return False
        kinds.add(kind)
    return b"mdat" in kinds and bool(kinds & {b"moov", b"meta"})


def _boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int]]:
    """The kind and the end of each box; the last end lies behind the file's if anything is missing."""
    start = 0
    for _ in range(_MAX_PARTS):
        if start >= size_bytes:
            return
        file.seek(start)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length
        start = start + length if length >= 8 else size_bytes + 1  # 0: to the end of the file, wherever that is
        yield head[4:8], start


def _has_whole_segment(file: BinaryIO, size_bytes: int) -> bool:
    head = file.read(_TAIL_BYTES)
    segment = re.search(re.escape(_SEGMENT), head)
    if segment is None or segment.end() >= len(head):
        return False
    first = head[segment.end()]
    width = 9 - first.bit_length()
    value = int.from_bytes(head[segment.end() : segment.end() + width], "big") & ((1 << 7 * width) - 1)
    is_unknown = first == 0 or value == (1 << 7 * width) - 1
    return not is_unknown and segment.end() + width + value <= size_bytes
