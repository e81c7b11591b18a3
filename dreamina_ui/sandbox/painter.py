"""Pictures without a service: from the words of a prompt to a quiet landscape, offline and always the same.

A scene is painted small, in 32 bit floats, from the sky forward; then it is enlarged and gets its grain at full
size, strip by strip, so that a large picture is nowhere in memory as a whole. Every picture carries a band that says it
comes from the sandbox.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dreamina_ui.sandbox import scenery
from dreamina_ui.sandbox.film import ROOM, frames_over, webm
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
    picture = Image.new("RGB", (width, height))
    for top, strip in _strips(prompt, width, height, seed, index, count):
        picture.paste(strip, (0, top))
    return picture


def paint_file(
    path: Path, prompt: str, width: int, height: int, *, seed: int, index: int, count: int, seconds: int = 0
) -> None:
    """Paint one picture into a PNG file, quickly rather than small, or with `seconds` a film as WebM.

    The other arguments are as for `paint`.
    """
    if seconds:
        path.write_bytes(_film(prompt, (width, height), seed, index, seconds))
        return
    with path.open("wb") as file:
        png = _PngWriter(file, width, height)
        for _, strip in _strips(prompt, width, height, seed, index, count):
            png.write(np.asarray(strip))
        png.finish()


def _film(prompt: str, size: tuple[int, int], seed: int, index: int, seconds: int) -> bytes:
    """A film of this size (width, height) in WebM; the label of the picture below it is never in the window."""
    picture = paint(prompt, round(size[0] * ROOM), round(size[1] * ROOM), seed=seed, index=index)
    box = (0, size[1] - _label_px(*size), *size)

    def labelled(frame: Image.Image) -> Image.Image:
        frame.paste(_signed(frame.crop(box), prompt, 0, 1), box)
        return frame

    return webm(map(labelled, frames_over(picture, size, seconds)), size, seconds)


def _label_px(width: int, height: int) -> int:
    """How high the band with the label is."""
    return min(max(18, round(0.032 * max(width, height)), round(0.05 * min(width, height))), height)


class _PngWriter:
    """A PNG file of 8 bit RGB that comes in strips from the top, with a note of where it comes from."""

    def __init__(self, file: IO[bytes], width: int, height: int) -> None:
        self._file = file
        self._deflate = zlib.compressobj(1)
        self._above: NDArray[np.uint8] = np.zeros((1, width, 3), np.uint8)
        file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        self._chunk(b"tEXt", b"Software\0Dreamina UI sandbox")

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Add rows, an array of (rows, width, 3)."""
        up = rows - np.concatenate([self._above, rows[:-1]])
        lines = np.full((len(rows), 1 + up[0].size), 2, np.uint8)  # 2: each byte is the difference to the one above
        lines[:, 1:] = up.reshape(len(rows), -1)
        self._above = rows[-1:].copy()
        self._chunk(b"IDAT", self._deflate.compress(lines.tobytes()))

    def finish(self) -> None:
        """Write the end."""
        self._chunk(b"IDAT", self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _chunk(self, name: bytes, content: bytes) -> None:
        self._file.write(
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )


def _strips(
    prompt: str, width: int, height: int, seed: int, index: int, count: int
) -> Iterator[tuple[int, Image.Image]]:
    """The picture in strips from the top, each with its first row; the last one is the band with the label."""
    shrink = min(1.0, SMALL_SIDE_PX / max(width, height))
    small = max(_MIN_PX, round(width * shrink)), max(_MIN_PX, round(height * shrink))
    random = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, index])
    pixels = scenery.paint(read(prompt, seed, index), *small, random, index)
    scene = Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    del pixels
    label = _label_px(width, height)
    grain = np.rint(random.normal(0, GRAIN, (max(_ROWS, label) + 61, width))).astype(np.int16)
    tops = [*range(0, height - label, _ROWS), height - label, height]
    for top, bottom in pairwise(tops):
        box = (0.0, top * small[1] / height, float(small[0]), bottom * small[1] / height)
        strip = scene.resize((width, bottom - top), Image.Resampling.BICUBIC, box)
        strip = _grainy(strip, grain, random)
        yield top, _signed(strip, prompt, index, count) if bottom == height else strip


def _grainy(strip: Image.Image, grain: NDArray[np.int16], random: np.random.Generator) -> Image.Image:
    start, shift = int(random.integers(61)), int(random.integers(strip.width))
    moved = np.roll(grain[start : start + strip.height], shift, axis=1)
    rows: NDArray[np.uint8] = np.asarray(strip)
    return Image.fromarray(np.clip(rows + moved[:, :, None], 0, 255).astype(np.uint8))


def _signed(strip: Image.Image, prompt: str, index: int, count: int) -> Image.Image:
    """A strip made dark, with the label, and the prompt where the built-in font can draw it."""
    width, band = strip.size
    font: Any = ImageFont.load_default(size=max(band * 0.52, 8))
    strip = Image.blend(strip, Image.new("RGB", (width, band), (10, 12, 18)), 0.72)
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
    return strip
