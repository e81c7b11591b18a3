"""What tests of the whole app share: the app as a process of its own, and clients that know only HTTP."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from dreamina_ui.models.schema import load_models
from dreamina_ui.sandbox.server import Sandbox
from tests.support.bad_server import BadServer, closed_port
from tests.support.fork_server import MULTIPROCESSING, ForkedApp
from tests.support.harness import MODEL_ID, TOKEN, Clock, ScriptedApi

ROOT = Path(__file__).parents[2]
OUR_VARIABLES = re.compile("^(DREAMINA|GRADIO|RUNCOMFY|YOUR_API)_|^RUNCOMFY")
OWNER_PASSWORD = "correct horse battery"
SMALL = "1024x1024(1:1)"
PUBLIC_URL = "http://127.0.0.1:1/studio"
"""The public URL in the settings of the held app; nothing listens there."""

START_S = 60.0
_numbers = itertools.count(1)


class AppProcess:
    """`app.py` on a free port of 127.0.0.1, with its own data folder and no settings from outside.

    Args:
        folder: gets the data folder `data` and the output of the program, `output.txt`.
        settings: environment variables, by name.
        command: the program's arguments for Python, such as "app.py"; without any, the program runs in a copy of a
            process that has imported it already, which starts five times sooner.
    """

    def __init__(self, folder: Path, *command: str, **settings: str) -> None:
        self.data = folder / "data"
        self.output_path = folder / "output.txt"
        self.port = closed_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = command
        self._environment = {name: value for name, value in os.environ.items() if not OUR_VARIABLES.search(name)}
        self._environment |= {"DREAMINA_DATA_DIR": str(self.data), "GRADIO_SERVER_PORT": str(self.port), **settings}
        folder.mkdir(parents=True, exist_ok=True)

    def launch(self) -> AppProcess:
        """Start the process; do not wait for it."""
        self.output_path.touch()
        if MULTIPROCESSING and not self._command:
            self.process: ForkedApp | subprocess.Popen[bytes] = ForkedApp(self._environment, self.output_path)
            return self
        with self.output_path.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *(self._command or ("app.py",))],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def start(self) -> AppProcess:
        """Start the process and wait for its first response."""
        return self.launch().wait_until_up()

    def wait_until_up(self) -> AppProcess:
        deadline = time.monotonic() + START_S
        while not self._is_up():
            assert self.process.poll() is None, f"the app ended: {self.output}"
            assert time.monotonic() < deadline, f"no response from {self.url}: {self.output}"
            time.sleep(0.005)
        return self

    def end(self, *numbers: signal.Signals, timeout_s: float = START_S) -> int:
        """Send signals, one right after another, and return the exit code."""
        for number in numbers:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)

    @property
    def output(self) -> str:
        """All that the app printed and logged."""
        return self.output_path.read_text(encoding="utf-8", errors="replace")

    def count_jobs(self, state: str = "%") -> int:
        """Count the jobs in the ledger, in all states or in one."""
        with closing(sqlite3.connect(f"file:{self.data / 'ledger.sqlite3'}?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("SELECT COUNT(*) FROM jobs WHERE state LIKE ?", (state,)).fetchone()[0])

    def __enter__(self) -> AppProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def _is_up(self) -> bool:
        try:
            return requests.get(self.url, timeout=5).status_code == 200
        except requests.RequestException:
            return False


class HeldSandbox:
    """A sandbox whose requests wait until the test moves its clock, and an app that uses it."""

    def __init__(self, folder: Path) -> None:
        self._clock = Clock()
        self.sandbox = Sandbox(
            folder / "service", load_models(), token=TOKEN, queue_s=1000, run_s=1000, parallel=50, clock=self._clock
        )
        self.base_url = self.sandbox.start()
        self.app = AppProcess(
            folder, RUNCOMFY_API_BASE_URL=self.base_url, RUNCOMFY_API_TOKEN=TOKEN, DREAMINA_PUBLIC_URL=PUBLIC_URL
        )

    def begin(self) -> None:
        """Move everything in the queue to running."""
        self._clock.advance(1001)

    def finish(self) -> None:
        """Complete everything that runs."""
        self._clock.advance(3000)

    def requests(self) -> list[dict[str, Any]]:
        """Every accepted request, oldest first."""
        return accepted(self.base_url, TOKEN)

    def __enter__(self) -> HeldSandbox:
        self.app.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.app.__exit__(*exc)
        self.sandbox.stop()


class ScriptedApp:
    """An app on a scripted service; each test takes its own request."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.server = BadServer()
        settings = {"RUNCOMFY_API_BASE_URL": self.server.url, "RUNCOMFY_API_TOKEN": TOKEN} | settings
        self.app = AppProcess(folder, **settings)

    def service(self, request_id: str = "") -> ScriptedApi:
        """Script a service that accepts the next submit as a new request.

        It waits until no job is being submitted: each must get the response that was meant for it.
        """
        wait_for(lambda: self.app.count_jobs("submitting") == 0)
        return ScriptedApi(self.server, request_id or f"scripted-{next(_numbers)}")

    def __enter__(self) -> ScriptedApp:
        self.server.__enter__()
        self.app.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.app.__exit__(*exc)
        self.server.__exit__(*exc)


class Visitor:
    """A browser without a page: one cookie, and the HTTP requests of the page."""

    def __init__(self, app: AppProcess, http: requests.Session | None = None) -> None:
        self.app = app
        self.http = http or requests.Session()
        self.http.get(app.url, timeout=10)
        self.config = self.http.get(f"{app.url}/config", timeout=10).json()

    def press(self, *, model: Any = MODEL_ID, **inputs: Any) -> dict[str, Any]:
        """Press Generate as the page does, with these inputs by parameter name, whatever they are.

        Returns:
            The response: `{"success": bool, "message": str}`, or the card in place of the message.
        """
        given = {"prompt": "a red fox", "size": SMALL, "scale": 0.5, "force_single": True} | inputs
        keys = {"size": "width×height"}
        body = {"model_id": model, "inputs": {keys.get(name, name): value for name, value in given.items()}}
        response = self.http.post(
            f"{self.app.url}/dreamina/generate",
            data=json.dumps(body),  # as text: it lets NaN through
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        facts: dict[str, Any] = response.json()
        return {"success": response.ok} | facts

    def call_event(self, number: int, data: Any) -> dict[str, Any]:
        """Call a Gradio event of the page by its number; returns its end, `{"success": bool, "output": {...}}`."""
        session = f"session-{next(_numbers)}"
        body = {"data": data, "fn_index": number, "session_hash": session, "trigger_id": None, "event_data": None}
        sent = self.http.post(
            f"{self.app.url}/gradio_api/queue/join",
            data=json.dumps(body),  # as text: it lets NaN through
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        if sent.status_code != 200:
            return {"success": False, "output": {"error": sent.text}}
        url = f"{self.app.url}/gradio_api/queue/data?session_hash={session}"
        with self.http.get(url, stream=True, timeout=60) as response:
            ends = (data for _, data in read_events(response) if data["msg"] == "process_completed")
            end: dict[str, Any] = next(ends)
            return end

    def cookie(self, name: str) -> tuple[str, str]:
        """The name under which the browser stores one of our cookies, and its value."""
        return next((stored, value) for stored, value in self.http.cookies.items() if stored.startswith(name))

    def jobs(self) -> list[dict[str, Any]]:
        """The visitor's jobs, as the page gets them."""
        jobs: list[dict[str, Any]] = self.http.get(f"{self.app.url}/dreamina/jobs", timeout=10).json()
        return jobs


@contextmanager
def call(app: AppProcess, name: str, body: str) -> Iterator[Iterator[tuple[str, Any]]]:
    """Call a public endpoint over bare HTTP; yields its events as they come, `(name, data)`.

    Args:
        body: the text of the POST, such as `{"data": ["a red fox"]}`.
    """
    url = f"{app.url}/gradio_api/call/{name}"
    sent = requests.post(url, data=body.encode(), headers={"Content-Type": "application/json"}, timeout=10)
    if sent.status_code != 200:
        yield iter([("refused", sent.text)])
        return
    # A `/v2` in the name is for the POST only.
    stream = f"{app.url}/gradio_api/call/{name.removeprefix('v2/')}/{sent.json()['event_id']}"
    with requests.get(stream, stream=True, timeout=60) as response:
        yield read_events(response)


def last_event(app: AppProcess, name: str, body: str) -> tuple[str, Any]:
    """The last event of a call of a public endpoint."""
    with call(app, name, body) as events:
        return list(events)[-1]


def read_events(response: requests.Response) -> Iterator[tuple[str, Any]]:
    """The server-sent events of an open response, `(name, data)`."""
    name = ""
    for raw in response.iter_lines(chunk_size=1):
        field, _, value = raw.decode().partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def accepted(base_url: str, token: str) -> list[dict[str, Any]]:
    """Every request that a sandbox accepted, oldest first."""
    response = requests.get(f"{base_url}/sandbox/requests", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    accepted_requests: list[dict[str, Any]] = response.json()
    return accepted_requests


def wait_for(condition: Callable[[], Any], timeout_s: float = 45.0) -> Any:
    """Call `condition` until its result is true, and return that."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.005)
    return result
