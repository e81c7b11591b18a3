"""The form of a model: one Gradio component per field of its input schema; no field is named in code.

The forms of all models are part of the page and its script shows one of them, so changing the model needs no server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model

I18n = Any  # `gr.I18n` is a function that returns translations; its class is not public


def build_form(model: Model, i18n: I18n, name: str = "field") -> dict[str, gr.components.Component]:
    """The components of a model's inputs, by schema key, in schema order.

    Args:
        i18n: returns the text of a key such as `field_prompt_title`.
        name: the prefix of those keys and of the components' ids (`field-prompt`).
    """
    return {field.key: _component(field, i18n, name) for field in model.fields}


def read_form(model: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that the form's values stand for, by schema key; they are not validated yet."""
    return {field.key: field.kind.parse(field, values[field.key]) for field in model.fields if field.key in values}


def _component(field: Field, i18n: I18n, name: str) -> gr.components.Component:
    spec = field.kind.component(field)
    component_class: type[gr.components.Component] = getattr(gr, spec.class_name)
    arguments: dict[str, Any] = {
        "label": i18n(f"{name}_{field.parameter}_title"),
        "info": i18n(f"{name}_{field.parameter}_help") if field.help or field.kind.typed_as == "json" else None,
        "elem_id": f"{name}-{field.parameter}",
        "interactive": True,
        **spec.arguments,
    }
    if field.kind.is_text and field.required and field.default:
        # An example, not a value: one key press would pay for it.
        arguments |= {"value": "", "placeholder": field.default}
    return component_class(**arguments)
