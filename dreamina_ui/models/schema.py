"""Models and their input schemas: the form, the validation and the submit body are all built from the schema.

Inputs are validated by JSON Schema (draft 2020-12), with these additions:
- `"type": "float"` means `number`: the service's own pages write it so;
- the service's own formats, such as `image_uri` and `image_uris`, mean a URL and a list of URLs;
- inputs that are too large for any model are refused first, see `json_values`;
- so are values that JSON cannot express: NaN passes `minimum` and `maximum`, and a list can contain itself;
- the format `uri` is checked here: the validator's own check needs one more package;
- a key that the schema does not list is an error, at every depth;
- a pattern that takes too long to match, or is none, is left to the service;
- a required text must show something: a run with an empty prompt costs as much as any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from keyword import iskeyword
from pathlib import Path
from typing import Any, cast

import regex
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from dreamina_ui.errors import InputError, SettingsError
from dreamina_ui.models.fields import FIELD_KINDS, Field, FieldKind
from dreamina_ui.models.json_types import file_kind_of, plain_property, plain_type, with_standard_formats
from dreamina_ui.models.json_values import copy_inputs, copy_value
from dreamina_ui.models.validations import read_validations

MODELS_FOLDER = Path(__file__).parent
MAX_ERRORS = 20


@dataclass(frozen=True)
class Model:
    """One model: its name, its inputs and its outputs.

    Built from a JSON object with the keys `model_id`, `title`, `input_schema`, `output_schema` and,
    where a schema key is not a Python identifier, `parameter_names` (`{"width×height": "size"}`). `labels` names the
    fields whose title and help text are translated (`{"scale": "scale"}`); other fields show the schema's own.
    """

    model_id: str
    title: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    fields: tuple[Field, ...]
    _validator: Draft202012Validator

    @classmethod
    def from_json(cls, data: Mapping[str, Any], kinds: Sequence[FieldKind] = FIELD_KINDS) -> Model:
        """Build a model from the content of its file.

        Args:
            kinds: the kinds that a field can have; the first one that matches is used.

        Raises:
            SettingsError: a key is missing, or the input schema does not describe an object.
        """
        try:
            names, labels = data.get("parameter_names", {}), data.get("labels", {})
            schema = data["input_schema"]
            required = set(schema.get("required", ()))
            fields = tuple(
                _field(
                    key, prop, required=key in required, parameter=names.get(key), label=labels.get(key), kinds=kinds
                )
                for key, prop in schema["properties"].items()
            )
            _require_usable_names([field.parameter for field in fields])
            strict = strict_schema(schema)
            Draft202012Validator.check_schema(strict)
            return cls(
                model_id=data["model_id"],
                title=data["title"],
                input_schema=schema,
                output_schema=data["output_schema"],
                fields=fields,
                _validator=_validator_class()(strict, format_checker=_FORMATS),
            )
        except Exception as exc:
            name = data.get("model_id", "?") if isinstance(data, Mapping) else "?"
            what = f"it lacks {exc}" if isinstance(exc, KeyError) else f"{type(exc).__name__}: {exc}"
            raise SettingsError(f"The model file of {name} cannot be used: {what}") from exc

    @property
    def json_schema(self) -> Mapping[str, Any]:
        """The input schema as standard JSON Schema, the one that `validate_inputs` uses."""
        return cast("Mapping[str, Any]", self._validator.schema)

    def validate_inputs(self, inputs: Any) -> dict[str, Any]:
        """Validate inputs and fill in the defaults.

        Args:
            inputs: a mapping from schema key to value, from anywhere.

        Returns:
            A new dict in schema order, defaults included at every depth: the body of a submit.

        Raises:
            InputError: the first rule that is broken, with its field, rule, limit and value.
        """
        for exc in self.broken_rules(inputs):
            raise exc
        filled = self._fill_in(copy_inputs(inputs, self.input_schema))
        return {field.key: filled[field.key] for field in self.fields if field.key in filled}

    def broken_rules(self, inputs: Any) -> Iterator[InputError]:
        """The rules that inputs break, one for each field, up to `MAX_ERRORS`; none if they are valid.

        Raises:
            InputError: a value is no JSON, or the inputs are too large for any model.
        """
        if not isinstance(inputs, Mapping):
            yield InputError("inputs", "type", "object", copy_value(inputs, "inputs"))
            return
        given = copy_inputs(inputs, self.input_schema)
        unknown = [key for key in given if key not in self.input_schema["properties"]]
        for key in unknown[MAX_ERRORS:]:
            del given[key]
        for key in unknown[:MAX_ERRORS]:
            yield InputError(key, "unknown", None, given.pop(key))
        filled = self._fill_in(given)
        reported: set[str] = set()
        for field in self.fields:
            value = filled.get(field.key)
            if field.required and field.kind.is_empty(value):
                reported.add(field.key)
                yield InputError(field.key, "required", None, value)
        broken = islice(self._validator.iter_errors(filled), MAX_ERRORS)
        errors = sorted(broken, key=lambda error: [str(part) for part in error.path])
        for exc in map(_input_error, errors):
            if exc.field not in reported:
                reported.add(exc.field)
                yield exc

    def _fill_in(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", fill_defaults(self.input_schema, given))


def load_models(*folders: Path) -> dict[str, Model]:
    """Read every model file of some folders, by model_id, in the order of the file names.

    Args:
        folders: the files of a later folder replace those of an earlier one with the same model_id; without an
            argument, the folder of the built-in models.

    Raises:
        SettingsError: a file is not JSON or not a model, or a folder has no model file.
    """
    models: dict[str, Model] = {}
    for folder in folders or (MODELS_FOLDER,):
        models |= _load_folder(folder)
    return models


def _load_folder(folder: Path) -> dict[str, Model]:
    models: dict[str, Model] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as exc:
            raise SettingsError(f"The model file {path.name} cannot be read: {exc}") from exc
        try:
            model = Model.from_json(data)
        except SettingsError as exc:
            raise SettingsError(f"{path.name}: {exc}") from exc
        models[model.model_id] = model
    if not models:
        raise SettingsError(f"There is no model file in {folder}.")
    return models


def _require_usable_names(names: list[str]) -> None:
    """Raise ValueError for a name that cannot be a parameter of an endpoint; `request` is the endpoints' own."""
    for name in names:
        if not name.isidentifier() or iskeyword(name) or name == "request" or names.count(name) > 1:
            raise ValueError(f"programs cannot use {name!r} as the name of an input; choose another in parameter_names")


def _field(
    key: str,
    prop: Mapping[str, Any],
    required: bool,
    *,
    parameter: str | None,
    label: str | None,
    kinds: Sequence[FieldKind],
) -> Field:
    plain = plain_property(key, prop)
    kind = next(kind for kind in kinds if kind.matches(plain))
    return Field(
        key=key,
        parameter=parameter or re.sub(r"\W", "_", key, flags=re.ASCII),
        kind=kind,
        title=plain.get("title") or key,
        help=plain.get("description") or "",
        required=required,
        default=plain.get("default"),
        nested_default=fill_defaults(plain, plain.get("default") or {}) or None if plain["type"] == "object" else None,
        choices=kind.choices(plain),
        minimum=plain.get("minimum"),
        maximum=plain.get("maximum"),
        step=plain.get("multipleOf"),
        max_length=plain.get("maxLength"),
        min_items=plain.get("minItems"),
        max_items=plain.get("maxItems") if kind.value_type == "array" else 1 if kind.holds_urls else None,
        pattern=plain.get("pattern"),
        label=label,
        file_kind=file_kind_of(key, prop) if kind.holds_urls else None,
        validations=read_validations(prop) if kind.holds_urls else (),
    )


_PARTS = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""Keywords whose schemas describe the same value once more: an input that one of them does not list is no error."""


def strict_schema(schema: Any, *, is_part: bool = False) -> Any:
    """A copy of a schema with standard types and formats, in which unknown keys are refused."""
    if isinstance(schema, list):
        return [strict_schema(entry, is_part=is_part) for entry in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {
        key: {name: strict_schema(sub) for name, sub in value.items()}
        if key == "properties"
        else strict_schema(value, is_part=key in _PARTS)
        for key, value in schema.items()
        if key not in _AS_THEY_ARE
    }
    copy.update({key: schema[key] for key in _AS_THEY_ARE if key in schema})
    if isinstance(copy.get("type"), str):
        copy["type"] = plain_type(copy["type"]) or copy["type"]
    copy = with_standard_formats(copy)
    if "properties" in copy and not is_part and not any(word in copy for word in _PARTS):
        copy.setdefault("additionalProperties", False)
    return copy


_AS_THEY_ARE = ("default", "enum", "const", "validations")


def fill_defaults(schema: Any, given: Any) -> Any:
    """Fill in missing defaults; an optional input that is None counts as not given."""
    if not isinstance(schema, Mapping):
        return given
    if isinstance(given, list):
        return [fill_defaults(schema.get("items"), entry) for entry in given]
    if not isinstance(given, dict) or "properties" not in schema:
        return given
    filled: dict[str, Any] = {}
    for key, prop in schema["properties"].items():
        value = given.get(key)
        if value is None and key not in schema.get("required", ()) and isinstance(prop, Mapping):
            value = json.loads(json.dumps(prop.get("default")))
            if value is None and prop.get("type") == "object":
                value = fill_defaults(prop, {}) or None
        if value is not None:
            filled[key] = fill_defaults(prop, value)
    return filled | {key: value for key, value in given.items() if key not in schema["properties"]}


def _input_error(error: ValidationError) -> InputError:
    """The validator's error with the path of the invalid entry, also for rules that belong to the parent object."""
    path = [str(part) for part in error.absolute_path]
    rule = str(error.validator)
    limit: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    if rule == "additionalProperties":
        key = next(key for key in value if key not in schema["properties"])
        path, rule, limit, value = [*path, key], "unknown", None, value[key]
    elif rule == "required":
        path, limit, value = [*path, next(key for key in limit if key not in value)], None, None
    return InputError(".".join(path) or "inputs", rule, limit, value)


_URI = re.compile(r"[a-z][a-z0-9+.-]*:(?:[a-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9a-f]{2})+", re.ASCII | re.IGNORECASE)
_FORMATS = FormatChecker(Draft202012Validator.FORMAT_CHECKER.checkers)
_FORMATS.checks("uri")(lambda value: not isinstance(value, str) or _URI.fullmatch(value) is not None)


PATTERN_TIMEOUT_S = 0.05


class _Patterns:
    """The keyword `pattern`, with a bound: a pattern can be written so that a text takes years to match.

    One that once took too long is not tried again: a list has hundreds of texts.
    """

    def __init__(self) -> None:
        self._slow: set[str] = set()

    def validate(self, _validator: Any, pattern: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
        """The errors of one value."""
        if not isinstance(value, str) or not isinstance(pattern, str) or pattern in self._slow:
            return
        try:
            is_match = regex.search(pattern, value, timeout=PATTERN_TIMEOUT_S) is not None
        except TimeoutError:
            self._slow.add(pattern)
            return
        except regex.error:
            return
        if not is_match:
            yield ValidationError(f"{value!r} does not match {pattern!r}")


def _validator_class() -> Any:
    """A class of validators for one model."""
    return extend(Draft202012Validator, {"pattern": _Patterns().validate})  # type: ignore[no-untyped-call]
