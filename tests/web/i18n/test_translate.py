"""The language files are complete, and numbers are written as each language writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.models.schema import MODELS_FOLDER, load_models
from dreamina_ui.web.i18n import translate as i18n
from dreamina_ui.web.i18n.translate import (
    LANGUAGES_FOLDER,
    file_size,
    languages,
    number,
    page_words,
    pick_language,
    translate,
)

ROOT = Path(__file__).parents[3]
DYNAMIC = (
    "state_", "problem_", "message_", "error_", "rule_", "field_", "limit_", "owner_limit_",
    "owner_stop_", "owner_preset_", "batch_count_", "batch_paused_", "batch_notice_", "example_", "color_",
    "models_by_", "model_problem_", "category_",
)  # fmt: skip
LANGUAGES = sorted(path.stem for path in LANGUAGES_FOLDER.glob("*.json"))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


# --- the language files


def test_every_language_has_the_same_keys() -> None:
    """A text that is missing in one language would appear in English in the middle of the page."""
    assert LANGUAGES == ["de", "en", "es", "ja", "ko", "zh-CN"]
    words = {language: {key for key in languages()[language] if not key.startswith("field_")} for language in LANGUAGES}
    for language in LANGUAGES:
        assert words[language] ^ words["en"] == set(), f"{language} differs from en"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_the_same_placeholders_as_in_english(language: str) -> None:
    """A misspelled placeholder breaks the page for everyone who reads that language."""
    for key, text in languages()[language].items():
        if key in languages()["en"]:
            assert placeholders(text) == placeholders(languages()["en"][key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_defined_twice(language: str) -> None:
    """JSON silently keeps the last of two equal keys."""
    pairs = json.loads((LANGUAGES_FOLDER / f"{language}.json").read_text("utf-8"), object_pairs_hook=list)
    keys = [key for key, _ in pairs]
    assert sorted(set(keys)) == sorted(keys)
    assert all(isinstance(text, str) and text.strip() == text != "" for _, text in pairs)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_labeled_field_is_translated_and_no_other(language: str) -> None:
    """A label without a text would show the schema's own words, and a text without a field is never shown."""
    labels = {
        f"field_{field.label}_{part}"
        for model in load_models(MODELS_FOLDER, ROOT / "examples" / "models").values()
        for field in model.fields
        for part, text in (("title", field.title), ("help", field.help))
        if field.label and text
    }
    assert {key for key in languages()[language] if key.startswith("field_")} == labels


def test_every_text_is_used() -> None:
    """Translators should not translate texts that nobody sees."""
    sources = [*ROOT.glob("*.py"), *ROOT.glob("dreamina_ui/**/*.py"), *ROOT.glob("dreamina_ui/web/static/**/*.js")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    used = set(re.findall(r"\w+", code)) | {"pending_output", "damaged_output"}  # {output.state}_output
    unused = {key for key in languages()["en"] if key not in used and not key.startswith(DYNAMIC)}
    assert unused == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_has_a_form_of_its_own(language: str) -> None:
    """ "1 jobs" is wrong; Chinese, Japanese and Korean have one form for all numbers."""
    singular, plural = (translate(language, "batch_jobs", count=count) for count in (1, 2))
    assert (singular.replace("1", "2") == plural) == (language in ("ja", "ko", "zh-CN"))
    assert translate(language, "batch_jobs", count=0) == plural.replace("2", "0")
    assert not placeholders(singular + plural)


@pytest.mark.parametrize(
    ("language", "written"),
    [("en", "12,345.6"), ("ja", "12,345.6"), ("de", "12.345,6"), ("es", "12.345,6")],
)
def test_a_long_number_is_grouped(language: str, written: str) -> None:
    """The page's scripts write numbers the same way."""
    assert number(language, 12345.6) == written
    assert written[:-2] in translate(language, "batch_jobs", count=12345)


@pytest.mark.parametrize(
    ("size_bytes", "english", "german"),
    [
        (0, "0 B", "0 B"), (999, "999 B", "999 B"), (4_400, "4 kB", "4 kB"), (310_000, "310 kB", "310 kB"),
        (1_250_000, "1.2 MB", "1,2 MB"), (12_345_678_901, "12.3 GB", "12,3 GB"),
    ],
)  # fmt: skip
def test_file_sizes_have_a_fitting_unit(size_bytes: int, english: str, german: str) -> None:
    """40 kB must not be shown as 0.0 MB."""
    assert file_size("en", size_bytes) == english.replace(" ", "\u00a0")  # never on two lines
    assert file_size("de", size_bytes) == german.replace(" ", "\u00a0")


# --- which language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"), ("", "en"), ("ja", "ja"), ("ja-JP", "ja"), ("JA-jp", "ja"), ("en-US,en;q=0.9", "en"),
        ("ja,en;q=0.8", "ja"), ("en;q=0.8,ja", "ja"), ("en;q=0.8, ja;q=0.9", "ja"), ("en; q=0.8, ja; q=0.9", "ja"),
        ("it,fr;q=0.9,ja;q=0.1", "ja"), ("fr", "en"), ("*", "en"), ("jav", "en"),
        ("es-MX,es;q=0.9", "es"), ("de-AT", "de"), ("ko-KR", "ko"), ("zh", "zh-CN"), ("zh-CN", "zh-CN"),
        ("zh-SG", "zh-CN"), ("zh-Hans", "zh-CN"), ("zh-Hant-HK", "zh-CN"), ("zh-TW,en;q=0.9", "zh-CN"),
        ("ja;q=0", "en"), ("ja;q=0, fr", "en"), ("ja;q=x,en", "en"), (";;;,,,q=", "en"), ("x" * 100_000 + ",ja", "en"),
    ],
)  # fmt: skip
def test_the_accept_language_header_chooses_the_language(header: str | None, language: str) -> None:
    """Most people never look for a language switch."""
    assert pick_language(header) == language


def test_the_page_gets_its_own_texts_and_english_where_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first visit loads only what it needs, and a half-translated page works."""
    known = {"en": {"a": "one", "b": "two", "error_x": "for the server"}, "xx": {"a": "uno"}}
    monkeypatch.setattr(i18n, "languages", lambda: known)
    assert json.loads(page_words.__wrapped__("xx")) == {"a": "uno", "b": "two"}


@settings(deadline=None, derandomize=True)
@given(st.text() | st.text("jaen;q=0.19-, *nif"))
def test_any_header_gives_a_language(header: str) -> None:
    """The header comes from outside."""
    assert pick_language(header) in LANGUAGES


def test_a_text_without_a_translation_is_english_and_an_unknown_one_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-translated page works."""
    monkeypatch.setattr(i18n, "languages", lambda: {"en": {"a": "one {n}", "b": "{raw}"}, "xx": {"a": ""}})
    assert translate("xx", "a", n="{b}") == "one {b}"
    assert translate("xx", "b") == "{raw}"
    assert translate("xx", "c", n=1) == ""
