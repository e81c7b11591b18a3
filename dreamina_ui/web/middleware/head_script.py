"""A script that must run before Gradio's own: it sets the page's language and slows down idle animation loops."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.http import language_of, path_below_root
from dreamina_ui.web.middleware.script_nonce import nonce_of
from dreamina_ui.web.paths import static_files

# Gradio's script reads the language once, at its start; its own `changeLocale` comes too late for tabs that are not
# open yet.
_LANGUAGE_SCRIPT = 'Object.defineProperty(navigator, "language", {{ value: "{language}" }});'
_CALM_SCRIPT = static_files()["calm.js"].read_text(encoding="utf-8")
_HEAD_TAG = b"<head>"


class HeadScript:
    """ASGI middleware that puts the script first in the page's head, and in no other response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_below_root(scope) not in ("", "/"):
            await self.app(scope, receive, send)
            return
        script = f"{_LANGUAGE_SCRIPT.format(language=language_of(Request(scope)))}\n{_CALM_SCRIPT}"
        inserted = f'<script nonce="{nonce_of(scope)}">{script}</script>'.encode()
        held_start: list[Message] = []  # held back until the first part of the body is there

        async def send_with_script(message: Message) -> None:
            if message["type"] == "http.response.start":
                held_start.append(message)
                return
            if held_start:
                start = held_start.pop()
                if _HEAD_TAG in message.get("body", b""):
                    message["body"] = message["body"].replace(_HEAD_TAG, _HEAD_TAG + inserted, 1)
                    headers = MutableHeaders(scope=start)
                    if "content-length" in headers:
                        headers["content-length"] = str(int(headers["content-length"]) + len(inserted))
                await send(start)
            await send(message)

        await self.app(scope, receive, send_with_script)
