"""Synthetic images as large and as hard to compress as photos, and the minimum cost of decoding them.

    python -m benchmarks.synthetic_photos floor FILE

prints wall time and CPU time, in seconds, to decode a file once and make its three copies with Pillow alone.

    python -m benchmarks.synthetic_photos compare

prints that CPU time next to that of the app, which also verifies the file.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from dreamina_ui.media.decoding.images import WEBP, make_copies
from dreamina_ui.media.formats import FORMATS
from dreamina_ui.media.store import COPY_PX, TIERS

CACHE = Path(tempfile.gettempdir()) / "dreamina-ui-synthetic-photos"
LARGE = (4992, 3328)
SQUARE = (2048, 2048)
NOISE = 4.5
"""Standard deviation of the noise, of 255: a PNG of 4992 x 3328 has about 30 MB, like those of the service."""


def synthetic_photos(size: tuple[int, int], extension: str, count: int) -> list[Path]:
    """`count` different images; created once and cached in the folder for temporary files."""
    CACHE.mkdir(exist_ok=True)
    paths = [CACHE / f"{size[0]}x{size[1]}-{number}.{extension}" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            partial = path.with_suffix(f".{os.getpid()}.{extension}")
            _paint(size, number).save(partial, quality=92, compress_level=6)
            partial.rename(path)
    return paths


def _paint(size: tuple[int, int], seed: int) -> Image.Image:
    """Smooth colors, soft waves and noise."""
    random = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, size[0], dtype="f4"), np.linspace(0, 1, size[1], dtype="f4"))
    channels = []
    for _ in range(3):
        across, down, turn = random.uniform(2, 9, 3)
        smooth = 128 + 70 * np.sin(across * x + turn) * np.cos(down * y) + 20 * np.sin(60 * (x + y * turn))
        grain = random.standard_normal(smooth.shape, dtype="f4") * NOISE
        channels.append(np.clip(smooth + grain, 0, 255).astype("u1"))
    return Image.fromarray(np.stack(channels, axis=-1))


def floor_s(path: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one decode with its three copies, without verification; best of three."""
    clock_s, cpu_s = zip(*(_decode_s(path) for _ in range(3)), strict=True)
    return min(clock_s), min(cpu_s)


def _decode_s(path: Path) -> tuple[float, float]:
    started_s, cpu_s = time.perf_counter(), time.process_time()
    with Image.open(path) as image:
        image.draft("RGB", (COPY_PX["large"],) * 2)
        for tier, side_px in COPY_PX.items():
            image.thumbnail((side_px, side_px), Image.Resampling.BICUBIC, reducing_gap=1.1)
            quality, method = WEBP[tier]
            image.save(io.BytesIO(), "WEBP", quality=quality, method=method)
    return time.perf_counter() - started_s, time.process_time() - cpu_s


def compare() -> None:
    """Measure both in turns; best of five."""
    for extension, name in (("png", "PNG"), ("jpg", "JPEG")):
        path = synthetic_photos(LARGE, extension, 1)[0]
        form = next(form for form in FORMATS if form.name == name)
        plain_s, ours_s = [], []
        for _ in range(5):
            plain_s.append(_decode_s(path)[1])
            cpu_s = time.process_time()
            with path.open("rb") as file:
                make_copies(file, form, TIERS[1:], max_pixels=LARGE[0] * LARGE[1])
            ours_s.append(time.process_time() - cpu_s)
        ratio = min(ours_s) / min(plain_s)
        print(f"{name:<5} Pillow alone {min(plain_s):.3f} s   app {min(ours_s):.3f} s   ratio {ratio:.2f}")


if __name__ == "__main__":
    compare() if sys.argv[1] == "compare" else print(*floor_s(Path(sys.argv[2])))
