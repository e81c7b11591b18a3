"""A schema that a service publishes makes a form and a check, whatever it looks like; a hostile one makes neither."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.errors import InputError, SettingsError
from dreamina_ui.models.live_schema import live_model, merged_schema, parameter_names, usable_schema
from dreamina_ui.models.schema import Model
from tests.support.catalog_schemas import IMAGES, RATIO, RULES, SCHEMAS, given_for

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["prompt", "seed", "image_urls", "size", "options", "class", "width×height", "2nd", "request", "画"]
)
TYPES = st.sampled_from(
    ["string", "number", "float", "integer", "boolean", "array", "object", "null", "file", ["string", "null"]]
)


@st.composite
def properties(draw: st.DrawFn, depth: int = 0) -> Any:
    """A property as services write them: well-formed, odd, or neither."""
    prop: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "type": TYPES, "title": st.text(max_size=20) | st.integers(), "default": JSON,
                "enum": st.lists(JSON, max_size=4) | st.none(), "minimum": st.integers(-5, 5) | st.none(),
                "maximum": st.integers(5, 50) | st.floats(5, 10), "maxLength": st.integers(0, 2000),
                "pattern": st.sampled_from(["^a", "(a+)+$", "[", "\\d"]), "minItems": st.integers(0, 3),
                "format": st.sampled_from(["image_uri", "image_uris", "video_uris", "uri", "color"]),
                "validations": st.just(RULES) | JSON, "required": st.booleans(),
            },
        )
    )  # fmt: skip
    if depth < 3 and draw(st.booleans()):
        prop["items"] = draw(properties(depth + 1))
    if depth < 3 and draw(st.booleans()):
        prop["properties"] = draw(st.dictionaries(KEYS, properties(depth + 1), max_size=3))
    if depth < 2 and draw(st.integers(0, 4)) == 0:
        prop["anyOf"] = [draw(properties(depth + 1)), {"type": "null"}]
    return prop


SCHEMA = st.fixed_dictionaries(
    {"properties": st.dictionaries(KEYS, properties(), min_size=1, max_size=5)},
    optional={"required": st.lists(KEYS, max_size=3), "type": st.just("object"), "$id": st.just("https://x.example/")},
)


@given(SCHEMA, st.dictionaries(KEYS, JSON, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_schema_is_used_or_refused(schema: Any, inputs: dict[str, Any]) -> None:
    """The catalog has hundreds of models, and one of them must not take the others away."""
    try:
        model = live_model("a/model", "A model", schema)
    except SettingsError:
        return
    assert len({field.parameter for field in model.fields}) == len(model.fields)
    for field in model.fields:
        assert field.kind.component(field).class_name
        json.dumps(field.kind.component(field).arguments)
    try:
        validated = model.validate_inputs(inputs)
    except InputError:
        return
    assert model.validate_inputs(validated) == validated, "what was accepted once is accepted again, unchanged"


@given(st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from(["properties", "items", "anyOf"]), inner)))
@settings(max_examples=100, deadline=None)
def test_what_is_no_schema_is_refused(value: Any) -> None:
    """A service that is broken sends anything."""
    with suppress(SettingsError):
        assert live_model("a/model", "A model", value).model_id == "a/model"


@pytest.mark.parametrize("name", SCHEMAS)
def test_its_own_defaults_are_valid(name: str) -> None:
    """Whoever fills in what is required and leaves the rest must not be refused."""
    model = live_model("a/model", name, SCHEMAS[name])
    validated = model.validate_inputs(given_for(name))
    assert validated.keys() >= given_for(name).keys()


def deep(levels: int) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        None, 5, "object", [], {"type": "array"}, {"properties": []}, {"properties": {"a": 5}},
        {"properties": {"a": {"maximum": "1"}}},
        {"properties": {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"items": {"$ref": "#/$defs/b"}}}},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"properties": {"a": {"$dynamicRef": "#x"}}},
        {"properties": {f"a{number}": {} for number in range(200)}},
        {"properties": {"a": {"enum": [str(number) for number in range(10_000)]}}},
        {"properties": {"a": {"description": "x" * 200_000}}},
        deep(100),
        {"properties": {"a": {"items": {"anyOf": [{"minLength": number} for number in range(900)]}}}},
        {"properties": {"a": {"anyOf": [{"$ref": "#/properties/b"}] * 90}, "b": {"anyOf": [{"type": "string"}] * 90}}},
    ],
)  # fmt: skip
def test_a_hostile_schema_is_refused(schema: Any) -> None:
    """It must neither reach another machine, nor fill the memory, nor run forever."""
    with pytest.raises(SettingsError, match="a/model"):
        live_model("a/model", "A model", schema)


SLOW = {"type": "string", "pattern": "^(a|a)*$"}


def test_patterns_of_names_are_left_to_the_service() -> None:
    """The library matches them without a bound, and a name of 40 characters was enough."""
    names = {"type": "object", "properties": {}, "patternProperties": {SLOW["pattern"]: {"type": "string"}}}
    model = live_model("a/model", "A model", {"properties": {"options": names}})
    inputs = {"options": {"a" * 40 + "b": 5}}
    assert model.validate_inputs(inputs) == inputs


def test_a_pattern_that_takes_years_is_left_to_the_service() -> None:
    """Else one text could keep a thread busy until the program is restarted."""
    model = live_model("a/model", "A model", {"properties": {"color": SLOW}})
    assert model.validate_inputs({"color": "a" * 40 + "b"})
    colors = live_model("a/model", "A model", {"properties": {"colors": {"type": "array", "items": SLOW}}})
    assert colors.validate_inputs({"colors": ["a" * 40 + "b"] * 400}), "it is tried once, not for each text"
    hex_color = live_model("a/model", "A model", SCHEMAS["pattern"])
    with pytest.raises(InputError) as caught:
        hex_color.validate_inputs({"prompt": "a fox", "color": "red"})
    assert (caught.value.field, caught.value.rule) == ("color", "pattern")


@pytest.mark.parametrize(
    ("name", "changed", "rule"),
    [
        ("edit-list", {"image_urls": []}, "minItems"),
        ("edit-list", {"image_urls": ["https://files.example/a.png"] * 11}, "maxItems"),
        ("edit-list", {"image_urls": ["no url"]}, "format"),
        ("edit-one", {"image_url": "no url"}, "format"),
        ("ratio", {"aspect_ratio": "5:1"}, "enum"),
        ("ratio", {"aspect": "16:9"}, "unknown"),
        ("exclusive", {"strength": 0}, "exclusiveMinimum"),
        ("exclusive-switch", {"strength": 0}, "exclusiveMinimum"),
        ("multiples", {"width": 1000}, "multipleOf"),
        ("optional-by-null", {"seed": "1"}, "anyOf"),
        ("deep", {"camera": {"lens": {"mm": "35"}}}, "type"),
        ("adapters", {"loras": [{"scale": 1}]}, "required"),
        ("required-beside", {"prompt": " "}, "required"),
        ("references-to-parts", {"size": "huge"}, "enum"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_never_sent(name: str, changed: dict[str, Any], rule: str) -> None:
    """Each refusal of the service costs a person a minute, and some of them money."""
    model = live_model("a/model", name, SCHEMAS[name])
    with pytest.raises(InputError) as caught:
        model.validate_inputs(given_for(name) | changed)
    assert caught.value.rule == rule


def test_nested_defaults_are_filled_in_and_shown() -> None:
    """What the form shows is what is sent."""
    model = live_model("a/model", "Deep", SCHEMAS["deep"])
    camera = {"lens": {"mm": 35}, "angle": 0}
    assert model.validate_inputs({"prompt": "a fox"})["camera"] == camera
    field = next(field for field in model.fields if field.key == "camera")
    assert json.loads(field.kind.component(field).arguments["value"]) == camera


def test_every_input_has_a_name_for_programs() -> None:
    """Names that Python cannot have must not take a model away."""
    names = parameter_names(["width×height", "class", "2nd", "a-b", "a b", "画", "request"], {"size": "size"})
    assert list(names.values()) == ["size", "width_height", "class_", "input_2nd", "a_b", "a_b_2", "input", "request_"]


FILE = {
    "type": "object",
    "required": ["prompt"],
    "properties": {"prompt": {"type": "string", "title": "Prompt"}, "scale": {"type": "float", "maximum": 1}},
}


def test_the_live_schema_says_what_a_file_does_not_know() -> None:
    """A file that is a guess is completed by the first real response, and what it knows stays as it is."""
    live = usable_schema(
        {
            "required": ["prompt", "image"],
            "properties": {
                "prompt": {"type": "string", "title": "Text", "maxLength": 800},
                "scale": {"type": "number", "maximum": 5},
                "image": IMAGES,
                "ratio": RATIO,
            },
        }
    )
    merged = merged_schema(FILE, live)
    assert merged is not None
    model: Model = live_model("a/model", "A model", merged)
    assert [field.key for field in model.fields] == ["prompt", "scale", "image", "ratio"]
    assert model.fields[0].title == "Prompt"
    assert (model.fields[0].max_length, model.fields[1].maximum) == (800, 1)
    assert [field.key for field in model.fields if field.required] == ["prompt", "image"]


def test_a_file_that_says_all_stays_as_it_is() -> None:
    """Most responses bring no news."""
    assert merged_schema(FILE, usable_schema(FILE)) is None


@pytest.mark.parametrize("name", ["seed-without-bounds", "choice-of-nothing", "short-prompt", "optional-by-null"])
def test_a_field_that_was_left_empty_is_not_sent(name: str) -> None:
    """A form holds an empty text where nobody wrote anything, and the service takes no text for a number."""
    model = live_model("a/model", name, SCHEMAS[name])
    empty = {field.key: field.kind.parse(field, "") for field in model.fields}
    assert model.validate_inputs(empty | {"prompt": "a fox"}) == {"prompt": "a fox"}
