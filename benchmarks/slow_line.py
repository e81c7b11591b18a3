"""When each of four large files is whole that come over one slow line; run by `python -m benchmarks.pictures --mbit`.

A file server, a process of its own, limits the rate of all connections together, and of each one if wanted. It waits
for one latency at a new connection and at each request. The files are random bytes of 30 MB, so that only the line
counts. In the same run a plain client fetches them side by side.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import requests

from dreamina_ui.media.fetching.download import Downloader
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard

FILES = 4
FILE_BYTES = 30_000_000
TIMEOUT_S = 600.0
_BUFFER_BYTES = 65_536
_BURST_S = 0.02
_PIECE_S = 0.002
"""A piece takes the line so long: a shorter one would be lost in the accuracy of a pause."""


class _Rate:
    """At most so many bytes per second; None for no limit."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self._bytes_per_s = bytes_per_s
        self._next_s = 0.0
        self._lock = threading.Lock()

    def wait(self, size_bytes: int) -> None:
        """Wait until there is room for so many bytes."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            self._next_s = max(self._next_s, time.monotonic() - _BURST_S) + size_bytes / self._bytes_per_s
            pause_s = self._next_s - time.monotonic()
        if pause_s > 0:
            time.sleep(pause_s)


class _SlowServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, mbit: float, latency_s: float, stream_mbit: float | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = os.urandom(FILE_BYTES)
        self.line = _Rate(mbit * 125_000)
        self.stream_bytes_per_s = stream_mbit * 125_000 if stream_mbit else None
        self.latency_s = latency_s
        self.piece_bytes = int(max(8192, min(_BUFFER_BYTES, mbit * 125_000 * _PIECE_S)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _SlowServer

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        time.sleep(self.server.latency_s)

    def do_GET(self) -> None:
        server, stream = self.server, _Rate(self.server.stream_bytes_per_s)
        time.sleep(server.latency_s)
        self.send_response(200)
        self.send_header("Content-Length", str(FILE_BYTES))
        self.end_headers()
        for start in range(0, FILE_BYTES, server.piece_bytes):
            piece = server.body[start : start + server.piece_bytes]
            self.wfile.write(piece)  # blocks while nobody reads
            stream.wait(len(piece))
            server.line.wait(len(piece))

    def log_message(self, format: str, *args: object) -> None:
        return


def _serve(port: Connection, mbit: float, latency_s: float, stream_mbit: float | None) -> None:
    server = _SlowServer(mbit, latency_s, stream_mbit)
    port.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def _slow_server(mbit: float, latency_s: float, stream_mbit: float | None) -> Iterator[str]:
    """Its URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, mbit, latency_s, stream_mbit), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def measure(mbit: float, latency_s: float, stream_mbit: float | None = None) -> dict[str, float]:
    """Download the files as the app does, then side by side.

    Args:
        mbit: rate of the line in 10^6 bit per second, and of each connection.

    Returns:
        Seconds by label, what they may be at most, and their ratios to side by side.
    """
    with _slow_server(mbit, latency_s, stream_mbit) as url, tempfile.TemporaryDirectory() as name:
        guard = UrlGuard(exempt_origin=url)
        downloader = Downloader(guard, max_bytes=10**9, connect_timeout_s=10, read_timeout_s=60, idle_s=3)

        def as_the_app(path: Path) -> None:
            with path.open("w+b") as file:
                downloader.fetch(f"{url}/{path.name}", file, time.monotonic() + TIMEOUT_S)

        def plainly(path: Path) -> None:
            response = requests.get(f"{url}/{path.name}", stream=True, timeout=TIMEOUT_S)
            with path.open("wb") as file:
                for chunk in response.iter_content(262_144):
                    file.write(chunk)

        ended, plain = _ends(Path(name), as_the_app), _ends(Path(name), plainly)
    one_s = FILE_BYTES / (min(mbit, stream_mbit or mbit) * 125_000)
    all_s = FILES * FILE_BYTES / (min(mbit, FILES * (stream_mbit or mbit)) * 125_000)
    return {
        "first whole, s": min(ended),
        "first whole, s at most": 1.15 * one_s + 0.4,
        "last whole, s": max(ended),
        "last whole, s at most": 1.05 * all_s + 0.5,
        "first, to side by side": min(ended) / min(plain),
        "last, to side by side": max(ended) / max(plain),
    }


def _ends(folder: Path, fetch: Callable[[Path], None]) -> list[float]:
    """When each file was whole, in seconds after all were asked for."""
    started_s = time.monotonic()

    def timed(path: Path) -> float:
        fetch(path)
        return time.monotonic() - started_s

    with ThreadPoolExecutor(FILES) as pool:
        return list(pool.map(timed, (folder / str(number) for number in range(FILES))))
