"""The rows and columns of a batch: every job has a cell of its own, and the labels say what led to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.batches.expansion import BatchRequest, expand_items
from dreamina_ui.batches.layout import Layout, arrange, axes_of, default_columns
from dreamina_ui.models.schema import load_models
from tests.support.harness import MODEL_ID

MODEL = load_models()[MODEL_ID]
SIZES = ["1024x1024(1:1)", "2048x2048(1:1)"]


def layout(text: str, columns: list[str] | None = None, repeats: int = 1, **values: list[Any]) -> Layout:
    fields = {{"size": "width×height"}.get(name, name): several for name, several in values.items()}
    items = expand_items(MODEL, BatchRequest(text, {}, fields, repeats))
    return arrange(items, default_columns(items) if columns is None else columns)


def test_prompts_are_rows_and_everything_else_is_columns() -> None:
    """Variants of one prompt are compared side by side."""
    grid = layout("a {red|blue} fox\na bear", scale=[0.2, 0.8], repeats=2)
    assert grid.rows == ((("prompt", "a red fox"),), (("prompt", "a blue fox"),), (("prompt", "a bear"),))
    assert grid.columns[:2] == ((("scale", 0.2), ("repeat", 1)), (("scale", 0.2), ("repeat", 2)))
    assert len(set(grid.cells)) == 12


def test_alternatives_are_columns_if_nothing_else_is() -> None:
    """One line with alternatives is a grid already."""
    grid = layout("a {red|blue} fox in {snow|sand}")
    assert grid.rows == ((("prompt", "a red fox in …"),), (("prompt", "a blue fox in …"),))
    assert grid.columns == ((("alternatives", "snow"),), (("alternatives", "sand"),))
    assert grid.cells == ((0, 0), (0, 1), (1, 0), (1, 1))


def test_a_person_chooses_what_stands_above() -> None:
    """Six sizes beside six scales would be 36 columns."""
    grid = layout("a fox", ["scale", "unknown"], size=SIZES, scale=[0.2, 0.8])
    assert grid.rows == tuple((("prompt", "a fox"), ("width×height", size)) for size in SIZES)
    assert grid.columns == ((("scale", 0.2),), (("scale", 0.8),))


@pytest.mark.parametrize("text", ["a fox\na fox", "a {red|red} fox", "a fox {day|night}\na hen\na {b|c} d {day|dusk}"])
def test_no_two_jobs_share_a_cell(text: str) -> None:
    """An image under another one would be paid for and never seen."""
    for columns in (None, ["alternatives"], []):
        grid = layout(text, columns)
        assert len(set(grid.cells)) == len(grid.cells)


@given(
    lines=st.lists(st.sampled_from(["x", "{a|b}", "{a|a} y", "{a|b} {c|b}", "z {c}"]), min_size=1, max_size=4),
    repeats=st.integers(1, 3),
    columns=st.sets(st.sampled_from(["alternatives", "scale", "repeat", "width×height"])),
)
@settings(max_examples=60, deadline=None)
def test_every_cell_is_within_the_labels(lines: list[str], repeats: int, columns: set[str]) -> None:
    """Whatever is above: each job has one cell, each row and column has a job, and the labels survive the ledger."""
    grid = layout("\n".join(lines), sorted(columns), repeats, scale=[0.1, 0.9])
    assert len(set(grid.cells)) == len(grid.cells)
    assert {row for row, _ in grid.cells} == set(range(len(grid.rows)))
    assert {column for _, column in grid.cells} == set(range(len(grid.columns)))
    assert Layout.from_json(grid.to_json(), grid.cells, []) == grid


def test_a_batch_from_before_has_its_jobs_below_each_other() -> None:
    """What was started last month is still shown."""
    grid = Layout.from_json(None, [(None, None)] * 2, [{"prompt": "a"}, None])
    assert grid.rows == ((("prompt", "a"),), ())
    assert grid.cells == ((0, 0), (1, 0))


def test_what_does_not_vary_is_no_axis() -> None:
    """A choice with one outcome is no choice."""
    assert axes_of(expand_items(MODEL, BatchRequest("a fox", {}, {"scale": [0.5]}))) == []
