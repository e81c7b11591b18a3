"""Pictures are painted in a process that ends when there is nothing to paint: the memory it took comes back.

It reads requests from its standard input, one at a time: one line of JSON with the arguments of `paint` and the `path`
to write. It responds with one line for each: `done`, or what went wrong.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

IDLE_S = 5.0
"""After how long without a picture the process ends."""

_ROOT = Path(__file__).parents[2]
_SECRET = ("RUNCOMFY", "DREAMINA", "AWS")


class PaintProcess:
    """Paints in a process of its own, one picture at a time; `paint` and `close` may be called from two threads."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None
        self._is_closed = False

    @property
    def process_id(self) -> int | None:
        """That of the process, while there is one."""
        process = self._process
        return process.pid if process else None

    def paint(self, arguments: dict[str, Any], path: Path) -> None:
        """Paint one picture into a file; blocks meanwhile.

        Args:
            arguments: those of `painter.paint`.

        Raises:
            OSError: the process cannot be started, ended meanwhile, or could not paint it.
        """
        line = json.dumps({"path": str(path), **arguments}).encode() + b"\n"
        response = self._ask(line) or self._ask(line)  # once more, in a new process, if one has ended
        if response != "done":
            raise OSError(response or "the process that paints ends at once")

    def _ask(self, line: bytes) -> str:
        """Send one line; returns the response, "" if the process has ended."""
        process = self._take()
        try:
            process.stdin.write(line)  # type: ignore[union-attr]  # both are pipes
            process.stdin.flush()  # type: ignore[union-attr]
            response = process.stdout.readline()  # type: ignore[union-attr]
        except (BrokenPipeError, ConnectionError, ValueError):  # ValueError: closed by `close`
            response = b""
        except BaseException:
            self._end()
            raise
        if response:
            self._plan_end()
        else:
            self._end()
        return response.decode(errors="replace").strip()

    def close(self) -> None:
        """End the process, whatever it paints."""
        self._is_closed = True
        self._end()

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._timer:
                self._timer.cancel()
            if self._is_closed:
                raise OSError("painting has stopped")
            if self._process is None or self._process.poll() is not None:
                self._process = _start()
            return self._process

    def _plan_end(self) -> None:
        with self._lock:
            self._timer = threading.Timer(self._idle_s, self._end)
            self._timer.daemon = True
            self._timer.start()

    def _end(self) -> None:
        with self._lock:
            if self._timer:
                self._timer.cancel()
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was not sent yet cannot be sent
                if pipe:
                    pipe.close()


def _start() -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRET)}
    paths = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    # One thread each: more memory for arenas would buy nothing, as one picture is painted at a time.
    return subprocess.Popen(
        [sys.executable, "-m", "dreamina_ui.sandbox.paint_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env=environment | {"PYTHONPATH": paths, "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def main() -> None:
    """Paint until the standard input ends."""
    from dreamina_ui.sandbox.painter import paint_file  # only this process loads numpy

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the server, which then ends this
    for line in sys.stdin.buffer:
        arguments = json.loads(line)
        try:
            paint_file(Path(arguments.pop("path")), **arguments)
            print("done", flush=True)
        except Exception as exc:  # noqa: BLE001 - one that cannot be painted must not end the process
            print(f"{type(exc).__name__}: {exc}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
