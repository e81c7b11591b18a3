"""Bounds the shape of every JSON body before anything parses it: our routes, Gradio's, and the assistants' library.

A parser of 64 kB can still be kept busy: by nesting that ends in an error with a long traceback, or by tens of
thousands of values, each of which becomes an object.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.http import path_below_root, send_refusal
from dreamina_ui.web.paths import IMPORT, PREFIX, UPLOADS, names_files

MAX_DEPTH = 32
MAX_VALUES = 2000
MAX_DIGITS = 100
"""The longest number. Larger ones are no numbers of a person's, and some conversions of them take quadratic time."""

MAX_LISTED_FILES = 5100
"""The largest number of values in a body that names up to 5000 files of the library."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# An unfinished text reaches to the end: the scan of another one would begin at each quotation mark in it.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{\]},]|[-+.0-9eE]{%d,}' % (MAX_DIGITS + 1), re.DOTALL)


class JsonBounds:
    """ASGI middleware that reads a body, of no form or upload, and refuses a shape that no client of ours sends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and path_below_root(scope) in (f"/{PREFIX}/{UPLOADS}", IMPORT)
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS") or is_upload or _is_form(scope):
            await self.app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client is gone, or was refused
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        max_values = MAX_LISTED_FILES if names_files(scope["path"]) else MAX_VALUES
        if flaw := shape_flaw(body, max_values=max_values):
            await send_refusal(send, 400, flaw)
            return
        is_read = False

        async def receive_body() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_body, send)


def shape_flaw(body: bytes, *, max_values: int = MAX_VALUES) -> str:
    """What is wrong with the shape of a JSON text, for whoever sent it; `""` if nothing is.

    It takes one pass and ends at the first flaw. Whether the text is valid JSON, a parser finds out.
    """
    depth, values = 0, 1
    for match in _TOKENS.finditer(body):
        token = match[0]
        if token in (b"[", b"{"):
            depth, values = depth + 1, values + 1
            if depth > MAX_DEPTH:
                return f"This is nested too deeply; at most {MAX_DEPTH} levels are read."
        elif token in (b"]", b"}"):
            depth -= 1
        elif token == b",":
            values += 1
        elif token[:1] != b'"':
            return f"This has a number of more than {MAX_DIGITS} digits."
        if values > max_values:
            return f"This has too many values; at most {max_values} are read."
    return ""


def _is_form(scope: Scope) -> bool:
    content_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    return content_type in _FORMS
