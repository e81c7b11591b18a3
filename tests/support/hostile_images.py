"""Small files that once took a gigabyte of memory or a minute of a core to decode."""

from __future__ import annotations

import io
import zlib

from PIL import Image

from tests.support.png_chunks import SIGNATURE, png_chunk


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png_of_size(width: int, height: int, pixel_bytes: int = 8) -> bytes:
    """A black PNG of 3 bytes (RGB) or 8 (RGBA, 16 bit) for each pixel, packed row by row."""
    packer = zlib.compressobj(1)
    row = bytes(1 + width * pixel_bytes)
    rows_at_once = max(1, 1_000_000 // len(row))
    parts = [packer.compress(row * rows_at_once) for _ in range(height // rows_at_once)]
    parts += [packer.compress(row * (height % rows_at_once)), packer.flush()]
    kind = bytes([16, 6]) if pixel_bytes == 8 else bytes([8, 2])
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + kind + bytes(3)
    return SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"".join(parts)) + png_chunk(b"IEND", b"")


def jpeg_of_scans(count: int) -> bytes:
    """A small progressive JPEG with one of its scans over and over: each is a walk over the whole image."""
    good = encode(Image.new("L", (2400, 2400), 128), "JPEG", progressive=True)
    start = good.rindex(b"\xff\xda")
    return good[:start] + good[start:-2] * count + good[-2:]


def webp_of_size(width: int, height: int) -> bytes:
    """The first bytes of a lossless WebP: no more is needed to make a decoder take 8 bytes for each pixel."""
    bits = (width - 1) | (height - 1) << 14
    content = b"\x2f" + bits.to_bytes(4, "little") + bytes(3)
    return _riff(b"VP8L" + len(content).to_bytes(4, "little") + content)


def webp_of_frames(count: int) -> bytes:
    """An animated WebP that announces many frames and has nothing in them."""
    canvas = b"VP8X" + (10).to_bytes(4, "little") + bytes([2, 0, 0, 0, 7, 0, 0, 7, 0, 0])
    return _riff(canvas + (b"ANMF" + (16).to_bytes(4, "little") + bytes(16)) * count)


def gif_of_comments(count: int) -> bytes:
    """A GIF with many short comments before its pixels."""
    good = encode(Image.new("P", (8, 8)), "GIF")
    start = good.index(b",")
    return good[:start] + b"!\xfe" + b"\x01x" * count + b"\0" + good[start:]


def jpeg_of_segments(count: int) -> bytes:
    """A JPEG with many empty segments before its pixels."""
    good = encode(Image.new("L", (8, 8)), "JPEG")
    return good[:2] + b"\xff\xe1\x00\x02" * count + good[2:]


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks
