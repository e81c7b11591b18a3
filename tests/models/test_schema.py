"""The schema's promises: inputs that the service would refuse are never sent, and valid inputs are sent unchanged."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dreamina_ui.errors import InputError, SettingsError
from dreamina_ui.models.schema import Model, load_models
from dreamina_ui.models.text import is_blank
from tests.support.harness import MODEL_ID

SIZE = "width\N{MULTIPLICATION SIGN}height"
SIZES = [
    "1024x1024(1:1)", "2048x2048(1:1)", "2304x1728(4:3)", "2496x1664(3:2)", "2560x1440(16:9)", "3024x1296(21:9)",
    "4096x4096(1:1)", "4694x3520(4:3)", "4992x3328(3:2)", "5404x3040(16:9)", "6198x2656(21:9)",
]  # fmt: skip
DEFAULTS = {SIZE: "2048x2048(1:1)", "scale": 0.5, "force_single": False}
DREAMINA = load_models()[MODEL_ID]

PLAIN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["prompt"],
    "additionalProperties": False,
    "properties": {
        "prompt": {"type": "string", "maxLength": 800},
        SIZE: {"enum": SIZES},
        "scale": {"type": "number", "minimum": 0, "maximum": 1},
        "force_single": {"type": "boolean"},
    },
}

EDIT_INPUTS: dict[str, Any] = {
    "type": "object",
    "required": ["image_urls", "prompt"],
    "properties": {
        "image_urls": {
            "type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1, "maxItems": 3,
        },
        "prompt": {"type": "string", "maxLength": 100},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2147483647, "default": None},
        "count": {"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 2, "default": 2},
        "settings": {
            "type": "object",
            "default": {},
            "properties": {
                "mode": {"type": "string", "default": "soft"},
                "strength": {"type": "float", "exclusiveMinimum": 0, "default": 0.7},
                "colors": {"type": "array", "items": {"type": "string"}, "default": ["red"]},
            },
        },
        "masks": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["x"],
                "properties": {"x": {"type": "integer"}, "feather": {"type": "float", "default": 0.5}},
            },
        },
        "extra": {"description": "whatever you like"},
    },
}  # fmt: skip
EDIT: dict[str, Any] = {
    "model_id": "a/edit",
    "title": "Edit",
    "input_schema": EDIT_INPUTS,
    "output_schema": {},
}
EDIT_MODEL = Model.from_json(EDIT)
URLS = ["https://files.example/a.png"]
GIVEN: dict[str, Any] = {"image_urls": URLS, "prompt": "make it night"}


def refusal(model: Model, inputs: Any) -> tuple[str, str]:
    """Validate inputs that must be refused; returns field and rule."""
    with pytest.raises(InputError) as caught:
        model.validate_inputs(inputs)
    message = str(caught.value)
    assert message.startswith(f"{caught.value.field}: breaks the rule {caught.value.rule}")
    assert message.endswith("Nothing was submitted.")
    message.encode()
    return caught.value.field, caught.value.rule


# --- the model's file


def test_the_model_file_matches_the_services_schema_exactly() -> None:
    """A size or bound that differs by one character is refused by the service, or billed for another image."""
    schema = DREAMINA.input_schema
    properties = schema["properties"]
    assert (schema["type"], schema["required"]) == ("object", ["prompt"])
    assert list(properties) == ["prompt", SIZE, "scale", "force_single"]
    rules = {key: {name: rule for name, rule in prop.items() if name not in ("title", "description")}
             for key, prop in properties.items()}  # fmt: skip
    assert rules == {
        "prompt": {"type": "string", "maxLength": 800, "default": "A beautiful girl is walking on the street"},
        SIZE: {"type": "string", "enum": SIZES, "default": "2048x2048(1:1)"},
        "scale": {"type": "float", "minimum": 0, "maximum": 1, "default": 0.5},
        "force_single": {"type": "boolean", "default": False},
    }
    assert [properties[key]["title"] for key in properties] == [
        "Prompt", "Aspect Ratio (W:H)", "Scale", "Force Single Image",
    ]  # fmt: skip
    assert list(DREAMINA.output_schema["output"]["properties"]) == ["image", "video", "images", "videos"]


def test_the_fields_are_what_the_schema_says() -> None:
    """The form and the endpoints are built from the fields alone."""
    prompt, size, scale, single = DREAMINA.fields
    assert (prompt.kind.name, prompt.required, prompt.max_length) == ("text", True, 800)
    assert (size.kind.name, size.key, size.parameter, list(size.choices)) == ("choice", SIZE, "size", SIZES)
    assert (scale.kind.name, scale.minimum, scale.maximum, scale.default) == ("number", 0, 1, 0.5)
    assert (single.kind.name, single.required, single.default) == ("toggle", False, False)
    assert all(field.parameter.isidentifier() and field.parameter.isascii() for field in DREAMINA.fields)


def test_each_property_gets_its_kind() -> None:
    """A model that is added as a file gets its form without any code."""
    kinds = {field.key: field.kind.name for field in EDIT_MODEL.fields}
    assert kinds == {
        "image_urls": "urls", "prompt": "text", "seed": "integer", "count": "integer",
        "settings": "json", "masks": "json", "extra": "json",
    }  # fmt: skip


# --- accepted inputs


def test_defaults_are_filled_in_and_given_values_stay() -> None:
    """The ledger records what an image was made with, including the defaults."""
    assert DREAMINA.validate_inputs({"prompt": "fox"}) == {"prompt": "fox"} | DEFAULTS
    chosen = {"force_single": True, "scale": 1, SIZE: SIZES[-1], "prompt": " fox\n"}
    assert DREAMINA.validate_inputs(chosen) == chosen
    assert list(DREAMINA.validate_inputs(chosen)) == ["prompt", SIZE, "scale", "force_single"]


@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_the_service_is_accepted(size: str) -> None:
    """All eleven are sent unchanged."""
    assert DREAMINA.validate_inputs({"prompt": "fox", SIZE: size})[SIZE] == size


def test_an_optional_input_that_is_null_gets_its_default() -> None:
    """Programs send null for inputs they do not set."""
    assert (
        DREAMINA.validate_inputs({"prompt": "fox", "scale": None, SIZE: None, "force_single": None})
        == {"prompt": "fox"} | DEFAULTS
    )


def test_the_limit_of_the_prompt_is_in_code_points() -> None:
    """800 emoji are 3200 bytes and 1600 UTF-16 units, and still 800 characters."""
    assert DREAMINA.validate_inputs({"prompt": "\N{FOX FACE}" * 800})["prompt"] == "\N{FOX FACE}" * 800
    assert refusal(DREAMINA, {"prompt": "\N{FOX FACE}" * 801}) == ("prompt", "maxLength")


@pytest.mark.parametrize("prompt", ["שלום \u202efox", "a\x00b", "👩‍👩‍👧", "e\u0301", "\ufeffx", "</script>", "{0} %s"])
def test_an_odd_prompt_stays_as_it_is(prompt: str) -> None:
    """Text is sent as people wrote it: nothing is cut, joined or normalized."""
    assert DREAMINA.validate_inputs({"prompt": prompt})["prompt"] == prompt


def test_any_mapping_will_do() -> None:
    """Callers pass whatever mapping they have."""
    assert DREAMINA.validate_inputs(MappingProxyType({"prompt": "fox"})) == {"prompt": "fox"} | DEFAULTS


# --- refused inputs


@pytest.mark.parametrize(
    ("inputs", "field", "rule"),
    [
        ({}, "prompt", "required"),
        ({"prompt": None}, "prompt", "required"),
        ({"prompt": ""}, "prompt", "required"),
        ({"prompt": " \t\n\u3000\u2003"}, "prompt", "required"),
        ({"prompt": "\u200b"}, "prompt", "required"),
        ({"prompt": "\ufeff \u3164"}, "prompt", "required"),
        ({"prompt": 5}, "prompt", "type"),
        ({"prompt": ["fox"]}, "prompt", "type"),
        ({"prompt": b"fox"}, "prompt", "format"),
        ({"prompt": "x" * 801}, "prompt", "maxLength"),
        ({"prompt": "\ud83e"}, "prompt", "unicode"),
        ({"prompt": "a", SIZE: "2048x2048"}, SIZE, "enum"),
        ({"prompt": "a", SIZE: "2048×2048(1:1)"}, SIZE, "enum"),
        ({"prompt": "a", SIZE: ""}, SIZE, "enum"),
        ({"prompt": "a", SIZE: 2048}, SIZE, "type"),
        ({"prompt": "a", SIZE: [SIZES[0]]}, SIZE, "type"),
        ({"prompt": "a", "scale": 1.0001}, "scale", "maximum"),
        ({"prompt": "a", "scale": 2**80}, "scale", "maximum"),
        ({"prompt": "a", "scale": -1e-9}, "scale", "minimum"),
        ({"prompt": "a", "scale": "0.5"}, "scale", "type"),
        ({"prompt": "a", "scale": True}, "scale", "type"),
        ({"prompt": "a", "scale": False}, "scale", "type"),
        ({"prompt": "a", "scale": []}, "scale", "type"),
        ({"prompt": "a", "force_single": 1}, "force_single", "type"),
        ({"prompt": "a", "force_single": "true"}, "force_single", "type"),
        ({"prompt": "a", "seed": 5}, "seed", "unknown"),
        ({"prompt": "a", "size": SIZES[0]}, "size", "unknown"),
        ({"prompt": "a", "widthxheight": SIZES[0]}, "widthxheight", "unknown"),
        ({"prompt": "a", 5: 1}, "5", "unknown"),
        ([], "inputs", "type"),
        (None, "inputs", "type"),
        ("fox", "inputs", "type"),
    ],
)  # fmt: skip
def test_inputs_that_break_the_schema_are_refused_by_name(inputs: Any, field: str, rule: str) -> None:
    """A run that cannot succeed must not be paid for, and people must see which input to change."""
    assert refusal(DREAMINA, inputs) == (field, rule)


def test_a_refusal_carries_field_rule_limit_and_value() -> None:
    """A program can act on the parts, and a person on the message."""
    with pytest.raises(InputError) as caught:
        DREAMINA.validate_inputs({"prompt": "a", "scale": 1.0001})
    exc = caught.value
    assert (exc.field, exc.rule, exc.limit, exc.value) == ("scale", "maximum", 1, 1.0001)
    assert str(exc) == "scale: breaks the rule maximum (1); got 1.0001. Nothing was submitted."


def _nested(depth: int) -> Any:
    value: Any = {}
    for number in range(depth):
        value = {"a": value} if number % 2 else [value]
    return value


def _in_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, -math.inf, [math.nan], 10**400, -(10**5000), {1, 2}, object(), b"x", 1j, Decimal("0.5"),
        {5: 1}, {"a": {None: 1}}, _nested(100), _nested(5000), _in_itself(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("key", ["prompt", SIZE, "scale", "force_single", "seed"])
def test_values_that_json_cannot_express_are_refused(key: str, value: Any) -> None:
    """NaN passes `minimum` and `maximum`; a list that contains itself would never end."""
    field, _rule = refusal(DREAMINA, {"prompt": "a", key: value})
    assert field.split(".")[0] == key


@pytest.mark.parametrize(
    "value",
    [math.nan, {"a": [math.inf]}, {1, 2}, 10**5000, "\ud800", ["\udfff"], {"\ud800": 1}],
    ids=lambda value: type(value).__name__,
)
def test_an_input_without_rules_must_be_json_too(value: Any) -> None:
    """Otherwise a submit would fail after its row was written."""
    field, rule = refusal(EDIT_MODEL, GIVEN | {"extra": value})
    assert field.startswith("extra")
    assert rule in ("format", "unicode")


def test_a_message_about_invalid_unicode_can_be_encoded() -> None:
    """A lone surrogate in an error would break the response that carries it."""
    for inputs in ({"prompt": "a\ud800"}, {"prompt": "a", "\ud800": 1}, {"prompt": "a", "scale": {"\ud800": "\ud800"}}):
        with pytest.raises(InputError) as caught:
            DREAMINA.validate_inputs(inputs)
        str(caught.value).encode()
        caught.value.field.encode()


def test_a_long_value_does_not_flood_the_message() -> None:
    """A very long prompt must not fill the page or the log."""
    with pytest.raises(InputError) as caught:
        DREAMINA.validate_inputs({"prompt": "x" * 100_000})
    assert len(str(caught.value)) < 300
    assert "(100000 characters)" in str(caught.value)


@pytest.mark.parametrize(
    "inputs", [10**5000, _nested(5001), math.nan, {1}, 0, True, b"{}"], ids=lambda value: type(value).__name__
)
def test_inputs_that_are_not_a_mapping_are_refused(inputs: Any) -> None:
    """There is no prompt in them."""
    assert refusal(DREAMINA, inputs)[0].startswith("inputs")


# --- a second model: whole numbers, objects, lists


def test_nested_defaults_are_filled_in_and_never_shared() -> None:
    """One job must not change the inputs of another, or the schema."""
    first = EDIT_MODEL.validate_inputs(GIVEN)
    assert first == GIVEN | {"count": 2, "settings": {"mode": "soft", "strength": 0.7, "colors": ["red"]}}
    first["settings"]["colors"].append("blue")
    first["image_urls"].append("x")
    assert URLS == ["https://files.example/a.png"]
    assert EDIT_MODEL.validate_inputs(GIVEN)["settings"]["colors"] == ["red"]
    given = GIVEN | {"settings": {"colors": ["green"]}}
    assert EDIT_MODEL.validate_inputs(given)["settings"] == {"mode": "soft", "strength": 0.7, "colors": ["green"]}
    assert given["settings"] == {"colors": ["green"]}
    free = Model.from_json(EDIT | {"input_schema": {"properties": {"a": {"default": {"b": [1]}}}}})
    free.validate_inputs({})["a"]["b"].append(2)
    assert free.validate_inputs({}) == {"a": {"b": [1]}}


def test_defaults_reach_objects_in_lists() -> None:
    """Defaults are filled in at every depth."""
    assert EDIT_MODEL.validate_inputs(GIVEN | {"masks": [{"x": 1}]})["masks"] == [{"x": 1, "feather": 0.5}]


def test_a_default_of_null_is_no_default() -> None:
    """Schemas write `"default": null` for "none", and the same schema would refuse null."""
    assert "seed" not in EDIT_MODEL.validate_inputs(GIVEN)
    assert EDIT_MODEL.validate_inputs(GIVEN | {"seed": 0})["seed"] == 0


@pytest.mark.parametrize(
    ("news", "field", "rule"),
    [
        ({"count": 2.5}, "count", "type"),
        ({"count": True}, "count", "type"),
        ({"count": 3}, "count", "multipleOf"),
        ({"count": 6}, "count", "maximum"),
        ({"seed": -1}, "seed", "minimum"),
        ({"seed": 2**31}, "seed", "maximum"),
        ({"settings": []}, "settings", "type"),
        ({"settings": {"mode": 5}}, "settings.mode", "type"),
        ({"settings": {"strength": 0}}, "settings.strength", "exclusiveMinimum"),
        ({"settings": {"strength": math.nan}}, "settings.strength", "format"),
        ({"settings": {"moode": "soft"}}, "settings.moode", "unknown"),
        ({"settings": {"mode": "\ud800"}}, "settings.mode", "unicode"),
        ({"settings": {"colors": ["red", 5]}}, "settings.colors.1", "type"),
        ({"masks": [{"x": 1}, {}]}, "masks.1.x", "required"),
        ({"masks": [{"x": 1, "y": 2}]}, "masks.0.y", "unknown"),
        ({"image_urls": []}, "image_urls", "minItems"),
        ({"image_urls": URLS * 4}, "image_urls", "maxItems"),
        ({"image_urls": URLS[0]}, "image_urls", "type"),
        ({"image_urls": [URLS[0], 5]}, "image_urls.1", "type"),
        ({"image_urls": [URLS[0], None]}, "image_urls.1", "type"),
        ({"image_urls": [URLS[0], "a picture"]}, "image_urls.1", "format"),
        ({"image_urls": ["example.com/a.png"]}, "image_urls.0", "format"),
        ({"image_urls": ["https://a.example/\n"]}, "image_urls.0", "format"),
        ({"image_urls": None}, "image_urls", "required"),
    ],
)  # fmt: skip
def test_errors_inside_an_input_name_their_path(news: dict[str, Any], field: str, rule: str) -> None:
    """In a list of twenty URLs people must see which one is wrong."""
    assert refusal(EDIT_MODEL, GIVEN | news) == (field, rule)


def test_whole_numbers_may_be_written_as_floats() -> None:
    """JSON Schema counts 2.0 as an integer, and a slider may return it."""
    assert EDIT_MODEL.validate_inputs(GIVEN | {"count": 4.0})["count"] == 4


@pytest.mark.parametrize("url", ["https://a.example/x%20y?z=1&t=%E7%8C%AB#f", "http://[::1]:80/", "https://a.example"])
def test_valid_urls_are_accepted(url: str) -> None:
    """Whether the service can fetch a URL is for the service to say."""
    assert EDIT_MODEL.validate_inputs(GIVEN | {"image_urls": [url]})["image_urls"] == [url]


def test_a_key_may_be_named_like_a_schema_keyword() -> None:
    """A model may have an input named `default` or `properties`."""
    names = ["default", "enum", "properties", "type", "required", "items"]
    schema = {"type": "object", "properties": {name: {"type": "float", "default": 1} for name in names}}
    model = Model.from_json(EDIT | {"input_schema": schema})
    assert model.validate_inputs({"default": 2.5}) == dict.fromkeys(names, 1) | {"default": 2.5}
    assert refusal(model, {"properties": "x"}) == ("properties", "type")


# --- any inputs at all

RELAXED = settings(deadline=None, derandomize=True, max_examples=300)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
LIKELY = st.sampled_from(["fox", 0, 1, 0.25, 1.5, True, SIZES[3], "x" * 801, None, ""])
ANY_INPUTS = st.dictionaries(
    st.sampled_from(["prompt", SIZE, "scale", "force_single"]) | ANY_TEXT, LIKELY | ANY_JSON, max_size=5
)
VALID_INPUTS = st.fixed_dictionaries(
    {"prompt": st.text(min_size=1, max_size=800).filter(lambda text: not is_blank(text))},
    optional={
        SIZE: st.none() | st.sampled_from(SIZES),
        "scale": st.none() | st.floats(0, 1) | st.sampled_from([0, 1]),
        "force_single": st.none() | st.booleans(),
    },
)


@RELAXED
@given(ANY_INPUTS | ANY_JSON)
@example({"": "x"})
def test_any_input_is_refused_by_name_or_valid(inputs: Any) -> None:
    """Anyone can send anything to the public endpoint: it must never cause a crash or an invalid submit."""
    try:
        validated = DREAMINA.validate_inputs(inputs)
    except InputError as exc:
        str(exc).encode()
        return
    Draft202012Validator(PLAIN_SCHEMA).validate(validated)
    assert validated["prompt"].strip()
    assert list(validated) == list(PLAIN_SCHEMA["properties"])
    json.dumps(validated, allow_nan=False, ensure_ascii=False).encode()


@RELAXED
@given(VALID_INPUTS)
def test_valid_inputs_are_accepted_unchanged(inputs: dict[str, Any]) -> None:
    """Settings read back from the ledger must make the same request again."""
    validated = DREAMINA.validate_inputs(inputs)
    assert validated == {"prompt": ""} | DEFAULTS | {key: value for key, value in inputs.items() if value is not None}
    assert DREAMINA.validate_inputs(validated) == validated
    assert DREAMINA.validate_inputs(json.loads(json.dumps(validated))) == validated


@RELAXED
@given(
    st.fixed_dictionaries(
        {"image_urls": st.just(URLS), "prompt": st.just("x")},
        optional={
            key: ANY_JSON | st.dictionaries(st.sampled_from(["mode", "strength", "colors"]), ANY_JSON, max_size=3)
            for key in ("seed", "settings", "masks", "extra")
        },
    )
)
def test_validating_valid_inputs_again_changes_nothing(inputs: dict[str, Any]) -> None:
    """Objects and lists, whose defaults are filled in at every depth, included."""
    try:
        validated = EDIT_MODEL.validate_inputs(inputs)
    except InputError:
        return
    assert EDIT_MODEL.validate_inputs(validated) == validated


# --- model files


def test_models_are_read_by_id_in_the_order_of_their_files(tmp_path: Path) -> None:
    """The first file is the page's model: the owner orders them by name."""
    for name, model_id in (("2.json", "a/x"), ("1.json", "b/y")):
        (tmp_path / name).write_text(json.dumps(EDIT | {"model_id": model_id}), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no model")
    assert list(load_models(tmp_path)) == ["b/y", "a/x"]


@pytest.mark.parametrize(
    "content",
    [
        b"{", b"\xff", b"[]", b"null", b"5", b"{}",
        json.dumps({"model_id": "a/x", "title": "X", "output_schema": {}}).encode(),
        json.dumps(EDIT | {"input_schema": {"type": "object"}}).encode(),
        json.dumps(EDIT | {"input_schema": {"properties": []}}).encode(),
        json.dumps(EDIT | {"input_schema": {"properties": {"a": {"type": "text"}}}}).encode(),
        json.dumps(EDIT | {"input_schema": {"properties": {"a": {"maximum": "1"}}}}).encode(),
    ],
)  # fmt: skip
def test_an_invalid_model_file_is_named(tmp_path: Path, content: bytes) -> None:
    """The owner who added a model must see which file to fix."""
    (tmp_path / "broken-one.json").write_bytes(content)
    with pytest.raises(SettingsError, match=r"broken-one\.json"):
        load_models(tmp_path)


@pytest.mark.parametrize("keys", [["class"], ["request"], ["2k"], ["a-b", "a_b"]])
def test_a_key_that_is_no_identifier_needs_a_parameter_name(tmp_path: Path, keys: list[str]) -> None:
    """Otherwise the program fails at startup without naming the file."""
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in keys}}
    path = tmp_path / "strange.json"
    path.write_text(json.dumps(EDIT | {"input_schema": schema}))
    with pytest.raises(SettingsError, match=r"strange\.json.*parameter_names"):
        load_models(tmp_path)
    path.write_text(json.dumps(EDIT | {"input_schema": schema, "parameter_names": {keys[0]: "kind"}}))
    [model] = load_models(tmp_path).values()
    assert [field.parameter for field in model.fields] == ["kind", *keys[1:]]


def test_a_folder_without_models_is_an_error(tmp_path: Path) -> None:
    """A page without a form is useless."""
    with pytest.raises(SettingsError, match="no model file"):
        load_models(tmp_path)
