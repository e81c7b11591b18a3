"""A small mock of the Model API that serves large images as fast as the kernel can send files.

    python -m benchmarks.photo_service PORT

The prompt of a request is a JSON list of image files. All requests complete `RUN_S` seconds after the last submit, so
that they complete together. `GET /completed` returns when `completed` was first returned for each, in seconds since
1970.

Source: RunComfy Model API documentation, submit, status and result.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

RUN_S = 2.5


class PhotoService(ThreadingHTTPServer):
    """The requests, and the time of the first `completed` response of each."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.origin = f"http://127.0.0.1:{port}"
        self.lock = threading.Lock()
        self.pictures: dict[str, list[Path]] = {}
        self.completed_at: dict[str, float] = {}
        self.submitted_s = time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PhotoService

    def do_POST(self) -> None:
        inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            request_id = f"request-{len(self.server.pictures)}"
            self.server.pictures[request_id] = [Path(path) for path in json.loads(inputs["prompt"])]
            self.server.submitted_s = time.monotonic()
        self._respond({"request_id": request_id})

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts == ["completed"]:
            self._respond(self.server.completed_at)
        elif parts[0] == "files":
            self._send_file(self.server.pictures[parts[1]][int(parts[2])])
        elif parts == [""]:
            self._respond({})
        elif parts[-1] == "status":
            is_completed = time.monotonic() - self.server.submitted_s >= RUN_S
            if is_completed:
                self.server.completed_at.setdefault(parts[-2], time.time())
            self._respond({"status": "completed" if is_completed else "in_progress"})
        else:
            names = range(len(self.server.pictures[parts[-2]]))
            images = [f"{self.server.origin}/files/{parts[-2]}/{name}" for name in names]
            self._respond({"status": "completed", "output": {"images": images}})

    def _respond(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._head("application/json", len(body))
        self.wfile.write(body)

    def _send_file(self, path: Path) -> None:
        self._head("application/octet-stream", path.stat().st_size)
        with path.open("rb") as file:
            self.connection.sendfile(file)

    def _head(self, media_type: str, size_bytes: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(size_bytes))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    PhotoService(int(sys.argv[1])).serve_forever()
