"""The page itself goes out compressed. Gradio compresses by the ending of a path, and the page's has none.

Deletable when Gradio does. Measured: 11 kB of 56 for the page.
"""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.web.auth.visitor import path_of


class PageCompression:
    """ASGI middleware for the page alone: files keep their ranges, and streams are not held back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._compressing = GZipMiddleware(app, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and path_of(scope) in ("", "/")
        await (self._compressing if is_page else self.app)(scope, receive, send)
