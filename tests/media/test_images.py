"""ISA-L makes PNGs quicker to open; what is seen, and what counts as damaged, is the same without it."""

from __future__ import annotations

import io
import itertools
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dreamina_ui.media import images as pictures
from dreamina_ui.media.images import FORMATS, ImageError, Previews, make_previews
from tests.support.png_chunks import SIGNATURE, png_chunk, png_chunks

PNG = next(form for form in FORMATS if form.name == "PNG")
MODES = ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")


def noise(mode: str = "RGB") -> Image.Image:
    """A picture of several lines of data for each colour mode, no two of them alike."""
    image = Image.frombytes("RGBA", (90, 60), random.Random(1).randbytes(90 * 60 * 4))
    return image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)


def encode(image: Image.Image, pack: Callable[[bytes], bytes] = bytes, chunk_bytes: int = 65536) -> bytes:
    """A PNG whose data went through `pack` and lies in chunks of so many bytes, with good check sums."""
    file = io.BytesIO()
    image.save(file, "PNG")
    chunks = png_chunks(file.getvalue())
    first = next(number for number, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    packed = pack(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    others = [(kind, content) for kind, content in chunks if kind != b"IDAT"]
    parts = [(b"IDAT", packed[start : start + chunk_bytes]) for start in range(0, len(packed), chunk_bytes)]
    return SIGNATURE + b"".join(itertools.starmap(png_chunk, others[:first] + parts + others[first:]))


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Previews | None]:
    """What is seen of a file, with ISA-L or without; None if it is damaged."""
    assert vars(pictures)["isal_zlib"], "it is there for each machine that these tests know"

    def look(png: bytes, *, with_isal: bool) -> Previews | None:
        path = tmp_path / "picture"
        path.write_bytes(png)
        with monkeypatch.context() as patch:
            if not with_isal:
                patch.setattr(pictures, "isal_zlib", None)
            try:
                return make_previews(path, PNG, 1_000_000)
            except ImageError:
                return None

    return look


@pytest.mark.parametrize("at_once", [1, 100, 256 * 1024])
@pytest.mark.parametrize("chunk_bytes", [7, 65536])
@pytest.mark.parametrize("mode", MODES)
def test_a_png_looks_the_same_with_isal(
    seen: Callable[..., Previews | None],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    chunk_bytes: int,
    at_once: int,
) -> None:
    """Colours, and data that is cut into chunks and steps anywhere, must come out as they went in."""
    monkeypatch.setattr(pictures, "_BYTES_AT_ONCE", at_once)
    png = encode(noise(mode), chunk_bytes=chunk_bytes)
    found = seen(png, with_isal=True)
    assert found
    assert found == seen(png, with_isal=False)


def test_an_animated_png_shows_its_first_picture(seen: Callable[..., Previews | None]) -> None:
    """Later pictures lie in chunks of another name behind the first."""
    file = io.BytesIO()
    noise().save(file, "PNG", save_all=True, append_images=[noise().rotate(180)], duration=100)
    found = seen(file.getvalue(), with_isal=True)
    assert found
    assert found == seen(encode(noise()), with_isal=False)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "another check sum": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "no check sum": lambda data: data[:-4],
    "half": lambda data: data[: len(data) // 2],
    "no data": lambda _: b"\x78\x01",
    "too few lines": lambda data: zlib.compress(zlib.decompress(data)[:1000]),
    "no such block": lambda data: data[:2] + b"\xff" + data[3:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_data_is_found(seen: Callable[..., Previews | None], damage: Callable[[bytes], bytes]) -> None:
    """A file with good check sums of its chunks may still hold half a picture."""
    assert seen(encode(noise(), damage), with_isal=True) is None


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_isal_lets_no_damage_through_that_zlib_finds(seen: Callable[..., Previews | None], data: st.DataObject) -> None:
    """Being quicker must not mean being blind."""

    def spoil(packed: bytes) -> bytes:
        content = bytearray(packed)
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            content[place] = data.draw(st.integers(0, 255))
        return bytes(content)

    png = encode(noise("P"), spoil)
    assert seen(png, with_isal=True) in (None, seen(png, with_isal=False))
