"""Reading what the Model API answers: whole, bounded, and never trusted to be as documented."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from urllib3 import BaseHTTPResponse

_MAX_ANSWER_BYTES = 4_000_000
_MAX_DEPTH = 64


@dataclass(frozen=True)
class Answer:
    """One whole answer; `reply` is empty where the body is no JSON object, and `flaw` then says why."""

    status_code: int
    retry_after: str | None
    reply: dict[str, Any]
    flaw: Exception | None = None

    @classmethod
    def parse(cls, status_code: int, retry_after: str | None, body: bytes) -> Answer:
        try:
            value = json.loads(body.decode("utf-8-sig"), parse_constant=lambda _: None, parse_float=_finite)
            if not isinstance(value, dict):
                raise ValueError(f"a JSON {type(value).__name__} instead of an object")
            # A lone surrogate is valid JSON, and can be neither stored nor shown.
            reply = map_texts(value, lambda text: text.encode("utf-8", "replace").decode())
            return cls(status_code, retry_after, reply)
        except (ValueError, RecursionError) as flaw:
            return cls(status_code, retry_after, {}, flaw)

    @property
    def ok(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def error_code(self) -> int | None:
        code = count(self.reply.get("error_code"))
        return code if code and code < 10**9 else None

    @property
    def meaning(self) -> int | None:
        """The HTTP status of the error: the head of its `error_code`, else its own; None if it is none."""
        code = self.error_code or 0
        head = {400002: 402, 400004: 401}.get(code, code // 1000)
        return head if 400 <= head < 600 else self.status_code if self.status_code >= 400 else None


def read_body(response: BaseHTTPResponse, deadline: float) -> bytes:
    """Read a body within the size limit and the deadline; else a trickling answer holds a thread for ever."""
    body = bytearray()
    # read1 gives what has arrived; read would wait for a full piece, each byte with a time-out of its own.
    while piece := response.read1(16_384, decode_content=True):
        body += piece
        if len(body) > _MAX_ANSWER_BYTES:
            raise OverflowError("an answer of more than 4 MB")
        if time.monotonic() > deadline:
            raise TimeoutError("an answer that trickles")
    return bytes(body)


def map_texts(value: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [map_texts(entry, change, depth + 1) for entry in value]
    if isinstance(value, dict):
        return {change(key): map_texts(entry, change, depth + 1) for key, entry in value.items()}
    return change(value) if isinstance(value, str) else value


def count(value: Any) -> int | None:
    """A whole number, 0 or more, also written as text; else None."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if type(value) is int and value >= 0 else None


def usd(value: Any) -> float | None:
    """An amount of money, 0 or more, also written as text; else None."""
    amount = _finite(value) if type(value) in (int, float, str) else None
    return amount if amount is not None and amount >= 0 else None


def _finite(value: str | float) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def retry_after_s(header: str | None) -> float | None:
    """Seconds to wait, out of a Retry-After header: a number or an HTTP date; None if it is neither."""
    seconds = _finite(header or "")
    if seconds is None:
        try:
            date = parsedate_tz(header or "")
            seconds = mktime_tz(date) - time.time() if date else None
        except (ValueError, OverflowError):  # a date out of the calendar
            return None
    return None if seconds is None else max(0.0, seconds)
