"""Puts our parts before Gradio's own in the page's head and body, and takes out Gradio's link preview and manifest.

Gradio itself inserts what it gets as `head` only when its script has started; programs that preview links run no
script at all. Can be deleted when Gradio renders `head` on the server and takes a link preview.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gradio.route_utils import get_root_url
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.http import language_of, path_below_root
from dreamina_ui.web.middleware.script_nonce import nonce_of

_GRADIO_TAGS = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link\s+rel="manifest"[^>]*>')
_HEAD_TAG = b"<head>"
_BODY_TAG = re.compile(rb"<body[^>]*>")
_HTML_LANGUAGE = re.compile(rb'(<html\s+lang=")en"')


class PageHtmlWriter:
    """ASGI middleware that changes the page's HTML, and no other response.

    Args:
        head: returns our part of the head for a language, the page's own URL with a slash at the end, and the
            request's nonce.
        body: returns our part of the body for a language.
    """

    def __init__(self, app: ASGIApp, head: Callable[[str, str, str], str], body: Callable[[str], str]) -> None:
        self.app = app
        self._head = head
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_below_root(scope) not in ("", "/"):
            await self.app(scope, receive, send)
            return
        held: list[Message] = []  # held back until the page is complete

        async def send_changed(message: Message) -> None:
            held.append(message)
            if message["type"] == "http.response.start" or message.get("more_body"):
                return
            page = b"".join(part.get("body", b"") for part in held[1:])
            if _HEAD_TAG in page:
                page = self._change(page, Request(scope))
                headers = MutableHeaders(scope=held[0])
                headers["content-length"] = str(len(page))
            await send(held[0])
            await send({"type": "http.response.body", "body": page})

        await self.app(scope, receive, send_changed)

    def _change(self, page: bytes, request: Request) -> bytes:
        language = language_of(request)
        root = get_root_url(request, request.url.path, request.scope.get("root_path") or None)
        head = self._head(language, f"{root}/", nonce_of(request.scope)).encode()
        top, tag, rest = page.partition(_HEAD_TAG)
        top = _HTML_LANGUAGE.sub(rb"\g<1>" + language.encode() + b'"', top)
        before, end_tag, body = rest.partition(b"</head>")
        ours = self._body(language).encode()
        body = _BODY_TAG.sub(lambda start: start[0] + ours, body, count=1)
        return top + tag + head + _GRADIO_TAGS.sub(b"", before) + end_tag + body
