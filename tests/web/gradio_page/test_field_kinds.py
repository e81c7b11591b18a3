"""A new kind of field is one class and one line: form, validation, batches, links and endpoints follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
import pytest

from dreamina_ui.batches.expansion import BatchRequest, expand
from dreamina_ui.errors import InputError
from dreamina_ui.models.fields import FIELD_KINDS, ComponentSpec, Field, FieldKind
from dreamina_ui.models.schema import Model
from dreamina_ui.web.gradio_page.form import build_form, read_form
from dreamina_ui.web.gradio_page.head import page_facts


class ColorKind(FieldKind):
    """A color such as `#ff8000`."""

    name = "color"
    annotation = str
    value_type = "string"
    can_vary = True
    in_link = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return prop.get("format") == "color"

    def component(self, field: Field) -> ComponentSpec:
        return ComponentSpec("ColorPicker", {"value": field.default})

    def parse(self, field: Field, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("rgba("):
            red, green, blue = (round(float(part)) for part in value[5:].split(",")[:3])
            return f"#{red:02x}{green:02x}{blue:02x}"
        return value

    def describe(self, field: Field, value: Any, title: str, format_number: Callable[[float], str]) -> str:
        return f"{title} {value}"


class MultiChoiceKind(FieldKind):
    """Any number of a list of values."""

    name = "multi_choice"
    annotation = list[str]
    value_type = "array"
    in_link = True

    def matches(self, prop: Mapping[str, Any]) -> bool:
        return prop.get("type") == "array" and "enum" in prop.get("items", {})

    def choices(self, prop: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(prop["items"]["enum"])

    def component(self, field: Field) -> ComponentSpec:
        return ComponentSpec("CheckboxGroup", {"choices": list(field.choices), "value": field.default})

    def is_empty(self, value: Any) -> bool:
        return not value

    def describe(self, field: Field, value: Any, title: str, format_number: Callable[[float], str]) -> str:
        return f"{title} {' + '.join(value)}" if value else ""


KINDS = (ColorKind(), MultiChoiceKind(), *FIELD_KINDS)
PROPERTIES: dict[str, Any] = {
    "prompt": {"title": "Prompt", "type": "string"},
    "tint": {
        "title": "Tint", "type": "string", "format": "color", "pattern": "^#[0-9a-f]{6}$", "default": "#000000",
    },
    "styles": {"title": "Styles", "type": "array", "items": {"type": "string", "enum": ["ink", "oil", "pastel"]}},
}  # fmt: skip


@pytest.fixture
def model() -> Model:
    """A model with one field of each new kind."""
    schema = {"type": "object", "required": ["prompt", "styles"], "properties": PROPERTIES}
    data = {"model_id": "example/new-kinds", "title": "New kinds", "input_schema": schema, "output_schema": {}}
    return Model.from_json(data, KINDS)


def test_the_form_shows_the_new_components(model: Model) -> None:
    """Nobody edits the page for a new kind."""
    with gr.Blocks():
        form = build_form(model, lambda key: key)
    assert {key: type(component) for key, component in form.items()} == {
        "prompt": gr.Textbox,
        "tint": gr.ColorPicker,
        "styles": gr.CheckboxGroup,
    }
    assert (form["tint"].value, form["styles"].elem_id) == ("#000000", "field-styles")


def test_the_values_of_the_form_become_a_valid_submit_body(model: Model) -> None:
    """What a component returns is turned into what the service takes, once and in one place."""
    values = {"prompt": "a hat", "tint": "rgba(255, 128, 0, 1)", "styles": ["ink", "oil"]}
    body = model.validate_inputs(read_form(model, values))
    assert body == {"prompt": "a hat", "tint": "#ff8000", "styles": ["ink", "oil"]}


@pytest.mark.parametrize(
    ("changed", "field", "rule"),
    [
        ({"tint": "red"}, "tint", "pattern"),
        ({"styles": ["fax"]}, "styles.0", "enum"),
        ({"styles": []}, "styles", "required"),
    ],
)
def test_invalid_values_are_refused_by_name(model: Model, changed: dict[str, Any], field: str, rule: str) -> None:
    """A run that the service would refuse is not sent, and people see which field to change."""
    with pytest.raises(InputError) as caught:
        model.validate_inputs({"prompt": "a hat", "styles": ["ink"]} | changed)
    assert (caught.value.field, caught.value.rule) == (field, rule)


def test_only_a_kind_that_can_vary_takes_several_values_in_a_batch(model: Model) -> None:
    """The batch asks the kind, not its name."""
    common = {"styles": ["oil"]}
    jobs = expand(model, BatchRequest("a hat", common, {"tint": ["#112233", "#445566"]}))
    assert [job["tint"] for job in jobs] == ["#112233", "#445566"]
    with pytest.raises(InputError) as caught:
        expand(model, BatchRequest("a hat", common, {"styles": ["ink", "oil"]}))
    assert (caught.value.field, caught.value.rule) == ("styles", "unknown")


def test_the_page_gets_the_tags_that_its_links_and_drafts_go_by(model: Model) -> None:
    """The scripts compare abilities, so that they need no change for a new kind."""
    [facts] = page_facts([model])["models"]
    tags = {entry["key"]: entry for entry in facts["fields"]}
    tint, styles = tags["tint"], tags["styles"]
    assert (tint["in_link"], tint["can_vary"], tint["value_type"]) == (True, True, "string")
    assert tint["pattern"] == "^#[0-9a-f]{6}$"
    assert (styles["in_link"], styles["can_vary"], styles["value_type"]) == (True, False, "array")
    assert styles["choices"] == ("ink", "oil", "pastel")
    assert "kind" not in tint


def test_a_job_card_describes_the_new_values(model: Model) -> None:
    """The settings line of a card shows what a job was made with."""
    values = {"tint": "#ff8000", "styles": ["ink", "oil"]}
    parts = {
        field.key: field.kind.describe(field, values.get(field.key), field.title, "{:g}".format)
        for field in model.fields
    }
    assert parts == {"prompt": "", "tint": "Tint #ff8000", "styles": "Styles ink + oil"}


def test_programs_see_the_types_of_the_new_kinds(model: Model) -> None:
    """Gradio publishes an endpoint's parameters from these annotations."""
    annotations = {field.parameter: field.kind.annotation for field in model.fields}
    assert annotations == {"prompt": str, "tint": str, "styles": list[str]}
