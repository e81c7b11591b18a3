"""Programs of ours as processes that can be started, used and killed: the sandbox, the app, and the app without a page.

Each writes its log to a file in the folder it is given. Only processes that were started here are ever ended.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import requests

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "token-of-the-benchmarks"
READY_S = 60.0
"""How long a program may take to be ready; many times what it takes on a busy machine."""

log = logging.getLogger(__name__)
_Self = TypeVar("_Self", bound="Program")
_http = requests.Session()
_http.trust_env = False  # a proxy cannot reach this machine's loopback


class Program(ABC):
    """One process; a context manager that leaves none behind."""

    def __init__(self, folder: Path, name: str, *arguments: str, **environment: str) -> None:
        self.log = folder / f"{name}.log"
        self._command = [sys.executable, *arguments]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the process and return at once."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, text=True,
                stdin=subprocess.PIPE, stdout=self._stdout(log), stderr=log,
            )  # fmt: skip
        self._started_s = time.monotonic()

    def wait_ready(self) -> float:
        """Wait until it does its work; returns the seconds since `start`."""
        while not self._is_ready():
            ended = self._process.poll() if self._process else None
            if ended is not None or time.monotonic() - self._started_s > READY_S:
                log_end = self.log.read_text()[-2000:]
                raise RuntimeError(
                    f"{self._command[1:]} is not ready (exit code {ended}). The end of {self.log}:\n{log_end}"
                )
            time.sleep(0.01)
        return time.monotonic() - self._started_s

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process:
            self._ask_to_end(self._process)
            self._process.wait(READY_S)
            self._process = None

    def _stdout(self, log: Any) -> Any:
        return log

    def _ask_to_end(self, process: subprocess.Popen[str]) -> None:
        process.terminate()

    @abstractmethod
    def _is_ready(self) -> bool: ...


class SandboxProgram(Program):
    """`python -m dreamina_ui.sandbox` on a port of its own."""

    def __init__(self, folder: Path, *, queue_s: float, run_s: float, parallel: int) -> None:
        self.pictures = folder / "sandbox" / "pictures"
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = {
            "--port": port, "--data-dir": folder / "sandbox", "--token": TOKEN,
            "--queue-s": queue_s, "--run-s": run_s, "--parallel": parallel,
        }  # fmt: skip
        words = [str(word) for pair in options.items() for word in pair]
        super().__init__(folder, "sandbox", "-m", "dreamina_ui.sandbox", *words)

    def requests(self) -> list[dict[str, Any]]:
        """Every request it ever accepted: `request_id`, `inputs`, `status`, `count`."""
        response = _http.get(
            f"{self.url}/sandbox/requests", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=READY_S
        )
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()
        return found

    def _is_ready(self) -> bool:
        return _is_up(f"{self.url}/sandbox/requests", 401)


class Studio(Program):
    """A program that makes jobs out of presses.

    Attributes:
        told: the ids of all jobs that it has told to whoever pressed.
    """

    def __init__(self, folder: Path, api_url: str, name: str, *arguments: str, **environment: str) -> None:
        self.told: set[str] = set()
        super().__init__(
            folder, name, *arguments, **environment,
            DREAMINA_DATA_DIR=str(folder / "data"), RUNCOMFY_API_BASE_URL=api_url, RUNCOMFY_API_TOKEN=TOKEN,
        )  # fmt: skip

    @abstractmethod
    def press(self, inputs: Mapping[str, Any]) -> None:
        """Ask for pictures and return at once; nothing is tried twice."""


class App(Studio):
    """The real `app.py`, used through its endpoint for programs; on the same port after every start."""

    def __init__(self, folder: Path, api_url: str) -> None:
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        super().__init__(folder, api_url, "app", "-m", "app", GRADIO_SERVER_PORT=str(port))

    def press(self, inputs: Mapping[str, Any]) -> None:
        threading.Thread(target=self._press, args=(inputs,), daemon=True).start()

    def _press(self, inputs: Mapping[str, Any]) -> None:
        call = f"{self._url}/gradio_api/call/v2/generate"
        named = {"size" if key == "width×height" else key: value for key, value in inputs.items()}
        with contextlib.suppress(requests.RequestException):  # it may be killed at any moment
            response = _http.post(call, json=named, timeout=READY_S)
            if not response.ok:
                log.warning("A press was answered with HTTP %d: %s", response.status_code, response.text[:500])
                return
            event_id = response.json()["event_id"]
            with _http.get(f"{call}/{event_id}", stream=True, timeout=READY_S) as stream:
                for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
                    if line.startswith("data: ["):
                        self.told.add(json.loads(line.removeprefix("data: "))[0]["job_id"])
                        return

    def _is_ready(self) -> bool:
        return _is_up(f"{self._url}/dreamina/jobs", 200)


class BareStudio(Studio):
    """`python -m benchmarks.bare`: all but the page."""

    def __init__(self, folder: Path, api_url: str) -> None:
        self._ready = threading.Event()
        super().__init__(folder, api_url, "bare", "-m", "benchmarks.bare")

    def start(self) -> None:
        self._ready.clear()
        super().start()
        assert self._process
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def press(self, inputs: Mapping[str, Any]) -> None:
        assert self._process
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(inputs) + "\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process = None

    def _read(self, lines: Any) -> None:
        for line in lines:
            if line == "ready\n":
                self._ready.set()
            elif line.endswith("\n"):
                self.told.add(line.strip())

    def _stdout(self, log: Any) -> Any:
        return subprocess.PIPE

    def _ask_to_end(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        process.stdin.close()

    def _is_ready(self) -> bool:
        return self._ready.is_set()


def _is_up(url: str, status_code: int) -> bool:
    try:
        return _http.get(url, timeout=READY_S).status_code == status_code
    except requests.ConnectionError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
