"""A text that shows nothing is empty, whatever characters it is made of."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.models.text import is_blank

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1)]


@pytest.mark.parametrize(
    "text",
    [
        "", " \t\r\n", "\u00a0\u2003\u3000", "\u200b", "\ufeff", "\u2060\u2063", "\u00ad", "\u200e\u202e\u2066",
        "\u115f\u1160", "\u3164", "\uffa0", "\u034f", "\u17b4", "\u180e", "\ufe0f", "\U000e0041", "\u2800",
        "\u2028\u2029\x85", "\x00\x0b\x1b", "\u0301", "\u20dd", "\ufff9", "\uffff", "\u200d \u200c", "\U000e0fff",
    ],
)  # fmt: skip
def test_a_text_without_anything_to_see_is_blank(text: str) -> None:
    """It would be paid for like any other prompt."""
    assert is_blank(text)


@pytest.mark.parametrize(
    "text",
    ["a", ".", "\u200ba", "🦊", "👩‍👩‍👧", "❤\ufe0f", "e\u0301", "狐", "ᄀ", "\ue000", "\u0903", "شكر", "\ufffd", "␢"],
)  # fmt: skip
def test_a_text_with_anything_to_see_is_not(text: str) -> None:
    """Emoji with joiners, combining accents and every script are prompts."""
    assert not is_blank(text)


def test_every_letter_digit_and_punctuation_mark_can_be_seen() -> None:
    """No script is refused; the few letters without a shape are the fillers that Unicode says to ignore."""
    shapeless = {char for char in CHARACTERS if unicodedata.category(char)[0] in "LNP" and is_blank(char)}
    assert all("FILLER" in unicodedata.name(char) for char in shapeless)


def test_no_separator_control_or_format_character_can_be_seen() -> None:
    """The categories decide, so that new characters of Unicode are covered without a list."""
    hidden = [char for char in CHARACTERS if unicodedata.category(char) in ("Zs", "Zl", "Zp", "Cc", "Cf")]
    assert all(is_blank(char) for char in hidden)


@settings(deadline=None, derandomize=True)
@given(st.text(), st.text())
def test_joining_texts_shows_what_either_shows(left: str, right: str) -> None:
    """Whether a text is blank does not depend on how it is cut."""
    assert is_blank(left + right) == (is_blank(left) and is_blank(right))
