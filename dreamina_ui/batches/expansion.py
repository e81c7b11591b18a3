"""Expand a batch request (prompts, alternatives in braces, several values, repeats) into the inputs of its jobs.

Nothing is written and nothing is sent. The jobs are counted before any of them is made: a few characters can ask for
millions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from dreamina_ui.batches.line_notices import split_lines
from dreamina_ui.batches.wildcards import MAX_SEED, Lists, draw, has_wildcards
from dreamina_ui.errors import BatchError, InputError
from dreamina_ui.ledger.job import limit_input_length
from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model
from dreamina_ui.models.text import is_blank

MAX_JOBS = 200
"""The maximum number of jobs in one batch."""

MAX_CHARACTERS = 400_000
"""The maximum number of characters in the inputs of all jobs: each repeat shows and stores them again."""

_SYMBOL = re.compile(r"\\[\\{|}]|[{|}]|[^\\{|}]+|\\")


@dataclass(frozen=True)
class BatchRequest:
    """What a person asks for in a batch.

    Attributes:
        text: prompts, one per line; `{red|blue} fox` means two of them, and a backslash before a brace makes it
            literal.
        inputs: the inputs that all jobs share, by schema key.
        values: several values of a field, by schema key; they replace the shared one.
        repeats: how many times each job is made.
        seed: decides what wildcards in the text stand for, see `wildcards.draw`; from 0 to `MAX_SEED`.
        wildcards: the visitor's lists by name.
    """

    text: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    repeats: int = 1
    seed: int = 0
    wildcards: Lists = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedItem:
    """One job to be, and which of the request's choices led to it.

    Attributes:
        inputs: validated, by schema key.
        line: the number of its line in the text, from 1.
        texts: the consecutive texts of its prompt.
        choices: of each of `texts`, which of the alternatives it is; None for a text without alternatives.
        occurrences: of each of `texts`, how many of the alternatives before it have the same text.
        values: of the fields that have several values, by schema key.
        repeat: from 1.
        drawn: what wildcards stand for in this job, in order; `texts` have the wildcards themselves.
    """

    inputs: dict[str, Any]
    line: int
    texts: tuple[str, ...]
    choices: tuple[int | None, ...]
    occurrences: tuple[int, ...]
    values: Mapping[str, Any]
    repeat: int
    drawn: tuple[str, ...] = ()


def prompt_field(model: Model) -> Field | None:
    """The field that the lines are for: the first required text field, or else the first text field."""
    texts = [field for field in model.fields if field.kind.is_text]
    return next((field for field in texts if field.required), texts[0] if texts else None)


def expand(model: Model, request: BatchRequest) -> list[dict[str, Any]]:
    """The validated inputs of all jobs; in the order, and with the errors, of `expand_items`."""
    return [item.inputs for item in expand_items(model, request)]


def expand_items(model: Model, request: BatchRequest) -> list[PlannedItem]:
    """All jobs, ordered by line, then by the fields' values, then repeats.

    Raises:
        BatchError: there are no jobs or too many, their inputs are too long, or a line is invalid; it says which line.
        InputError: a field cannot have several values, or `repeats` is not a positive integer.
    """
    prompt = prompt_field(model)
    if prompt is None:
        raise InputError("text", "unknown", None, request.text)
    if isinstance(request.repeats, bool) or not isinstance(request.repeats, int):
        raise InputError("repeats", "type", "integer", request.repeats)
    if request.repeats < 1:
        raise InputError("repeats", "minimum", 1, request.repeats)
    if isinstance(request.seed, bool) or not isinstance(request.seed, int):
        raise InputError("seed", "type", "integer", request.seed)
    if not 0 <= request.seed <= MAX_SEED:
        raise InputError("seed", "maximum", MAX_SEED, request.seed)
    axes = _axes(model, request.values)
    lines = _lines(request.text, _count(request.repeats, axes.values()))
    items: list[PlannedItem] = []
    characters = 0
    for number, parts in lines:
        for picked in product(*(enumerate(part) for part in parts)):
            texts = tuple(text for _, text in picked)
            choices = tuple(index if len(part) > 1 else None for (index, _), part in zip(picked, parts, strict=True))
            same = tuple(part[:index].count(text) for (index, text), part in zip(picked, parts, strict=True))
            prompts = _prompts(request, "".join(texts).strip(), number, choices)
            for several in product(*axes.values()):
                values = dict(zip(axes, several, strict=True))
                inputs: dict[str, Any] = {}
                for repeat, (text, drawn) in enumerate(prompts, 1):
                    if inputs.get(prompt.key) != text:
                        inputs = _validated(model, {**request.inputs, **values, prompt.key: text}, number)
                    characters += sum(len(str(value)) for value in inputs.values())
                    if characters > MAX_CHARACTERS:
                        raise BatchError("size")
                    items.append(PlannedItem(dict(inputs), number, texts, choices, same, values, repeat, drawn))
    return items


def _prompts(
    request: BatchRequest, text: str, line: int, choices: tuple[int | None, ...]
) -> list[tuple[str, tuple[str, ...]]]:
    """The prompt of each repeat, and what its wildcards stand for."""
    if not has_wildcards(text):
        return [(text, ())] * request.repeats
    salt = f"{line}/{'-'.join(map(str, choices))}"
    try:
        return [
            draw(text, request.wildcards, seed=request.seed, salt=salt, number=number)
            for number in range(request.repeats)
        ]
    except InputError as exc:
        raise BatchError("input", line=line, exc=exc) from exc


def _lines(text: str, jobs_per_prompt: int) -> list[tuple[int, list[Sequence[str]]]]:
    """The number and the parts of each line that is not blank; raises BatchError if they lead to too many jobs."""
    lines: list[tuple[int, list[Sequence[str]]]] = []
    total = 0
    for number, line in enumerate(split_lines(text), 1):
        if not is_blank(line):
            parts = _parts(line, number)
            total += _count(jobs_per_prompt, parts)
            if total > MAX_JOBS:
                raise BatchError("many", most=MAX_JOBS)
            lines.append((number, parts))
    if not lines:
        raise BatchError("empty")
    return lines


def _validated(model: Model, inputs: Mapping[str, Any], line: int) -> dict[str, Any]:
    try:
        validated = model.validate_inputs(inputs)
        limit_input_length(validated)
    except InputError as exc:
        raise BatchError("input", line=line, exc=exc) from exc
    return validated


def _axes(model: Model, values: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The distinct values of each field that varies, in schema order."""
    varied = {field.key for field in model.fields if field.kind.can_vary}
    for key, several in values.items():
        if key not in varied:
            raise InputError(key, "unknown", None, several)
        if not isinstance(several, list | tuple) or any(not isinstance(value, str | int | float) for value in several):
            raise InputError(key, "type", "list of values", several)
        if len(several) > MAX_JOBS:
            raise BatchError("many", most=MAX_JOBS)
    return {field.key: list(dict.fromkeys(values[field.key])) for field in model.fields if values.get(field.key)}


def _count(count: int, factors: Any) -> int:
    """The product of the lengths, capped just above `MAX_JOBS`: the exact number could fill the memory."""
    for factor in factors:
        count = min(count * len(factor), MAX_JOBS + 1)
    return min(count, MAX_JOBS + 1)


def _parts(line: str, number: int) -> list[Sequence[str]]:
    """A line as consecutive parts, each of them a choice between texts."""
    parts: list[Sequence[str]] = []
    choices: list[str] | None = None
    text: list[str] = []
    for symbol in _SYMBOL.findall(line):
        if symbol == "{":
            if choices is not None:
                raise BatchError("nested", line=number)
            parts.append(("".join(text),))
            choices, text = [], []
        elif symbol == "|" and choices is not None:
            choices.append("".join(text))
            text = []
        elif symbol == "}" and choices is not None:
            parts.append((*choices, "".join(text)))
            choices, text = None, []
        else:
            text.append(symbol[1:] if len(symbol) == 2 and symbol[0] == "\\" else symbol)
    if choices is not None:
        raise BatchError("unclosed", line=number)
    return [*parts, ("".join(text),)]
