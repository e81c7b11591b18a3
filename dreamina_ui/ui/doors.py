"""What Gradio leaves open and this page does not need is shut, and what breaks inside says so without a trace.

Deletable door by door, as Gradio shuts them itself.
"""

from __future__ import annotations

import json
import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

SHUT = (
    "upload",  # takes files of anyone, which nothing here asks for
    "file=",  # serves Gradio's cache without owners, and fetches foreign addresses
    "file/",
    "proxy=",
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
)
"""Beginnings of paths under `/gradio_api/` that are answered with 404."""

MAX_BODY_BYTES = 1_000_000
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Doors:
    """ASGI middleware around the whole page.

    A body is read to at most a megabyte. Another site's page may open ours, and nothing else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal:
            await _answer(send, *refusal)
            return
        has_begun = False
        size_bytes = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                there = {name.lower() for name, _ in message["headers"]}
                more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in more if pair[0] not in there)]
            await send(message)

        async def receive_bounded() -> Message:
            nonlocal size_bytes
            message = await receive()
            size_bytes += len(message.get("body", b""))
            if size_bytes > MAX_BODY_BYTES:
                raise _TooLargeError
            return message

        try:
            await self.app(scope, receive_bounded, send_with_headers)
        except _TooLargeError:
            if not has_begun:
                await _answer(send_with_headers, 413, "This is too large.")
        except Exception:
            # Gradio breaks on some bodies that it does not understand, such as an event that does not exist.
            log.warning("%s %s could not be answered", scope["method"], scope["path"], exc_info=True)
            if not has_begun:
                await _answer(send_with_headers, 422, "This could not be understood.")


class _TooLargeError(Exception):
    pass


def _refusal(scope: Scope) -> tuple[int, str] | None:
    path = scope["path"]
    inner = path.partition("/gradio_api/")[2]
    if inner.startswith(SHUT) or path.startswith("/monitoring"):
        return 404, "There is nothing here."
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return 413, "This is too large."
    # Browsers say who asks. Gradio itself would let every site read its answers, with the visitor's cookie.
    from_elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    opens_page = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    if from_elsewhere and not opens_page and "/files/" not in path:
        return 403, "Not from another site."
    return None


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"message": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
