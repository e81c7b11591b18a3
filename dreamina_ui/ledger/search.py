"""How the library compares texts: without case, width, accents and invisible characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

import regex

_ACCENTS = regex.compile(r"([\p{Latin}\p{Greek}])\p{Nonspacing_Mark}+")
_IGNORABLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}]")


def search_form(text: str) -> str:
    """The form in which texts are stored for search and searched for: `Café`, `cafe` and `ＣＡＦＥ` are the same.

    Accents of Latin and Greek letters are dropped. In other scripts a mark can make another letter, as in the Japanese
    `か` and `が`; there it only does not matter whether it is composed.
    """
    decomposed = unicodedata.normalize("NFKD", _IGNORABLE.sub("", text)).casefold()
    plain = _ACCENTS.sub(r"\1", unicodedata.normalize("NFKD", decomposed))
    return unicodedata.normalize("NFKC", plain)


def search_words(text: str) -> list[str]:
    """The words that a search asks for, in the form in which they are stored."""
    return search_form(text).split()


def search_text(inputs: Mapping[str, Any]) -> str:
    """What the library searches: the prompt, or every text of a model that has none, in its search form."""
    prompt = inputs.get("prompt")
    texts = [prompt] if isinstance(prompt, str) else [value for value in inputs.values() if isinstance(value, str)]
    return search_form("\n".join(texts))
