"""Inputs are measured before they are validated, whatever way they come in."""

from __future__ import annotations

from typing import Any

import pytest

from dreamina_ui.errors import InputError
from dreamina_ui.models.json_values import MAX_CHARACTERS, MAX_KEY_CHARACTERS, MAX_VALUES
from dreamina_ui.models.schema import MAX_ERRORS, Model, load_models

EDIT = load_models()["bytedance/dreamina-4-0/edit"]
OPEN = Model.from_json(
    {
        "model_id": "vendor/open",
        "title": "Open",
        "input_schema": {
            "type": "object",
            "properties": {"prompt": {"type": "string"}, "urls": {"type": "array", "uniqueItems": True}, "any": {}},
        },
        "output_schema": {},
    }
)
"""A model without any limit of its own."""


class _Exploding:
    """Validating with it fails the test."""

    def iter_errors(self, _: Any) -> Any:
        raise AssertionError("validated")


LARGE: dict[str, dict[Any, Any]] = {
    "a long text": {"prompt": "x" * (MAX_CHARACTERS + 1)},
    "long texts together": {"any": ["x" * 5000] * 5},
    "many entries": {"urls": [f"https://a.example/{number}" for number in range(190_000)]},
    "many entries, one level down": {"any": [list(range(100))] * 6},
    "many keys": {str(number): 1 for number in range(MAX_VALUES + 1)},
    "many keys, one level down": {"any": {str(number): 1 for number in range(MAX_VALUES + 1)}},
    "a long key": {"x" * 60_000: 1},
    "a long key, one level down": {"any": {"x" * 60_000: 1}},
    "deep nesting": {"any": eval("[" * 40 + "]" * 40)},
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("model", [OPEN, EDIT], ids=["without limits", "edit"])
def test_large_inputs_are_refused_unvalidated(model: Model, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """190,000 short URLs took the validator 4 s and 700 MB."""
    monkeypatch.setitem(model.__dict__, "_validator", _Exploding())
    with pytest.raises(InputError) as caught:
        model.validate_inputs(LARGE[name])
    assert caught.value.rule in ("maxLength", "maxItems", "maxProperties", "format", "unknown")
    assert len(str(caught.value)) < 700
    assert len(caught.value.field) <= 2 * MAX_KEY_CHARACTERS


@pytest.mark.parametrize("count", [400, 4000])
def test_the_models_own_bound_is_named(count: int) -> None:
    """A person can act upon it; the one of all models is far off."""
    with pytest.raises(InputError) as caught:
        EDIT.validate_inputs({"prompt": "x", "image_urls": ["https://a.example/"] * count})
    assert (caught.value.field, caught.value.rule) == ("image_urls", "maxItems")
    assert caught.value.limit == EDIT.input_schema["properties"]["image_urls"]["maxItems"]


def test_a_long_text_hides_no_other_error() -> None:
    """Whoever corrects one input should not learn of the next one only then."""
    inputs = {"prompt": "x" * 900, "scale": 7, "colour": "red"}
    broken = load_models()["bytedance/dreamina-4-0/text-to-image"].broken_rules(inputs)
    assert {error.field for error in broken} == {"prompt", "scale", "colour"}


def test_few_errors_are_made() -> None:
    """Each one copies what was given."""
    assert len(list(EDIT.broken_rules({"prompt": "x", **{f"k{number}": 1 for number in range(400)}}))) <= MAX_ERRORS + 1
