"""Odd PNGs that hosts really sent, built from one good image."""

from __future__ import annotations

import io
import zlib

from PIL import Image

from tests.support.png_chunks import SIGNATURE, png_chunk, png_chunks


def png_with(*extra: bytes) -> bytes:
    """A small image with more chunks behind its header."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(file, "PNG")
    header, *others = [png_chunk(kind, content) for kind, content in png_chunks(file.getvalue())]
    return SIGNATURE + header + b"".join(extra) + b"".join(others)


def with_wrong_checksum(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


SOUND_PNGS = {
    "a text of 2 MB, packed": png_with(png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2_000_000)))),
    "an international text of 2 MB, packed": png_with(
        png_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(2_000_000)))
    ),
    "a plain text of 2 MB": png_with(png_chunk(b"tEXt", b"k\0" + b"x" * 2_000_000)),
    "a color profile of 2 MB, packed": png_with(png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2_000_000)))),
    "a color profile that is none": png_with(png_chunk(b"iCCP", b"p\0\0garbage")),
    "a text with a wrong checksum": png_with(with_wrong_checksum(png_chunk(b"tEXt", b"k\0hello"))),
    "a packed text that is none": png_with(png_chunk(b"zTXt", b"k\0\0garbage")),
    "a physical size with a wrong checksum": png_with(with_wrong_checksum(png_chunk(b"pHYs", bytes(9)))),
    "an unknown chunk with a wrong checksum": png_with(with_wrong_checksum(png_chunk(b"abCd", b"what"))),
    "broken EXIF": png_with(png_chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")),
    "a thousand empty chunks": png_with(*[png_chunk(b"tEXt", b"k\0")] * 1000),
}


def _spoiled(kind: bytes) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert("P").save(file, "PNG")
    chunks = [(chunk_kind, png_chunk(chunk_kind, content)) for chunk_kind, content in png_chunks(file.getvalue())]
    return SIGNATURE + b"".join(
        with_wrong_checksum(chunk) if chunk_kind == kind else chunk for chunk_kind, chunk in chunks
    )


def _with_wrong_adler() -> bytes:
    chunks = png_chunks(png_with())
    data = b"".join(content for kind, content in chunks if kind == b"IDAT")
    spoiled = png_chunk(b"IDAT", data[:-1] + bytes([data[-1] ^ 1]))
    header, end = png_chunk(*chunks[0]), png_chunk(b"IEND", b"")
    return SIGNATURE + header + spoiled + end


DAMAGED_PNGS = {
    "pixels with a wrong checksum": _spoiled(b"IDAT"),
    "a palette with a wrong checksum": _spoiled(b"PLTE"),
    "a header with a wrong checksum": _spoiled(b"IHDR"),
    "data with a wrong checksum": _with_wrong_adler(),
    "no end": png_with()[:-12],
    "half of it": png_with()[:110],
}
