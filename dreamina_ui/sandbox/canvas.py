"""A painting under way, and the few strokes that every layer of a sandbox landscape is made of.

A canvas is a float32 array (height, width, 3), sRGB 0 to 1. Lengths are in canvas pixels; `unit` is the shorter side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dreamina_ui.sandbox.scene import Color, Light

Array = NDArray[np.float32]


class Canvas:
    """A painting under way: its pixels, its light, its own random numbers."""

    def __init__(self, width: int, height: int, light: Light, random: np.random.Generator) -> None:
        self.width, self.height = width, height
        self.unit = min(width, height)
        self.light = light
        self.random = random
        self.pixels: Array = np.zeros((height, width, 3), np.float32)
        self.rows: Array = np.arange(height, dtype=np.float32)[:, None]
        self.columns: Array = np.arange(width, dtype=np.float32)[None, :]

    def cover(self, mask: NDArray[Any], color: Color | NDArray[Any], top: int = 0) -> None:
        """Paint a colour over the rows from `top` on, as far as `mask` (0 to 1) says."""
        rows = self.pixels[top : top + len(mask)]
        rows += (np.asarray(color, np.float32) - rows) * mask[..., None]

    def shine(self, mask: Array, color: Color) -> None:
        """Add light (screen): bright places stay below white."""
        self.pixels += (1 - self.pixels) * mask[..., None] * np.asarray(color, np.float32)

    def noise(self, cells: float, octaves: int = 4, stretch: float = 1.0, rows: int | None = None) -> Array:
        """Clouds of 0 to 1, `cells` to the shorter side, `stretch` times as long as high."""
        height = rows or self.height
        total: Array = np.zeros((height, self.width), np.float32)
        for octave in range(octaves):
            fine = cells * 2**octave / self.unit
            grid = self.random.random((int(height * fine) + 3, int(self.width * fine / stretch) + 3), np.float32)
            layer = Image.fromarray(grid).resize((self.width, height), Image.Resampling.BICUBIC)
            total += np.asarray(layer, np.float32) * 0.5 ** (octave + 1)
        total /= 1 - 0.5**octaves
        return total

    def line(self, points: float, octaves: int, gain: float = 0.5, smooth: bool = False) -> Array:
        """A profile of 0 to 1 along the width, with `points` turns to the shorter side: crags, or soft hills."""
        total = np.zeros(self.width)
        for octave in range(octaves):
            number = int(points * 2**octave * self.width / self.unit) + 3
            positions = np.linspace(0, number - 1.001, self.width)
            values = self.random.random(number + 1)
            whole = positions.astype(int)
            part = positions - whole
            if smooth:
                part = part * part * (3 - 2 * part)
            total += (values[whole] * (1 - part) + values[whole + 1] * part) * gain**octave
        low, high = total.min(), total.max()
        return np.asarray((total - low) / (high - low + 1e-6), np.float32)

    def stencil(self, draw: Callable[[ImageDraw.ImageDraw], None]) -> Array:
        """A mask drawn with Pillow at twice the size, so that its edges are soft; draw in canvas pixels times 2."""
        image = Image.new("L", (self.width * 2, self.height * 2))
        draw(ImageDraw.Draw(image))
        return np.asarray(np.asarray(image.reduce(2), np.float32) / 255, np.float32)


def ease(values: NDArray[Any], low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return np.asarray(part * part * (3 - 2 * part), np.float32)


def ridge(
    canvas: Canvas, crest: Array, near: Color, far: Color, span: float, texture: float = 0.0
) -> tuple[int, Array]:
    """Land below a crest line, fading into the haze at its foot; returns its first row and its mask from there."""
    top = int(np.clip(crest.min() - 2, 0, canvas.height - 1))
    below = canvas.rows[top:] - crest[None, :]
    mask = np.clip(below + 0.5, 0, 1)
    haze = ease(below, 0.0, span)[..., None]
    color = np.asarray(near, np.float32) * (1 - haze) + np.asarray(far, np.float32) * haze
    if texture:
        color = color * (1 + texture * (canvas.noise(14, 4, rows=canvas.height - top)[..., None] - 0.5))
    canvas.cover(mask, color, top)
    return top, mask
