"""Images are searched by what people call their colors."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from dreamina_ui.media.decoding.colors import COLORS, bit_of, color_bits, name_of
from dreamina_ui.media.decoding.images import make_copies
from dreamina_ui.media.formats import FORMATS

PNG = next(form for form in FORMATS if form.name == "PNG")


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("red", ["#c81e1e", "#ff0000"]), ("orange", ["#ff8c00", "#f97316"]), ("yellow", ["#ffe000", "#facc15"]),
        ("green", ["#16a34a", "#3f6b2a"]), ("teal", ["#0d9488", "#20c0c0"]), ("blue", ["#1e40af", "#3b82f6"]),
        ("purple", ["#7c3aed", "#6b21a8"]), ("pink", ["#ec4899", "#ffb6c1"]), ("brown", ["#8b4513", "#5c3a1e"]),
        ("black", ["#000000", "#101012"]), ("gray", ["#808080", "#b4b4b4"]), ("white", ["#ffffff", "#f4f4f2"]),
    ],
)  # fmt: skip
def test_colors_have_the_names_that_people_give_them(name: str, pixels: list[str]) -> None:
    """Who searches for brown means chocolate, not dark orange."""
    for pixel in pixels:
        red, green, blue = bytes.fromhex(pixel[1:])
        assert name_of((red, green, blue)) == name, pixel


def test_a_color_counts_when_it_covers_a_good_part() -> None:
    """A red dot on a white wall does not make a red image."""
    red, white = (200, 20, 20), (255, 255, 255)
    assert color_bits([red] * 5 + [white] * 95) == bit_of("white")
    assert color_bits([red] * 20 + [white] * 80) == bit_of("white") | bit_of("red")
    assert color_bits([]) == 0
    assert bit_of("mauve") == 0
    assert len({bit_of(name) for name in COLORS}) == len(COLORS)


def test_the_copies_of_an_image_come_with_its_colors() -> None:
    """Nothing is decoded twice; what is transparent has no color."""
    image = Image.new("RGBA", (90, 60), (0, 0, 0, 0))
    image.paste((20, 60, 200, 255), (0, 0, 45, 60))
    file = io.BytesIO()
    image.save(file, "PNG")
    copies = make_copies(file, PNG, ["preview", "thumbnail"], max_pixels=10**6)
    assert copies.colors == bit_of("blue")
    assert make_copies(file, PNG, [], max_pixels=10**6).colors is None
