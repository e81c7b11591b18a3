"""Pictures without a service: from the words of a prompt to a quiet landscape, offline and always the same.

A scene is painted small, in 32 bit floats, from the sky forward; then it is enlarged and gets its grain at full
size. Every picture carries a band that says it comes from the sandbox.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from dreamina_ui.sandbox import scenery
from dreamina_ui.sandbox.scene import read

LABEL = "SANDBOX · not made by Dreamina"
SMALL_SIDE_PX = 1400
"""The longer side of the small painting: about 0.4 s of one core for a square."""

GRAIN = 1.6
"""Standard deviation of the grain, in levels of 255: hides the steps of enlarged gradients."""

_MIN_PX = 240
"""Smaller than this a landscape has no room for its parts; it is painted larger and shrunk."""

_ROWS = 128


def paint(prompt: str, width: int, height: int, *, seed: int, index: int = 0, count: int = 1) -> Image.Image:
    """Paint one picture; the same arguments always give the same pixels.

    Args:
        prompt: in any language; English, Japanese and Chinese words choose what is seen.
        width, height: of the picture in pixels.
        seed: another seed, another picture.
        index, count: which of how many variants, which differ in light and composition.

    Returns:
        An RGB image of exactly this size.
    """
    shrink = min(1.0, SMALL_SIDE_PX / max(width, height))
    small = max(_MIN_PX, round(width * shrink)), max(_MIN_PX, round(height * shrink))
    random = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, index])
    pixels = scenery.paint(read(prompt, seed, index), *small, random, index)
    picture = Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    del pixels
    if small != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    _add_grain(picture, random)
    _sign(picture, prompt, index, count)
    return picture


def write_png(picture: Image.Image, file: IO[bytes]) -> None:
    """Write a picture as PNG, quickly rather than small, with a note of where it comes from."""
    note = PngInfo()
    note.add_text("Software", "Dreamina UI sandbox")
    picture.save(file, "PNG", compress_level=1, pnginfo=note)


def paint_file(path: Path, prompt: str, width: int, height: int, *, seed: int, index: int, count: int) -> None:
    """Paint one picture into a PNG file; arguments as for `paint`."""
    picture = paint(prompt, width, height, seed=seed, index=index, count=count)
    with path.open("wb") as file:
        write_png(picture, file)


def _add_grain(picture: Image.Image, random: np.random.Generator) -> None:
    grain = np.rint(random.normal(0, GRAIN, (_ROWS + 61, picture.width))).astype(np.int16)
    # Band by band: no second copy of the picture, fast in the cache, and the interpreter is free for others in between.
    for top in range(0, picture.height, _ROWS):
        band = (0, top, picture.width, min(top + _ROWS, picture.height))
        rows: NDArray[np.uint8] = np.asarray(picture.crop(band))
        start, shift = int(random.integers(61)), int(random.integers(picture.width))
        moved = np.roll(grain[start : start + len(rows)], shift, axis=1)
        picture.paste(Image.fromarray(np.clip(rows + moved[:, :, None], 0, 255).astype(np.uint8)), band)


def _sign(picture: Image.Image, prompt: str, index: int, count: int) -> None:
    """A dark band along the lower edge with the label, and the prompt where the built-in font can draw it."""
    width, height = picture.size
    band = min(max(18, round(0.032 * max(width, height)), round(0.05 * min(width, height))), height)
    font: Any = ImageFont.load_default(size=max(band * 0.52, 8))
    box = (0, height - band, width, height)
    strip = Image.blend(picture.crop(box), Image.new("RGB", (width, band), (10, 12, 18)), 0.72)
    draw = ImageDraw.Draw(strip)
    draw.text((band * 0.5, band / 2), LABEL, font=font, fill=(255, 255, 255), anchor="lm")
    caption = " ".join(prompt.split())
    if count > 1:
        caption = f"{caption}  {index + 1}/{count}"
    room = width - draw.textlength(LABEL, font=font) - band * 2
    small: Any = ImageFont.load_default(size=max(band * 0.42, 8))
    drawable = all(" " <= letter <= "~" for letter in caption)
    if drawable and draw.textlength(caption, font=small) <= room:
        draw.text((width - band * 0.5, band / 2), caption, font=small, fill=(205, 210, 220), anchor="rm")
    picture.paste(strip, box)
