"""What is made of an image, and why it may not be; known on both sides of the pipe to a decoding process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dreamina_ui.media.store import COPY_PX


class ImageError(Exception):
    """No copy can be made of this file.

    Attributes:
        is_damage: whether the file is not the good image it should be; else it is too much for us.
        size: width and height in pixels, if known.
    """

    def __init__(self, reason: str, *, is_damage: bool = True, size: tuple[int, int] | None = None) -> None:
        super().__init__(reason)
        self.is_damage = is_damage
        self.size = size


class Copies(NamedTuple):
    """Size of the original in pixels, before any EXIF orientation, and its copies as WebP files, by tier.

    `colors` are those of the image, as `colors.color_bits`; None if it was not decoded.
    """

    width: int
    height: int
    files: Mapping[str, bytes]
    colors: int | None = None


class Bounds(NamedTuple):
    """How much one image may take.

    Attributes:
        max_pixels: width times height; twice as many of a JPEG, which can be scaled down while it is decoded.
        cpu_s: CPU time, where the system limits it.
        wall_s: time on the clock, of each attempt.
    """

    max_pixels: int = 40_000_000
    cpu_s: int = 20
    wall_s: float = 60.0


RESULT_BOUNDS = Bounds()


def tiers_of(width: int, height: int) -> tuple[str, ...]:
    """Which copies an image of this size has: no large one if that would be no larger than its preview."""
    is_large = max(width, height) > COPY_PX["preview"]
    return tuple(tier for tier in COPY_PX if tier != "large" or is_large)
