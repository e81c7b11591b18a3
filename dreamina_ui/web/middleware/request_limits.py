"""Bounds what a single client can use up: sizes, seconds, and how many requests are open at once."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.settings import is_loopback
from dreamina_ui.web.auth.visitor import visitor_id
from dreamina_ui.web.http import client_ip_hash, send_refusal
from dreamina_ui.web.paths import is_stream

log = logging.getLogger(__name__)

CALL_HINT = " /gradio_api/info lists the endpoints and their inputs."
MAX_BODY_BYTES = 1_000_000
MAX_CALL_BYTES = 100_000
"""The largest body for Gradio, which stores what the last 500 sessions sent; ten input URLs take 80 kB."""

MAX_OPEN_PER_VISITOR = 40
MAX_OPEN_PER_CLIENT = 100
MAX_OPEN = 1000


class RequestLimits:
    """ASGI middleware around the whole site.

    A client that is slow or silent costs one coroutine, and not forever. The number of streams and bodies that are
    open at once is bounded, per visitor, per client and in total.

    Cookies lose their backslashes, which none of ours has: Python before 3.11.10 takes 10 s to read 60 kB of them, and
    everybody would wait (CVE-2024-7592).

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
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope["headers"] = [
            (name, value.replace(b"\\", b"") if name == b"cookie" else value) for name, value in scope["headers"]
        ]
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > _max_bytes(scope):
            await send_refusal(send, 413, "This is too large.")
            return
        with self._open_requests.count(_limits_of(scope)) as is_allowed:
            if is_allowed:
                await self._handle(scope, receive, send)
            else:
                text = "Too many requests are open at once. Close other tabs, or try again later."
                await send_refusal(send, 429, text)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(scope, receive, send, self._body_timeout_s, self._read_timeout_s)
        try:
            await exchange.run(self.app)
        except Exception as exc:
            # Gradio raises on some bodies that it does not understand, such as an event that does not exist. Each
            # traceback is logged once: strangers would fill the disk with it.
            error = f"{type(exc).__name__} at {traceback.extract_tb(exc.__traceback__)[-1]}"
            is_new = error not in self._logged_errors
            self._logged_errors.add(error)
            level = logging.WARNING if is_new else logging.INFO
            log.log(level, "%s %s failed: %s", scope["method"], scope["path"][:200], error, exc_info=is_new)
            is_call = "/gradio_api/call/" in scope["path"]
            await exchange.refuse(422, f"This could not be understood.{CALL_HINT if is_call else ''}")


class _Exchange:
    """One request and its response, within bounds."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, body_timeout_s: float, read_timeout_s: float
    ) -> None:
        self._scope = scope
        self._receive_from_client = receive
        self._send_to_client = send
        self._read_timeout_s = read_timeout_s
        self._body_deadline = anyio.current_time() + body_timeout_s
        self._max_bytes = _max_bytes(scope)
        self._size_bytes = 0
        self._body_is_complete = False
        self._has_started = False
        self._is_over = False

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:
            if not self._is_over:
                raise

    async def _receive(self) -> Message:
        if self._is_over:
            return {"type": "http.disconnect"}
        if self._body_is_complete:
            return await self._receive_from_client()  # the disconnect
        with anyio.CancelScope(deadline=self._body_deadline):
            message = await self._receive_from_client()
            self._size_bytes += len(message.get("body", b""))
            self._body_is_complete = not message.get("more_body", False)
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
    """How many streams and bodies are open, by the names that they count for."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def count(self, limits: dict[str, int]) -> Iterator[bool]:
        """Count a request for each name; yields False, and counts nothing, where one has reached its limit."""
        if any(self._counts[name] >= limit for name, limit in limits.items()):
            yield False
            return
        self._counts.update(limits.keys())
        try:
            yield True
        finally:
            self._counts.subtract(limits.keys())
            self._counts += Counter()  # drops the names that have none


def _limits_of(scope: Scope) -> dict[str, int]:
    """The names that a request counts for, each with its limit; empty for a request that is answered at once."""
    if scope["method"] != "POST" and not is_stream(scope["path"]):
        return {}
    limits = {"all": MAX_OPEN}
    visitor = visitor_id(Headers(scope=scope).get("cookie"))
    if visitor:
        limits[visitor] = MAX_OPEN_PER_VISITOR
    host = scope["client"][0] if scope.get("client") else ""
    if not is_loopback(host):  # with an undeclared proxy on this machine, everyone would be one client
        limits[f"client {client_ip_hash(host)}"] = MAX_OPEN_PER_CLIENT
    return limits


def _max_bytes(scope: Scope) -> int:
    return MAX_CALL_BYTES if "/gradio_api/" in scope["path"] else MAX_BODY_BYTES
