"""What the program logs: one line for each event, as text or as JSON, and a key in none of them.

Who has a job_id may read and cancel that job, so every line shows only its first eight digits, whoever wrote it: we,
a library, or a traceback. The same goes for the keys of files and visitors. A library's own debugging is left out
where it would show URLs.

What strangers send may stand in messages and exceptions: nothing in it moves a cursor, looks like a line of ours, or
takes much room.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timezone
from typing import Any

from dreamina_ui.ops.log_limits import RepeatLimit

MAX_MESSAGE_CHARACTERS = 2000
MAX_TRACE_CHARACTERS = 3000
TRACE_START_CHARACTERS = 400
"""How much of the beginning of a longer trace stays; its end says what happened."""

PRINTED = "printed"
"""The attribute of a record that has what a library printed; it is shown like a trace."""

FACTS = ("job", "state", "request_id")
"""What a JSON line holds beside its message, where it is known."""

_KEY = re.compile(r"(?<![0-9a-f])([0-9a-f]{8})[0-9a-f]{24}(?![0-9a-f])")
# Control characters, line separators, what turns the direction of writing, and lone surrogates.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def set_up_logging(level: str, *, as_json: bool) -> None:
    """Log to stderr from now on.

    Args:
        level: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
        as_json: one JSON object for each line, instead of text.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else TextLines())
    handler.addFilter(RepeatLimit())
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "urllib3", "PIL", "asyncio"):  # urllib3 would log the signed URLs of files
        logging.getLogger(noisy).setLevel(logging.WARNING)


def take_over_uvicorn() -> None:
    """Have uvicorn's lines written like all others; call it once the server runs, as it sets itself up at its start."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class TextLines(logging.Formatter):
    """A line that a person reads; a traceback stands below it, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _cut(record.message, MAX_MESSAGE_CHARACTERS)
        return _escape(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        lines = [self.formatMessage(record), *(f"  {line}" for line in _trace_lines(self, record))]
        return _shortened("\n".join(lines), record)


class JsonLines(logging.Formatter):
    """A line that a program reads: `time` (UTC), `level`, `logger`, `message`, then what is known of `FACTS`, then
    `trace` for an exception."""

    def format(self, record: logging.LogRecord) -> str:
        message = _escape(_cut(record.getMessage(), MAX_MESSAGE_CHARACTERS))
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _shortened(message, record),
        }
        line |= {name: getattr(record, name) for name in FACTS if hasattr(record, name)}
        if trace := _trace_lines(self, record):
            line["trace"] = _shortened("\n".join(trace), record)
        return json.dumps(line, ensure_ascii=False)


def _trace_lines(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """The lines of a record's exception, or of what a library printed, cut and escaped; none without either."""
    text = getattr(record, PRINTED, "")
    if record.exc_info:
        text = formatter.formatException(record.exc_info)
    if len(text) > MAX_TRACE_CHARACTERS:
        end = text[TRACE_START_CHARACTERS - MAX_TRACE_CHARACTERS :]
        text = f"{text[:TRACE_START_CHARACTERS]}\n[...]\n{end}"
    return [_escape(line) for line in text.split("\n")] if text else []


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def _shortened(text: str, record: logging.LogRecord) -> str:
    request_id = getattr(record, "request_id", None)  # the service's name for it is no key, even if it looks like one
    return _KEY.sub(lambda match: match[0] if match[0] == request_id else match[1], text)
