"""An image's size and its copies, by Pillow; only decoding processes import this.

An image counts as good only when it was read to its very end and its checksums hold; it is decoded once.
"""

from __future__ import annotations

import contextlib
import errno
import io
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.WebPImagePlugin import WebPImageFile

from dreamina_ui.media.decoding.bounds import enforce_size, enforce_structure, is_lossy_webp, too_much
from dreamina_ui.media.decoding.colors import SAMPLE_PX, color_bits
from dreamina_ui.media.decoding.copies import INPUT_PX, MAX_INPUT_BYTES, Copies, ImageError, InputCopy, tiers_of
from dreamina_ui.media.decoding.png import PngError, essential_png
from dreamina_ui.media.formats import Format
from dreamina_ui.media.store import COPY_PX

WEBP = {"large": (82, 1), "preview": (82, 2), "thumbnail": (75, 2)}
"""Quality and method. Method 1 or 2 takes half the time of the default 4, for files a little larger
(benchmarks/README.md). A page of the library has 24 thumbnails."""

_BLOCK_BYTES = 256 * 1024
"""How much of a file is decoded at once; Pillow's own 64 KiB cost more calls."""

_DECODER_BYTES = {"WEBP": 12, "AVIF": 12}
"""Memory that decoders take for each pixel; the others fill Pillow's image directly."""

_JPEG_PIXELS = 2
"""How many times as many pixels a JPEG may have, which can be scaled down while it is decoded."""

_SCALING_BYTES = 60 * 10**6
"""What scaled copies and the encoder need beside the pixels of the original."""

_PLUGINS = {"AVIF": "Avif", "TIFF": "Tiff", "PSD": "Psd"}
_GAP = 1.1
"""How much of a reduction is left to the good filter; the rest is done by a quick one."""

_INPUT_QUALITIES = (95, 90)
_SMALL_PIXELS = 4_500_000
_SMALL_BYTES = 1_000_000
"""Up to this size, an input that becomes a PNG is packed well; above it, quickly. So is one of a small file, which is
small either way."""

_MASK_PIXELS = 4096 * 4096
"""How many pixels a gray image may have in any case where half of them are allowed: masks are as large as results."""

_LOSSY = ("JPEG", "AVIF")

_MAX_PROFILE_BYTES = 100_000
_STRIP_PX = 256
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (
    Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270,
)  # fmt: skip


def make_copies(
    file: BinaryIO, form: Format, tiers: Sequence[str], *, max_pixels: int, max_bytes: int = 1 << 40
) -> Copies:
    """Read an image to its very end and make its copies; small images are not enlarged.

    Args:
        file: open for reading; it stays open.
        tiers: which copies to make, of those that an image of its size has; none to read only its header.
        max_bytes: about how much memory it may take.

    Raises:
        ImageError: it is damaged or cut off, or too large in any way.
        MemoryError: there is not enough.
        OSError: the file cannot be read.
    """
    with _image_errors():
        image = _header(file, form, max_pixels, max_bytes)
        width, height = image.size
        tiers = [tier for tier in tiers_of(width, height) if tier in tiers]
        if not tiers:
            return Copies(width, height, {})
        image, turn = _pixels(image, COPY_PX[tiers[0]], max_bytes)
        files: dict[str, bytes] = {}
        for tier in tiers:
            image = _fitted(image, COPY_PX[tier], (width, height))
            files[tier] = _webp(image if turn is None else image.transpose(turn), tier)
        return Copies(width, height, files, _colors(image))


def make_input(file: BinaryIO, form: Format, *, max_pixels: int, max_bytes: int = 1 << 40) -> InputCopy:
    """Read an image to its very end and make of it what the service gets: PNG or JPEG, within bounds, without metadata.

    What had losses becomes a JPEG. Anything else becomes a PNG, or where that is too large, and nothing is transparent,
    a JPEG. It is scaled down only where that does not suffice.

    Args and errors as for `make_copies`.
    """
    with _image_errors():
        image = _header(file, form, max_pixels, max_bytes)
        is_lossy, source = form.name in _LOSSY or _is_lossy_webp(file, form), image.size
        image, turn = _pixels(image, INPUT_PX, max_bytes)
        image = _fitted(image, INPUT_PX, source)
        image = image if turn is None else image.transpose(turn)
        profile = image.info.get("icc_profile") or b""
        image.info = {"icc_profile": profile} if 0 < len(profile) <= _MAX_PROFILE_BYTES else {}
        image = image.convert("RGBA") if image.mode == "RGBa" else image
        is_small = file.seek(0, io.SEEK_END) <= _SMALL_BYTES
        extension, data, size = _input_file(image, is_lossy=is_lossy, is_quick=is_small)
        thumbnail = _webp(_fitted(image, COPY_PX["thumbnail"], image.size), "thumbnail")
        upright = (source[1], source[0]) if turn in _SIDEWAYS else source
        return InputCopy(*size, *upright, extension, data, thumbnail)


def _header(file: BinaryIO, form: Format, max_pixels: int, max_bytes: int) -> Image.Image:
    """An image of which only the header is read, and that is not too large."""
    max_pixels = min(max_pixels, max_bytes // _DECODER_BYTES.get(form.name, 1))
    max_pixels *= _JPEG_PIXELS if form.name == "JPEG" else 1
    enforce_structure(file, form.name, max_pixels)
    image = _opened(essential_png(file) if form.name == "PNG" else file, form)
    if image.mode in ("1", "L"):  # quick to read
        max_pixels = max(max_pixels, min(2 * max_pixels, _MASK_PIXELS))
    enforce_size(image.size, max_pixels)
    return image


def _pixels(image: Image.Image, side_px: int, max_bytes: int) -> tuple[Image.Image, Image.Transpose | None]:
    """The whole image in a mode for work, scaled down to about `side_px` where that is quick; and how to turn it."""
    width, height = image.size
    image.draft("RGB", (side_px, side_px))
    if _needed_bytes(image, width * height) > max_bytes:
        raise too_much(f"the image has {width} x {height} pixels, which need too much memory", (width, height))
    image.decodermaxblock = _BLOCK_BYTES  # type: ignore[attr-defined]
    image.load()
    turn = _turn_of(image)
    if image.mode not in ("RGB", "RGBA", "P"):
        image.info.pop("icc_profile", None)  # It describes inks or grays, and the copies are RGB.
    # Each step replaces the image in this one name, so that the larger one is let go.
    for mode in _modes_to(_work_mode(image), image.mode):
        image = _gray(image) if mode == "L" else image.convert(mode)
    return image, turn


def _fitted(image: Image.Image, side_px: int, source: tuple[int, int]) -> Image.Image:
    """An image that was of the size `source`, with a longer side of `side_px` at most."""
    width, height = source
    scale = min(side_px / max(width, height), 1.0)
    image = _reduced(image, side_px)
    return _resized(image, (max(round(width * scale), 1), max(round(height * scale), 1)))


def _is_lossy_webp(file: BinaryIO, form: Format) -> bool:
    file.seek(0)
    return form.name == "WEBP" and is_lossy_webp(file.read(4096))


def _input_file(image: Image.Image, *, is_lossy: bool, is_quick: bool) -> tuple[str, bytes, tuple[int, int]]:
    """The extension, the content and the size of an input, in a form that is small enough."""
    is_transparent = image.mode == "RGBA"
    shown = image
    while True:
        if is_transparent or not is_lossy:
            level = 1 if is_quick else 3 if shown.width * shown.height > _SMALL_PIXELS else 6
            data = _encoded(shown, "PNG", compress_level=level)
            if len(data) <= MAX_INPUT_BYTES:
                return "png", data, shown.size
        for quality in () if is_transparent else _INPUT_QUALITIES:
            data = _encoded(shown.convert("RGB"), "JPEG", quality=quality, subsampling=0)
            if len(data) <= MAX_INPUT_BYTES:
                return "jpg", data, shown.size
        scale = min(0.8, 0.95 * (MAX_INPUT_BYTES / len(data)) ** 0.5)
        info, size = shown.info, (round(shown.width * scale), round(shown.height * scale))
        shown = shown.resize(size, Image.Resampling.HAMMING)
        shown.info = info


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, icc_profile=image.info.get("icc_profile"), **options)
    return file.getvalue()


class _LeanWebp(WebPImageFile):
    """Lets go of the decoder's two canvases before Pillow makes room for the pixels that came out of it."""

    def load_prepare(self) -> None:
        self._decoder = None
        super().load_prepare()


def _opened(file: BinaryIO, form: Format) -> Image.Image:
    file.seek(0)
    if form.name == "WEBP":
        return _LeanWebp(file)
    if form.name in _PLUGINS:  # else Pillow imports all that it has
        import_module(f"PIL.{_PLUGINS[form.name]}ImagePlugin")
    return Image.open(file, formats=(form.name,))


def _needed_bytes(image: Image.Image, pixels: int) -> int:
    """About how much memory it takes to decode an image and then to scale it.

    Args:
        pixels: of the file; the image may be smaller already.
    """
    stored = {"1": 1, "L": 1, "P": 1, "I;16": 2}.get(image.mode, 4)
    mode = _work_mode(image)
    converted = 8 if mode == "RGBa" else stored if mode == image.mode else stored + 4
    coefficients = 0.0
    if image.info.get("progressive"):  # a JPEG's decoder holds them all; two bytes each
        layers = [across * down for _, across, down, _ in image.layer]  # type: ignore[attr-defined]
        coefficients = 2 * sum(layers) / max(layers)
    shown = image.width * image.height
    return max(round(shown * stored + pixels * coefficients), shown * converted + _SCALING_BYTES)


def _work_mode(image: Image.Image) -> str:
    """The mode in which an image is scaled; transparent colors must not bleed into others."""
    if image.has_transparency_data:
        return "RGBa"
    return "L" if image.mode in ("1", "L") or image.mode.startswith("I") else "RGB"


def _modes_to(work_mode: str, mode: str) -> tuple[str, ...]:
    """The conversions from a mode to the one for work."""
    if mode == work_mode:
        return ()
    return ("RGBA", "RGBa") if work_mode == "RGBa" and mode != "RGBA" else (work_mode,)


def _gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256))
    return image.convert("L")


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """How to turn an image upright."""
    # A damaged EXIF block spoils the orientation only, and Pillow raises many things for one.
    with contextlib.suppress(Exception):
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    return None


def _reduced(image: Image.Image, side_px: int) -> Image.Image:
    """Most of the way to a side of so many pixels by a quick filter, or all of it where that is a whole number."""
    ratio = max(image.size) / side_px
    factor = int(ratio) if ratio == int(ratio) else int(ratio / _GAP)
    return image.reduce(factor) if factor > 1 else image


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The rest of the way, strip by strip: of a whole image, Pillow would hold all that lies between its two passes."""
    if size == image.size:
        return image
    result = Image.new(image.mode, size)
    result.info = image.info
    rows = image.height / size[1]
    for top in range(0, size[1], _STRIP_PX):
        bottom = min(top + _STRIP_PX, size[1])
        box = (0, top * rows, image.width, min(bottom * rows, image.height))
        strip = image.resize((size[0], bottom - top), Image.Resampling.HAMMING, box)
        result.paste(strip, (0, top))
    return result


def _colors(image: Image.Image) -> int:
    """The colors of what is not transparent."""
    shown = image.convert("RGBA") if image.mode == "RGBa" else image
    small = shown.resize((SAMPLE_PX, SAMPLE_PX), Image.Resampling.BOX).convert("RGBA").tobytes()
    pixels = (small[start : start + 4] for start in range(0, len(small), 4))
    return color_bits((red, green, blue) for red, green, blue, alpha in pixels if alpha >= 128)


def _webp(image: Image.Image, tier: str) -> bytes:
    file = io.BytesIO()
    quality, method = WEBP[tier]
    shown = image.convert("RGBA") if image.mode == "RGBa" else image
    try:
        shown.save(file, "WEBP", quality=quality, method=method)
    except ValueError as exc:  # the image is good: it was read to its end
        raise MemoryError from exc
    return file.getvalue()


@contextlib.contextmanager
def _image_errors() -> Iterator[None]:
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except PngError as exc:
        text = f"the image was damaged ({exc})" if exc.is_damage else f"the image is a trap: {exc}"
        raise ImageError(text, is_damage=exc.is_damage) from exc
    except Image.DecompressionBombError as exc:
        raise ImageError("the image needs too much memory to open", is_damage=False) from exc
    except Exception as exc:
        # Pillow, too, raises OSError for bad images, but only the system's own have a number. EINVAL is the one that
        # a bad image can cause: a length in it makes Pillow seek to before the beginning.
        if isinstance(exc, OSError) and exc.errno not in (None, errno.EINVAL):
            raise
        text = "" if isinstance(exc, UnidentifiedImageError) else f" ({exc})"
        raise ImageError(f"the image was damaged{text}") from exc
