"""What the tests of jobs and of the page share: the job services at full speed, and a scripted service beside them."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from dreamina_ui.api.client import RunComfy
from dreamina_ui.api.model_api import ModelApi
from dreamina_ui.api.pacing import Pace
from dreamina_ui.jobs.poll_state import FILES_TIMEOUT_S, RESULT_TIMEOUT_S
from dreamina_ui.jobs.replica import Role
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.library.sent_inputs import SentInputs
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.media.fetching.reachability import Reachability
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.media.input_files import InputFiles
from dreamina_ui.media.store import MediaStore
from dreamina_ui.models.schema import load_models
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.web.presenters import JobPresenter
from tests.support.bad_server import BadServer, ScriptedResponse, json_response
from tests.support.databases import make_ledger
from tests.support.decoding import decoder

MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
SUBMIT = f"/v1/models/{MODEL_ID}"
FAST = Pace(min_s=0.005, max_s=0.02, retry_max_s=0.03)
TOKEN = "token-of-the-tests"
INPUTS = {"prompt": "a red fox"}


built_in_models = cache(load_models)


def no_pause(_seconds: float) -> None:
    """Replaces `time.sleep` where code waits before a retry."""


class Clock:
    """The real time plus an offset that a test can increase."""

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._frozen_at: float | None = None

    def __call__(self) -> float:
        return (time.time() if self._frozen_at is None else self._frozen_at) + self._offset_s

    def freeze(self) -> None:
        """Let no time pass from now on but what the test adds: no pause can end because the machine is slow."""
        self._frozen_at = time.time()

    def advance(self, seconds: float) -> None:
        self._offset_s += seconds


class Harness:
    """The job services in a folder, against a base URL; they can be stopped and opened again as after a crash."""

    def __init__(
        self, folder: Path, base_url: str, *, token: str = TOKEN, origin: str | None = None, role: Role | None = None
    ) -> None:
        self.folder = folder
        self.base_url = base_url
        self.token = token
        self.origin = origin or base_url
        self.clock = Clock()
        self.client_options: dict[str, Any] = {"pause": no_pause, "attempts": 2}
        self.ledger_options: dict[str, Any] = {}
        self.connect: Callable[[str], ModelApi] = lambda key: RunComfy(self.base_url, key, **self.client_options)
        self.pace = FAST
        self.input_files: InputFiles | None = None
        self.sent_inputs: SentInputs | None = None
        self.reachability: Reachability | None = None
        self.is_shared = True
        self.reads_catalog = False
        self.role = role
        self.make_store: Callable[[Path], MediaStore] = FolderStore
        self._open()

    def _open(self) -> None:
        make_ledger(self.folder / "ledger.sqlite3")
        self.ledger = Ledger(self.folder / "ledger.sqlite3", clock=self.clock, **self.ledger_options)
        self.media = FolderStore(self.folder / "media")
        self.store = self.make_store(self.folder / "media")
        guard = UrlGuard(exempt_origin=self.base_url)
        self.fetcher = OutputFetcher(self.store, guard, attempts=2, pause=no_pause, decoder=decoder())
        catalog_api = RunComfy(self.base_url, self.token, **self.client_options) if self.reads_catalog else None
        self.services = JobServices(
            catalog_api=catalog_api,
            accounts=Accounts(
                self.connect(self.token) if self.token else None,
                self.origin,
                secret=self.ledger.secret("key_marks"),
                connect=self.connect,
                key_origin=self.base_url,
                clock=self.clock,
            ),
            models=dict(built_in_models()),
            ledger=self.ledger,
            media=self.store,
            fetcher=self.fetcher,
            input_files=self.input_files,
            sent_inputs=self.sent_inputs,
            reachability=self.reachability,
            role=self.role,
            is_shared=self.is_shared,
            pace=self.pace,
            clock=self.clock,
        )
        services = self.services
        self.accounts, self.models, self.guard = services.accounts, services.models, services.guard
        self.moderation, self.prices, self.spending = services.moderation, services.prices, services.spending
        self.jobs, self.reader, self.attacher = services.jobs, services.reader, services.attacher
        self.api_keys, self.catalog = services.api_keys, services.catalog
        self.presenter = JobPresenter(
            self.reader, self.accounts, self.models, self.input_files, self.clock, self.fetcher.early_previews
        )

    def start(self) -> None:
        self.services.start()

    def rebuild(self) -> None:
        """Wire the services anew, with the options as they are now; they were not started."""
        self.close()
        self._open()

    def restart(self) -> None:
        """Stop at once and start again on the same folder."""
        self.services.stop(timeout_s=0.0)
        self._open()
        self.start()

    def generate(self, **inputs: Any) -> Job:
        return self.jobs.generate(MODEL_ID, INPUTS | inputs)

    def wait(self, job_id: str, until: Callable[[Job], bool] | str = "settled", timeout_s: float = 10.0) -> Job:
        """Wait until a job is settled, in a named state, or meets a condition."""

        def condition(job: Job) -> bool:
            if callable(until):
                return until(job)
            return job.is_settled if until == "settled" else job.state == until

        changed = threading.Event()
        stop = self.reader.changes.subscribe(job_id, lambda _: changed.set())
        deadline = time.monotonic() + timeout_s
        try:
            while not condition(job := self.reader.job(job_id)):
                assert changed.wait(max(0.0, deadline - time.monotonic())), f"still waiting, the job is {job}"
                changed.clear()
            return job
        finally:
            stop()

    def wait_in_vain(self, job_id: str, problem: str = "file_unavailable") -> Job:
        """Wait until a job waits for what does not come, let the time for that pass, and wait for its end."""
        self.wait(job_id, lambda job: job.problem == problem)
        self.clock.advance(FILES_TIMEOUT_S + RESULT_TIMEOUT_S)
        return self.wait(job_id)

    def close(self) -> None:
        self.services.stop(timeout_s=0.0)
        self.ledger.close()


class ScriptedApi:
    """A scripted Model API with one request, and a file host on the same origin."""

    def __init__(self, server: BadServer, request_id: str = "r-1") -> None:
        self.server = server
        self.request_id = request_id
        self.accept()
        self.price(json_response({}))

    @property
    def posts(self) -> int:
        """The number of submits that arrived."""
        return len(self.server.requests_for("POST", SUBMIT))

    def accept(self, *responses: ScriptedResponse) -> None:
        self.server.script(f"POST {SUBMIT}", *(responses or (json_response({"request_id": self.request_id}),)))

    def price(self, *responses: ScriptedResponse) -> None:
        self.server.script(f"GET {SUBMIT}", *responses)

    def status(self, *responses: ScriptedResponse | str | dict[str, Any]) -> None:
        self._script("status", *responses)

    def result(self, *responses: ScriptedResponse | str | dict[str, Any]) -> None:
        self._script("result", *responses)

    def cancel(self, *responses: ScriptedResponse | str | dict[str, Any]) -> None:
        self._script("cancel", *responses)

    def count_calls(self, verb: str) -> int:
        """The number of `status`, `result` or `cancel` calls of the request."""
        return sum(request.path == f"/v1/requests/{self.request_id}/{verb}" for request in list(self.server.requests))

    def file(self, name: str, *responses: ScriptedResponse) -> str:
        """Script a file of the service; returns its URL."""
        self.server.script(f"/files/{name}", *responses)
        return f"{self.server.url}/files/{name}"

    def picture(self, name: str = "one.png", size: tuple[int, int] = (64, 48)) -> str:
        return self.file(name, ScriptedResponse(200, png(size), {"Content-Type": "image/png"}))

    def completes(self, *urls: str) -> None:
        """Script `completed` with these images, or with one of its own."""
        self.status("completed")
        self.result({"status": "completed", "cost": 0.03, "output": {"images": list(urls) or [self.picture()]}})

    def _script(self, verb: str, *responses: ScriptedResponse | str | dict[str, Any]) -> None:
        bodies = [{"status": response} if isinstance(response, str) else response for response in responses]
        made = [body if isinstance(body, ScriptedResponse) else json_response(body) for body in bodies]
        self.server.script(f"/v1/requests/{self.request_id}/{verb}", *made)


def png(size: tuple[int, int] = (64, 48), color: str = "tomato") -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def body_of(server: BadServer) -> dict[str, Any]:
    """The JSON body of the newest submit."""
    body: dict[str, Any] = json.loads(server.requests_for("POST", SUBMIT)[-1].body)
    return body
