"""Sends through the logger what libraries print, warn of, and let fail past it: it escapes, bounds and limits."""

from __future__ import annotations

import io
import logging
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

from dreamina_ui.ops.log_format import PRINTED

FLUSH_INTERVAL_S = 0.2
"""How long printed lines are collected: a traceback is printed line by line, and becomes one record."""

MAX_BUFFERED_CHARACTERS = 20_000

log = logging.getLogger(__name__)


class PrintedText(io.TextIOBase):
    """Takes the place of `sys.stdout` or `sys.stderr`, and logs what is written to it as a warning.

    Args:
        original: the stream that it replaces.
    """

    def __init__(self, original: TextIO) -> None:
        super().__init__()
        self._original = original
        self._lock = threading.Lock()
        self._text = ""
        self._timer: threading.Timer | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._original.encoding

    def fileno(self) -> int:
        return self._original.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            self._text += text[: MAX_BUFFERED_CHARACTERS - len(self._text)]
            if self._timer is None and text:
                self._timer = threading.Timer(FLUSH_INTERVAL_S, self.log_now)
                self._timer.daemon = True
                self._timer.start()
        return len(text)

    def log_now(self) -> None:
        """Log what was written since the last time."""
        with self._lock:
            text, self._text, self._timer = self._text, "", None
        if text.strip():
            log.warning("A library printed this:", extra={PRINTED: text.strip("\n")})


def capture_output() -> None:
    """From now on let nothing but the logger write to stdout and stderr; call it after `set_up_logging`."""
    sys.stdout, sys.stderr = PrintedText(sys.stdout), PrintedText(sys.stderr)


def log_captured_output() -> None:
    """Log what was printed last, before the program ends."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, PrintedText):
            stream.log_now()


def capture_failures() -> None:
    """Log warnings of the `warnings` module and exceptions that nobody catches, in whatever thread."""
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a record that cannot be written is not worth a traceback on the same stream
    sys.excepthook = _log_exception
    threading.excepthook = _log_thread_exception
    sys.unraisablehook = _log_unraisable


def _log_exception(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    log.critical("The program failed", exc_info=(kind, exc, trace))


def _log_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit and args.exc_value is not None:
        name = args.thread.name if args.thread else "?"
        log.error("Thread %s failed", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))


def _log_unraisable(args: Any) -> None:
    if args.exc_value is not None:
        log.error("An exception was ignored", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))
