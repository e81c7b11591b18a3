"""Security headers on every response, so that a mistake elsewhere does less harm.

Source: OWASP Secure Headers Project.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.paths import FILES, PREFIX

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), midi=()",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Cross-Origin-Opener-Policy": "same-origin",
}
MARKER = "X-Dreamina-UI"
"""A header on every response, by which the page tells our answers from those of a gateway in between."""

_YEAR_S = 31_536_000
# Gradio compiles functions from strings and sets styles on elements.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'{hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {frames}"
)
_DEFAULT_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox; frame-ancestors {frames}"
)
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)


class SecurityHeaders:
    """ASGI middleware that adds the headers that a response does not have.

    A page runs its own inline scripts, each named by its hash, and no other.

    Args:
        frames: other sites that may show the page in a frame, such as `https://huggingface.co`.
    """

    def __init__(self, app: ASGIApp, frames: Iterable[str] = ()) -> None:
        self.app = app
        self._frames = " ".join(["'self'", *frames])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held: list[Message] = []  # a page is held back until it is complete, for the hashes of its scripts

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._add_to(headers, scope)
                if headers.get("content-type", "").startswith("text/html"):
                    held.append(message)
                    return
                if headers.get("content-type", "").startswith("text/event-stream"):
                    headers.setdefault("X-Accel-Buffering", "no")  # without it nginx holds a stream back
                headers.setdefault("Content-Security-Policy", _DEFAULT_POLICY.format(frames=self._frames))
            elif held:
                held.append(message)
                if not message.get("more_body"):
                    page = b"".join(part["body"] for part in held[1:])
                    headers = MutableHeaders(scope=held[0])
                    policy = _PAGE_POLICY.format(hashes=_script_hashes(page), frames=self._frames)
                    headers.setdefault("Content-Security-Policy", policy)
                    for part in held:
                        await send(part)
                    held.clear()
                return
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _add_to(self, headers: MutableHeaders, scope: Scope) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers[MARKER] = "1"
        is_file = f"/{PREFIX}/{FILES}/" in scope["path"]  # other sites may show a picture whose URL they were given
        headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin" if is_file else "same-origin")
        if scope["scheme"] == "https":
            headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_S}")


def _script_hashes(page: bytes) -> str:
    digests = [hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page)]
    return "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
