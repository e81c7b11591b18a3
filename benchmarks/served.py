"""Programs that serve a page or an API on a port of 127.0.0.1: ours, an empty Gradio page, and the picture service."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import requests

from benchmarks.processes import Tree
from benchmarks.programs import TOKEN, Program

_http = requests.Session()
_http.trust_env = False  # a proxy cannot reach this machine's loopback


class Served(Program):
    """A program at `url`; it is ready when that answers."""

    def __init__(self, folder: Path, name: str, *arguments: str, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = str(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        arguments = tuple(self._port if argument == "PORT" else argument for argument in arguments)
        super().__init__(folder, name, *arguments, GRADIO_SERVER_PORT=self._port, **environment)

    @property
    def tree(self) -> Tree:
        """The running process and its children."""
        assert self._process
        return Tree(self._process.pid)

    def _is_ready(self) -> bool:
        try:
            return _http.get(self.url, timeout=30).status_code < 500
        except requests.ConnectionError:
            return False


class OurPage(Served):
    """`python app.py`, on an API or, if none is given, with its own sandbox."""

    def __init__(self, folder: Path, api_url: str | None = None) -> None:
        token = TOKEN if api_url else ""
        super().__init__(
            folder, "app", "app.py", DREAMINA_DATA_DIR=str(folder / "data"), RUNCOMFY_API_BASE_URL=api_url or "",
            RUNCOMFY_API_TOKEN=token, RUNCOMFY_TOKEN="", YOUR_API_TOKEN="", GRADIO_SERVER_NAME="127.0.0.1",
        )  # fmt: skip


class EmptyPage(Served):
    """`python -m benchmarks.empty`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "empty", "-m", "benchmarks.empty", GRADIO_SERVER_NAME="127.0.0.1")


class PictureServiceProgram(Served):
    """`python -m benchmarks.picture_service`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "service", "-m", "benchmarks.picture_service", "PORT")

    def completed_at(self) -> dict[str, float]:
        """When each request was first said to be completed, by request_id, in seconds since 1970."""
        found: dict[str, Any] = _http.get(f"{self.url}/completed", timeout=30).json()
        return found
