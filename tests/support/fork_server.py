"""Starts `app.py` in copies of a process that has imported it already: importing Gradio costs seconds of CPU time."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
MULTIPROCESSING = None if sys.platform == "win32" else multiprocessing.get_context("forkserver")
if MULTIPROCESSING:
    MULTIPROCESSING.set_forkserver_preload(["tests.support.preloaded"])


class ForkedApp:
    """A running `app.py`, with those methods of Popen that tests use."""

    def __init__(self, environment: Mapping[str, str], output: Path) -> None:
        assert MULTIPROCESSING
        arguments = (dict(environment), str(output))
        self._process = MULTIPROCESSING.Process(target=_run, args=arguments, daemon=True)  # ends with the tests
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("app.py", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _run(environment: Mapping[str, str], output: str) -> None:
    """Become `python app.py` with this environment, its output in a file."""
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["app.py"]
    with_port = sys.modules.get("gradio.http_server")
    if with_port:
        importlib.reload(with_port)  # it has read the port when it was imported
    runpy.run_path("app.py", run_name="__main__")
