"""Texts from outside, safe to show: no token, no control characters, no flood."""

from __future__ import annotations

import json
from typing import Any

from dreamina_ui.api.responses import map_texts


class Redactor:
    """Takes one token out of everything that is shown, logged or stored."""

    def __init__(self, token: str) -> None:
        self._token = token

    def redact(self, text: str) -> str:
        return text.replace(self._token, "***")

    def redact_all(self, value: Any) -> Any:
        """The same JSON value with the token taken out of all its texts."""
        return map_texts(value, self.redact)

    def line(self, value: Any, limit: int) -> str | None:
        """A value as one line of at most `limit` characters; None if there is none."""
        if value is None:
            return None
        value = self.redact_all(value)  # before json.dumps, which may put a backslash into the token
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text = self.redact(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
        return (text if len(text) <= limit else text[: limit - 1] + "…") or None
