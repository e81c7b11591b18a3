"""Input schemas as a service publishes them, made safe and plain: what `Model` builds a form and a check from.

Nothing in such a schema is trusted: its size and depth are bounded, references outside of it are refused, and inside
of it they are replaced by what they name. What no JSON Schema has, but services write, is read as what it means:
other names of types, null for a keyword that is not used, `required` beside one input, formats such as `image_uris`.

Source: RunComfy Model API, the catalog as its own clients read it; JSON Schema draft 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from keyword import iskeyword
from typing import Any

from jsonschema import Draft202012Validator

from dreamina_ui.errors import SettingsError
from dreamina_ui.models.json_types import plain_type
from dreamina_ui.models.schema import Model, fill_defaults, strict_schema

MAX_DEPTH = 16
MAX_NODES = 3000
MAX_CHARACTERS = 100_000
MAX_INPUTS = 100
MAX_NAME_CHARACTERS = 60
MAX_ALTERNATIVES = 60
"""How many schemas `allOf`, `anyOf`, `oneOf` and `prefixItems` may list altogether: each value is checked by each."""

_MAPS = ("properties",)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SUBSCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_TITLES = ("title", "description")
_NUMBERS = (
    "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "maxProperties",
)  # fmt: skip
_KEYWORDS = ("default", "enum", "const", "pattern", "format", "uniqueItems", "validations", *_NUMBERS)


def live_model(
    model_id: str,
    title: str,
    schema: Any,
    required: Iterable[Any] = (),
    *,
    names: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    output_schema: Mapping[str, Any] | None = None,
) -> Model:
    """The model of an input schema that a service publishes.

    Args:
        schema: whatever the service sent.
        required: keys of required inputs that the service names beside the schema.
        names: the Python names of inputs that have one already, by schema key; the others get one.
        labels, output_schema: as in a model's file.

    Raises:
        SettingsError: nothing can be built from the schema, and why.
    """
    try:
        plain = usable_schema(schema, required)
    except Exception as exc:
        raise SettingsError(f"The schema of {model_id} cannot be used: {exc}") from exc
    data = {
        "model_id": model_id,
        "title": title,
        "input_schema": plain,
        "output_schema": output_schema or {},
        "labels": labels or {},
        "parameter_names": parameter_names(plain["properties"], names or {}),
    }
    return Model.from_json(data)


def usable_schema(schema: Any, required: Iterable[Any] = ()) -> dict[str, Any]:
    """A plain schema of an object without references; optional defaults that break their own rules are left out.

    Raises:
        ValueError: it is too large, refers to something outside or to itself, or describes no object. The library may
            raise others for what is no schema.
    """
    if not isinstance(schema, Mapping):
        raise ValueError("it is no object")
    plain = _Cleaner(schema).clean(schema)
    if plain.get("type", "object") != "object":
        raise ValueError("it does not describe an object")
    inputs = plain.setdefault("properties", {})
    if len(inputs) > MAX_INPUTS:
        raise ValueError(f"it has more than {MAX_INPUTS} inputs")
    named = [*plain.get("required", ()), *(key for key in required if isinstance(key, str))]
    plain |= {"type": "object", "required": [key for key in dict.fromkeys(named) if key in inputs]}
    for key, prop in inputs.items():
        if key not in plain["required"]:
            _drop_broken_default(prop)
    return plain


def merged_schema(ours: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any] | None:
    """A file's schema with what it does not say filled in from the live one: inputs, and rules of its own inputs.

    Args:
        live: as `usable_schema` gives it.

    Returns:
        None if the file says all of it.
    """
    mine, theirs = ours["properties"], live["properties"]
    inputs = {key: _merged_input(prop, theirs.get(key, {})) for key, prop in mine.items()}
    inputs |= {key: prop for key, prop in theirs.items() if key not in mine}
    if inputs == mine:
        return None
    required = [*ours.get("required", ()), *(key for key in live["required"] if key not in mine)]
    return {**ours, "properties": inputs, "required": required}


def parameter_names(keys: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """A Python name for each input, each name once; `known` ones stay."""
    names: dict[str, str] = dict(known)
    for key in keys:
        if key in names:
            continue
        base = re.sub(r"\W+", "_", key, flags=re.ASCII).strip("_")[:MAX_NAME_CHARACTERS]
        base = base if base[:1].isalpha() else f"input_{base}".rstrip("_")
        name = f"{base}_" if iskeyword(base) or base in ("request", "idempotency_key") else base
        count = 1
        while name in names.values():
            count += 1
            name = f"{base}_{count}"
        names[key] = name
    return names


def _merged_input(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Mapping[str, Any]:
    """An input with the rules that the file does not have; its texts and default are the file's."""
    if plain_type(mine.get("type")) != plain_type(theirs.get("type")):
        return mine
    new = {key: value for key, value in theirs.items() if key not in mine and key not in (*_TITLES, "default")}
    return {**mine, **new} if new else mine


def _drop_broken_default(prop: dict[str, Any]) -> None:
    default = fill_defaults(prop, prop.get("default"))
    if "default" in prop and (default is None or not Draft202012Validator(strict_schema(prop)).is_valid(default)):
        del prop["default"]


class _Cleaner:
    """Copies a schema within bounds, and puts what a reference names in its place."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes_left = MAX_NODES
        self._characters_left = MAX_CHARACTERS
        self._alternatives_left = MAX_ALTERNATIVES

    def clean(self, schema: Any, depth: int = 0) -> dict[str, Any]:
        self._nodes_left -= 1
        if self._nodes_left < 0 or depth > MAX_DEPTH:
            raise ValueError("it is too large, or refers to itself")
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        if not isinstance(schema, Mapping):
            raise ValueError(f"a {type(schema).__name__} stands in the place of a rule")
        if any(key in schema for key in ("$dynamicRef", "$recursiveRef")):
            raise ValueError("it has references that change their meaning")
        named: dict[str, Any] = {}
        if "$ref" in schema:
            named = self.clean(self._resolve(schema["$ref"]), depth + 1)
        return named | self._clean_keywords(schema, depth)

    def _clean_keywords(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in schema.items():
            if value is None and key != "const":
                continue
            if key in _MAPS:
                if not isinstance(value, Mapping):
                    raise ValueError(f"its {key} are no object")
                result[key] = {str(name)[:200]: self.clean(sub, depth + 1) for name, sub in value.items()}
            elif key == "patternProperties":
                result["additionalProperties"] = True  # the patterns could take years to match; the service checks them
            elif key in _LISTS and isinstance(value, list):
                self._alternatives_left -= len(value)
                if self._alternatives_left < 0:
                    raise ValueError("it has too many alternatives")
                result[key] = [self.clean(sub, depth + 1) for sub in value]
            elif key in _SUBSCHEMAS and isinstance(value, Mapping | bool):
                result[key] = self.clean(value, depth + 1) if isinstance(value, Mapping) else value
            elif key in _TITLES:
                result |= {key: self._text(value)} if isinstance(value, str) else {}
            elif key == "enum" and isinstance(value, list):
                result[key] = self._value([choice for choice in value if choice is not None])
            elif key in _KEYWORDS:
                result[key] = self._value(value)
        return result | self._typed(schema) | self._bounds(schema, result) | self._required(schema, result)

    def _typed(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The types by their standard names, without null: whether an input may be left out says `required`."""
        given = schema.get("type")
        names = [plain_type(name) for name in (given if isinstance(given, list) else [given])]
        known = list(dict.fromkeys(name for name in names if name and name != "null"))
        if not known and "null" in names:
            return {"type": "null"}
        if not known:
            return {}
        return {"type": known[0] if len(known) == 1 else known}

    def _bounds(self, schema: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """`exclusiveMinimum` as a number, also where a switch beside `minimum` says it."""
        bounds = {}
        for name in ("minimum", "maximum"):
            exclusive = f"exclusive{name.capitalize()}"
            value = schema.get(exclusive)
            if value is True and name in result:
                bounds[exclusive] = result.pop(name)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                bounds[exclusive] = value
        return bounds

    def _required(self, schema: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
        """The required keys, also those of inputs that say it themselves."""
        given, inputs = schema.get("required"), schema.get("properties")
        names = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
        if isinstance(inputs, Mapping):
            names += [key for key, prop in inputs.items() if isinstance(prop, Mapping) and prop.get("required") is True]
        known = result.get("properties", {})
        required = [name for name in dict.fromkeys(names) if not known or name in known]
        return {"required": required} if required else {}

    def _resolve(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise ValueError("it refers to something outside of it")
        target: Any = self._root
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or key not in target:
                raise ValueError("it refers to something that is not there")
            target = target[key]
        return target

    def _text(self, text: str) -> str:
        self._characters_left -= len(text)
        if self._characters_left < 0:
            raise ValueError("its texts are too long")
        return text

    def _value(self, value: Any, depth: int = 0) -> Any:
        """A copy of a JSON value that counts against the bounds."""
        self._nodes_left -= 1
        if self._nodes_left < 0 or depth > MAX_DEPTH:
            raise ValueError("it is too large")
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._text(str(key)): self._value(entry, depth + 1) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._value(entry, depth + 1) for entry in value]
        return value
