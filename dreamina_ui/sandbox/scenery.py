"""The layers of a sandbox landscape, from the sky forward: each takes the canvas and paints over it."""

from __future__ import annotations

import numpy as np

from dreamina_ui.sandbox import figures
from dreamina_ui.sandbox.canvas import Array, Canvas, ease, ridge
from dreamina_ui.sandbox.scene import WHITE, Scene, mix


def paint(scene: Scene, width: int, height: int, random: np.random.Generator, index: int) -> Array:
    """Paint a scene; `index` moves the horizon and the sun, so that variants differ."""
    canvas = Canvas(width, height, scene.light, random)
    if not scene.things:
        return _abstract(canvas, index)
    night = scene.light.hour == "night"
    things = scene.things
    if not things & {"mountain", "hill", "water", "forest", "city", "desert", "meadow", "snow"}:
        things = things | {("mountain", "water", "meadow", "forest")[index % 4]}
    side = 1 if (index + int(random.integers(2))) % 2 else -1
    sun_x = width * (0.5 + side * random.uniform(0.08, 0.3))
    horizon = height * (0.56 + 0.05 * (index % 3) + random.uniform(-0.03, 0.03))
    _sky(canvas, horizon)
    if night:
        _stars(canvas, horizon, milky="stars" in things)
    if "aurora" in things:
        _aurora(canvas, horizon)
    low_sun = 0.5 if scene.light.hour == "day" or night else random.uniform(0.06, 0.2)
    sun_y = max(horizon - height * low_sun * (0.7 + 0.3 * random.random()), canvas.unit * 0.15)
    _sun(canvas, sun_x, sun_y, moon=night)
    if not night or "cloud" in things:
        _clouds(canvas, horizon, cover=0.62 if "cloud" in things else random.uniform(0.3, 0.5))
    if "bird" in things or (index % 2 and not night):
        figures.birds(canvas, sun_x - side * width * 0.22, horizon - height * 0.28)
    if "city" in things:
        _city(canvas, horizon, street=index % 2 == 0 or "person" in things, centre=sun_x)
    _middle(canvas, things, horizon, sun_x, side, index)
    ground = _ground(canvas, scene, things, horizon)
    away = side if "sakura" in things else -side
    _subjects(canvas, things, ground, width * (0.5 + away * 0.17), night)
    if "sakura" in things:
        figures.sakura(canvas, side)
    if "snow" in things:
        figures.flakes(canvas)
    if "rain" in things:
        figures.rain(canvas)
    return _finished(canvas)


def _middle(canvas: Canvas, things: frozenset[str], horizon: float, sun_x: float, side: int, index: int) -> None:
    """What lies between the sky and the ground."""
    width, height, random = canvas.width, canvas.height, canvas.random
    backdrop = not things & {"water", "city", "desert", "forest"}
    if "hill" in things or (backdrop and "mountain" not in things and (index + int(random.integers(2))) % 2):
        _hills(canvas, horizon)
    elif backdrop or "mountain" in things:
        _mountains(canvas, horizon, snow="snow" in things, layers=3 + index % 2)
    if "water" in things:
        _water(canvas, horizon, sun_x)
    if "boat" in things:
        figures.boat(canvas, sun_x - side * width * 0.2, horizon + height * 0.07)
    if "forest" in things:
        _forest(canvas, horizon, snow="snow" in things, open_to_water="water" in things)
    if "desert" in things:
        _dunes(canvas, horizon, sun_x)


def _sky(canvas: Canvas, horizon: float) -> None:
    light = canvas.light
    height = canvas.rows / max(horizon, 1)
    bend = canvas.noise(1.2, 2, 3.0) * 0.12 - 0.06
    part = np.clip(height + bend, 0, 1)
    upper, lower = ease(part, 0.0, 0.68), ease(part, 0.5, 1.0)
    canvas.pixels += np.asarray(light.top, np.float32)
    canvas.cover(upper, light.middle)
    canvas.cover(lower, light.low)


def _stars(canvas: Canvas, horizon: float, milky: bool) -> None:
    random, width = canvas.random, canvas.width
    if milky:
        slope, start = random.uniform(0.4, 0.9), random.uniform(0.1, 0.4)
        away = np.abs(canvas.rows - canvas.columns * slope - canvas.height * (start - 0.4)) / canvas.unit
        band = np.exp(-((away / 0.2) ** 2)) * ease(canvas.noise(4, 5), 0.3, 0.75)
        canvas.shine(band.astype(np.float32) * 0.55, mix(canvas.light.low, WHITE, 0.4))
    number = int(canvas.width * canvas.height / (450 if milky else 1500))
    dots: Array = np.zeros((canvas.height, width), np.float32)
    rows = (random.random(number) ** 1.3 * min(horizon, canvas.height - 2)).astype(int)
    columns = random.integers(1, width - 1, number)
    bright = (random.random(number) ** 4).astype(np.float32)
    dots[rows, columns] = 0.15 + 0.85 * bright
    for row, column, light in zip(rows, columns, bright, strict=True):
        if light > 0.35:
            dots[max(row - 1, 0) : row + 2, column] += 0.6 * light
            dots[row, column - 1 : column + 2] += 0.6 * light
    canvas.shine(np.clip(dots, 0, 1), mix(canvas.light.glow, WHITE, 0.6))


def _aurora(canvas: Canvas, horizon: float) -> None:
    for number, color in enumerate(((0.25, 1.0, 0.6), (0.2, 0.8, 0.9), (0.7, 0.35, 0.95))):
        base = horizon * (0.72 - 0.16 * number) + (canvas.line(1.4, 2, smooth=True) - 0.5) * canvas.unit * 0.35
        rays = 0.35 + 0.65 * canvas.line(22, 3)
        up = (base[None, :] - canvas.rows) / canvas.unit
        curtain = np.exp(np.minimum(up, 0) / 0.02 - np.maximum(up, 0) / (0.08 + 0.2 * rays[None, :]))
        canvas.shine((curtain * rays[None, :] * 0.6).astype(np.float32), color)


def _sun(canvas: Canvas, x: float, y: float, moon: bool) -> None:
    away = np.hypot(canvas.rows - y, canvas.columns - x) / canvas.unit
    radius = canvas.random.uniform(0.045, 0.085) if moon else canvas.random.uniform(0.05, 0.11)
    glow = 0.5 * np.exp(-away / 0.28) + 0.45 * np.exp(-((away / 0.16) ** 2))
    canvas.shine((glow * (0.55 if moon else 1)).astype(np.float32), canvas.light.glow)
    edge = 1.2 / canvas.unit
    disc = 1 - ease(away.astype(np.float32), radius - edge, radius + edge)
    face = canvas.noise(16, 4) if moon else None
    canvas.cover(disc * 0.96, mix(canvas.light.glow, WHITE, 0.5))
    if face is not None:
        canvas.cover(disc * ease(face, 0.5, 0.7) * 0.22, mix(canvas.light.middle, WHITE, 0.3))


def _clouds(canvas: Canvas, horizon: float, cover: float) -> None:
    shape = canvas.noise(2.2, 5, 3.2)
    thick = ease(shape, 0.78 - cover * 0.5, 0.98 - cover * 0.4)
    step = max(2, canvas.unit // 60)
    lit = np.clip((shape - np.roll(shape, -step, axis=0)) * 5 + 0.5, 0, 1)[..., None]
    bright, dim = mix(canvas.light.glow, WHITE, 0.3), mix(canvas.light.middle, canvas.light.top, 0.35)
    color = np.asarray(dim, np.float32) * (1 - lit) + np.asarray(bright, np.float32) * lit
    height = canvas.rows / max(horizon, 1)
    canvas.cover(thick * (0.75 * (1 - ease(height, 0.55, 1.0))).astype(np.float32), color)


def _mountains(canvas: Canvas, horizon: float, snow: bool, layers: int) -> None:
    light, unit = canvas.light, canvas.unit
    haze = mix(light.low, light.middle, 0.35)
    for number in range(layers):
        depth = (number + 1) / layers
        crest_height = unit * (0.34 - 0.2 * depth) * canvas.random.uniform(0.85, 1.25)
        line = canvas.line(1.3 + depth, 7, 0.48) ** 1.25
        crest = horizon - line * crest_height + unit * 0.07 * (depth - 0.6)
        near = mix(haze, light.land, 0.18 + 0.62 * depth)
        top, mask = ridge(canvas, crest, near, mix(near, haze, 0.75), unit * 0.24)
        _slopes(canvas, crest, top, mask, crest_height, snow or (number == 0 and crest_height > unit * 0.24), depth)


def _hills(canvas: Canvas, horizon: float) -> None:
    light, unit = canvas.light, canvas.unit
    haze = mix(light.low, light.middle, 0.3)
    for number in range(4):
        depth = (number + 1) / 4
        crest = horizon + unit * (0.12 * depth - 0.03) - canvas.line(0.9 + 0.5 * depth, 3, 0.35, True) * unit * 0.16
        near = mix(haze, mix(light.land, light.middle, 0.15), 0.2 + 0.6 * depth)
        ridge(canvas, crest, near, mix(near, haze, 0.8), unit * 0.16, 0.12)


def _slopes(canvas: Canvas, crest: Array, top: int, mask: Array, tall: float, snow: bool, depth: float) -> None:
    """Sunlit and shaded flanks, and snow on the heights: what turns a cut-out into a mountain."""
    rough = canvas.noise(9, 5, 0.6, rows=canvas.height - top)
    below = canvas.rows[top:] - crest[None, :]
    smooth = np.convolve(np.pad(crest, 6, mode="edge"), np.full(13, 1 / 13), "valid")
    facing = np.tanh(np.gradient(smooth) * 1.6).astype(np.float32)
    # The flank's bends follow the crest above, wandering more the deeper they are, but never so far as to swirl.
    wander = (rough - 0.5) * tall * 0.8 * (1 - np.exp(-np.maximum(below, 0) / (tall * 0.35)))
    source = np.clip(canvas.columns + wander + below * 0.3, 0, canvas.width - 1).astype(np.int32)
    lit = facing[source] * 0.5 + (rough - 0.5) * 0.8
    fade = mask * (1 - ease(below, 0, tall * 1.2))
    canvas.cover(np.clip(lit, 0, 1) * fade * 0.5, mix(canvas.light.glow, canvas.light.low, 0.5), top)
    canvas.cover(np.clip(-lit, 0, 1) * fade * 0.45, mix(canvas.light.land, canvas.light.middle, 0.15), top)
    if snow:
        cap = 1 - ease(below - (rough - 0.5) * tall * 0.9, tall * 0.12, tall * 0.34)
        white = mix(canvas.light.low, WHITE, 0.65 - 0.3 * (canvas.light.hour == "night"))
        canvas.cover(cap * mask * np.clip(0.55 + lit, 0.15, 1) * (0.9 - 0.25 * depth), white, top)


def _water(canvas: Canvas, horizon: float, sun_x: float) -> None:
    top = int(min(horizon + canvas.unit * 0.012, canvas.height - 2))
    rows = canvas.height - top
    depth = np.arange(rows, dtype=np.float32)[:, None]
    ripple = canvas.noise(26, 3, 7.0, rows=rows) - 0.5
    near = depth / rows
    source = top - 1 - depth * 0.95 + ripple * (4 + near * canvas.unit * 0.2)
    index = np.clip(np.abs(source), 0, top - 1).astype(np.int32)
    water = canvas.pixels[index, np.arange(canvas.width)[None, :]]
    canvas.pixels[top:] = water
    deep = mix(canvas.light.top, canvas.light.land, 0.45)
    canvas.cover(np.clip(0.16 + 0.5 * near + ripple * 0.35, 0, 1), deep, top)
    reach = np.exp(-(((canvas.columns - sun_x) / (canvas.unit * (0.05 + 0.2 * near))) ** 2))
    glitter = ease(canvas.noise(60, 2, 9.0, rows=rows), 0.5, 0.72) * reach * (1 - 0.5 * near)
    canvas.cover((glitter * 0.85).astype(np.float32), canvas.light.glow, top)
    shore = np.exp(-depth / (canvas.unit * 0.012)) * np.ones((1, canvas.width), np.float32)
    canvas.cover((shore * 0.45).astype(np.float32), mix(canvas.light.low, WHITE, 0.3), top)


def _forest(canvas: Canvas, horizon: float, snow: bool, open_to_water: bool) -> None:
    light, unit, random = canvas.light, canvas.unit, canvas.random
    haze = mix(light.low, light.middle, 0.4)
    layers = 3 if open_to_water else 4
    for number in range(layers):
        depth = (number + 1) / layers
        base = horizon + unit * (0.05 + 0.36 * depth**1.6) - canvas.line(1.0, 3, smooth=True) * unit * 0.13
        if open_to_water:
            # Trees at both edges only, so that the water stays in view.
            edge = np.abs(canvas.columns[0] / canvas.width - 0.5) * 2
            base = base + unit * 0.5 * (1 - ease(edge, 0.35, 0.95))
        tall = unit * (0.07 + 0.2 * depth**1.4)
        color = mix(haze, mix(light.land, (0.02, 0.09, 0.07), 0.35), 0.25 + 0.72 * depth)
        gaps = tall * random.uniform(0.16, 0.3, int(canvas.width / (tall * 0.16)) + 2)
        positions = np.cumsum(gaps) - tall
        trees = [(x, float(base[int(np.clip(x, 0, canvas.width - 1))])) for x in positions if x < canvas.width + tall]
        mask = figures.conifers(canvas, trees, tall)
        canvas.cover(mask, mix(color, mix(light.low, WHITE, 0.5), 0.22) if snow else color)
        ridge(canvas, base, color, mix(color, haze, 0.75 * (1 - depth) + 0.12), unit * 0.2)


def _city(canvas: Canvas, horizon: float, street: bool, centre: float) -> None:
    light, unit, random = canvas.light, canvas.unit, canvas.random
    haze = mix(light.low, light.middle, 0.3)
    night = light.hour in ("night", "dusk")
    ground = horizon + unit * 0.2
    for number in range(4):
        depth = (number + 1) / 4
        boxes, windows = [], []
        x = -unit * 0.05
        foot = ground + 2
        while x < canvas.width:
            wide = unit * random.uniform(0.035, 0.085) * (0.6 + depth)
            tall = unit * random.uniform(0.12, 0.34) * (1.15 - 0.35 * depth)
            if street:
                away = abs(x + wide / 2 - centre) / canvas.width
                # Each row of houses leaves a wider gap than the one behind it: a street that comes towards us.
                tall = 0 if away < 0.05 + 0.085 * depth else tall * (0.45 + 2.6 * away) * (0.7 + 0.75 * depth)
            if tall:
                house = (x, foot - tall - unit * (0.2 - 0.1 * depth), x + wide * 0.97, foot)
                boxes.append(house)
                windows += _windows(house, unit * (0.006 + 0.006 * depth))
                if random.random() < 0.3:
                    mast = x + wide * random.uniform(0.3, 0.7)
                    boxes.append((mast - 1, house[1] - unit * 0.05, mast + 1, foot))
            x += wide * random.uniform(1.0, 1.25)
        color = mix(haze, light.land, 0.2 + 0.68 * depth)
        mask = figures.boxes(canvas, boxes)
        fade = 1 - 0.9 * ease(canvas.rows, ground - unit * 0.34, ground) * (1 - depth)
        canvas.cover(mask * fade.astype(np.float32), color)
        lit = [box for box in windows if random.random() < (0.42 if night else 0.1)]
        panes = figures.boxes(canvas, lit)
        panes *= fade.astype(np.float32)
        warm = mix((1.0, 0.82, 0.5), light.low, 0.35 * random.random())
        canvas.cover(panes * (0.35 + 0.5 * depth) * (1.0 if night else 0.5), warm)
    road = mix(light.land, light.middle, 0.22)
    ridge(canvas, np.full(canvas.width, ground, np.float32), road, mix(light.land, (0, 0, 0), 0.3), unit * 0.3)
    down = (canvas.rows - ground) / unit
    sheen = np.exp(-(((canvas.columns - centre) / (unit * (0.1 + 0.55 * np.clip(down, 0, 1)))) ** 2)) * (down > 0)
    canvas.shine((sheen * (0.3 + 0.5 * canvas.noise(30, 2, 8.0))).astype(np.float32) * 0.6, light.low)


def _windows(box: tuple[float, float, float, float], step: float) -> list[tuple[float, float, float, float]]:
    left, top, right, foot = box
    return [
        (x, y, x + step * 0.55, y + step * 0.8)
        for y in np.arange(top + step * 1.5, foot - step, step * 2.1)
        for x in np.arange(left + step, right - step, step * 1.6)
    ]


def _dunes(canvas: Canvas, horizon: float, sun_x: float) -> None:
    light, unit = canvas.light, canvas.unit
    sand = mix((0.86, 0.62, 0.36), light.low, 0.3 if light.hour != "night" else 0.0)
    sand = mix(sand, light.land, 0.62 if light.hour == "night" else 0.1)
    dark = mix(sand, light.land, 0.62)
    for number in range(5):
        depth = (number + 1) / 5
        line = canvas.line(0.7 + 0.3 * number, 2, 0.3, smooth=True)
        crest = horizon + unit * (0.42 * depth**1.5 - 0.02) - line * unit * (0.06 + 0.12 * depth)
        far = mix(sand, light.low, 0.75 * (1 - depth))
        top, mask = ridge(canvas, crest, far, mix(far, dark, 0.55), unit * 0.3)
        below = canvas.rows[top:] - crest[None, :]
        # The lee side: under the crest, a shadow with one sharp and wandering edge.
        edge = canvas.line(1.5, 3, smooth=True) * unit * (0.03 + 0.16 * depth)
        away = np.gradient(crest) * (1 if sun_x > canvas.width / 2 else -1)
        edge *= ease(away.astype(np.float32), -0.03, 0.2)
        lee = ease(edge[None, :] - below, 0, unit * 0.006 + 1)
        canvas.cover(lee * mask * 0.75, mix(dark, far, 0.35 * (1 - depth)), top)
        wind = np.sin(below / unit * (260 - 130 * depth) + canvas.noise(5, 3, rows=canvas.height - top) * 22)
        canvas.cover((np.clip(wind, 0, 1) * mask * 0.07 * depth).astype(np.float32), dark, top)


def _ground(canvas: Canvas, scene: Scene, things: frozenset[str], horizon: float) -> Array:
    """The nearest land, and its crest line: where figures stand."""
    light, unit = canvas.light, canvas.unit
    rise = 0.16 if things & {"meadow", "snow"} else 0.3
    crest = horizon + unit * rise - canvas.line(0.8, 3, 0.4, smooth=True) * unit * 0.08
    if "city" in things:
        return np.full(canvas.width, horizon + unit * 0.27, np.float32)
    if "snow" in things:
        near = mix(mix(light.low, WHITE, 0.55), light.middle, 0.5 if light.hour == "night" else 0.2)
        ridge(canvas, crest, near, mix(near, light.middle, 0.45), unit * 0.4, 0.06)
    elif "meadow" in things:
        green = mix((0.3, 0.52, 0.2), light.land, 0.72 if light.hour == "night" else 0.3)
        ridge(canvas, crest, mix(green, light.low, 0.35), mix(green, light.land, 0.55), unit * 0.4, 0.5)
        figures.flowers(canvas, crest, scene)
    elif things & {"person", "cat", "fox", "house", "sakura"} and "desert" not in things:
        near = mix(light.land, (0.0, 0.0, 0.0), 0.25)
        ridge(canvas, crest, near, mix(near, (0, 0, 0), 0.4), unit * 0.3)
        figures.grass(canvas, crest, near)
    return crest


def _subjects(canvas: Canvas, things: frozenset[str], ground: Array, x: float, night: bool) -> None:
    unit = canvas.unit
    dark = mix(canvas.light.land, (0.0, 0.0, 0.0), 0.55)
    for thing, tall in (("house", 0.15), ("person", 0.3), ("fox", 0.19), ("cat", 0.17)):
        if thing in things:
            foot = min(float(ground[int(np.clip(x, 0, canvas.width - 1))]) + unit * 0.012, canvas.height * 0.92)
            figures.stand(canvas, thing, x, foot, unit * tall, dark, night)
            x += unit * (0.18 if thing == "person" else 0.26) * (1 if x < canvas.width / 2 else -1)


def _abstract(canvas: Canvas, index: int) -> Array:
    """Sheets of cut paper, or folds of silk: for prompts that name nothing we can draw."""
    light = canvas.light
    stops = np.asarray([light.land, light.top, light.middle, light.low, light.glow], np.float32)
    if index % 2:
        warp = canvas.noise(1.1, 3)
        lines = canvas.rows / canvas.unit * 2.2 + canvas.columns / canvas.unit * 0.8
        wave = (lines + warp * 3.6 + canvas.noise(0.8, 2) * 2) * 3.1
        folds = 1 - np.abs(np.sin(wave)) ** 0.8
        level = np.clip(folds * 0.35 + canvas.noise(0.9, 2) * 0.9 - 0.18, 0, 0.95)
        slope = np.sin(wave * 2) * 0.3
    else:
        field = canvas.noise(1.5, 3)
        steps = 9
        low, high = float(field.min()), float(field.max())
        whole = (field - low) / (high - low) * steps
        sheet = np.floor(whole)
        across = np.hypot(*np.gradient(whole)) + 1e-6
        soft = np.clip((whole - sheet - 1) / across + 1, 0, 1)
        level = np.clip((sheet + soft) / (steps - 1), 0, 1)
        slope = -np.exp(-(sheet + 1 - whole) * 5) * 0.45 + 0.1
    position = level * (len(stops) - 1)
    lower = np.clip(position.astype(np.int32), 0, len(stops) - 2)
    part = (position - lower)[..., None]
    canvas.pixels[:] = stops[lower] * (1 - part) + stops[lower + 1] * part
    canvas.pixels *= (1 + np.clip(slope, -0.5, 0.5) * 0.6)[..., None].astype(np.float32)
    return _finished(canvas)


def _finished(canvas: Canvas) -> Array:
    """Soft bloom and darker corners."""
    height, width = canvas.height, canvas.width
    away = np.hypot((canvas.rows - height / 2) / height, (canvas.columns - width / 2) / width)
    canvas.pixels *= (1 - 0.3 * ease(away.astype(np.float32), 0.35, 0.78))[..., None]
    return canvas.pixels
