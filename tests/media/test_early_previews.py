"""Visitors see an image while it is still arriving."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dreamina_ui.media.early_previews import MAX_BYTES, EarlyPreviews
from dreamina_ui.media.store import COPY_PX
from tests.support.decoding import decoder

JOB = "0" * 32


def noise(form: str = "JPEG", **options: Any) -> bytes:
    """An image of 600 x 400 that no format packs well, its upper half red."""
    image = Image.effect_noise((600, 400), 120).convert("RGB")
    image.paste((200, 30, 30), (0, 0, 600, 100))
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def previews() -> EarlyPreviews:
    return EarlyPreviews(decoder())


def opened(preview: bytes | None) -> Image.Image:
    assert preview
    return Image.open(io.BytesIO(preview)).convert("RGB")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_seen_as_far_as_it_has_come(previews: EarlyPreviews, tmp_path: Path, progressive: bool) -> None:
    """On a slow line an image of 30 MB takes half a minute."""
    data = noise(quality=98, progressive=progressive)
    with (tmp_path / "fetched").open("w+b") as file, previews.arriving(JOB, 1, file):
        assert not previews.refresh(JOB)
        file.write(data[: len(data) // 2])
        file.flush()
        position = file.tell()
        assert previews.refresh(JOB) == {1: len(data) // 2}
        half = opened(previews.find(JOB, 1))
        assert half.width == COPY_PX["thumbnail"]
        red, green, _ = half.getpixel((200, 20))  # type: ignore[misc]
        assert red > 120 > green
        assert file.tell() == position, "the download goes on where it was"
        assert not previews.refresh(JOB), "nothing more has come"
        file.write(data[len(data) // 2 :])
        file.flush()
        assert previews.refresh(JOB) == {1: len(data)}
        assert previews.find(JOB, 0) is None
    assert previews.find(JOB, 1) is None, "the whole image has taken its place"
    assert not previews.refresh(JOB)


@pytest.mark.parametrize("data", [noise("PNG"), b"\xff\xd8\xff" + bytes(100_000), noise(quality=95)[:60_000]])
def test_what_gives_no_preview_does_no_harm(previews: EarlyPreviews, tmp_path: Path, data: bytes) -> None:
    """Only the whole file decides whether it is good."""
    with (tmp_path / "fetched").open("w+b") as file, previews.arriving(JOB, 0, file):
        file.write(data)
        file.flush()
        assert not previews.refresh(JOB)
        assert previews.find(JOB, 0) is None


def test_a_file_that_is_gone_or_has_no_path_or_is_huge_gets_no_preview(previews: EarlyPreviews, tmp_path: Path) -> None:
    """A download may end at any moment, and a hostile host may send forever."""
    path = tmp_path / "fetched"
    with path.open("w+b") as file, previews.arriving(JOB, 0, file):
        file.write(noise(quality=98))
        file.truncate(MAX_BYTES + 1)
        assert not previews.refresh(JOB)
        path.unlink()
        assert not previews.refresh(JOB)
    with previews.arriving(JOB, 0, io.BytesIO(noise(quality=98))):
        assert not previews.refresh(JOB)
