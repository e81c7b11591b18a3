"""Which colors an image has: what a person would call them, as bits; imported on both sides of the pipe."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Iterable

COLORS = (
    "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "black", "gray", "white",
)  # fmt: skip
"""The names; the bit of each is `1 << index`."""

MIN_SHARE = 0.12
"""How much of an image a color covers at least to be one of its colors."""

SAMPLE_PX = 32
"""The side of the small copy whose pixels are counted."""

_HUES = ((15, "red"), (42, "orange"), (70, "yellow"), (160, "green"), (195, "teal"), (255, "blue"), (290, "purple"),
         (340, "pink"), (361, "red"))  # fmt: skip
"""Where each hue ends, in degrees."""


def color_bits(pixels: Iterable[tuple[int, int, int]]) -> int:
    """The colors that cover a good part of an image, and the one that covers most.

    Args:
        pixels: RGB, 0 to 255.
    """
    counts = Counter(map(name_of, pixels))
    total = sum(counts.values())
    names = {name for name, count in counts.items() if count >= MIN_SHARE * total}
    names |= {name for name, _ in counts.most_common(1)}
    return sum(bit_of(name) for name in names)


def bit_of(name: str) -> int:
    """The bit of a color's name; 0 for what is none."""
    return 1 << COLORS.index(name) if name in COLORS else 0


def name_of(pixel: tuple[int, int, int]) -> str:
    """What a person would call the color of a pixel."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in pixel))
    if value < 0.18:
        return "black"
    if saturation < 0.14 or (saturation < 0.25 and value < 0.35):
        return "white" if value > 0.85 else "gray"
    degrees = hue * 360
    name = next(name for end, name in _HUES if degrees < end)
    if name in ("red", "orange", "yellow") and value < 0.62 and degrees >= 12:
        return "brown"
    return "pink" if name == "red" and saturation < 0.5 and value > 0.75 else name
