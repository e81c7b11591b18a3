"""Bounds what a single client can use up: sizes, seconds, and how many requests are open at once."""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.ledger.job import networks_of
from dreamina_ui.settings import is_loopback
from dreamina_ui.web.auth.visitor import visitor_id
from dreamina_ui.web.http import client_ip_hash, path_below_root, send_refusal
from dreamina_ui.web.middleware.gradio_patches import CALL_ADVICE
from dreamina_ui.web.paths import (
    FILES,
    HEALTHZ,
    IMPORT,
    PREFIX,
    READYZ,
    THUMBNAILS,
    UPLOADS,
    WITH_SETTINGS,
    is_stream,
    names_files,
)

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 65_536
"""The largest body of any request but an upload, whatever way it comes in."""

MAX_FILE_LIST_BYTES = 250_000
"""The largest body of a request that names up to 5000 files of the library."""

_UPLOAD = f"/{PREFIX}/{UPLOADS}"
MAX_UPLOAD_BYTES = 30_000_000
MIN_UPLOAD_BYTES_PER_S = 100_000
"""The largest image that is uploaded, and how quickly it must come beyond the time that any body has: a phone far from
its antenna sends 1 Mbit/s. Whoever sends nothing, or less, holds a place no longer than with another body."""

MAX_IMPORT_BYTES = 20 * 10**9
"""The largest exported history, which its route bounds further; it must come as quickly as an image."""

_LARGE_BODIES = {_UPLOAD: MAX_UPLOAD_BYTES, IMPORT: MAX_IMPORT_BYTES}

MAX_OPEN_PER_VISITOR = 40
MAX_OPEN_PER_CLIENT = 100
MAX_OPEN = {"stream": 5000, "body": 300, "work": 300, "read": 300}
"""How many requests of each kind are open at once: streams; bodies that are still being sent; requests that have
arrived and are being handled; other pages and lists that are being read. A kind that is full takes nothing from the
others. An open page has one stream of Gradio's, and one of ours while a job is active."""

MAX_WAITING = 2000
MAX_WAIT_S = 20.0
"""How many requests wait for one of these places, and for how long: in a crowd nobody is refused for what others do.
They cost a coroutine each, and each visitor and client has few."""

_LIGHT_PATHS = (
    f"/{PREFIX}/assets/",
    f"/{PREFIX}/words/",
    f"/{PREFIX}/{THUMBNAILS}/",
    "/assets/",
    "/static/",
    "/svelte/",
)
_LIGHT = (HEALTHZ, READYZ, "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt")
"""Paths, and beginnings of paths, that cost no more than reading a file; a page loads dozens of them at once."""


class RequestLimits:
    """ASGI middleware around the whole site.

    A client that is slow or silent costs one coroutine, and not forever. The number of requests that are open at once
    is bounded, per visitor, per client and in total. Where streams or bodies are full, the oldest that is idle gives
    way: a body that is still being sent, or a stream of Gradio's that follows no job. Where nothing gives way, a
    request waits for its place.

    Args:
        body_timeout_s: how long a client may take to send a whole body.
        read_timeout_s: how long a client may take to read a part of a response.
    """

    def __init__(self, app: ASGIApp, body_timeout_s: float = 30.0, read_timeout_s: float = 60.0) -> None:
        self.app = app
        self._body_timeout_s = body_timeout_s
        self._read_timeout_s = read_timeout_s
        self._open_requests = _OpenRequests()
        self._logged_errors: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > _max_bytes(scope):
            await send_refusal(send, 413, "This is too large.")
            return
        exchange = _Exchange(scope, receive, send, self._body_timeout_s, self._read_timeout_s)
        kind = kind_of(scope)
        if kind is None:
            await self._handle(exchange, scope)
            return
        async with self._open_requests.count(exchange, kind, _limits_of(scope)) as is_allowed:
            if is_allowed:
                await self._handle(exchange, scope)
            else:
                text = "Too many requests are open at once. Close other tabs, or try again later."
                await send_refusal(send, 429, text)

    async def _handle(self, exchange: _Exchange, scope: Scope) -> None:
        try:
            await exchange.run(self.app)
        except Exception as exc:
            # Gradio raises on some bodies that it does not understand, such as an event that does not exist. Each
            # traceback is logged once: strangers would fill the disk with it.
            error = f"{type(exc).__name__} at {traceback.extract_tb(exc.__traceback__)[-1]}"
            is_new = error not in self._logged_errors
            self._logged_errors.add(error)
            log.warning("%s %s failed: %s", scope["method"], scope["path"][:200], error, exc_info=is_new)
            is_call = "/gradio_api/call/" in scope["path"]
            await exchange.refuse(422, f"This could not be understood.{CALL_ADVICE if is_call else ''}")


class _Exchange:
    """One request and its response, within bounds."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, body_timeout_s: float, read_timeout_s: float
    ) -> None:
        self._scope = scope
        self._receive_from_client = receive
        self._send_to_client = send
        self._read_timeout_s = read_timeout_s
        self._body_timeout_s = body_timeout_s
        self._body_deadline = math.inf
        self._earned_s_per_byte = 1 / MIN_UPLOAD_BYTES_PER_S if path_below_root(scope) in _LARGE_BODIES else 0.0
        self._max_bytes = _max_bytes(scope)
        self._size_bytes = 0
        self._body_is_complete = False
        self._has_started = False
        self._is_over = False
        self._cancel_scope = anyio.CancelScope()
        self.is_idle_stream = _is_idle_stream(scope)
        self.on_body: Callable[[], None] = lambda: None

    async def run(self, app: ASGIApp) -> None:
        self._body_deadline = anyio.current_time() + self._body_timeout_s
        with self._cancel_scope:
            try:
                await app(self._scope, self._receive, self._send)
            except Exception:
                if not self._is_over:
                    raise
        if self._cancel_scope.cancel_called and not self._is_over:
            if self._has_started:
                await self._send_to_client({"type": "http.response.body", "body": b""})
            else:
                await self.refuse(408, "This came too slowly.")

    def give_way(self) -> None:
        """End the exchange in favor of another one."""
        self._cancel_scope.cancel()

    async def _receive(self) -> Message:
        if self._is_over:
            return {"type": "http.disconnect"}
        if self._body_is_complete:
            return await self._receive_from_client()  # the disconnect
        with anyio.CancelScope(deadline=self._body_deadline + self._size_bytes * self._earned_s_per_byte):
            message = await self._receive_from_client()
            self._size_bytes += len(message.get("body", b""))
            self._body_is_complete = not message.get("more_body", False)
            if self._body_is_complete:
                self.on_body()
            if self._size_bytes <= self._max_bytes:
                return message
            await self.refuse(413, "This is too large.")
            return {"type": "http.disconnect"}
        await self.refuse(408, "This came too slowly.")
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._is_over:
            return
        self._has_started = True
        with anyio.move_on_after(self._read_timeout_s):
            await self._send_to_client(message)
            return
        self._is_over = True
        raise OSError("The client does not read.")

    async def refuse(self, status: int, text: str) -> None:
        """End the exchange; with a refusal if no response has started."""
        self._is_over = True
        if not self._has_started:
            await send_refusal(self._send_to_client, status, text, closes_connection=True)


class _OpenRequests:
    """How many requests are open, by kind and by the names that they count for."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._exchanges: dict[str, dict[_Exchange, None]] = {kind: {} for kind in MAX_OPEN}  # oldest first
        self._waiting: dict[str, dict[_Exchange, asyncio.Future[None]]] = {kind: {} for kind in MAX_OPEN}  # likewise

    @asynccontextmanager
    async def count(self, exchange: _Exchange, kind: str, limits: dict[str, int]) -> AsyncIterator[bool]:
        """Count a request, which may wait for its place; yields False where it gets none.

        A request with a body is of kind `body` until it has arrived, and then of kind `work`.
        """
        if any(self._counts[name] >= limit for name, limit in limits.items()):
            yield False
            return
        self._counts.update(limits.keys())
        exchange.on_body = lambda: self._move_to_work(exchange)
        try:
            yield await self._take_place(exchange, kind)
        finally:
            for exchanges in self._exchanges.values():
                exchanges.pop(exchange, None)
            for name in limits:
                self._counts[name] -= 1
                if not self._counts[name]:
                    del self._counts[name]
            self._admit_waiting()

    async def _take_place(self, exchange: _Exchange, kind: str) -> bool:
        """Give a request its place, at once or behind those that wait already; False if none was free in time."""
        if not self._waiting[kind] and self._make_room(kind):
            self._exchanges[kind][exchange] = None
            return True
        if sum(map(len, self._waiting.values())) >= MAX_WAITING:
            return False
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[kind][exchange] = admitted
        try:
            with anyio.move_on_after(MAX_WAIT_S):
                await admitted
        finally:
            self._waiting[kind].pop(exchange, None)
        return exchange in self._exchanges[kind]

    def _admit_waiting(self) -> None:
        """One has left: admit the next one of each kind."""
        for kind, waiting in self._waiting.items():
            exchange = next((exchange for exchange, admitted in waiting.items() if not admitted.done()), None)
            if exchange and self._make_room(kind):
                self._exchanges[kind][exchange] = None
                waiting.pop(exchange).set_result(None)

    def _make_room(self, kind: str) -> bool:
        exchanges = self._exchanges[kind]
        if kind == "body" and len(self._exchanges["work"]) >= MAX_OPEN["work"]:
            return False
        if len(exchanges) < MAX_OPEN[kind]:
            return True
        idle = next((exchange for exchange in exchanges if kind == "body" or exchange.is_idle_stream), None)
        if idle is None:
            return False
        del exchanges[idle]
        idle.give_way()
        return True

    def _move_to_work(self, exchange: _Exchange) -> None:
        if exchange not in self._exchanges["body"]:
            return
        del self._exchanges["body"][exchange]
        self._exchanges["work"][exchange] = None


def kind_of(scope: Scope) -> str | None:
    """The kind that an open request is counted as; None for one that is answered at once."""
    if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
        return "body"
    if is_stream(scope["path"]):
        return "stream"
    path = path_below_root(scope)
    is_stored_file = path.startswith(f"/{PREFIX}/{FILES}/") and f"/{WITH_SETTINGS}/" not in path
    return None if is_stored_file or path in _LIGHT or path.startswith(_LIGHT_PATHS) else "read"


def _is_idle_stream(scope: Scope) -> bool:
    """Whether a request is a stream that follows no job."""
    inner: str = scope["path"].partition("/gradio_api/")[2]
    return inner.startswith(("heartbeat/", "queue/data"))


def _limits_of(scope: Scope) -> dict[str, int]:
    """The visitor and the client that a request counts for, each with its limit."""
    limits = {}
    visitor = visitor_id(Headers(scope=scope).get("cookie"))
    if visitor:
        limits[visitor] = MAX_OPEN_PER_VISITOR
    host = scope["client"][0] if scope.get("client") else ""
    if not is_loopback(host):  # with an undeclared proxy on this machine, everyone would be one client
        networks = networks_of(client_ip_hash(host))
        limits |= {f"client {network}": factor * MAX_OPEN_PER_CLIENT for network, factor in networks}
    return limits


def _max_bytes(scope: Scope) -> int:
    path = path_below_root(scope)
    if path in _LARGE_BODIES:
        return _LARGE_BODIES[path]
    return MAX_FILE_LIST_BYTES if names_files(scope["path"]) else MAX_BODY_BYTES
