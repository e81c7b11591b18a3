"""Rules for the files that an input names, such as `width/height<` 16, which a schema lists beside the input.

A rule that nobody here has heard of is left to the service, which refuses what breaks it.

Source: RunComfy Model API, `validations` of live input schemas as public clients hold them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_RULES = 20
MAX_TEXT_CHARACTERS = 300
_RULE = re.compile(r"([a-z_]+(?:[/*][a-z_]+)?)\s*(<=|>=|<|>)")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file; None for what is not.

    Attributes:
        width, height: in pixels, as it is shown.
    """

    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None


_QUANTITIES: dict[str, Callable[[FileFacts], float | None]] = {
    "file_size_mb": lambda file: None if file.size_bytes is None else file.size_bytes / 1e6,
    "file_size_kb": lambda file: None if file.size_bytes is None else file.size_bytes / 1e3,
    "file_size_bytes": lambda file: file.size_bytes,
    "width_pixels": lambda file: file.width,
    "height_pixels": lambda file: file.height,
    "width/height": lambda file: file.width / file.height if file.width and file.height else None,
    "height/width": lambda file: file.height / file.width if file.width and file.height else None,
    "width*height": lambda file: file.width * file.height if file.width and file.height else None,
    "total_pixels": lambda file: file.width * file.height if file.width and file.height else None,
}


@dataclass(frozen=True)
class Validation:
    """One rule.

    Attributes:
        quantity: what is measured, a name such as `width_pixels`.
        comparison: `<`, `<=`, `>` or `>=`: how it must compare to `limit`.
        text: what the service says about a file that breaks it, in its own words; "" for nothing.
    """

    quantity: str
    comparison: str
    limit: float
    text: str = ""

    @property
    def described(self) -> str:
        """The rule for a person, in the service's words where it has some."""
        return self.text or f"{self.quantity} {self.comparison} {self.limit:g}"

    @property
    def needs_pixels(self) -> bool:
        """Whether the size in pixels must be known."""
        return not self.quantity.startswith("file_size")

    def is_broken_by(self, file: FileFacts) -> bool:
        """Whether a file breaks it; what is not known breaks nothing."""
        value = _QUANTITIES[self.quantity](file)
        return value is not None and not _COMPARISONS[self.comparison](value, self.limit)


def read_validations(prop: Mapping[str, Any]) -> tuple[Validation, ...]:
    """The rules of an input that can be checked here."""
    given = prop.get("validations")
    rules = []
    for entry in given[:MAX_RULES] if isinstance(given, list) else ():
        if not isinstance(entry, Mapping):
            continue
        match = _RULE.fullmatch(str(entry.get("validation_rule")).strip().lower())
        limit, text = entry.get("validation_value"), entry.get("validation_error")
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            continue
        if match and match[1] in _QUANTITIES:
            words = text[:MAX_TEXT_CHARACTERS] if isinstance(text, str) else ""
            rules.append(Validation(match[1], match[2], float(limit), words))
    return tuple(rules)


def broken_validation(rules: Iterable[Validation], file: FileFacts) -> Validation | None:
    """The first rule that a file breaks."""
    return next((rule for rule in rules if rule.is_broken_by(file)), None)
