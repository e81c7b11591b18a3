"""A small file host on 127.0.0.1 that sends scripted responses, broken ones too, and records all requests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # as a host's: of a dozen connections at the same moment, the default drops some


@dataclass(frozen=True)
class HostResponse:
    """One scripted response.

    Attributes:
        length: the Content-Length to claim; None sends none and ends the body by closing.
        chunked: send the body in chunks, and cut it before the last one if `cut`.
        trickle_s: pause between single bytes, until the reader disconnects.
        endless: repeat the body until the reader disconnects.
        keeps_alive: let the connection carry a next request.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = -1
    chunked: bool = False
    cut: bool = False
    trickle_s: float | None = None
    endless: bool = False
    keeps_alive: bool = False


class FileServer:
    """Serves `responses[path]` in order and repeats the last one; a context manager.

    Attributes:
        origin: such as `http://127.0.0.1:40000`.
        requests: `(path, headers)` of every request so far.
        connections: the port that each request came from.
    """

    def __init__(self) -> None:
        self.responses: dict[str, list[HostResponse]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections: list[int] = []
        self._sockets: list[socket.socket] = []

        handler = type("Handler", (_Handler,), {"host": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FileServer:
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def close_connections(self) -> None:
        """Close every connection that is open, as hosts do with idle ones."""
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def script(self, path: str, *responses: HostResponse) -> str:
        """Script the responses of a path, and return its URL."""
        self.responses[path] = list(responses)
        return self.origin + path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: FileServer

    def setup(self) -> None:
        super().setup()
        self.host._sockets.append(self.connection)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.host.requests.append((self.path, dict(self.headers)))
        self.host.connections.append(self.client_address[1])
        script = self.host.responses.get(path, [HostResponse(status=404)])
        response = script.pop(0) if len(script) > 1 else script[0]
        with contextlib.suppress(OSError):
            self._give(response)

    def _give(self, response: HostResponse) -> None:
        self.send_response(response.status)
        if not response.keeps_alive:  # so that a short body shows as a cut and not as a silence
            self.send_header("Connection", "close")
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.length is not None and not response.endless and response.trickle_s is None:
            self.send_header("Content-Length", str(len(response.body) if response.length < 0 else response.length))
        self.end_headers()
        self._send_body(response)

    def _send_body(self, response: HostResponse) -> None:
        if response.trickle_s is not None:
            while True:
                self.wfile.write(b"x")
                time.sleep(response.trickle_s)
        while response.endless:
            self.wfile.write(response.body)
        if response.chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(response.body), response.body))
            self.wfile.write(b"" if response.cut else b"0\r\n\r\n")
        else:
            self.wfile.write(response.body)

    def log_message(self, *args: object) -> None:
        pass
