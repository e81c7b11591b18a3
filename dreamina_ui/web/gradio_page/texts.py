"""The texts of Gradio's components, in each language."""

from __future__ import annotations

from collections.abc import Sequence

from dreamina_ui.models.schema import Model
from dreamina_ui.web.i18n.translate import field_texts, languages

COMPONENT_TEXTS = ("generate", "model", "tab_create", "tab_library", "batch")
"""Keys of the texts of Gradio's components other than fields."""


def form_prefix(index: int) -> str:
    """The beginning of the ids of a form's components."""
    return f"field{index or ''}"


def component_texts(models: Sequence[Model]) -> dict[str, dict[str, str]]:
    """Texts by key in each language; a field without a translation has the schema's own texts."""
    translations: dict[str, dict[str, str]] = {}
    for language, words in languages().items():
        texts = {f"ui_{key}": words[key] for key in COMPONENT_TEXTS}
        for index, model in enumerate(models):
            for field in model.fields:
                for part, text in zip(("title", "help"), field_texts(field, language), strict=True):
                    texts[f"{form_prefix(index)}_{field.parameter}_{part}"] = text
        translations[language] = texts
    return translations
