"""What the program logs: one line for each event, as text or as JSON, and a key in none of them.

Who has a job_id may read and cancel that job, so every line shows only its first eight digits, whoever wrote it: we,
a library, or a traceback. The same goes for the keys of files and visitors. A library's own debugging is left out
where it would show addresses.
"""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import datetime, timezone
from typing import Any

FACTS = ("job", "state", "request_id")
"""What a JSON line holds beside its message, where it is known."""

_KEY = re.compile(r"(?<![0-9a-f])([0-9a-f]{8})[0-9a-f]{24}(?![0-9a-f])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def set_up_logging(level: str, *, as_json: bool) -> None:
    """Log to stderr from now on.

    Args:
        level: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
        as_json: one JSON object for each line, instead of text.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "urllib3", "PIL", "asyncio"):  # urllib3 would log the signed addresses of files
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("asyncio").addFilter(RepeatedWarningFilter("socket.accept() out of system resource"))


def take_over_uvicorn() -> None:
    """Have uvicorn's lines written like all others; call it once the server runs, as it sets itself up at its start."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class RepeatedWarningFilter(logging.Filter):
    """Lets a message through once a minute.

    Where no connection can be accepted any more, Python (3.11) says so two thousand times a second, with a trace each
    time, which fills the disk.

    Args:
        beginning: of the message.
    """

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self._beginning = beginning
        self._logged_at = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith(self._beginning):
            return True
        is_due = record.created - self._logged_at >= 60
        if is_due:
            self._logged_at = record.created
        return is_due


class TextLines(logging.Formatter):
    """A line that a person reads; a traceback stands below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # A path or a service's words may hold a line break, and what follows would look like a line of ours.
        return _CONTROL.sub(lambda match: repr(match[0])[1:-1], super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return _shortened(super().format(record), record)


class JsonLines(logging.Formatter):
    """A line that a program reads: `time` (UTC), `level`, `logger`, `message`, then what is known of `FACTS`, then
    `trace` for an exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _shortened(record.getMessage(), record),
        }
        line |= {name: getattr(record, name) for name in FACTS if hasattr(record, name)}
        if record.exc_info:
            line["trace"] = _shortened(self.formatException(record.exc_info), record)
        return json.dumps(line, ensure_ascii=False)


def _shortened(text: str, record: logging.LogRecord) -> str:
    request_id = getattr(record, "request_id", None)  # the service's name for it is no key, even if it looks like one
    return _KEY.sub(lambda match: match[0] if match[0] == request_id else match[1], text)
