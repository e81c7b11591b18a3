"""A small HTTP server that misbehaves as its script says.

It speaks HTTP over bare sockets, because a good server library cannot cut a body or lie about its length.
Every request is recorded, also those that get no response.

    with BadServer() as server:
        server.script("/v1/requests/r-1/status", json_response({"status": "in_queue"}), ScriptedResponse(hang_up=True))
        ...
        assert len(server.requests) == 2
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class ScriptedResponse:
    """One scripted response; the defaults are those of an honest server.

    Attributes:
        headers: sent as they are; `Content-Length` and `Transfer-Encoding` are added from the rest.
        length: the `Content-Length` to claim; None claims the truth.
        no_length: claim no length; the end of the connection is the end of the body.
        chunked: send the body in chunks.
        cut_after: send so many bytes of the body, then cut the connection.
        piece_bytes, piece_pause_s: trickle the body in such pieces, with such pauses.
        delay_s: wait so long before the response.
        after: wait for this before the response.
        hang_up: read the request, then cut the connection without a byte of response.
        silent: read the request, then say nothing until the client or the server goes away.
        raw: send these bytes instead of an HTTP response, then close.
        close: close the connection after the response without announcing it: a stale keep-alive.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    no_length: bool = False
    chunked: bool = False
    cut_after: int | None = None
    piece_bytes: int | None = None
    piece_pause_s: float = 0.0
    delay_s: float = 0.0
    after: threading.Event | None = None
    hang_up: bool = False
    silent: bool = False
    raw: bytes | None = None
    close: bool = False


def json_response(value: Any, status: int = 200, **more: Any) -> ScriptedResponse:
    """An honest JSON response, with any of the defects of `ScriptedResponse` on top."""
    return ScriptedResponse(status, json.dumps(value).encode(), {"Content-Type": "application/json"}, **more)


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it came in.

    Attributes:
        target: path and query, as on the request line.
        headers: names in lower case, values as they came.
        connection: the number of the TCP connection, from 1.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        return dict(self.headers).get(name.lower())


class BadServer:
    """The server, on 127.0.0.1 and a free port, from `with` to its end.

    Attributes:
        url: its origin, without a slash at the end.
        requests: every request so far, in order of arrival.
        connections: how many TCP connections it has accepted.
        cut_reused: cut a connection when a second request arrives on it: a keep-alive that has just gone stale.
        default: the response for a path without a script; a 404 in JSON.
    """

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        self.connections = 0
        self.cut_reused = False
        self.default = json_response({"error_code": 404001, "message": "not scripted"}, 404)
        self._scripts: dict[str, list[ScriptedResponse]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def script(self, path: str, *responses: ScriptedResponse) -> None:
        """Answer requests for a path with these, one after the other; the last one is repeated forever.

        Args:
            path: such as `/v1/models/m`, or `POST /v1/models/m` for one method only.
        """
        with self._lock:
            self._scripts[path] = list(responses)

    def requests_for(self, method: str, path: str | None = None) -> list[RecordedRequest]:
        """The recorded requests of one method, and of one path if given."""
        return [seen for seen in list(self.requests) if seen.method == method and path in (None, seen.path)]

    def __enter__(self) -> BadServer:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still_open, threads = list(self._open), list(self._threads)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(2)

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._lock:
            self._threads = [old for old in self._threads if old.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.add(connection)
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                answered = False
                while not self._stopping.is_set():
                    seen = _read_request(reader, number)
                    if seen is None:
                        return
                    with self._lock:
                        self.requests.append(seen)
                    if answered and self.cut_reused:
                        return _reset(connection)
                    if not self._respond(connection, self._next_response(seen)):
                        return None
                    answered = True
        except (OSError, ValueError):
            return
        finally:
            with self._lock:
                self._open.discard(connection)

    def _next_response(self, seen: RecordedRequest) -> ScriptedResponse:
        with self._lock:
            names = (seen.target, f"{seen.method} {seen.path}", seen.path)
            responses = next((self._scripts[name] for name in names if self._scripts.get(name)), [self.default])
            return responses.pop(0) if len(responses) > 1 else responses[0]

    def _respond(self, connection: socket.socket, response: ScriptedResponse) -> bool:
        """Send one response; say whether the connection is still good for another request."""
        if response.silent:
            _wait_until_gone(connection, self._stopping)
            return False
        if response.delay_s:
            self._stopping.wait(response.delay_s)
        while response.after and not response.after.wait(0.01) and not self._stopping.is_set():
            pass
        if response.hang_up:
            _reset(connection)
            return False
        if response.raw is not None:
            connection.sendall(response.raw)
            return False
        connection.sendall(_head(response))
        body = response.body if response.cut_after is None else response.body[: response.cut_after]
        step = response.piece_bytes or len(body) or 1
        for start in range(0, len(body), step):
            if start and response.piece_pause_s and self._stopping.wait(response.piece_pause_s):
                return False
            piece = body[start : start + step]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if response.chunked else piece)
        if response.cut_after is not None:
            return False
        if response.chunked:
            connection.sendall(b"0\r\n\r\n")
        honest = response.length is None or response.length == len(response.body)
        return honest and not response.no_length and not response.close


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _head(response: ScriptedResponse) -> bytes:
    headers = dict(response.headers)
    if response.chunked:
        headers["Transfer-Encoding"] = "chunked"
    elif response.no_length:
        headers["Connection"] = "close"
    elif response.status >= 200:
        headers["Content-Length"] = str(len(response.body) if response.length is None else response.length)
    lines = [f"HTTP/1.1 {response.status} Scripted", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _read_request(reader: Any, number: int) -> RecordedRequest | None:
    line = reader.readline(65536).decode("latin-1").split()
    if len(line) != 3 or not line[2].startswith("HTTP/"):
        return None
    headers: list[tuple[str, str]] = []
    while (text := reader.readline(65536).decode("latin-1").strip()) != "":
        name, _, value = text.partition(":")
        headers.append((name.strip().lower(), value.strip()))
    length = int(dict(headers).get("content-length", "0"))
    return RecordedRequest(line[0], line[1], tuple(headers), reader.read(length), number)


def _reset(connection: socket.socket) -> None:
    """Cut a connection as a crash does: the other side sees a reset, not a polite end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _wait_until_gone(connection: socket.socket, stopping: threading.Event) -> None:
    connection.settimeout(0.05)
    while not stopping.is_set():
        try:
            if not connection.recv(1024):
                return
        except TimeoutError:
            continue
