"""The kinds of input fields: one class for each, and one line in `FIELD_KINDS`.

A kind knows everything the program needs to show such an input, read it, describe it and pass it on. The form, the
endpoints, the batches, the job cards and the page's scripts ask the kind; none of them compares its name.

To add a kind, write a subclass of `FieldKind` and add it to `FIELD_KINDS` before the kinds that would match the same
schema. If people can vary it or share it in a link, set its tags; the page's scripts go by the tags.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, ClassVar, Literal

from dreamina_ui.models.sizes import choice_label
from dreamina_ui.models.text import is_blank
from dreamina_ui.models.validations import Validation

ValueType = Literal["string", "number", "integer", "boolean", "array", "any"]
TypedAs = Literal["value", "lines", "json"]


@dataclass(frozen=True)
class ComponentSpec:
    """The form component of a field, without importing Gradio.

    Attributes:
        class_name: a component class of Gradio, such as `Textbox`.
        arguments: its keyword arguments, except the label, info and id.
    """

    class_name: str
    arguments: Mapping[str, Any] = attribute(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """One input of a model.

    Attributes:
        key: the schema's key; it is sent to the service unchanged.
        parameter: the key as a Python identifier, for programs.
        default: the schema's default; None if it has none.
        choices: the allowed values, unchanged; empty unless the schema lists them.
        minimum, maximum: bounds of a number, or None.
        max_length: the maximum number of code points of a text, or None.
        pattern: a regular expression that a text must match, or None.
        label: the name of a translated title and help text; None to show the schema's own.
        file_kind: `image` or `video`, what the field's URLs lead to; None if nothing says so.
        nested_default: an object's default with those of its own inputs, as it is sent; None for other fields.
        step: what a number must be a multiple of, or None.
        min_items, max_items: how many entries a list must and may have, or None; at most 1 for one URL.
        validations: rules for the files that the URLs lead to.
    """

    key: str
    parameter: str
    kind: FieldKind
    title: str
    help: str
    required: bool
    default: Any
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    pattern: str | None = None
    label: str | None = None
    file_kind: str | None = None
    nested_default: Mapping[str, Any] | None = None
    step: float | None = None
    min_items: int | None = None
    max_items: int | None = None
    validations: tuple[Validation, ...] = ()


class FieldKind(ABC):
    """What the program needs to know about one kind of field.

    Attributes:
        name: a short stable name.
        annotation: the Python type of the parameter of the endpoints; Gradio publishes it.
        value_type: the JSON type of a value.
        typed_as: what the form component holds: the `value` itself, a text with one `lines` entry each, or `json` text.
        can_vary: whether a batch can have several values of it.
        in_link: whether a link to the page can carry it; URLs of private images must not travel in links.
        is_text: whether it is free text, such as a prompt.
        holds_urls: whether its values are URLs of files for the service.
    """

    name: ClassVar[str]
    annotation: ClassVar[Any] = dict
    value_type: ClassVar[ValueType] = "any"
    typed_as: ClassVar[TypedAs] = "value"
    can_vary: ClassVar[bool] = False
    in_link: ClassVar[bool] = False
    is_text: ClassVar[bool] = False
    holds_urls: ClassVar[bool] = False

    @abstractmethod
    def matches(self, prop: Mapping[str, Any]) -> bool:
        """Whether a property of an input schema is a field of this kind; the first kind that matches is used."""

    @abstractmethod
    def component(self, field: Field) -> ComponentSpec:
        """The component that shows the field in the form, with its default value."""

    def choices(self, prop: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values that the schema allows; empty if it does not list them."""
        return tuple(prop.get("enum") or ())

    def parse(self, field: Field, value: Any) -> Any:
        """The input that a component's value stands for; values of another shape stay, for validation to name them."""
        return value

    def is_empty(self, value: Any) -> bool:
        """Whether a required field with this value counts as not given."""
        return value is None

    def describe(self, field: Field, value: Any, title: str, format_number: Callable[[float], str]) -> str:
        """A value in a few words for a job's settings line, such as `Scale 0.5`; "" to leave it out.

        Args:
            title: the field's name in the reader's language.
            format_number: writes a number in the reader's language.
        """
        return ""

    def urls(self, field: Field, value: Any) -> Iterator[tuple[str, str]]:
        """`(path, url)` of every URL in a value, such as `("image_urls.0", "https://…")`."""
        if not self.holds_urls or not value:
            return
        if isinstance(value, str):
            yield field.key, value
        else:
            yield from ((f"{field.key}.{index}", url) for index, url in enumerate(value))

    def tags(self) -> dict[str, Any]:
        """The abilities that the page's scripts need to know."""
        return {
            "value_type": self.value_type,
            "typed_as": self.typed_as,
            "can_vary": self.can_vary,
            "in_link": self.in_link,
            "is_text": self.is_text,
            "holds_urls": self.holds_urls,
        }


class ChoiceKind(FieldKind):
    """One of a list of values."""

    name = "choice"
    annotation = str
    value_type = "string"
    can_vary = True
    in_link = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return bool(prop.get("enum"))

    def parse(self, field: Field, value: Any) -> Any:
        return None if value == "" and "" not in field.choices else value

    def component(self, field: Field) -> ComponentSpec:
        choices = [(choice_label(choice), choice) for choice in field.choices]
        return ComponentSpec("Dropdown", {"choices": choices, "value": field.default})

    def describe(self, field: Field, value: Any, title: str, format_number: Callable[[float], str]) -> str:
        return "" if value is None else choice_label(value)


class ToggleKind(FieldKind):
    """A switch."""

    name = "toggle"
    annotation = bool
    value_type = "boolean"
    in_link = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return prop.get("type") == "boolean"

    def component(self, field: Field) -> ComponentSpec:
        return ComponentSpec("Checkbox", {"value": bool(field.default)})

    def describe(self, field: Field, value: Any, title: str, format_number: Callable[[float], str]) -> str:
        return title if value else ""


class NumberKind(FieldKind):
    """A number; a slider if it has both bounds."""

    name = "number"
    annotation: ClassVar[Any] = float
    value_type: ClassVar[ValueType] = "number"
    can_vary = True
    in_link = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return prop.get("type") == "number"

    def parse(self, field: Field, value: Any) -> Any:
        return None if value == "" else value

    def component(self, field: Field) -> ComponentSpec:
        return _number_component(field, step=None)

    def describe(self, field: Field, value: Any, title: str, format_number: Callable[[float], str]) -> str:
        if value is None:
            return ""
        return f"{title} {format_number(value) if isinstance(value, float) else value}"


class IntegerKind(NumberKind):
    """A whole number."""

    name = "integer"
    annotation = int
    value_type = "integer"

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return prop.get("type") == "integer"

    def component(self, field: Field) -> ComponentSpec:
        return _number_component(field, step=1)


class TextsKind(FieldKind):
    """A list of texts, one per line in the form."""

    name: ClassVar[str] = "texts"
    annotation = list[str]
    value_type = "array"
    typed_as = "lines"

    def matches(self, prop: Mapping[str, Any]) -> bool:
        items = prop.get("items", {})
        return prop.get("type") == "array" and isinstance(items, Mapping) and items.get("type") == "string"

    def component(self, field: Field) -> ComponentSpec:
        lines = field.default if isinstance(field.default, list | tuple) else ()
        return _textbox("\n".join(map(str, lines)), lines=3)

    def parse(self, field: Field, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [line.strip() for line in value.splitlines() if line.strip()] or None


class UrlsKind(TextsKind):
    """A list of URLs, one per line in the form; of images, also those that a visitor uploaded.

    Where the schema says that they are images, the page shows them as a strip (`web/static/inputs/strip.js`).
    """

    name = "urls"
    holds_urls = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return super().matches(prop) and prop["items"].get("format") == "uri"


class UrlKind(FieldKind):
    """One URL; see `UrlsKind` about images."""

    name = "url"
    annotation = str
    value_type = "string"
    holds_urls = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return prop.get("type") == "string" and prop.get("format") == "uri"

    def component(self, field: Field) -> ComponentSpec:
        return _textbox(field.default, lines=1)

    def parse(self, field: Field, value: Any) -> Any:
        return value.strip() or None if isinstance(value, str) else value


class TextKind(FieldKind):
    """Free text, such as a prompt.

    The form has no `maxlength`: browsers count UTF-16 units there and would cut a text of 800 emoji in half.
    """

    name = "text"
    annotation = str
    value_type = "string"
    in_link = True
    is_text = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return prop.get("type") == "string"

    def parse(self, field: Field, value: Any) -> Any:
        return None if value == "" and not field.required and field.default is None else value

    def component(self, field: Field) -> ComponentSpec:
        return _textbox(field.default, lines=4)

    def is_empty(self, value: Any) -> bool:
        return value is None or (isinstance(value, str) and is_blank(value))


class JsonKind(FieldKind):
    """Anything else, written as JSON."""

    name = "json"
    typed_as = "json"

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return True

    def component(self, field: Field) -> ComponentSpec:
        default = field.default if field.nested_default is None else field.nested_default
        return _textbox("" if default is None else json.dumps(default, ensure_ascii=False), lines=3)

    def parse(self, field: Field, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            return value  # validation says what is wrong with it


FIELD_KINDS: tuple[FieldKind, ...] = (
    ChoiceKind(),
    UrlsKind(),
    TextsKind(),
    UrlKind(),
    TextKind(),
    ToggleKind(),
    NumberKind(),
    IntegerKind(),
    JsonKind(),
)
"""Every kind, in the order in which a schema's property is matched."""


MAX_SLIDER_STEPS = 10_000
"""A slider with more steps, such as one for seeds, hits no number that a person wants."""


def _number_component(field: Field, step: int | None) -> ComponentSpec:
    low, high = field.minimum, field.maximum
    if low is None or high is None or low >= high:
        return ComponentSpec("Number", {"precision": None if step is None else 0, "value": field.default})
    step_size = field.step or step or (high - low) / 100
    bounds: dict[str, Any] = {"minimum": low, "maximum": high}
    if (high - low) / step_size > MAX_SLIDER_STEPS:
        return ComponentSpec("Number", bounds | {"precision": None if step is None else 0, "value": field.default})
    return ComponentSpec("Slider", bounds | {"step": step_size, "value": field.default})


def _textbox(value: Any, lines: int) -> ComponentSpec:
    return ComponentSpec("Textbox", {"value": value, "lines": lines, "max_lines": 12})
