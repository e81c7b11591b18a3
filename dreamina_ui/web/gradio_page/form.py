"""A field of the input schema becomes a component; no field is named in code.

The forms of all models stand in the page; its script shows one. So a change of model needs no server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from dreamina_ui.models.schema import Field, Model, choice_label

I18n = Any  # gr.I18n is a function that gives translations; its class is not public


def build_form(model: Model, i18n: I18n, name: str = "field") -> dict[str, gr.components.Component]:
    """The components of a model's inputs, by schema key, in schema order.

    Args:
        i18n: gives the text of a key such as `field_prompt_title`.
        name: the beginning of those keys, and of the components' ids (`field-prompt`).

    A text's limit is counted and checked by us: a browser's own `maxlength` counts UTF-16 units and would cut a text
    of 800 emoji in half.
    """
    return {field.key: _component(field, i18n, name) for field in model.fields}


def read_form(model: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the form's components hold, as inputs; only the shapes that components cannot give are changed."""
    return {field.key: _read(field, values[field.key]) for field in model.fields if field.key in values}


def _component(field: Field, i18n: I18n, name: str) -> gr.components.Component:
    common: dict[str, Any] = {
        "label": i18n(f"{name}_{field.parameter}_title"),
        "info": i18n(f"{name}_{field.parameter}_help") if field.help else None,
        "value": field.default,
        "elem_id": f"{name}-{field.parameter}",
        "interactive": True,
    }
    if field.kind == "choice":
        return gr.Dropdown(choices=[(choice_label(choice), choice) for choice in field.choices], **common)
    if field.kind == "toggle":
        return gr.Checkbox(**common | {"value": bool(field.default)})
    if field.kind in ("number", "integer"):
        whole = field.kind == "integer"
        if field.minimum is not None and field.maximum is not None:
            step = 1 if whole else (field.maximum - field.minimum) / 100
            return gr.Slider(field.minimum, field.maximum, step=step, **common)
        return gr.Number(precision=0 if whole else None, **common)
    lines = {"text": 4, "address": 1}.get(field.kind, 3)
    value = field.default
    if field.kind == "addresses":
        value = "\n".join(field.default or ())
    elif field.kind == "json":
        value = json.dumps(field.default, ensure_ascii=False) if field.default is not None else ""
    return gr.Textbox(**common | {"value": value}, lines=lines, max_lines=12)


def _read(field: Field, value: Any) -> Any:
    if field.kind == "addresses" and isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()] or None
    if field.kind == "address" and isinstance(value, str):
        return value.strip() or None
    if field.kind == "json" and isinstance(value, str):
        try:
            return json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            return value  # the check will say what is wrong with it
    return value
