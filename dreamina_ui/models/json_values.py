"""Copies inputs into JSON values, within bounds of size that hold for every model, before a schema validates them.

A validator's work grows with the number of values and rules, and each of its errors copies what was given.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from dreamina_ui.errors import InputError

MAX_DEPTH = 32
MAX_VALUES = 500
"""The maximum number of values in all inputs together, at all depths."""

MAX_CHARACTERS = 20_000
"""The maximum number of characters in all inputs together, keys included."""

MAX_KEY_CHARACTERS = 200


def copy_inputs(inputs: Mapping[Any, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of inputs that consists of JSON types only.

    Args:
        schema: the input schema; where it has a lower bound for the length of a text or list, that one is named.

    Raises:
        InputError: the inputs are too large, or hold a value that is no JSON; with the path of the first such value.
    """
    properties = schema["properties"]
    if len(inputs) > MAX_VALUES:
        raise InputError("inputs", "maxProperties", MAX_VALUES, len(inputs))
    for key, value in inputs.items():
        rules = properties.get(key, {}) if isinstance(key, str) else {}
        if isinstance(value, str):
            _limit_length(str(key), value, "maxLength", MAX_CHARACTERS, rules.get("maxLength", MAX_CHARACTERS))
        elif isinstance(value, list | tuple):
            _limit_length(str(key), value, "maxItems", MAX_VALUES, rules.get("maxItems", MAX_VALUES))
    copier = _Copier()
    return {copier.copy_key(str(key), "inputs"): copier.copy(value, str(key)) for key, value in inputs.items()}


def copy_value(value: Any, path: str) -> Any:
    """A copy of one value, as `copy_inputs` makes it."""
    return _Copier().copy(value, path)


class _Copier:
    """Copies values as long as they are few and short."""

    def __init__(self) -> None:
        self._values_left = MAX_VALUES
        self._characters_left = MAX_CHARACTERS

    def copy(self, value: Any, path: str, depth: int = 0) -> Any:
        self._values_left -= 1
        if self._values_left < 0:
            raise InputError(readable(path), "maxItems", MAX_VALUES, None)
        if isinstance(value, str):
            return self._copy_text(value, path)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
            return value
        if isinstance(value, Mapping) and depth < MAX_DEPTH and all(isinstance(key, str) for key in value):
            return {
                self.copy_key(key, path): self.copy(entry, f"{path}.{key}", depth + 1) for key, entry in value.items()
            }
        if isinstance(value, list | tuple) and depth < MAX_DEPTH:
            return [self.copy(entry, f"{path}.{index}", depth + 1) for index, entry in enumerate(value)]
        shown = repr(value) if isinstance(value, float) else type(value).__name__
        raise InputError(readable(path), "format", "JSON value", shown)

    def copy_key(self, key: str, path: str) -> str:
        _limit_length(path, key, "maxLength", MAX_KEY_CHARACTERS, MAX_KEY_CHARACTERS)
        return self._copy_text(key, path)

    def _copy_text(self, text: str, path: str) -> str:
        self._characters_left -= len(text)
        if self._characters_left < 0:
            raise InputError(readable(path), "maxLength", MAX_CHARACTERS, None)
        if text != readable(text):
            raise InputError(readable(path), "unicode", None, readable(text))
        return text


def readable(text: str) -> str:
    """The text with `?` for each lone surrogate, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


def _limit_length(path: str, value: Any, rule: str, limit: int, own_limit: int) -> None:
    """Refuse what is too long for any model; the error names the model's own limit, which people can act upon."""
    if len(value) > limit:
        raise InputError(readable(path[:MAX_KEY_CHARACTERS]), rule, min(limit, own_limit), value)
