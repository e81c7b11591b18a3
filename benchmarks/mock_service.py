"""A mock of the Model API inside the process of a benchmark, to script and to count its calls.

Source: RunComfy Model API documentation, submit, status, result and cancel.
"""

from __future__ import annotations

import io
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class MockResponse:
    """One HTTP response.

    Attributes:
        hang_up: reset the connection in place of it.
        form: how it is sent: "" is plain; `interim` sends a 103 first, `closing` closes the connection afterwards
            without saying so, `old` is HTTP/1.0 without a length, `trailer` is chunked, with a trailer.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False
    form: str = ""


def json_response(value: Any, status: int = 200, **headers: str) -> MockResponse:
    """A JSON response; header names with `_` for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return MockResponse(status, json.dumps(value).encode(), JSON_TYPE | named)


def png(size: tuple[int, int] = (64, 48)) -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(file, "PNG")
    return file.getvalue()


class MockService(ThreadingHTTPServer):
    """A polite service whose requests complete at once; subclasses override how it responds.

    Attributes:
        url: its origin, without a slash at the end.
        accepted: the inputs of all accepted requests, by request_id.
        calls: the number of calls by `(request_id, verb)`, verb being `status`, `result`, `cancel` or `file`.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.accepted: dict[str, dict[str, Any]] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self._png = png()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> MockService:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self.server_close()

    def submit(self, inputs: dict[str, Any]) -> MockResponse:
        """Accept a request."""
        with self.lock:
            request_id = f"mock-{len(self.accepted) + 1}"
            self.accepted[request_id] = inputs
        return json_response({"request_id": request_id})

    def status(self, request_id: str) -> MockResponse:
        return json_response({"status": "completed"})

    def result(self, request_id: str) -> MockResponse:
        return json_response(
            {"status": "completed", "cost": 0.03, "output": {"image": self.file_url(request_id, "a.png")}}
        )

    def cancel(self, request_id: str) -> MockResponse:
        return json_response({"outcome": "not_cancellable"}, 202)

    def file(self, request_id: str, target: str, headers: Mapping[str, str]) -> MockResponse:
        """A file of a request; `target` is what follows the request_id in the request line, byte for byte."""
        return MockResponse(200, self._png, {"Content-Type": "image/png"})

    def price(self) -> MockResponse:
        return json_response({"base_price_usd": 0.03, "price_unit": "output"})

    def file_url(self, request_id: str, name: str) -> str:
        return f"{self.url}/files/{request_id}/{name}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the mock."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: MockService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[-1] == "cancel":
            self._count(parts[-2], "cancel")
            self._send(self.server.cancel(parts[-2]))
        else:
            self._send(self.server.submit(json.loads(body)))

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "files":
            request_id = parts[1]
            self._count(request_id, "file")
            target = self.path.partition(f"/files/{request_id}/")[2]
            self._send(self.server.file(request_id, target, dict(self.headers)))
        elif parts[:2] == ["v1", "requests"]:
            self._count(parts[2], parts[3])
            self._send(self.server.status(parts[2]) if parts[3] == "status" else self.server.result(parts[2]))
        else:
            self._send(self.server.price())

    def _count(self, request_id: str, verb: str) -> None:
        with self.server.lock:
            self.server.calls[request_id, verb] += 1

    def _send(self, response: MockResponse) -> None:
        if response.hang_up:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        body, length = response.body, {"Content-Length": str(len(response.body))}
        if response.form == "interim":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        elif response.form == "old":
            self.protocol_version, length, self.close_connection = "HTTP/1.0", {}, True
        elif response.form == "trailer":
            pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
            body = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            body, length = body + b"0\r\nServer-Timing: cdn\r\n\r\n", {"Transfer-Encoding": "chunked"}
        elif response.form == "closing":
            self.close_connection = True
        self.send_response(response.status)
        for name, value in {**response.headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass
