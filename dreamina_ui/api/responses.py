"""Reading what the Model API responds: never trusted to be as documented."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

_MAX_DEPTH = 64
_MAX_REASONS = 5
_MEANINGS = {400002: 402, 400004: 401}
_ERROR_KEYS = (
    "error", "errors", "failurereason", "errormessage", "errormsg", "errmsg", "errordetails", "errordetail",
    "exception",
)  # fmt: skip
_MESSAGE_KEYS = (
    "errormessage", "message", "error", "errors", "detail", "details", "failurereason", "failuremessage", "reason",
    "reasons", "statusmessage", "statusreason", "statusdetails", "failuredetails", *_ERROR_KEYS, "nodeerrors", "msg",
)  # fmt: skip
_TEXT_KEYS = (
    "message", "msg", "errormessage", "errormsg", "errmsg", "failurereason", "reason", "error", "detail", "details",
    "exceptionmessage", "description", "title", "cause", "text", "en", "type", "code", "errorcode", "errortype", "name",
)  # fmt: skip
"""Where an object that stands for an error has its text, best first; all these keys are in lower case, without
separators."""


@dataclass(frozen=True)
class ApiResponse:
    """One whole response.

    Attributes:
        retry_after_s: seconds the service asks us to wait, or None.
        body: empty where the response holds no JSON object, and `flaw` then says why.
        safe_body: the same without the token: for everything that is shown or logged.
    """

    status_code: int
    retry_after_s: float | None
    body: dict[str, Any]
    safe_body: dict[str, Any]
    flaw: Exception | None = None

    @classmethod
    def parse(
        cls, status_code: int, retry_after: str | None, content: bytes, redact: Callable[[str], str] = str
    ) -> ApiResponse:
        """Read a response.

        Args:
            retry_after: the header of that name.
            redact: takes the token out of a text.
        """
        wait_s = parse_retry_after(retry_after)
        try:
            # One byte of another encoding in a message must not cost the whole response.
            text = content.decode(json.detect_encoding(content), "replace")
            value = _parse_json(text.strip("\0 \t\r\n"))
            if isinstance(value, str):  # some gateways encode a body once more
                value = _parse_json(value)
            if not isinstance(value, dict):
                raise ValueError(f"a JSON {type(value).__name__} instead of an object")
            # A lone surrogate is valid JSON, and can be neither stored nor shown.
            body = map_texts(value, lambda text: text.encode("utf-8", "replace").decode())
            return cls(status_code, wait_s, body, map_texts(body, redact))
        except (ValueError, RecursionError) as flaw:
            return cls(status_code, wait_s, {}, {}, flaw)

    @property
    def ok(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def error_code(self) -> int | None:
        """The service's number of an error, such as 422001."""
        code = parse_count(self.body.get("error_code"))
        return code if code and code < 10**9 else None

    @property
    def meaning(self) -> int | None:
        """The HTTP status that the error stands for: the head of its `error_code`, else its own; None if it is none."""
        code = self.error_code or 0
        head = _MEANINGS.get(code, code // 1000)
        return head if 400 <= head < 600 else self.status_code if self.status_code >= 400 else None

    @property
    def message(self) -> str | None:
        """The service's own words about an error, if there are any."""
        return _text_under(_MESSAGE_KEYS, self.safe_body)

    @property
    def reason(self) -> str | None:
        """Why a request failed, or a part of it, beside its output or in it; None if nothing says so."""
        output = self.safe_body.get("output")
        beside = _text_under(_ERROR_KEYS, self.safe_body)
        return beside or (_text_under(_ERROR_KEYS, output) if isinstance(output, dict) else None)

    @property
    def output_message(self) -> str | None:
        """The text that a failed request has in the place of its output; None if there is none."""
        output = self.safe_body.get("output")
        if isinstance(output, dict):
            return _text_under(_MESSAGE_KEYS, output)
        if isinstance(output, list):
            return reason_text([entry for entry in output if isinstance(entry, dict)])
        return reason_text(output) if isinstance(output, str) else None


def reason_text(value: Any) -> str | None:
    """The text of an error in any form: a text, an object with a message, a list of failed checks; None if there is
    none.

    Source: RunComfy Model API documentation and public clients; `[{"loc": [...], "msg": str}]` is FastAPI's.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("<"):
            text = " ".join(unescape(re.sub(r"<[^<>]*>", " ", text)).split())
        if text[:1] in ("{", "["):
            try:
                return reason_text(json.loads(text)) or text
            except (ValueError, RecursionError):
                return text
        return text or None
    if isinstance(value, dict):
        return _object_text(value)
    if isinstance(value, list):
        texts = list(dict.fromkeys(filter(None, map(reason_text, value))))
        return "; ".join(texts[:_MAX_REASONS]) or None
    return str(value) if type(value) in (int, float) and value else None


def _text_under(keys: Sequence[str], value: dict[str, Any]) -> str | None:
    """The text of the first of these keys that has one; `error_message` and `errorMessage` are one key."""
    spellings = {re.sub(r"[^a-z0-9]", "", key.lower()): key for key in reversed(value)}
    return next(filter(None, (reason_text(value[spellings[key]]) for key in keys if key in spellings)), None)


def _object_text(value: dict[str, Any]) -> str | None:
    text = _text_under(_TEXT_KEYS, value)
    details = value.get("details")
    if text and isinstance(details, str) and details.strip() and details.strip() not in text:
        text = f"{text.rstrip('.')}. {details.strip()}"
    where = value.get("loc")
    if text and isinstance(where, list):
        path = ".".join(str(part) for part in where if part != "body")
        return f"{path}: {text}" if path else text
    return text or _text_of_parts(value)


def _text_of_parts(value: dict[str, Any]) -> str | None:
    """The texts of an object whose keys say what they are about, such as `{"prompt": ["is too long"]}`."""
    texts = ((key, reason_text(part)) for key, part in value.items())
    return "; ".join(f"{key}: {text}" for key, text in texts if text) or None


def map_texts(value: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    """The same JSON value with each text changed; raises ValueError if it is nested too deeply."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [map_texts(entry, change, depth + 1) for entry in value]
    if isinstance(value, dict):
        return {change(key): map_texts(entry, change, depth + 1) for key, entry in value.items()}
    return change(value) if isinstance(value, str) else value


def parse_count(value: Any) -> int | None:
    """A whole number, 0 or more, also written as text; else None."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if type(value) is int and value >= 0 else None


def parse_usd(value: Any) -> float | None:
    """An amount of money, 0 or more, also written as text; else None."""
    amount = _finite(value) if type(value) in (int, float, str) else None
    return amount if amount is not None and amount >= 0 else None


def parse_retry_after(header: str | None) -> float | None:
    """Seconds to wait, out of a Retry-After header: a number or an HTTP date; None if it is neither."""
    if not header:
        return None
    try:
        return float(Retry().parse_retry_after(header))
    except (InvalidHeader, ValueError, OverflowError):  # the last two for a date out of the calendar
        seconds = _finite(header)  # some write fractions
        return seconds if seconds is not None and seconds >= 0 else None


def _parse_json(text: str) -> Any:
    return json.loads(text, parse_constant=lambda _: None, parse_float=_finite)


def _finite(value: str | float) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
