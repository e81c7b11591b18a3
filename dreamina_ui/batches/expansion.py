"""Several prompts, alternatives in braces, several values and repeats become a list of jobs to be.

Nothing is written and nothing is sent. How many there will be is known before any of them is made: a few characters
can ask for millions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from dreamina_ui.errors import BatchError, InputError
from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model

MAX_JOBS = 200
"""How many jobs one batch may have."""

MAX_CHARACTERS = 20_000
"""How long the inputs of one job of a batch may be as JSON: two hundred long texts could fill the disk."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_PIECE = re.compile(r"\\[\\{|}]|[{|}]|[^\\{|}]+|\\")


@dataclass(frozen=True)
class BatchRequest:
    """What a person asks of a batch.

    Attributes:
        text: prompts, one a line; `{red|blue} fox` is two of them, and a brace after a backslash is just a brace.
        inputs: what all jobs have in common, by schema key.
        values: several values of a field, by schema key; they take the place of the common one.
        repeats: how often each job is made.
    """

    text: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    repeats: int = 1


def prompt_field(model: Model) -> Field | None:
    """The field that the lines are for: the first text that must be given, or else the first text."""
    texts = [field for field in model.fields if field.kind.is_text]
    return next((field for field in texts if field.required), texts[0] if texts else None)


def expand(model: Model, wishes: BatchRequest) -> list[dict[str, Any]]:
    """All jobs that are asked for, each as checked inputs: line by line, then by the fields' values, then repeats.

    Raises:
        PlanError: there is none or there are too many, or a line is wrong, and which.
        InputError: a field that cannot have several values, or no number of repeats.
    """
    prompt = prompt_field(model)
    if prompt is None:
        raise InputError("text", "unknown", None, wishes.text)
    if isinstance(wishes.repeats, bool) or not isinstance(wishes.repeats, int):
        raise InputError("repeats", "type", "integer", wishes.repeats)
    if wishes.repeats < 1:
        raise InputError("repeats", "minimum", 1, wishes.repeats)
    axes = _axes(model, wishes.values)
    each = _count(wishes.repeats, axes.values())
    lines: list[tuple[int, list[Sequence[str]]]] = []
    total = 0
    for number, line in enumerate(_LINE_END.split(wishes.text), 1):
        if line.strip():
            parts = _parts(line, number)
            total += _count(each, parts)
            if total > MAX_JOBS:
                raise BatchError("many", most=MAX_JOBS)
            lines.append((number, parts))
    if not lines:
        raise BatchError("empty")
    found: list[dict[str, Any]] = []
    for number, parts in lines:
        for words in product(*parts):
            for values in product(*axes.values()):
                inputs = {**wishes.inputs, **dict(zip(axes, values, strict=True)), prompt.key: "".join(words).strip()}
                try:
                    checked = model.validate_inputs(inputs)
                    _check_length(checked)
                except InputError as exc:
                    raise BatchError("input", line=number, exc=exc) from exc
                found.extend(dict(checked) for _ in range(wishes.repeats))
    return found


def _check_length(inputs: Mapping[str, Any]) -> None:
    lengths = {key: len(json.dumps(value)) for key, value in inputs.items()}
    if sum(lengths.values()) > MAX_CHARACTERS:
        longest = max(lengths, key=lambda key: lengths[key])
        raise InputError(longest, "maxLength", MAX_CHARACTERS, inputs[longest])


def _axes(model: Model, values: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Each field's values, every one once, in schema order; fields with none of their own are left out."""
    varied = {field.key for field in model.fields if field.kind.can_vary}
    for key, given in values.items():
        if key not in varied:
            raise InputError(key, "unknown", None, given)
        if not isinstance(given, list | tuple) or any(not isinstance(value, str | int | float) for value in given):
            raise InputError(key, "type", "list of values", given)
        if len(given) > MAX_JOBS:
            raise BatchError("many", most=MAX_JOBS)
    return {field.key: list(dict.fromkeys(values[field.key])) for field in model.fields if values.get(field.key)}


def _count(count: int, factors: Any) -> int:
    """A product that stops growing once it is too much: exact numbers of this kind could fill the memory."""
    for factor in factors:
        count = min(count * len(factor), MAX_JOBS + 1)
    return min(count, MAX_JOBS + 1)


def _parts(line: str, number: int) -> list[Sequence[str]]:
    """A line as parts that follow each other, each one a choice of texts."""
    parts: list[Sequence[str]] = []
    choices: list[str] | None = None
    text: list[str] = []
    for piece in _PIECE.findall(line):
        if piece == "{":
            if choices is not None:
                raise BatchError("nested", line=number)
            parts.append(("".join(text),))
            choices, text = [], []
        elif piece == "|" and choices is not None:
            choices.append("".join(text))
            text = []
        elif piece == "}" and choices is not None:
            parts.append((*choices, "".join(text)))
            choices, text = None, []
        else:
            text.append(piece[1:] if len(piece) == 2 and piece[0] == "\\" else piece)
    if choices is not None:
        raise BatchError("unclosed", line=number)
    return [*parts, ("".join(text),)]
