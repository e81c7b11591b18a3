"""Short films without a service: a camera that moves over a painted picture, as WebM with VP8.

Each frame is a still: what a lossy WebP file carries is a key frame of VP8. So Pillow is all that this needs.

Source: RFC 9559 (Matroska), RFC 6386 (VP8), RFC 9649 (WebP), and the container guidelines of WebM.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator

from PIL import Image

FRAMES_PER_S = 12
QUALITY = 60
ROOM = 1.25
"""How much larger than a frame the picture is that the camera moves over."""

_APP = b"Dreamina UI sandbox"


def frames_over(picture: Image.Image, size: tuple[int, int], seconds: int) -> Iterator[Image.Image]:
    """The frames of a film: a window of this size (width, height) that glides over the picture."""
    count = seconds * FRAMES_PER_S
    room_x, room_y = picture.width - size[0], picture.height - size[1]
    for number in range(count):
        progress = number / max(1, count - 1)
        left, top = round(room_x * progress), round(room_y * (1 - progress) / 2)
        yield picture.crop((left, top, left + size[0], top + size[1]))


def webm(frames: Iterable[Image.Image], size: tuple[int, int], seconds: int) -> bytes:
    """A film of these frames, one cluster for each second."""
    blocks = [_vp8(frame) for frame in frames]
    clusters = b"".join(
        _cluster(first, blocks[first : first + FRAMES_PER_S]) for first in range(0, len(blocks), FRAMES_PER_S)
    )
    video = _element(0xB0, _number(size[0])) + _element(0xBA, _number(size[1]))
    track = (
        _element(0xD7, b"\x01") + _element(0x73C5, b"\x01") + _element(0x83, b"\x01") + _element(0x9C, b"\x00")
        + _element(0x86, b"V_VP8") + _element(0x23E383, _number(10**9 // FRAMES_PER_S)) + _element(0xE0, video)
    )  # fmt: skip
    info = (
        _element(0x2AD7B1, _number(10**6)) + _element(0x4489, struct.pack(">d", seconds * 1000.0))
        + _element(0x4D80, _APP) + _element(0x5741, _APP)
    )  # fmt: skip
    tracks = _element(0x1654AE6B, _element(0xAE, track))
    return _head() + _element(0x18538067, _element(0x1549A966, info) + tracks + clusters)


def _head() -> bytes:
    """What says that this is WebM, with the versions and limits of its elements."""
    facts = {0x4286: 1, 0x42F7: 1, 0x42F2: 4, 0x42F3: 8}
    content = b"".join(_element(name, _number(value)) for name, value in facts.items())
    versions = _element(0x4287, _number(2)) + _element(0x4285, _number(2))
    return _element(0x1A45DFA3, content + _element(0x4282, b"webm") + versions)


def _cluster(first: int, blocks: list[bytes]) -> bytes:
    """Frames in a row; `first` is the number of the first one."""
    starts_ms = first * 1000 // FRAMES_PER_S
    content = _element(0xE7, _number(starts_ms))
    for number, block in enumerate(blocks, first):
        offset_ms = number * 1000 // FRAMES_PER_S - starts_ms
        content += _element(0xA3, b"\x81" + struct.pack(">hB", offset_ms, 0x80) + block)
    return _element(0x1F43B675, content)


def _vp8(frame: Image.Image) -> bytes:
    """One frame as a key frame of VP8."""
    file = io.BytesIO()
    frame.convert("RGB").save(file, "WEBP", quality=QUALITY, method=0)
    content = file.getvalue()
    offset = 12
    while offset + 8 <= len(content):
        name, size_bytes = content[offset : offset + 4], int.from_bytes(content[offset + 4 : offset + 8], "little")
        if name == b"VP8 ":
            return content[offset + 8 : offset + 8 + size_bytes]
        offset += 8 + size_bytes + size_bytes % 2
    raise ValueError("this WebP file has no frame of VP8")


def _element(name: int, content: bytes) -> bytes:
    """An element: its id, its length in as few bytes as can tell it, its content."""
    size = next(count for count in range(1, 9) if len(content) < (1 << 7 * count) - 1)
    return _number(name) + (1 << 7 * size | len(content)).to_bytes(size, "big") + content


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
