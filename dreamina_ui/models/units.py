"""How many priced units a job makes at most: files, or seconds of video, as its inputs or its schema say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SINGLE_KEY = "force_single"
"""The input that asks for a single file."""

COUNT_KEYS = (
    "num_images", "num_outputs", "number_of_images", "number_of_outputs", "image_count", "max_images", "num_samples",
    "n",
)  # fmt: skip
DURATION_KEYS = ("duration", "duration_seconds", "seconds", "length_seconds", "video_length")


@dataclass(frozen=True)
class JobUnits:
    """What a job of a model makes at most, as far as its schema says.

    Attributes:
        files: None if the inputs decide, or nobody knows.
        seconds: of video; None if nobody knows.
    """

    files: int | None = None
    seconds: float | None = None


def asked_files(inputs: Mapping[str, Any]) -> int | None:
    """How many files some inputs ask for; None if they do not say."""
    if inputs.get(SINGLE_KEY) is True:
        return 1
    counts = (inputs.get(key) for key in COUNT_KEYS)
    return next((count for count in counts if type(count) is int and count > 0), None)


def asked_seconds(inputs: Mapping[str, Any]) -> float | None:
    """How many seconds some inputs ask for; None if they do not say."""
    return next((seconds for key in DURATION_KEYS if (seconds := _number(inputs.get(key)))), None)


def units_of_schema(schema: Any) -> JobUnits:
    """What an input schema says; a model without a switch or a number for several files makes one."""
    inputs = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(inputs, Mapping):
        return JobUnits(files=1)
    counts = [inputs[key] for key in COUNT_KEYS if isinstance(inputs.get(key), Mapping)]
    files = None if counts or SINGLE_KEY in inputs else 1
    if counts and (most := _number(counts[0].get("maximum"))):
        files = int(most)
    durations = [inputs[key] for key in DURATION_KEYS if isinstance(inputs.get(key), Mapping)]
    return JobUnits(files, _longest(durations[0]) if durations else None)


def _longest(prop: Mapping[str, Any]) -> float | None:
    choices = prop.get("enum")
    given = choices if isinstance(choices, list) else [prop.get("maximum")]
    return max((number for choice in given if (number := _number(choice))), default=None)


def _number(value: Any) -> float | None:
    """A number above 0, also written as text such as `5` or `5s`; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value.strip().removesuffix("s") if isinstance(value, str) else value)
    except ValueError:
        return None
    return number if 0 < number < 1e6 else None
