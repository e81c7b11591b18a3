"""What the page must know before Gradio's script begins: its language, and how often a loop may ask for a frame."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.auth.visitor import path_of
from dreamina_ui.web.http import language_of
from dreamina_ui.web.paths import static_files

# Gradio's script reads it once, when it begins; its own `changeLocale` comes too late for tabs that are not open yet.
_LANGUAGE = 'Object.defineProperty(navigator, "language", {{ value: "{language}" }});'
_CALM = static_files()["calm.js"].read_text(encoding="utf-8")
_PLACE = b"<head>"


class PageHead:
    """ASGI middleware that begins the page's head with a script of ours, in the page and nowhere else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_of(scope) not in ("", "/"):
            await self.app(scope, receive, send)
            return
        script = f"<script>{_LANGUAGE.format(language=language_of(Request(scope)))}\n{_CALM}</script>".encode()
        begins: list[Message] = []  # held back until the first piece of the page is there

        async def send_with_script(message: Message) -> None:
            if message["type"] == "http.response.start":
                begins.append(message)
                return
            if begins:
                start = begins.pop()
                if _PLACE in message.get("body", b""):
                    message["body"] = message["body"].replace(_PLACE, _PLACE + script, 1)
                    headers = MutableHeaders(scope=start)
                    if "content-length" in headers:
                        headers["content-length"] = str(int(headers["content-length"]) + len(script))
                await send(start)
            await send(message)

        await self.app(scope, receive, send_with_script)
