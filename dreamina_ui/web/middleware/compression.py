"""Compresses the page itself. Gradio compresses by the ending of a path, and the page's path has none.

Can be deleted when Gradio compresses its page.
"""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.web.http import path_below_root


class PageCompression:
    """ASGI middleware for the page alone: files keep their ranges, and streams are not held back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._compressed_app = GZipMiddleware(app, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and path_below_root(scope) in ("", "/")
        await (self._compressed_app if is_page else self.app)(scope, receive, send)
