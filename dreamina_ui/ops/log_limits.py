"""Bounds how often one kind of warning or error is logged: strangers cause many of them, and would fill the disk."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

MAX_PER_MINUTE = 5
"""How many records of one kind are logged within a minute."""

MAX_KINDS = 500
"""How many kinds are counted at once; further ones share one count."""

log = logging.getLogger(__name__)

_Kind = tuple[str, str, int, str]  # logger, file, line, class of the exception
_OTHERS: _Kind = ("others", "", 0, "")


@dataclass
class _Minute:
    """What was logged of one kind since `started_at`, in seconds since 1970."""

    started_at: float
    logged: int = 0
    left_out: int = 0


class RepeatLimit(logging.Filter):
    """Lets a few warnings and errors of each kind through within a minute, and says afterwards how many it left out.

    A kind is the line of code that logs, and the class of the exception: what a stranger sent is no part of it. It
    belongs to a handler, so that it sees the records of all loggers. Less severe records pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._minutes: dict[_Kind, _Minute] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == __name__:
            return True
        with self._lock:
            ended = self._end_minutes(record.created)
            is_logged = record.levelno < logging.WARNING or self._count(record)
        for (name, path, line, error), left_out in ended:
            where = ":".join(filter(None, (path.replace("\\", "/").rpartition("/")[2], str(line or ""), error)))
            log.warning("%d more lines of %s (%s) were left out within a minute", left_out, name, where)
        return is_logged

    def _count(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        kind: _Kind = (record.name, record.pathname, record.lineno, error)
        if kind not in self._minutes and len(self._minutes) >= MAX_KINDS:
            kind = _OTHERS
        minute = self._minutes.setdefault(kind, _Minute(record.created))
        if minute.logged < MAX_PER_MINUTE:
            minute.logged += 1
            return True
        minute.left_out += 1
        return False

    def _end_minutes(self, now: float) -> list[tuple[_Kind, int]]:
        ended = [kind for kind, minute in self._minutes.items() if not 0 <= now - minute.started_at < 60]
        minutes = [(kind, self._minutes.pop(kind).left_out) for kind in ended]
        return [(kind, left_out) for kind, left_out in minutes if left_out]
