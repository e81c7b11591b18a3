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


class InputCopy(NamedTuple):
    """An image as the service gets it, and a thumbnail (WebP); neither has metadata of the original.

    Attributes:
        width, height: of the copy, in pixels.
        source_width, source_height: of the original, upright.
        extension: `png` or `jpg`.
        data: the copy.
    """

    width: int
    height: int
    source_width: int
    source_height: int
    extension: str
    data: bytes
    thumbnail: bytes


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

INPUT_PX = 4096
"""The longer side of an input at most; the service's page says "about 4K"."""

MAX_INPUT_BYTES = 6 * 1024**2
"""The size of an input at most, as the service's own clients have it."""


def tiers_of(width: int, height: int) -> tuple[str, ...]:
    """Which copies an image of this size has: no large one if that would be no larger than its preview."""
    is_large = max(width, height) > COPY_PX["preview"]
    return tuple(tier for tier in COPY_PX if tier != "large" or is_large)
