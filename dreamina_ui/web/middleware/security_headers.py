"""Security headers on every response, so that a mistake elsewhere does less harm.

Source: OWASP Secure Headers Project.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.middleware.script_nonce import add_nonce
from dreamina_ui.web.paths import FILES, PREFIX

DOCUMENT_HEADERS = {
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), midi=()",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of what a browser may open as a document."""

_PARTS = ("text/javascript", "application/javascript", "text/css", "font/")
"""Scripts, styles and fonts are shown as text or not at all. A first visit loads more than a hundred of them, and the
headers of a document would be a tenth of its bytes."""

MARKER = "X-Dreamina-UI"
"""A header on every response, by which the page tells our answers from those of a gateway in between."""

_YEAR_S = 31_536_000
# Gradio compiles functions from strings and sets styles on elements.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:{images}; media-src 'self' data: blob:{images}; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {frames}"
)
_DEFAULT_POLICY = (
    "default-src 'none'; img-src 'self'{images}; media-src 'self'{images}; style-src 'unsafe-inline'; sandbox; "
    "frame-ancestors {frames}"
)


class SecurityHeaders:
    """ASGI middleware that adds the headers that a response does not have.

    A page runs scripts of this site, and the inline scripts that carry the request's nonce, see `script_nonce`.

    Args:
        frames: other sites that may show the page in a frame, such as `https://huggingface.co`.
        image_origin: where images may come from besides this site, such as `https://s3.example.com`; "" for nowhere.
    """

    def __init__(self, app: ASGIApp, frames: Iterable[str] = (), image_origin: str = "") -> None:
        self.app = app
        self._frames = " ".join(["'self'", *frames])
        self._images = f" {image_origin}" if image_origin else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = add_nonce(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._add_to(headers, scope, message["status"])
                content_type = headers.get("content-type", "")
                if content_type.startswith("text/event-stream"):
                    headers.setdefault("X-Accel-Buffering", "no")  # without it nginx holds a stream back
                if not content_type.startswith(_PARTS):
                    policy = _PAGE_POLICY if content_type.startswith("text/html") else _DEFAULT_POLICY
                    self._add_to_document(headers, policy, nonce)
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _add_to_document(self, headers: MutableHeaders, policy: str, nonce: str) -> None:
        for name, value in DOCUMENT_HEADERS.items():
            headers.setdefault(name, value)
        policy = policy.format(nonce=nonce, frames=self._frames, images=self._images)
        headers.setdefault("Content-Security-Policy", policy)

    def _add_to(self, headers: MutableHeaders, scope: Scope, status: int) -> None:
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers[MARKER] = "1"
        if status >= 400:  # caches may otherwise store some errors, and serve them when the file is there
            headers.setdefault("Cache-Control", "no-store")
        is_file = f"/{PREFIX}/{FILES}/" in scope["path"]  # other sites may show a picture whose URL they were given
        headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin" if is_file else "same-origin")
        if scope["scheme"] == "https":
            headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_S}")
