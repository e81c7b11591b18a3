"""HTTP routes of a visitor's prompt tools: history and pins, presets, wildcard lists, and favorite models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.batches.wildcards import MAX_SEED, draw_known
from dreamina_ui.errors import DreaminaError, InputError
from dreamina_ui.library.prompt_tools import MAX_LIST_LINES, Preset, PromptTools
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import NO_STORE, hashed_client_ip, language_of, message_response, read_json, refusal
from dreamina_ui.web.i18n.error_texts import rule_text
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX

MAX_DRAWN_CHARACTERS = 20_000
PREVIEW_LINES = MAX_LIST_LINES
"""How many lines of a list its preview has."""


def build_prompt_routes(tools: PromptTools, permissions: Permissions) -> list[BaseRoute]:
    """The routes of prompt tools."""
    handlers = _PromptRoutes(tools, permissions)
    return [
        Route(f"/{PREFIX}/prompts", handlers.history),
        Route(f"/{PREFIX}/prompts/pin", handlers.pin, methods=["POST"]),
        Route(f"/{PREFIX}/presets", handlers.presets),
        Route(f"/{PREFIX}/presets", handlers.change_preset, methods=["POST"]),
        Route(f"/{PREFIX}/wildcards", handlers.wildcards),
        Route(f"/{PREFIX}/wildcards", handlers.change_wildcards, methods=["POST"]),
        Route(f"/{PREFIX}/wildcards/draw", handlers.draw, methods=["POST"]),
        Route(f"/{PREFIX}/wildcards/{{name}}", handlers.preview),
        Route(f"/{PREFIX}/models/favorite", handlers.favorite_model, methods=["POST"]),
    ]


class _PromptRoutes:
    def __init__(self, tools: PromptTools, permissions: Permissions) -> None:
        self._tools = tools
        self._permissions = permissions

    async def history(self, request: Request) -> Response:
        """`{"prompts": [{"prompt", "is_pinned", "job_id", "model_id", "created_at"}]}`, those with the words `text`."""
        text = request.query_params.get("text", "")[:200]

        def read(visitor: str) -> dict[str, Any]:
            return {"prompts": [vars(item) for item in self._tools.history(visitor, text)]}

        return await self._respond(request, read, without={"prompts": []})

    async def pin(self, request: Request) -> Response:
        """Pin a prompt, or no longer: `{"prompt": str, "is_pinned": bool}`."""
        body, client_hash = await read_json(request), hashed_client_ip(request)
        prompt = str(body.get("prompt") or "")

        def change(visitor: str) -> dict[str, Any]:
            if body.get("is_pinned") is False:
                self._tools.unpin(visitor, prompt)
            else:
                self._tools.pin(visitor, prompt, client_hash)
            return {}

        return await self._respond(request, change)

    async def presets(self, request: Request) -> Response:
        """`{"presets": [{"name", "template", "model_id", "parameters"}]}` by name."""

        def read(visitor: str) -> dict[str, Any]:
            return {"presets": [vars(preset) for preset in self._tools.presets(visitor)]}

        return await self._respond(request, read, without={"presets": []})

    async def change_preset(self, request: Request) -> Response:
        """Store a preset as `presets` has it, or remove one: `{"name": str, "remove": true}`."""
        body, client_hash = await read_json(request), hashed_client_ip(request)
        name, parameters = str(body.get("name") or ""), body.get("parameters")

        def change(visitor: str) -> dict[str, Any]:
            if body.get("remove") is True:
                self._tools.remove_preset(visitor, name)
                return {}
            settings = parameters if isinstance(parameters, dict) else {}
            template, model_id = str(body.get("template") or ""), str(body.get("model_id") or "")[:200]
            self._tools.put_preset(visitor, Preset(name, template, model_id, settings), client_hash)
            return {}

        return await self._respond(request, change)

    async def wildcards(self, request: Request) -> Response:
        """`{"wildcards": [{"name": str, "count": int, "lines": the first few}]}` by name."""

        def read(visitor: str) -> dict[str, Any]:
            lists = self._tools.wildcards(visitor)
            return {
                "wildcards": [
                    {"name": name, "count": len(lines), "lines": [line[:80] for line in lines[:4]]}
                    for name, lines in lists.items()
                ]
            }

        return await self._respond(request, read, without={"wildcards": []})

    async def preview(self, request: Request) -> Response:
        """`{"name": str, "count": int, "lines": [str]}`: what is in a list, up to `PREVIEW_LINES`."""
        name = request.path_params["name"]

        def read(visitor: str) -> dict[str, Any]:
            lines = self._tools.wildcards(visitor).get(name, [])
            return {"name": name, "count": len(lines), "lines": lines[:PREVIEW_LINES]}

        return await self._respond(request, read)

    async def change_wildcards(self, request: Request) -> Response:
        """Store a list, `{"name": str, "text": str}`, or remove one, `{"name": str, "remove": true}`."""
        body, client_hash = await read_json(request), hashed_client_ip(request)
        name = str(body.get("name") or "")

        def change(visitor: str) -> dict[str, Any]:
            if body.get("remove") is True:
                self._tools.remove_wildcards(visitor, name)
                return {}
            text = str(body.get("text") or "")
            return {"name": self._tools.put_wildcards(visitor, name, text, client_hash)}

        return await self._respond(request, change)

    async def draw(self, request: Request) -> Response:
        """What a prompt would be sent as: `{"text": str, "seed": int}` -> `{"text": str, "drawn": [str]}`."""
        body = await read_json(request)
        text, seed = body.get("text"), body.get("seed")

        def make(visitor: str) -> dict[str, Any]:
            if not isinstance(text, str) or len(text) > MAX_DRAWN_CHARACTERS:
                raise InputError("text", "maxLength", MAX_DRAWN_CHARACTERS, None)
            if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
                raise InputError("seed", "maximum", MAX_SEED, seed)
            prompt, drawn = draw_known(text, self._tools.wildcards(visitor), seed=seed)
            return {"text": prompt, "drawn": drawn}

        return await self._respond(request, make, without={"text": text, "drawn": []})

    async def favorite_model(self, request: Request) -> Response:
        """Mark a model, or no longer: `{"model_id": str, "is_favorite": bool}` -> `{"favorites": [model_id]}`."""
        body, client_hash = await read_json(request), hashed_client_ip(request)
        model_id = str(body.get("model_id") or "")

        def change(visitor: str) -> dict[str, Any]:
            self._tools.set_favorite_model(visitor, model_id, body.get("is_favorite") is not False, client_hash)
            return {"favorites": self._tools.favorite_models(visitor)}

        return await self._respond(request, change)

    async def _respond(
        self,
        request: Request,
        make: Callable[[str], dict[str, Any]],
        without: dict[str, Any] | None = None,
    ) -> Response:
        """What `make` gives for the visitor, as JSON; `without` for whoever is none yet."""
        language, visitor = language_of(request), self._permissions.visitor(request)
        if visitor is None:
            if without is not None:
                return JSONResponse(without, headers=NO_STORE)
            return message_response(translate(language, "error_no_cookie"), 403)
        try:
            response = await run_in_threadpool(make, visitor)
        except InputError as exc:
            field = translate(language, f"error_tool_{exc.field}")
            text = translate(language, "error_input", field=field, rule=rule_text(exc, language))
            return message_response(text, exc.http_status)
        except DreaminaError as exc:
            return refusal(exc, language)
        return JSONResponse(response, headers=NO_STORE)
