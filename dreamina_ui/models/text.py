"""What a text shows: blank texts and hidden characters, judged by Unicode properties."""

from __future__ import annotations

import unicodedata

import regex

_CAN_BE_SEEN = regex.compile(
    r"[^\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Z}\p{C}\p{Nonspacing_Mark}\p{Enclosing_Mark}]|\p{Private_Use}"
)


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: it is empty, or has only white space, format characters and marks without a base.

    The Unicode properties decide. Only BRAILLE PATTERN BLANK has no such property; its name says what it is.
    """
    return all(unicodedata.name(match[0], "").endswith(" BLANK") for match in _CAN_BE_SEEN.finditer(text))
