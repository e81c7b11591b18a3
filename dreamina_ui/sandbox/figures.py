"""The small things of a sandbox landscape: trees, people, animals, flowers, weather."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dreamina_ui.sandbox.canvas import Array, Canvas
from dreamina_ui.sandbox.scene import WHITE, Color, Scene, mix

Box = tuple[float, float, float, float]
"""Left, top, right, foot."""

# Outlines in units of the figure's height: x from its middle, y from its foot upward. Closed, and drawn smooth.
_OUTLINES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "person": (
        (
            (0.0, 1.0),
            (0.055, 0.985),
            (0.07, 0.93),
            (0.055, 0.87),
            (0.0, 0.85),
            (-0.055, 0.87),
            (-0.07, 0.93),
            (-0.055, 0.985),
        ),
        (
            (0.0, 1.01),
            (-0.07, 0.98),
            (-0.1, 0.9),
            (-0.12, 0.78),
            (-0.15, 0.68),
            (-0.08, 0.7),
            (-0.03, 0.74),
            (0.02, 0.86),
        ),
        (
            (-0.03, 0.87),
            (0.03, 0.87),
            (0.075, 0.81),
            (0.07, 0.7),
            (0.05, 0.61),
            (0.1, 0.48),
            (0.16, 0.32),
            (0.05, 0.29),
            (-0.07, 0.3),
            (-0.19, 0.34),
            (-0.12, 0.48),
            (-0.055, 0.61),
            (-0.075, 0.7),
            (-0.08, 0.81),
        ),
        ((0.06, 0.82), (0.1, 0.76), (0.135, 0.64), (0.145, 0.52), (0.12, 0.51), (0.105, 0.62), (0.07, 0.72)),
        ((0.0, 0.33), (0.06, 0.32), (0.07, 0.16), (0.075, 0.03), (0.12, 0.0), (0.045, 0.0), (0.035, 0.16)),
        ((-0.09, 0.34), (-0.02, 0.33), (-0.05, 0.17), (-0.085, 0.05), (-0.05, 0.0), (-0.12, 0.015), (-0.09, 0.17)),
    ),
    "cat": (
        (
            (0.0, 0.66),
            (0.13, 0.62),
            (0.2, 0.48),
            (0.26, 0.28),
            (0.27, 0.1),
            (0.2, 0.0),
            (-0.2, 0.0),
            (-0.27, 0.1),
            (-0.26, 0.28),
            (-0.2, 0.48),
            (-0.13, 0.62),
        ),
        (
            (0.0, 0.92),
            (0.1, 0.9),
            (0.17, 0.8),
            (0.17, 0.69),
            (0.09, 0.6),
            (0.0, 0.58),
            (-0.09, 0.6),
            (-0.17, 0.69),
            (-0.17, 0.8),
            (-0.1, 0.9),
        ),
        ((-0.155, 0.8), (-0.16, 0.92), (-0.15, 1.0), (-0.09, 0.95), (-0.03, 0.89)),
        ((0.155, 0.8), (0.16, 0.92), (0.15, 1.0), (0.09, 0.95), (0.03, 0.89)),
        (
            (0.2, 0.06),
            (0.34, 0.05),
            (0.43, 0.13),
            (0.44, 0.27),
            (0.39, 0.37),
            (0.42, 0.39),
            (0.49, 0.28),
            (0.49, 0.11),
            (0.39, -0.01),
            (0.2, 0.0),
        ),
    ),
    "fox": (
        (
            (0.02, 0.7),
            (0.1, 0.6),
            (0.13, 0.4),
            (0.15, 0.2),
            (0.17, 0.0),
            (-0.2, 0.0),
            (-0.27, 0.12),
            (-0.22, 0.32),
            (-0.1, 0.5),
            (-0.06, 0.64),
        ),
        (
            (-0.06, 0.84),
            (0.04, 0.86),
            (0.14, 0.8),
            (0.27, 0.7),
            (0.29, 0.67),
            (0.18, 0.64),
            (0.06, 0.6),
            (-0.06, 0.62),
            (-0.1, 0.74),
        ),
        ((-0.08, 0.8), (-0.09, 0.93), (-0.06, 1.0), (0.0, 0.93), (0.03, 0.84)),
        ((0.02, 0.83), (0.05, 0.94), (0.09, 0.99), (0.12, 0.9), (0.11, 0.81)),
        (
            (-0.18, 0.1),
            (-0.34, 0.14),
            (-0.47, 0.28),
            (-0.5, 0.46),
            (-0.47, 0.6),
            (-0.6, 0.48),
            (-0.64, 0.28),
            (-0.55, 0.1),
            (-0.36, 0.0),
            (-0.18, 0.0),
        ),
    ),
}


def stand(canvas: Canvas, name: str, x: float, foot: float, tall: float, color: Color, night: bool) -> None:
    """Put a person, a cat, a fox or a house on the ground, facing the middle of the picture."""
    turn = 1 if x < canvas.width / 2 else -1
    if name == "house":
        _house(canvas, x, foot, tall, color)
        return

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for outline in _OUTLINES[name]:
            points = _smooth(np.asarray(outline))
            pen.polygon([(2 * (x + turn * px * tall), 2 * (foot - py * tall)) for px, py in points], 255)

    shape = canvas.stencil(draw)
    shift = max(1, round(tall * 0.012))
    rim = np.clip(shape - np.roll(shape, (shift, -turn * shift), (0, 1)), 0, 1)
    canvas.cover(shape, color)
    canvas.cover(rim * (0.35 if night else 0.4), canvas.light.glow)


def _smooth(points: NDArray[np.float64], steps: int = 6) -> NDArray[np.float64]:
    """A closed Catmull-Rom curve through the points."""
    before, after, later = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    part = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    first, second, third, fourth = (side[:, None, :] for side in (before, points, after, later))
    curve = second + 0.5 * part * (
        third
        - first
        + part * (2 * first - 5 * second + 4 * third - fourth + part * (3 * (second - third) + fourth - first))
    )
    return np.asarray(curve.reshape(-1, 2))


def _house(canvas: Canvas, x: float, foot: float, tall: float, color: Color) -> None:
    wide = tall * 0.62

    def walls(pen: ImageDraw.ImageDraw) -> None:
        pen.rectangle([2 * (x - wide), 2 * (foot - tall * 0.55), 2 * (x + wide), 2 * foot], 255)
        roof = [(x - wide * 1.2, foot - tall * 0.53), (x - wide * 0.75, foot - tall), (x + wide * 0.75, foot - tall)]
        pen.polygon([(2 * px, 2 * py) for px, py in [*roof, (x + wide * 1.2, foot - tall * 0.53)]], 255)
        pen.rectangle(
            [2 * (x + wide * 0.3), 2 * (foot - tall * 1.2), 2 * (x + wide * 0.52), 2 * (foot - tall * 0.9)], 255
        )

    def panes(pen: ImageDraw.ImageDraw) -> None:
        for left in (-0.62, 0.12):
            box = [x + wide * left, foot - tall * 0.4, x + wide * (left + 0.42), foot - tall * 0.16]
            pen.rectangle([2 * side for side in box], 255)

    canvas.cover(canvas.stencil(walls), color)
    canvas.cover(canvas.stencil(panes) * 0.95, (1.0, 0.82, 0.45))
    away = np.hypot(canvas.rows - foot + tall * 0.28, canvas.columns - x) / tall
    canvas.shine((0.3 * np.exp(-away / 0.9)).astype(np.float32), (1.0, 0.72, 0.35))


def boxes(canvas: Canvas, positions: Sequence[Box]) -> Array:
    """A mask of upright boxes: houses, or their windows."""

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for box in positions:
            pen.rectangle([2 * side for side in box], 255)

    return canvas.stencil(draw)


def conifers(canvas: Canvas, positions: Sequence[tuple[float, float]], tall: float) -> Array:
    """A mask of firs of about this height with their feet at these places."""

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for x, foot in positions:
            _conifer(pen, x, foot + tall * 0.1, tall * canvas.random.uniform(0.55, 1.15), canvas.random)

    return canvas.stencil(draw)


def _conifer(pen: ImageDraw.ImageDraw, x: float, foot: float, tall: float, random: np.random.Generator) -> None:
    """A fir of ragged tiers, drawn at twice the size."""
    tiers = 7
    right, left = [], []
    for tier in range(tiers):
        for part, reach in ((0.15, 0.55), (1.0, 1.0)):
            down = (tier + part) / tiers
            wide = tall * 0.19 * down * reach
            right.append((2 * (x + wide * random.uniform(0.8, 1.2)), 2 * (foot - tall * (1 - down))))
            left.append((2 * (x - wide * random.uniform(0.8, 1.2)), 2 * (foot - tall * (1 - down))))
    pen.polygon([(2 * x, 2 * (foot - tall)), *right, *left[::-1]], 255)


def boat(canvas: Canvas, x: float, waterline: float) -> None:
    """A small sailing boat and its reflection."""
    tall = canvas.unit * 0.15

    def hull(pen: ImageDraw.ImageDraw) -> None:
        outline = ((-0.32, 0.08), (0.34, 0.1), (0.24, -0.02), (-0.24, -0.02))
        pen.polygon([(2 * (x + px * tall), 2 * (waterline - py * tall)) for px, py in outline], 255)

    def sails(pen: ImageDraw.ImageDraw, up: float = 1.0) -> None:
        for outline in (((0.0, 0.13), (0.0, 1.0), (0.3, 0.16)), ((-0.03, 0.13), (-0.03, 0.88), (-0.26, 0.17))):
            pen.polygon([(2 * (x + px * tall), 2 * (waterline - up * py * tall)) for px, py in outline], 255)

    shimmer = np.clip(canvas.noise(40, 2, 8.0) * 1.6 - 0.3, 0, 1)
    canvas.cover(canvas.stencil(lambda pen: sails(pen, -0.7)) * 0.4 * shimmer, mix(canvas.light.glow, WHITE, 0.4))
    canvas.cover(canvas.stencil(sails) * 0.95, mix(canvas.light.glow, WHITE, 0.4))
    canvas.cover(canvas.stencil(hull), mix(canvas.light.land, (0.25, 0.08, 0.05), 0.4))


def birds(canvas: Canvas, x: float, y: float) -> None:
    """A loose flock, far away."""
    random, unit = canvas.random, canvas.unit
    flock = [(x + random.normal(0, 0.09) * unit, y + random.normal(0, 0.045) * unit) for _ in range(9)]

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for left, top in flock:
            wide = unit * random.uniform(0.012, 0.024)
            for turn in (-1, 1):
                wing = ((0.0, 0.0), (turn * 0.45, -0.42), (turn * 1.0, -0.25), (turn * 0.45, -0.25), (0.0, 0.16))
                pen.polygon([(2 * (left + px * wide), 2 * (top + py * wide)) for px, py in wing], 255)

    canvas.cover(canvas.stencil(draw) * 0.8, mix(canvas.light.land, canvas.light.top, 0.2))


def grass(canvas: Canvas, crest: Array, color: Color) -> None:
    """Blades along a crest line."""
    random, unit = canvas.random, canvas.unit
    positions = random.uniform(0, canvas.width, int(canvas.width * 0.9))

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for x in positions:
            foot = float(crest[int(min(x, canvas.width - 1))]) + 3
            tip = unit * random.uniform(0.008, 0.03)
            lean = random.normal(0, 0.35) * tip
            pen.polygon([(2 * x - 2, 2 * foot), (2 * x + 2, 2 * foot), (2 * (x + lean), 2 * (foot - tip))], 255)

    canvas.cover(canvas.stencil(draw), color)


def flowers(canvas: Canvas, crest: Array, scene: Scene) -> None:
    """A meadow in bloom: small and crowded far away, large and few at our feet."""
    random, unit, light = canvas.random, canvas.unit, scene.light
    dim = 0.45 if light.hour == "night" else 0.0
    kinds = [(0.94, 0.36, 0.4), (1.0, 0.8, 0.32), (0.97, 0.95, 0.92), (0.72, 0.5, 0.9), (0.98, 0.62, 0.74)]
    kinds = [mix(kinds[int(random.integers(5))], mix(light.middle, kind, 0.5), 0.4) for kind in kinds]
    overlay = Image.new("RGBA", (canvas.width * 2, canvas.height * 2))
    pen = ImageDraw.Draw(overlay)
    number = int(900 * canvas.width / canvas.unit)
    for near in np.sort(random.random(number) ** 1.5):
        x = random.uniform(0, canvas.width)
        ground = float(crest[int(x)])
        y = ground + near * (canvas.height - ground)
        radius = unit * (0.0025 + 0.017 * near**1.6) * random.uniform(0.7, 1.2)
        stem = mix((0.16, 0.32, 0.1), light.land, 0.5)
        pen.line(
            [(2 * x, 2 * y), (2 * (x + radius * 0.6), 2 * (y + radius * 5))], _paint(stem), max(1, int(radius * 0.5))
        )
        _flower(pen, 2 * x, 2 * y, 2 * radius, mix(kinds[int(random.integers(5))], light.land, dim), random)
    small = np.asarray(overlay.reduce(2), np.float32) / 255
    canvas.cover(small[..., 3], small[..., :3])


def _flower(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: Color, random: np.random.Generator
) -> None:
    turn = random.uniform(0, 6.28)
    for petal in range(5):
        shade = mix(color, WHITE, 0.12 * (petal % 3))
        angle = turn + petal * 1.2566
        px, py = x + np.cos(angle) * radius * 0.62, y + np.sin(angle) * radius * 0.5
        reach = radius * 0.55
        pen.ellipse([px - reach, py - reach * 0.85, px + reach, py + reach * 0.85], _paint(shade))
    core = radius * 0.3
    pen.ellipse([x - core, y - core, x + core, y + core], _paint(mix((0.98, 0.78, 0.25), color, 0.25)))


def sakura(canvas: Canvas, side: int) -> None:
    """Branches in blossom reaching in from an upper corner, and petals on the wind."""
    random, unit = canvas.random, canvas.unit
    dim = 0.35 if canvas.light.hour == "night" else 0.0
    overlay = Image.new("RGBA", (canvas.width * 2, canvas.height * 2))
    pen = ImageDraw.Draw(overlay)
    twigs: list[tuple[float, float]] = []

    def grow(x: float, y: float, angle: float, length: float, thick: float) -> None:
        if length < unit * 0.035:
            return
        for _ in range(4):
            angle += random.normal(0, 0.13)
            to_x, to_y = x + np.cos(angle) * length / 4, y + np.sin(angle) * length / 4
            pen.line(
                [(2 * x, 2 * y), (2 * to_x, 2 * to_y)],
                _paint(mix((0.2, 0.12, 0.13), canvas.light.land, 0.5)),
                max(1, int(thick)),
            )
            x, y = to_x, to_y
            if length < unit * 0.13:
                twigs.append((x, y))
        grow(x, y, angle + random.uniform(0.15, 0.55), length * random.uniform(0.6, 0.8), thick * 0.62)
        grow(x, y, angle - random.uniform(0.25, 0.6), length * random.uniform(0.45, 0.7), thick * 0.55)

    corner = 0.0 if side > 0 else float(canvas.width)
    for start, lean, long in ((0.02, 0.42, 0.27), (0.16, 0.1, 0.23), (0.36, -0.12, 0.16)):
        grow(corner, canvas.height * start, lean if side > 0 else np.pi - lean, unit * long, unit * 0.026)
    petals = [mix(color, canvas.light.land, dim) for color in ((1.0, 0.8, 0.87), (0.98, 0.7, 0.8), (1.0, 0.9, 0.94))]
    for x, y in twigs:
        for _ in range(2):
            px, py = x + random.normal(0, 0.013) * unit, y + random.normal(0, 0.013) * unit
            _flower(pen, 2 * px, 2 * py, unit * random.uniform(0.013, 0.026), petals[int(random.integers(3))], random)
    for _ in range(int(70 * canvas.width / unit)):
        x, y = random.uniform(0, 2 * canvas.width), random.uniform(0, 2 * canvas.height)
        reach = unit * random.uniform(0.004, 0.011)
        pen.ellipse([x - reach, y - reach * 0.5, x + reach, y + reach * 0.5], _paint(petals[int(random.integers(3))]))
    small = np.asarray(overlay.reduce(2), np.float32) / 255
    canvas.cover(small[..., 3], small[..., :3])


def flakes(canvas: Canvas) -> None:
    """Falling snow, near and far."""
    random, unit = canvas.random, canvas.unit
    number = int(420 * canvas.width / unit)

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for near in random.random(number) ** 4:
            x, y = random.uniform(0, 2 * canvas.width), random.uniform(0, 2 * canvas.height)
            reach = unit * (0.0022 + 0.009 * near)
            pen.ellipse([x - reach, y - reach, x + reach, y + reach], int(235 - 110 * near))

    canvas.cover(canvas.stencil(draw), mix(canvas.light.low, WHITE, 0.75))


def rain(canvas: Canvas) -> None:
    """Slanting streaks."""
    random, unit = canvas.random, canvas.unit

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for _ in range(int(520 * canvas.width / unit)):
            x, y = random.uniform(0, 2 * canvas.width), random.uniform(0, 2 * canvas.height)
            long = unit * random.uniform(0.03, 0.12)
            pen.line([(x, y), (x - long * 0.14, y + long)], int(random.uniform(40, 130)), 2)

    canvas.cover(canvas.stencil(draw), mix(canvas.light.low, WHITE, 0.6))


def _paint(color: Color) -> tuple[int, int, int, int]:
    red, green, blue = (int(255 * min(max(part, 0.0), 1.0)) for part in color)
    return red, green, blue, 255
