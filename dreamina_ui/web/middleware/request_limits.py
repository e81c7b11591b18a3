"""What Gradio leaves open and this page does not need is shut, and what breaks inside says so without a trace.

Deletable door by door, as Gradio shuts them itself.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
from gradio.queueing import Queue
from gradio.route_utils import CustomCORSMiddleware
from gradio.utils import LRUCache
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.settings import is_loopback
from dreamina_ui.web.auth.permissions import is_direct
from dreamina_ui.web.auth.visitor import client_ip_hash, path_of, visitor_id
from dreamina_ui.web.paths import FILES, PREFIX

log = logging.getLogger(__name__)

BLOCKED_ROUTES = (
    "upload",  # takes files of anyone, which nothing here asks for
    "file=",  # serves Gradio's cache without owners, and fetches foreign addresses
    "file/",
    "proxy=",
    "run/",  # past the validators, the queue and its limits
    "api/",
    "cancel",  # ends the events of anyone; ours is /dreamina/jobs/{job_id}/cancel
    "stream/",
    "component_server",
    "process_recording",
    "run-history",
    "runs",
    "vibe-",
    "undo-vibe-",
    "custom_component",
    "dev/",  # a stream without an end, for people who write Gradio pages
    "deep_link",  # keeps what a visitor typed, for everyone who has the link
    "profiling",
)
"""Beginnings of paths under `/gradio_api/` that are answered with 404."""

STREAMS = (f"/{PREFIX}/events", f"/{PREFIX}/library/zip")
"""Our own answers that last; Gradio's are in `GRADIO_STREAMS`, under `/gradio_api/`."""

GRADIO_STREAMS = ("queue/data", "call/", "heartbeat/")
CALL_HINT = " The names of the endpoints and of their inputs stand in /gradio_api/info."
MAX_BODY_BYTES = 1_000_000
MAX_CALL_BYTES = 100_000
"""The largest body for Gradio, which keeps what the last 500 sessions sent; ten given addresses are 80 kB."""

MAX_SESSIONS = 2000
MAX_SESSION_CHARACTERS = 100
VISITOR_AT_ONCE = 40
ADDRESS_AT_ONCE = 100
ALL_AT_ONCE = 1000


@asynccontextmanager
async def without_cors(app: Starlette) -> AsyncIterator[None]:
    """A lifespan that takes away Gradio's CORS: it lets every site read every answer with the visitor's cookie."""
    cors: Any = CustomCORSMiddleware
    app.user_middleware = [each for each in app.user_middleware if each.cls is not cors]
    app.middleware_stack = app.build_middleware_stack()
    yield


def bound_queue(queue: Queue) -> None:
    """Let Gradio's queue keep little of what nobody fetches.

    By itself (6.31) it keeps the name of each session that joins, of any length, and its events: for ever where their
    end is not read. Measured: a gigabyte in a minute, from one client.
    """
    push = queue.push

    async def push_bounded(body: Any, request: Any, username: str | None) -> Any:
        if len(body.session_hash or "") > MAX_SESSION_CHARACTERS:
            return False, "The session_hash is too long.", "error"
        return await push(body, request, username)

    queue.pending_event_ids_session = LRUCache(MAX_SESSIONS)
    queue.push = push_bounded  # type: ignore[method-assign]


class RequestLimits:
    """ASGI middleware around the whole page.

    Another site's page may open ours, and nothing else. A client that is slow or silent costs one coroutine, and that
    not for ever. How many streams and bodies are open at once is bounded, for a visitor, an address and all.

    Cookies lose their backslashes, which none of ours has: Python before 3.11.10 takes 10 s to read 60 kB of them, and
    everybody would wait (CVE-2024-7592).

    Args:
        body_s: seconds that a client has to send a whole body.
        read_s: seconds that a client may take to read a piece of an answer.
        is_private: whether only this machine itself may send anything: no limits hold where nobody said that others
            can reach the page, and a tunnel, or another site's name that leads to this machine, brings strangers.
    """

    def __init__(self, app: ASGIApp, body_s: float = 30.0, read_s: float = 60.0, *, is_private: bool = False) -> None:
        self.app = app
        self._is_private = is_private
        self._body_s = body_s
        self._read_s = read_s
        self._places = _Places()
        self._known_faults: set[str] = set()

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
        refusal = _refusal(scope)
        if refusal is None and self._is_private and scope["method"] == "POST" and not is_direct(HTTPConnection(scope)):
            refusal = 403, "Only this machine itself may do this. To let others in, the owner sets DREAMINA_SHARED=1."
        if refusal:
            await _answer(send, *refusal)
            return
        with self._places.taken(_names(scope)) as is_taken:
            if is_taken:
                await self._exchange(scope, receive, send)
            else:
                await _answer(send, 429, "Too much is open here at once. Close other tabs, or try again later.")

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(scope, receive, send, self._body_s, self._read_s)
        try:
            await exchange.run(self.app)
        except Exception as exc:  # noqa: BLE001 - it is logged
            # Gradio breaks on some bodies that it does not understand, such as an event that does not exist. The trace
            # is told once: strangers would fill the disk with it.
            place = f"{type(exc).__name__} at {traceback.extract_tb(exc.__traceback__)[-1]}"
            is_new = place not in self._known_faults
            self._known_faults.add(place)
            told = log.warning if is_new else log.info
            told("%s %s could not be answered: %s", scope["method"], scope["path"][:200], place, exc_info=is_new)
            is_call = "/gradio_api/call/" in scope["path"]
            await exchange.end(422, f"This could not be understood.{CALL_HINT if is_call else ''}")


class _Exchange:
    """One request and its answer, within bounds."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body_s: float, read_s: float) -> None:
        self._scope = scope
        self._from_client = receive
        self._to_client = send
        self._read_s = read_s
        self._body_ends_at = anyio.current_time() + body_s
        self._max_bytes = _max_bytes(scope)
        self._size_bytes = 0
        self._body_is_whole = False
        self._has_begun = False
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
        if self._body_is_whole:
            return await self._from_client()  # the disconnect, at some time
        with anyio.CancelScope(deadline=self._body_ends_at):
            message = await self._from_client()
            self._size_bytes += len(message.get("body", b""))
            self._body_is_whole = not message.get("more_body", False)
            if self._size_bytes <= self._max_bytes:
                return message
            await self.end(413, "This is too large.")
            return {"type": "http.disconnect"}
        await self.end(408, "This came too slowly.")
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._is_over:
            return
        self._has_begun = True
        with anyio.move_on_after(self._read_s):
            await self._to_client(message)
            return
        self._is_over = True
        raise OSError("The client does not read.")

    async def end(self, status: int, text: str) -> None:
        self._is_over = True
        if not self._has_begun:
            await _answer(self._to_client, status, text, closes=True)


class _Places:
    """How many streams and bodies are open, by the names that they count for."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, limits: dict[str, int]) -> Iterator[bool]:
        """Take a place for each name; False, and none is taken, where one has reached its limit."""
        if any(self._taken[name] >= limit for name, limit in limits.items()):
            yield False
            return
        self._taken.update(limits.keys())
        try:
            yield True
        finally:
            self._taken.subtract(limits.keys())
            self._taken += Counter()  # forgets the names that have none


def _names(scope: Scope) -> dict[str, int]:
    """What a request counts for, and how much of it there may be; nothing for a request that is answered at once."""
    path = scope["path"]
    inner = path.partition("/gradio_api/")[2]
    if scope["method"] != "POST" and not path.endswith(STREAMS) and not inner.startswith(GRADIO_STREAMS):
        return {}
    names = {"all": ALL_AT_ONCE}
    visitor = visitor_id(Headers(scope=scope).get("cookie"))
    if visitor:
        names[visitor] = VISITOR_AT_ONCE
    host = scope["client"][0] if scope.get("client") else ""
    if not is_loopback(host):  # a proxy on this machine that is not named would make everyone one address
        names[f"address {client_ip_hash(host)}"] = ADDRESS_AT_ONCE
    return names


def _refusal(scope: Scope) -> tuple[int, str] | None:
    path = scope["path"]
    inner = path.partition("/gradio_api/")[2]
    if inner.startswith(BLOCKED_ROUTES) or path_of(scope).startswith("/monitoring"):
        return 404, "There is nothing here."
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > _max_bytes(scope):
        return 413, "This is too large."
    opens_page = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    if _is_from_elsewhere(headers) and not opens_page and f"/{PREFIX}/{FILES}/" not in path:
        return 403, "Not from another site."
    return None


def _max_bytes(scope: Scope) -> int:
    return MAX_CALL_BYTES if "/gradio_api/" in scope["path"] else MAX_BODY_BYTES


def _is_from_elsewhere(headers: Headers) -> bool:
    """Whether another site's page asks. Browsers say so, but for old ones and over http, which send an Origin alone."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] in ("cross-site", "same-site")
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        # Without ports: proxies seldom pass them on, and cookies do not heed them.
        asked = urlsplit(f"//{headers.get('x-forwarded-host', headers.get('host', ''))}").hostname
        return urlsplit(origin).hostname != asked or asked is None
    except ValueError:
        return True


async def _answer(send: Send, status: int, text: str, closes: bool = False) -> None:
    body = json.dumps({"message": text, "detail": text}).encode()  # the second is what Gradio's page shows
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if closes:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
