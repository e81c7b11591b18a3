"""The part of a PNG that its pixels need, verified: decoders stumble over the rest, and browsers do not.

Texts and color profiles may be huge or have wrong checksums, and the image is good all the same. So the chunks that
matter are checked here and the others are left out of what the decoder reads.

Source: the PNG Specification, 5.3 and 13.1.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from typing import BinaryIO, cast

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 60_000
"""An image of 200 MB in chunks of 4 KiB has fewer."""

_MAX_SMALL_BYTES = 1 << 20
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_USEFUL = (b"iCCP", b"eXIf")  # if they are sound: colors and orientation
_BLOCK_BYTES = 256 * 1024


class PngError(ValueError):
    """The pixels cannot be whole, or the file is a trap (`is_damage` is False then)."""

    def __init__(self, reason: str, *, is_damage: bool = True) -> None:
        super().__init__(reason)
        self.is_damage = is_damage


def essential_png(file: BinaryIO) -> BinaryIO:
    """Verify the chunks of a PNG that its pixels need, and return a file of only those, for reading.

    Args:
        file: open for reading; the result reads from it.

    Raises:
        PngError: a checksum is wrong, a chunk is cut off, or there are far too many.
        OSError: the file cannot be read.
    """
    file.seek(0)
    if file.read(8) != SIGNATURE:
        raise PngError("it is no PNG")
    ranges, at = [(0, 8)], 8
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            raise PngError("it ends too soon")
        kind, length = head[4:], int.from_bytes(head[:4], "big")
        end = at + 12 + length
        if kind in _NEEDED:
            if not _is_sound(file, kind, length):
                raise PngError(f"its {kind.decode()} chunk has a wrong checksum")
            _append(ranges, at, end)
        elif kind in _USEFUL and length <= _MAX_SMALL_BYTES and _is_useful(file, kind, length):
            _append(ranges, at, end)
        if kind == b"IEND":
            return cast(BinaryIO, _Ranges(file, ranges))
        at = end
    raise PngError("there are too many chunks", is_damage=False)


def _append(ranges: list[tuple[int, int]], start: int, stop: int) -> None:
    if ranges[-1][1] == start:
        ranges[-1] = (ranges[-1][0], stop)
    else:
        ranges.append((start, stop))


def _is_sound(file: BinaryIO, kind: bytes, length: int) -> bool:
    """Whether the content at the file's position has the checksum that stands behind it."""
    checksum, left = zlib.crc32(kind), length
    while left:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:
            raise PngError("it ends too soon")
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
    stored = file.read(4)
    if len(stored) < 4:
        raise PngError("it ends too soon")
    return int.from_bytes(stored, "big") == checksum


def _is_useful(file: BinaryIO, kind: bytes, length: int) -> bool:
    start = file.tell()
    if not _is_sound(file, kind, length):
        return False
    if kind != b"iCCP":
        return True
    file.seek(start)
    _, _, packed = file.read(length).partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(packed[1:], _MAX_SMALL_BYTES)
    except zlib.error:
        return False
    return inflater.eof


class _Ranges:
    """Parts of a file as one file, for a decoder that reads, seeks and tells."""

    def __init__(self, file: BinaryIO, ranges: list[tuple[int, int]]) -> None:
        self._file = file
        self._ranges = ranges
        self._starts, size = [], 0  # of each range, in this file
        for start, stop in ranges:
            self._starts.append(size)
            size += stop - start
        self._size = size
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = (0, self._at, self._size)[whence]
        if base + offset < 0:
            raise ValueError("negative position")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        left = self._size - self._at if size < 0 else min(size, self._size - self._at)
        parts: list[bytes] = []
        while left > 0:
            index = bisect_right(self._starts, self._at) - 1
            start, stop = self._ranges[index]
            begin = start + self._at - self._starts[index]
            self._file.seek(begin)
            part = self._file.read(min(left, stop - begin))
            if not part:
                break
            parts.append(part)
            self._at += len(part)
            left -= len(part)
        return b"".join(parts)
