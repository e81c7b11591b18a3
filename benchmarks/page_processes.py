"""Processes that serve a page or an API on 127.0.0.1: the app, an empty Gradio page, and the photo service."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import requests

from benchmarks.app_processes import TOKEN, ManagedProcess
from benchmarks.process_stats import ProcessTree

_http = requests.Session()
_http.trust_env = False  # a proxy cannot reach this machine's loopback


class PageProcess(ManagedProcess):
    """A process at `url`; it is ready when that responds.

    Attributes:
        ready: CSS selector of what a browser has when the page can be used.
    """

    ready: ClassVar[str]

    def __init__(self, folder: Path, name: str, *arguments: str, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = str(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        arguments = tuple(self._port if argument == "PORT" else argument for argument in arguments)
        super().__init__(folder, name, *arguments, GRADIO_SERVER_PORT=self._port, **environment)

    @property
    def tree(self) -> ProcessTree:
        """The running process and its children."""
        assert self._process
        return ProcessTree(self._process.pid)

    def _is_ready(self) -> bool:
        try:
            return _http.get(self.url, timeout=30).status_code < 500
        except requests.ConnectionError:
            return False


class AppPage(PageProcess):
    """`python app.py` on an API, by default on its own sandbox."""

    ready = "body:not(:has(#loading)) #form[data-ready]"

    def __init__(self, folder: Path, api_url: str | None = None) -> None:
        token = TOKEN if api_url else ""
        super().__init__(
            folder, "app", "app.py", DREAMINA_DATA_DIR=str(folder / "data"), RUNCOMFY_API_BASE_URL=api_url or "",
            RUNCOMFY_API_TOKEN=token, RUNCOMFY_TOKEN="", YOUR_API_TOKEN="", GRADIO_SERVER_NAME="127.0.0.1",
        )  # fmt: skip


class EmptyGradioPage(PageProcess):
    """`python -m benchmarks.empty_page`."""

    ready = ".gradio-container"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "empty", "-m", "benchmarks.empty_page", GRADIO_SERVER_NAME="127.0.0.1")


class PhotoServiceProcess(PageProcess):
    """`python -m benchmarks.photo_service`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "service", "-m", "benchmarks.photo_service", "PORT")

    def completed_at(self) -> dict[str, float]:
        """When `completed` was first returned for each request_id, in seconds since 1970."""
        results: dict[str, Any] = _http.get(f"{self.url}/completed", timeout=30).json()
        return results


@contextmanager
def photo_app() -> Iterator[tuple[PhotoServiceProcess, AppPage]]:
    """The photo service and an app that uses it, both running."""
    with tempfile.TemporaryDirectory() as name, PhotoServiceProcess(Path(name)) as service:
        service.start()
        service.wait_ready()
        with AppPage(Path(name), service.url) as app:
            app.start()
            app.wait_ready()
            yield service, app
