"""A file counts as whole only if its own format says that nothing is missing."""

from __future__ import annotations

import io
import random
import struct

import pytest
from PIL import Image

from dreamina_ui.media.fetching.whole_files import is_whole
from dreamina_ui.media.formats import recognise


def encode(form: str) -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (40, 30), random.Random(1).randbytes(3600)).save(file, form)
    return file.getvalue()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


FTYP = box(b"ftyp", b"isom" + bytes(4) + b"mp41")
WEBM = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm" + b"\x18\x53\x80\x67\x40\x64" + b"x" * 100
FILES = {
    **{form: encode(form) for form in ("PNG", "JPEG", "WEBP", "GIF", "AVIF")},
    "MP4": FTYP + box(b"moov", bytes(50)) + box(b"mdat", bytes(300)),
    "MP4 with a long box": FTYP + struct.pack(">I4sQ", 1, b"mdat", 16 + 90) + bytes(90) + box(b"moov", bytes(50)),
    "WebM": WEBM,
    "GLB": b"glTF" + struct.pack("<II", 2, 200) + bytes(188),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_whole_with_its_last_byte_and_not_before(name: str) -> None:
    """Half a picture that is stored as the original is lost for good."""
    body = FILES[name]
    form = recognise(body[:64])
    assert form
    assert is_whole(io.BytesIO(body), form)
    assert is_whole(io.BytesIO(body + bytes(3)), form) == (not name.startswith("MP4") and name != "AVIF")
    cut = [length for length in range(64, len(body)) if is_whole(io.BytesIO(body[:length]), form)]
    assert cut == []


@pytest.mark.parametrize(
    "body",
    [
        FTYP + box(b"mdat", bytes(90)),  # what describes it is still to come
        FTYP + box(b"moov", bytes(90)) + bytes(4) + b"mdat" + bytes(90),  # as long as the file, whatever that is
        WEBM.replace(b"\x40\x64", b"\x7f\xff"),  # a live stream
        WEBM[:18],
        b"II*\0" + bytes(100),
    ],
    ids=["no index", "an open box", "an open segment", "no segment", "TIFF"],
)
def test_a_file_that_does_not_tell_its_end_is_never_whole(body: bytes) -> None:
    """Nobody knows what is missing."""
    form = recognise(body[:64])
    assert form
    assert not is_whole(io.BytesIO(body), form)
