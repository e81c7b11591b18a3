"""Texts in each language, one JSON file per language, and numbers and sizes as a language writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from dreamina_ui.models.fields import Field

LANGUAGES_FOLDER = Path(__file__).parent / "languages"
FALLBACK = "en"

SERVER_KEY_PREFIXES = (
    "message_", "problem_", "error_", "rule_", "field_", "owner_", "batch_count_", "batch_paused_",
    "batch_notice_", "shared_",
)  # fmt: skip
"""Prefixes of texts that only the server or the Admin tab uses; the page's scripts get all others."""


@cache
def languages() -> Mapping[str, Mapping[str, str]]:
    """Every language's texts by key, by language code."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(LANGUAGES_FOLDER.glob("*.json"))}


@cache
def page_words(language: str) -> bytes:
    """The texts of the page's scripts in a language, as JSON; English where the language lacks a text."""
    words = {**languages()[FALLBACK], **languages()[language]}
    page_texts = {key: text for key, text in words.items() if not key.startswith(SERVER_KEY_PREFIXES)}
    return json.dumps(page_texts, ensure_ascii=False, separators=(",", ":")).encode()


def pick_language(accept_language: str | None) -> str:
    """The best available language for an `Accept-Language` header, such as `ja,en;q=0.8`.

    Any variant of a language gets the one we have: `zh-TW` leads to `zh-CN`, not to English.
    """
    preferences = []
    for index, preference in enumerate((accept_language or "")[:500].replace(" ", "").split(",")):
        code, _, quality = preference.partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:  # 0 excludes a language
            preferences.append((-weight, index, code.lower()))
    for _, _, code in sorted(preferences):
        for known in languages():
            if code.split("-")[0] == known.split("-")[0]:
                return known
    return FALLBACK


class _LocalFormatter(Formatter):
    """Fills in placeholders with numbers as a language writes them.

    `{count:job|jobs}` is the first form for 1 and the second for any other number. The page's scripts format the same
    texts. None of our languages has more than these two plural forms (CLDR plural rules, whole numbers).
    """

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> Any:
        singular, separator, plural = format_spec.partition("|")
        if separator:
            return singular if value == 1 else plural
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return number(self._language, value) if is_number else super().format_field(value, format_spec)


def translate(language: str, key: str, **values: Any) -> str:
    """The text of a key with its values filled in; English if the language lacks it, `""` if every language does."""
    text = languages()[language].get(key) or languages()[FALLBACK].get(key, "")
    return _LocalFormatter(language).vformat(text, (), values) if values else text


def field_texts(field: Field, language: str) -> tuple[str, str]:
    """The title and the help text of a field in the form; the schema's own if the field has no label.

    A field that is written as JSON, because the form has no better way to show it, says so, and so does a list of texts
    that is written in lines.
    """
    title, help_text = field.title, field.help
    if field.label is not None:
        title = translate(language, f"field_{field.label}_title") or title
        help_text = translate(language, f"field_{field.label}_help") or help_text
    about = {"json": "json_help", "lines": "" if field.kind.holds_urls else "lines_help"}.get(field.kind.typed_as)
    if about:
        help_text = " ".join(filter(None, (help_text, translate(language, about))))
    return title, help_text


def number(language: str, value: float, digits: int | None = None) -> str:
    """A number as the language writes it, such as `0,5`; `digits` fixes the number of decimal places."""
    grouping = "," if abs(value) >= 10_000 else ""  # every one of our languages groups digits from here on
    text = f"{value:{grouping}{'.10g' if digits is None else f'.{digits}f'}}"
    return text if translate(language, "decimal_mark") == "." else text.translate(_MARKS)


def file_size(language: str, size_bytes: int) -> str:
    """A readable file size, such as `1,2 MB` or `310 kB`, in decimal units."""
    unit_bytes, unit, digits = next(row for row in _UNITS if size_bytes >= row[0])
    return f"{number(language, size_bytes / (unit_bytes or 1), digits)}\u00a0{unit}"


_MARKS = str.maketrans(",.", ".,")
_UNITS = ((1e9, "GB", 1), (1e6, "MB", 1), (1e3, "kB", 0), (0, "B", 0))
