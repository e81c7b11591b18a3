"""The rows and columns in which a batch is shown: which of its choices stand above, and which at the side.

A label is a list of pairs such as `("prompt", "a red fox")` or `("scale", 0.5)`; whoever shows it chooses the language.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dreamina_ui.batches.expansion import PlannedItem

PROMPT = "prompt"
ALTERNATIVES = "alternatives"
REPEAT = "repeat"

MAX_LABEL_CHARACTERS = 200
"""How much of a prompt is stored as a label: the items have all of it."""

Label = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Layout:
    """Where each item of a batch stands.

    Attributes:
        rows, columns: their labels, in order; the pairs' keys are `prompt`, `alternatives` (the last ones of a line),
            `repeat`, or a schema key.
        cells: the index of the row and of the column of each item, in the batch's order.
    """

    rows: tuple[Label, ...] = ()
    columns: tuple[Label, ...] = ()
    cells: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> str | None:
        """The labels as text, for the ledger; None if there are none."""
        return json.dumps({"rows": self.rows, "columns": self.columns}) if self.cells else None

    @classmethod
    def from_json(
        cls,
        text: str | None,
        cells: Sequence[tuple[int | None, int | None]],
        inputs: Sequence[Mapping[str, Any] | None],
    ) -> Layout:
        """Read `to_json`.

        Args:
            cells: as stored; None in those of batches from before there were layouts.
            inputs: of each item; they are the labels of batches from before.
        """
        if text is None:
            rows = tuple(tuple((values or {}).items()) for values in inputs)
            return cls(rows, ((),), tuple((index, 0) for index in range(len(inputs))))
        parsed = json.loads(text)
        rows, columns = (
            tuple(tuple((key, value) for key, value in label) for label in parsed[name]) for name in ("rows", "columns")
        )
        return cls(rows, columns, tuple((row or 0, column or 0) for row, column in cells))


EMPTY_LAYOUT = Layout()


def axes_of(items: Sequence[PlannedItem]) -> list[str]:
    """What varies within the batch and can stand above the columns, in a fixed order."""
    axes = []
    if any(choice is not None for item in items for choice in item.choices):
        axes.append(ALTERNATIVES)
    axes += [key for key in items[0].values if len({item.values[key] for item in items}) > 1]
    if items[-1].repeat > 1:
        axes.append(REPEAT)
    return axes


def default_columns(items: Sequence[PlannedItem]) -> list[str]:
    """The axes above the columns if nobody chose: all but the prompts, or the alternatives if nothing else varies."""
    axes = axes_of(items)
    return [axis for axis in axes if axis != ALTERNATIVES] or axes


def arrange(items: Sequence[PlannedItem], columns: Sequence[str]) -> Layout:
    """Put items into rows and columns.

    Args:
        items: of one batch, in its order.
        columns: the axes above the columns; all others are at the side. Unknown ones are ignored.
    """
    above = [axis for axis in axes_of(items) if axis in columns]
    beside = [axis for axis in axes_of(items) if axis not in columns and axis != ALTERNATIVES]
    column_indexes: dict[Hashable, int] = {}
    row_indexes: dict[Hashable, int] = {}
    column_labels: list[Label] = []
    row_labels: list[Label] = []
    cells = []
    for item in items:
        split = _last_alternatives(item) if ALTERNATIVES in above else None
        column_label = tuple((axis, _value(item, axis, split)) for axis in above)
        row_label = ((PROMPT, _prompt(item, split)), *((axis, _value(item, axis, None)) for axis in beside))
        # Equal texts may be two choices, and equal lines two rows.
        column_key = (column_label, _occurrence(item, split))
        others = tuple(choice for index, choice in enumerate(item.choices) if index != split)
        row_key = (item.line, others, row_label[1:])
        if column_key not in column_indexes:
            column_indexes[column_key] = len(column_labels)
            column_labels.append(column_label)
        if row_key not in row_indexes:
            row_indexes[row_key] = len(row_labels)
            row_labels.append(row_label)
        cells.append((row_indexes[row_key], column_indexes[column_key]))
    return Layout(tuple(row_labels), tuple(column_labels), tuple(cells))


def _last_alternatives(item: PlannedItem) -> int | None:
    """The index of the last text that was chosen from alternatives; None if there are none."""
    return max((index for index, choice in enumerate(item.choices) if choice is not None), default=None)


def _occurrence(item: PlannedItem, split: int | None) -> int | None:
    """Which of the alternatives it is, if another one has the same text."""
    return None if split is None else item.occurrences[split]


def _value(item: PlannedItem, axis: str, split: int | None) -> Any:
    if axis == REPEAT:
        return item.repeat
    if axis == ALTERNATIVES:
        return "" if split is None else item.texts[split].strip()[:MAX_LABEL_CHARACTERS]
    return item.values[axis]


def _prompt(item: PlannedItem, split: int | None) -> str:
    texts = ("…" if index == split else text for index, text in enumerate(item.texts))
    return "".join(texts).strip()[:MAX_LABEL_CHARACTERS]
