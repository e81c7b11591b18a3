"""Image sizes as a schema's choices write them, such as `2048x2048(1:1)`."""

from __future__ import annotations

import re
from typing import Any

_SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})(?:\(([0-9]+:[0-9]+)\))?")


def parse_size(choice: Any) -> tuple[int, int] | None:
    """Read `(width, height)` in pixels from a choice such as `2048x2048(1:1)`; None if it is not a size."""
    match = _SIZE.fullmatch(choice) if isinstance(choice, str) else None
    return (int(match[1]), int(match[2])) if match else None


def choice_label(choice: Any) -> str:
    """A readable label: `2048x2048(1:1)` -> `2048 × 2048 · 1:1 · 4 MP`; other values unchanged.

    Megapixels are whole numbers, so that the label needs no decimal mark and is the same in every language.
    """
    match = _SIZE.fullmatch(choice) if isinstance(choice, str) else None
    if match is None:
        return str(choice)
    width, height, ratio = int(match[1]), int(match[2]), match[3]
    megapixels = round(width * height / 1e6)
    parts = [f"{width} × {height}", ratio, f"{megapixels} MP" if megapixels else None]
    return " · ".join(filter(None, parts))
