"""A kind of warning is logged a few times a minute, whatever strangers do."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from dreamina_ui.ops import log_limits
from dreamina_ui.ops.log_limits import MAX_KINDS, MAX_PER_MINUTE, RepeatLimit


def _record(at_s: float, *, line: int = 1, level: int = logging.WARNING, text: str = "no") -> logging.LogRecord:
    record = logging.LogRecord("some.library", level, "/lib/some.py", line, text, (), None)
    record.created = at_s
    return record


def test_repeated_warnings_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A flood writes a few lines a minute, and whoever reads them sees how large it was."""
    limit = RepeatLimit()
    passed = [limit.filter(_record(at_s / 100, text=f"from {at_s}")) for at_s in range(1000)]
    assert sum(passed) == MAX_PER_MINUTE
    assert limit.filter(_record(61.0, line=2))
    assert [record.getMessage() for record in caplog.records] == [
        f"{1000 - MAX_PER_MINUTE} more lines of some.library (some.py:1) were left out within a minute"
    ]
    assert limit.filter(_record(61.5)), "a new minute"


def test_other_kinds_and_information_pass() -> None:
    """One flood must not hide another matter."""
    limit = RepeatLimit()
    for _ in range(100):
        limit.filter(_record(0.0))
    assert limit.filter(_record(0.1, line=2))
    assert all(limit.filter(_record(0.2, level=logging.INFO)) for _ in range(100))


def test_the_number_of_kinds_is_bounded() -> None:
    """Lines of code are few, but nobody promises that."""
    limit = RepeatLimit()
    passed = sum(limit.filter(_record(0.0, line=number)) for number in range(10 * MAX_KINDS))
    assert passed == MAX_KINDS + MAX_PER_MINUTE
    assert len(limit._minutes) == MAX_KINDS + 1


PROGRAM = """
import asyncio, logging, sys, threading, traceback, warnings
from dreamina_ui.ops.log_capture import capture_failures, capture_output, log_captured_output
from dreamina_ui.ops.log_format import set_up_logging
set_up_logging("INFO", as_json=False)
capture_failures()
capture_output()
ESCAPE = chr(27) + "[31m"
def fail(text): raise ValueError(text + ESCAPE)
def printed():
    try: fail("printed")
    except ValueError: traceback.print_exc()
    print("plain" + ESCAPE)
printed()
thread = threading.Thread(target=fail, args=("thread",)); thread.start(); thread.join()
async def never_retrieved():
    asyncio.get_running_loop().create_task(asyncio.sleep(0)).add_done_callback(lambda _: fail("task"))
    await asyncio.sleep(0.01)
asyncio.run(never_retrieved())
warnings.warn("warned" + ESCAPE)
quiet = logging.getLogger("quiet"); quiet.propagate = False; quiet.warning("last resort" + ESCAPE)
class Unraisable:
    def __del__(self): fail("unraisable")
x = Unraisable()
x = None
logging.getLogger().warning("a record %d", "that cannot be formatted")
log_captured_output()
fail("main")
"""


def test_nothing_but_the_logger_writes() -> None:
    """Gradio prints its own traces with the caller's text in them, and so may any other library."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert ended.stdout == ""
    text = ended.stderr
    for part in ("printed", "plain", "thread", "task", "warned", "last resort", "unraisable", "main"):
        assert f"{part}\\x1b[31m" in text, (part, text)
    assert "\x1b" not in text
    assert all(line.startswith(("2", "  ")) for line in text.splitlines()), text
    assert log_limits.__name__ not in text
