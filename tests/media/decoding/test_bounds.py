"""Files that are built to be expensive are refused before any decoder sees them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from dreamina_ui.media.decoding.bounds import enforce_structure, is_photo
from dreamina_ui.media.decoding.copies import Bounds, ImageError
from dreamina_ui.media.decoding.images import make_copies
from dreamina_ui.media.decoding.workers import MEMORY_BYTES
from dreamina_ui.media.formats import recognise
from dreamina_ui.media.store import TIERS
from tests.media.odd_pngs import png_with
from tests.support.hostile_images import (
    encode,
    gif_of_comments,
    jpeg_of_scans,
    jpeg_of_segments,
    png_of_size,
    webp_of_frames,
    webp_of_size,
)
from tests.support.png_chunks import png_chunk

HOSTILE = {
    "a PNG of one column": png_of_size(1, 70_000),
    "a PNG of one row": png_of_size(70_000, 1),
    "a PNG of many chunks": png_with(png_chunk(b"teSt", b"") * 70_000),
    "a PNG that needs too much memory": png_of_size(1, 1).replace(
        png_chunk(b"IHDR", bytes([0, 0, 0, 1] * 2 + [16, 6, 0, 0, 0])),
        png_chunk(b"IHDR", (6000).to_bytes(4, "big") * 2 + bytes([16, 6, 0, 0, 0])),
    ),
    "a JPEG of many scans": jpeg_of_scans(200),
    "a JPEG of many segments": jpeg_of_segments(6000),
    "a WebP of the largest size": webp_of_size(16_383, 16_383),
    "a WebP of many frames": webp_of_frames(6000),
    "a GIF of many comments": gif_of_comments(6000),
}


def copies_of(data: bytes) -> object:
    form = recognise(data[:64])
    assert form
    return make_copies(io.BytesIO(data), form, TIERS, max_pixels=Bounds().max_pixels, max_bytes=MEMORY_BYTES)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_built_to_be_expensive_is_refused_and_not_called_damaged(name: str) -> None:
    """A few kilobytes took a gigabyte or a minute; the file itself is stored all the same."""
    with pytest.raises(ImageError) as caught:
        copies_of(HOSTILE[name])
    assert not caught.value.is_damage


SOUND = {
    "progressive": encode(Image.new("RGB", (90, 60), "tomato"), "JPEG", progressive=True),
    "comment": encode(Image.new("P", (90, 60)), "GIF", comment=b"x" * 9000),
    "animation": encode(
        Image.new("RGB", (90, 60)), "WEBP", save_all=True, append_images=[Image.new("RGB", (90, 60), "red")] * 50
    ),
    "lossy": encode(Image.new("RGB", (90, 60), "tomato"), "WEBP"),
    "lossless": encode(Image.new("RGBA", (90, 60), (1, 2, 3, 4)), "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_real_programs_write_passes(name: str) -> None:
    """Bounds are for what no program writes."""
    assert copies_of(SOUND[name])


OPAQUE, CLEAR = Image.new("RGB", (90, 60), "tomato"), Image.new("RGBA", (90, 60), (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (encode(OPAQUE, "JPEG"), True),
        (encode(OPAQUE, "WEBP"), True),
        (encode(OPAQUE, "WEBP", exif=b"Exif\0\0"), True),
        (encode(CLEAR, "WEBP"), False),
        (encode(OPAQUE, "WEBP", lossless=True), False),
        (encode(OPAQUE, "AVIF"), True),
        (encode(CLEAR, "AVIF"), False),
        (encode(OPAQUE, "PNG"), False),
    ],
)
def test_a_photo_is_recognized_by_its_head(data: bytes, is_one: bool) -> None:
    """A stranger's photo may have the pixels of a phone, where what is slow to decode and to store may not."""
    form = recognise(data[:64])
    assert form
    assert is_photo(io.BytesIO(data), form.name) == is_one


def test_a_progressive_photo_of_a_phone_passes_in_few_pixels() -> None:
    """Web tools write ten scans over twelve megapixels, and that is all that a stranger's photo may have."""
    data = bytearray(encode(OPAQUE, "JPEG", progressive=True))
    size = data.index(b"\xff\xc2") + 5
    data[size : size + 4] = (3024).to_bytes(2, "big") + (4032).to_bytes(2, "big")
    assert data.count(b"\xff\xda") == 10
    enforce_structure(io.BytesIO(data), "JPEG", 12_600_000)
    with pytest.raises(ImageError):
        enforce_structure(io.BytesIO(data), "JPEG", 12_100_000)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff", b"RIFF....WEBPVP8 ...."])
@pytest.mark.parametrize("form_name", ["JPEG", "WEBP", "GIF"])
def test_damage_is_left_to_the_decoder(form_name: str, data: bytes) -> None:
    """It says better what is wrong, and a damaged file is asked for again."""
    enforce_structure(io.BytesIO(data), form_name, 1000)
