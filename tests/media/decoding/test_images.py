"""Copies look like the original, and damage is detected."""

from __future__ import annotations

import io
import itertools
import random
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from dreamina_ui.media.decoding import images
from dreamina_ui.media.decoding.copies import Copies, ImageError
from dreamina_ui.media.decoding.images import make_copies
from dreamina_ui.media.formats import FORMATS
from dreamina_ui.media.store import COPY_PX, TIERS
from tests.media.odd_pngs import DAMAGED_PNGS, SOUND_PNGS, png_with
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


def seen(png: bytes) -> Copies | None:
    """What is seen of a file; None if it is damaged."""
    try:
        return make_copies(io.BytesIO(png), PNG, TIERS, max_pixels=1_000_000)
    except ImageError:
        return None


@pytest.mark.parametrize("chunk_bytes", [7, 65536])
@pytest.mark.parametrize("mode", MODES)
def test_a_png_decodes_to_the_same_image_however_its_data_is_cut(mode: str, chunk_bytes: int) -> None:
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


@pytest.mark.parametrize("name", SOUND_PNGS)
def test_what_does_not_concern_the_pixels_spoils_no_png(name: str) -> None:
    """Browsers show these files; a text with a wrong checksum must not cost a paid image."""
    previews = seen(SOUND_PNGS[name])
    assert previews
    assert previews == seen(png_with())


@pytest.mark.parametrize("name", DAMAGED_PNGS)
def test_damage_in_the_pixels_stays_damage(name: str) -> None:
    """Half an image shown as a whole one is a lie."""
    assert seen(DAMAGED_PNGS[name]) is None


def test_a_png_of_a_million_chunks_is_not_walked_to_its_end() -> None:
    """A few megabytes would hold a decoder for a minute; nothing is wrong with the file otherwise."""
    png = png_with(png_chunk(b"tEXt", b"") * 70_000)
    with pytest.raises(ImageError, match="chunks") as caught:
        make_copies(io.BytesIO(png), PNG, TIERS, max_pixels=1_000_000)
    assert not caught.value.is_damage


def test_orientation_and_colors_of_a_png_still_count() -> None:
    """Only what is broken is left out."""
    tags = Image.Exif()
    tags[0x0112] = 6
    previews = seen(png_with(png_chunk(b"eXIf", tags.tobytes()[6:])))
    assert previews
    with Image.open(io.BytesIO(previews.files["preview"])) as preview:
        assert preview.size == (48, 64)


@pytest.mark.parametrize(("side_px", "tiers"), [(1280, ["preview", "thumbnail"]), (1281, [*COPY_PX])])
def test_an_image_has_a_large_copy_if_that_is_larger_than_its_preview(side_px: int, tiers: list[str]) -> None:
    """The same pixels twice would only fill the disk."""
    file = io.BytesIO()
    Image.new("L", (side_px, 300), 90).save(file, "PNG")
    copies = seen(file.getvalue())
    assert copies
    assert list(copies.files) == tiers


def test_a_large_image_has_copies_of_three_sizes_out_of_one_decode() -> None:
    """The viewer shows the large one at once, whatever the original takes to arrive."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((6198, 40)).save(file, "PNG")
    copies = seen(file.getvalue())
    assert copies
    assert (copies.width, copies.height) == (6198, 40)
    assert {tier: Image.open(io.BytesIO(data)).width for tier, data in copies.files.items()} == COPY_PX


def test_a_large_webp_needs_no_more_memory_than_its_decoder() -> None:
    """What Pillow holds beside it would be too much for 250 MB; this relies on a private name of Pillow."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "tomato").save(file, "WEBP")
    image = images._LeanWebp(io.BytesIO(file.getvalue()))
    assert image._decoder is not None
    image.load()
    assert image._decoder is None
