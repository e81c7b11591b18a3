"""A search finds a prompt however its letters were typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.ledger.search import search_form, search_text, search_words

PROMPT = "cafe\u0301 \u3067 \u304b\u3099\u3093\u3070\u308b \uff23\uff21\uff34 \uff76\uff9e"


@pytest.mark.parametrize(
    "searched",
    [
        "caf\u00e9", "\u304c", "cat", "\u30ac", "cafe\u0301", "cafe", "CAFÉ", "ｃａｆｅ", "ＣＡＴ", "ｶﾞ", "がんばる",
        "か\u3099", "カ\u3099", "ca\u00adt", "c\u200bat", "cat がんばる",
    ],
)  # fmt: skip
def test_a_prompt_is_found_however_its_letters_were_typed(searched: str) -> None:
    """Keyboards and clipboards differ in case, width, accents and how they compose a letter."""
    stored = search_text({"prompt": PROMPT})
    assert all(word in stored for word in search_words(searched))


@pytest.mark.parametrize(
    ("stored", "searched"),
    [
        ("Müller", "muller"), ("muller", "MÜLLER"), ("Straße", "STRASSE"), ("ÅNGSTRÖM", "angstrom"), ("ﬁsh", "fish"),
        ("Ὀδυσσεύς", "οδυσσευς"), ("한국", "\u1112\u1161\u11ab국"), ("①②", "12"), ("ｱｲｳ", "アイウ"), ("Đặng", "đang"),
        ("İstanbul", "istanbul"), ("²", "2"), ("Ｗｉｄｅ　ｓｐａｃｅ", "wide space"),
    ],
)  # fmt: skip
def test_variants_of_a_text_have_one_form(stored: str, searched: str) -> None:
    """Either of them finds the other."""
    assert search_form(stored) == search_form(searched)


@pytest.mark.parametrize(("stored", "searched"), [("か", "が"), ("は", "ぱ"), ("и", "й"), ("कि", "का"), ("狐", "狸")])
def test_different_letters_stay_different(stored: str, searched: str) -> None:
    """A mark makes another letter in these scripts."""
    assert search_form(stored) != search_form(searched)


def test_a_model_without_a_prompt_is_found_by_any_of_its_texts() -> None:
    """No field is named in code but the prompt."""
    assert search_text({"words": "A FOX", "count": 3, "style": "Ink"}) == "a fox\nink"
    assert search_text({"prompt": "A FOX", "style": "Ink"}) == "a fox"


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_the_form_of_a_form_is_itself(text: str) -> None:
    """A search for a text that was copied from the library finds it."""
    assert search_form(search_form(text)) == search_form(text)
