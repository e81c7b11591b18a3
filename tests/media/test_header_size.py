"""Rules about sizes of input images are checked before money is spent, without decoding what a stranger sends."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dreamina_ui.media.header_size import header_size
from dreamina_ui.models.validations import FileFacts, broken_validation, read_validations
from tests.support.catalog_schemas import RULES


@pytest.mark.parametrize(
    "options",
    [
        {"format": "PNG"},
        {"format": "GIF"},
        {"format": "JPEG"},
        {"format": "JPEG", "progressive": True, "comment": b"x" * 9000},
        {"format": "WEBP"},
        {"format": "WEBP", "lossless": True},
        {"format": "WEBP", "exif": b"Exif\0\0"},
    ],
)
def test_the_header_of_every_common_format_is_read(options: dict[str, object]) -> None:
    """A rule that holds for PNG only would let JPEG through, which the service refuses later."""
    file = io.BytesIO()
    Image.new("RGB", (61, 37), "tomato").save(file, **options)  # type: ignore[arg-type]
    assert header_size(file) == (61, 37)


@given(
    st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X", b"GIF8"])
)
def test_a_broken_header_says_nothing(tail: bytes, start: bytes) -> None:
    """Any bytes can lie behind a URL."""
    size = header_size(io.BytesIO(start + tail))
    assert size is None or min(size) > 0


@pytest.mark.parametrize(
    ("facts", "quantity"),
    [
        (FileFacts(1_000_000, 640, 480), None),
        (FileFacts(31_000_000, 640, 480), "file_size_mb"),
        (FileFacts(1000, 1700, 100), "width/height"),
        (FileFacts(1000, 20, 400), "width/height"),
        (FileFacts(1000, 14, 20), "width_pixels"),
        (FileFacts(1000, 20, 14), "height_pixels"),
        (FileFacts(1000), None),
    ],
)
def test_each_rule_of_a_schema_holds(facts: FileFacts, quantity: str | None) -> None:
    """The service charges nothing for what it refuses, and a person still waits for it."""
    broken = broken_validation(read_validations({"validations": RULES}), facts)
    assert (broken and broken.quantity) == quantity


ODD_RULES = [
    {"validation_rule": 5},
    {"validation_rule": "width_pixels>"},
    {"validation_rule": "mood<", "validation_value": 3},
    {"validation_rule": "width_pixels>", "validation_value": True},
]


@pytest.mark.parametrize("value", [None, 5, "x", [5, None], *([rule] for rule in ODD_RULES)])
def test_a_rule_that_nobody_knows_is_left_to_the_service(value: object) -> None:
    """A new kind of rule must not take a model away."""
    assert read_validations({"validations": value}) == ()
