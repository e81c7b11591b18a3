"""Previews look like the original, and damage is detected."""

from __future__ import annotations

import io
import itertools
import random
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from dreamina_ui.media.images import FORMATS, ImageError, Previews, make_previews
from tests.support.png_chunks import SIGNATURE, png_chunk, png_chunks

PNG = next(form for form in FORMATS if form.name == "PNG")
MODES = ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")


def noise(mode: str = "RGB") -> Image.Image:
    """An image of several lines of data for each color mode, no two of them alike."""
    image = Image.frombytes("RGBA", (90, 60), random.Random(1).randbytes(90 * 60 * 4))
    return image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)


def encode(image: Image.Image, pack: Callable[[bytes], bytes] = bytes, chunk_bytes: int = 65536) -> bytes:
    """A PNG whose data went through `pack` and lies in chunks of so many bytes, with good checksums."""
    file = io.BytesIO()
    image.save(file, "PNG")
    chunks = png_chunks(file.getvalue())
    first = next(number for number, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    packed = pack(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    others = [(kind, content) for kind, content in chunks if kind != b"IDAT"]
    parts = [(b"IDAT", packed[start : start + chunk_bytes]) for start in range(0, len(packed), chunk_bytes)]
    return SIGNATURE + b"".join(itertools.starmap(png_chunk, others[:first] + parts + others[first:]))


def seen(png: bytes) -> Previews | None:
    """What is seen of a file; None if it is damaged."""
    try:
        return make_previews(io.BytesIO(png), PNG, 1_000_000)
    except ImageError:
        return None


@pytest.mark.parametrize("chunk_bytes", [7, 65536])
@pytest.mark.parametrize("mode", MODES)
def test_a_png_looks_the_same_however_its_data_is_cut(mode: str, chunk_bytes: int) -> None:
    """Encoders cut the data into chunks anywhere."""
    previews = seen(encode(noise(mode), chunk_bytes=chunk_bytes))
    assert previews
    assert previews == seen(encode(noise(mode)))


def test_an_animated_png_shows_its_first_image() -> None:
    """Later images lie in chunks of another name behind the first."""
    file = io.BytesIO()
    noise().save(file, "PNG", save_all=True, append_images=[noise().rotate(180)], duration=100)
    previews = seen(file.getvalue())
    assert previews
    assert previews == seen(encode(noise()))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "another checksum": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "half": lambda data: data[: len(data) // 2],
    "no data": lambda _: b"\x78\x01",
    "too few lines": lambda data: zlib.compress(zlib.decompress(data)[:1000]),
    "no such block": lambda data: data[:2] + b"\xff" + data[3:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_data_is_detected(damage: Callable[[bytes], bytes]) -> None:
    """A file whose chunks have good checksums may still hold half an image."""
    assert seen(encode(noise(), damage)) is None
