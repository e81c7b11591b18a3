"""Sizes among a schema's choices, as numbers and as labels."""

from __future__ import annotations

from typing import Any

import pytest

from dreamina_ui.models.schema import load_models
from dreamina_ui.models.sizes import choice_label, parse_size
from tests.support.harness import MODEL_ID


@pytest.mark.parametrize(
    ("choice", "size", "label"),
    [
        ("2048x2048(1:1)", (2048, 2048), "2048 × 2048 · 1:1 · 4 MP"),
        ("6198x2656(21:9)", (6198, 2656), "6198 × 2656 · 21:9 · 16 MP"),
        ("640x480", (640, 480), "640 × 480"),
        ("auto", None, "auto"),
        ("2048×2048(1:1)", None, "2048×2048(1:1)"),
        ("2048x2048(1:1) ", None, "2048x2048(1:1) "),
        ("2048x2048\n", None, "2048x2048\n"),
        (4, None, "4"),
        (None, None, "None"),
    ],
)
def test_a_size_is_parsed_and_labeled_for_people(choice: Any, size: tuple[int, int] | None, label: str) -> None:
    """People choose by shape and pixels; the value that is sent stays unchanged."""
    assert parse_size(choice) == size
    assert choice_label(choice) == label


def test_digits_alone_are_not_a_size() -> None:
    """Every input is checked for a size, even a prompt of thousands of digits."""
    assert parse_size("9" * 5000 + "x1") is None
    assert parse_size("٣x٣") is None


def test_every_size_of_the_service_can_be_read() -> None:
    """The sandbox draws, and run times are estimated, by these numbers."""
    size = next(field for field in load_models()[MODEL_ID].fields if field.choices)
    assert len(size.choices) == 11
    for choice in size.choices:
        width, height = parse_size(choice) or (0, 0)
        assert choice.startswith(f"{width}x{height}(")
