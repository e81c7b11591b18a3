"""What differs between a model's file and the input schema that the service has now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dreamina_ui.models.json_types import plain_type

_KEYWORDS = (
    "type", "enum", "const", "default", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minLength", "maxLength", "minItems", "maxItems",
)  # fmt: skip
_MAX_DIFFERENCES = 50
_MAX_VALUE_CHARACTERS = 120


def schema_differences(ours: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """What the live input schema asks for and the file does not, or the other way around; one line each.

    Titles, descriptions and the order of inputs are no differences.

    Returns:
        Lines such as ``scale: maximum is 2, the file says 1``; empty where the two agree.
    """
    our_inputs, live_inputs = _properties(ours), _properties(live)
    lines = [f"{key}: the service has this input, the file does not" for key in live_inputs if key not in our_inputs]
    lines += [f"{key}: the service has this input no longer" for key in our_inputs if key not in live_inputs]
    our_required, live_required = _required(ours), _required(live)
    for key in our_inputs:
        if key not in live_inputs:
            continue
        if (key in our_required) != (key in live_required):
            lines.append(f"{key}: {'required' if key in live_required else 'optional'} now")
        lines += [
            f"{key}: {word} is {_shown(theirs)}, the file says {_shown(mine)}"
            for word in _KEYWORDS
            if (theirs := _value(live_inputs[key], word)) != (mine := _value(our_inputs[key], word))
        ]
    return lines[:_MAX_DIFFERENCES]


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = schema.get("properties")
    if not isinstance(inputs, Mapping):
        return {}
    return {key: value for key, value in inputs.items() if isinstance(value, Mapping)}


def _required(schema: Mapping[str, Any]) -> set[str]:
    names = schema.get("required")
    return {key for key in names if isinstance(key, str)} if isinstance(names, list) else set()


def _value(prop: Mapping[str, Any], word: str) -> Any:
    value = prop.get(word)
    return (plain_type(value) or value) if word == "type" else value


def _shown(value: Any) -> str:
    text = "not there" if value is None else repr(value)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[:_MAX_VALUE_CHARACTERS]}…"
