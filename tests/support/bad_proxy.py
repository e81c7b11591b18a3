"""A proxy in front of an app that behaves as bad networks and gateways do."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

Failure = Literal["cut", "gateway", "reset"]
"""What happens to the response to a request that the server answered: the connection is closed, the response is
replaced by a gateway's page, or the connection is reset (then Chromium may repeat a POST by itself)."""

GENERATING_PATHS = ("/dreamina/generate", "/dreamina/batches", "/submit-again")
GATEWAY_PAGE = (
    b"HTTP/1.1 504 Gateway Time-out\r\nContent-Type: text/html\r\nContent-Length: 28\r\n\r\n"
    b"<html>504 Time-out...</html>"
)


@dataclass
class _Request:
    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode().partition("?")[0]


class BadProxy:
    """An HTTP proxy on a free port of 127.0.0.1.

    Attributes:
        failures: what becomes of the responses to the next requests; after them all pass.
        holds_streams: whether new streams get nothing through; they stay open.
        is_down: whether every connection is closed at once.
        requests: the bodies of all requests to generate that the server got.
    """

    def __init__(self, target_port: int) -> None:
        self.failures: list[Failure] = []
        self.holds_streams = False
        self.is_down = False
        self.requests: list[dict[str, Any]] = []
        self._target_port = target_port
        self._frozen: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def press_ids(self) -> list[str]:
        """The `press_id`s of all requests to generate that the server got."""
        return [str(body.get("press_id")) for body in self.requests]

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def reset(self) -> None:
        """Behave well again, end all streams, and forget what was and is being requested."""
        self.failures, self.requests = [], []
        self.holds_streams = self.is_down = False
        self._call(self._end(self._streams))

    def freeze(self) -> None:
        """Pass on nothing more of the streams that are open now, and close nothing."""
        self._loop.call_soon_threadsafe(lambda: self._frozen.update(self._streams))

    def __enter__(self) -> BadProxy:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20))
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _stop(self) -> None:
        self._server.close()
        await self._end(asyncio.all_tasks() - {asyncio.current_task()})

    async def _end(self, tasks: Iterable[asyncio.Task[Any] | None]) -> None:
        ended = [task for task in tasks if task]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not self.is_down and (request := await _read_request(reader)) and not self.is_down:
                if not await self._forward(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _forward(self, request: _Request, writer: asyncio.StreamWriter) -> bool:
        """Pass one request on, and its response back; False when the connection must close."""
        requests, failures = self.requests, self.failures
        from_app, to_app = await asyncio.open_connection("127.0.0.1", self._target_port, limit=2**20)
        try:
            to_app.write(_with_header(request.head, b"Connection: close") + request.body)
            await to_app.drain()
            head = await from_app.readuntil(b"\r\n\r\n")
            if b"text/event-stream" in head.lower():
                await self._stream(head, from_app, writer)
                return False
            response = _with_header(head, None) + await from_app.read(-1)
        finally:
            to_app.close()
        if request.method == "POST" and request.path.endswith(GENERATING_PATHS):
            requests.append(json.loads(request.body))
            failure = failures.pop(0) if failures else None
            if failure in ("cut", "reset"):
                _close(writer, hard=failure == "reset")
                return False
            if failure == "gateway":
                response = GATEWAY_PAGE
        writer.write(response)
        await writer.drain()
        return True

    async def _stream(self, head: bytes, from_app: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            if self.holds_streams:
                await asyncio.Event().wait()
            writer.write(head)
            while piece := await from_app.read(65536):
                if task in self._frozen:
                    await asyncio.Event().wait()
                writer.write(piece)
                await writer.drain()
        finally:
            self._streams.discard(task)
            self._frozen.discard(task)


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    return _Request(head, await reader.readexactly(length))


def _with_header(head: bytes, header: bytes | None) -> bytes:
    """A head without its own Connection header, and with another one."""
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join(lines + ([header] if header else [])) + b"\r\n\r\n"


def _close(writer: asyncio.StreamWriter, *, hard: bool) -> None:
    if hard:
        option = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
    writer.transport.abort()
