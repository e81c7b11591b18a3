"""The sandbox, the app, and the app without its page, as processes to start, use and kill.

Each writes its log to a file in its folder. Only processes started here are ever stopped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
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
READY_S = 240.0
"""Timeout for a process to be ready; a busy machine needs a fraction of it."""

log = logging.getLogger(__name__)
_Self = TypeVar("_Self", bound="ManagedProcess")
_http = requests.Session()
_http.trust_env = False  # a proxy cannot reach this machine's loopback


class ManagedProcess(ABC):
    """A process; a context manager that kills it at the end.

    Attributes:
        root: the checkout that it belongs to.
    """

    root = ROOT

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

    @property
    def pid(self) -> int:
        assert self._process, "it was not started"
        return self._process.pid

    def start(self) -> None:
        """Start the process and return at once."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.root, env=self._environment, text=True,
                stdin=subprocess.PIPE, stdout=self._stdout(log), stderr=log,
            )  # fmt: skip
        self._started_s = time.monotonic()

    def wait_ready(self) -> float:
        """Wait until it is ready; returns the seconds since `start`."""
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
        """Send SIGKILL, as a crash or a power loss would end it."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Stop it where it is, as a machine does that swaps or moves."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a freeze."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    @property
    def is_ready(self) -> bool:
        """Whether it is ready now."""
        return self._is_ready()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """Request a clean stop and wait for it."""
        if self._process:
            self._request_stop(self._process)
            self._process.wait(READY_S)
            self._process = None

    def _stdout(self, log: Any) -> Any:
        return log

    def _request_stop(self, process: subprocess.Popen[str]) -> None:
        process.terminate()

    @abstractmethod
    def _is_ready(self) -> bool: ...


class SandboxProcess(ManagedProcess):
    """`python -m dreamina_ui.sandbox` on a free port."""

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
        """Every accepted request: `request_id`, `inputs`, `status`, `count`."""
        response = _http.get(
            f"{self.url}/sandbox/requests", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=READY_S
        )
        response.raise_for_status()
        results: list[dict[str, Any]] = response.json()
        return results

    def _is_ready(self) -> bool:
        return _is_up(f"{self.url}/sandbox/requests", 401)


class AppUnderTest(ManagedProcess):
    """A process that creates jobs.

    Attributes:
        reported: the ids of all jobs that it returned to a caller.
    """

    def __init__(self, folder: Path, api_url: str, name: str, *arguments: str, **environment: str) -> None:
        self.reported: set[str] = set()
        super().__init__(
            folder, name, *arguments, **environment,
            DREAMINA_DATA_DIR=str(folder / "data"), RUNCOMFY_API_BASE_URL=api_url, RUNCOMFY_API_TOKEN=TOKEN,
        )  # fmt: skip

    @abstractmethod
    def submit(self, inputs: Mapping[str, Any]) -> None:
        """Request a job and return at once, without retries."""


class GradioApp(AppUnderTest):
    """`app.py`, used through its public endpoint; on the same port after every start."""

    def __init__(self, folder: Path, api_url: str, **environment: str) -> None:
        self.port = _free_port()
        self._url = f"http://127.0.0.1:{self.port}"
        super().__init__(folder, api_url, "app", "-m", "app", GRADIO_SERVER_PORT=str(self.port), **environment)

    @property
    def base_url(self) -> str:
        return self._url

    def submit(self, inputs: Mapping[str, Any]) -> None:
        threading.Thread(target=self.submit_and_wait, args=(inputs,), daemon=True).start()

    def submit_and_wait(self, inputs: Mapping[str, Any]) -> None:
        """Request a job and wait for its id; nothing if the app is killed meanwhile."""
        call = f"{self._url}/gradio_api/call/v2/generate"
        named = {"size" if key == "width×height" else key: value for key, value in inputs.items()}
        with contextlib.suppress(requests.RequestException):  # the app may be killed at any moment
            response = _http.post(call, json=named, timeout=READY_S)
            if not response.ok:
                log.warning("A request got HTTP %d: %s", response.status_code, response.text[:500])
                return
            event_id = response.json()["event_id"]
            with _http.get(f"{call}/{event_id}", stream=True, timeout=READY_S) as stream:
                for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
                    if line.startswith("data: ["):
                        self.reported.add(json.loads(line.removeprefix("data: "))[0]["job_id"])
                        return

    def _is_ready(self) -> bool:
        return _is_up(f"{self._url}/dreamina/jobs", 200)


class HeadlessApp(AppUnderTest):
    """`python -m benchmarks.headless_app`: everything except the page."""

    def __init__(self, folder: Path, api_url: str, **environment: str) -> None:
        self._ready = threading.Event()
        super().__init__(folder, api_url, "bare", "-m", "benchmarks.headless_app", **environment)

    def start(self) -> None:
        self._ready.clear()
        super().start()
        assert self._process
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def submit(self, inputs: Mapping[str, Any]) -> None:
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
                self.reported.add(line.strip())

    def _stdout(self, log: Any) -> Any:
        return subprocess.PIPE

    def _request_stop(self, process: subprocess.Popen[str]) -> None:
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
