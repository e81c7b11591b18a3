"""The data, texts and controls of the page's Admin tab, for the owner only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import segno
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError, InputError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.spending.dashboard import Dashboard
from dreamina_ui.spending.limits import PRESETS, Limits
from dreamina_ui.spending.moderation import MAX_WORDS, matching_words
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import NO_STORE, hashed_client_ip, language_of, read_json, refusal
from dreamina_ui.web.i18n.translate import FALLBACK, languages, translate
from dreamina_ui.web.paths import PREFIX

TEXTS = ("owner_", "problem_")
"""Beginnings of the keys of the tab's texts."""

MAX_TEXT = 20_000
MAX_URL = 500

CONTROLS = ("switch", "limits", "shut-out", "words", "name", "models")


def build_admin_routes(services: JobServices, permissions: Permissions, *, can_sign_in: bool) -> list[BaseRoute]:
    """The routes of the Admin tab.

    Args:
        can_sign_in: whether there is a sign-in page to redirect strangers to.
    """
    handlers = _AdminRoutes(services, permissions, can_sign_in)
    prefix = f"/{PREFIX}/owner"
    return [
        Route(prefix, handlers.page),
        Route(f"{prefix}/texts", handlers.texts),
        Route(f"{prefix}/overview", handlers.overview),
        Route(f"{prefix}/invitation", handlers.invitation),
        Route(f"{prefix}/try-words", handlers.try_words, methods=["POST"]),
        Route(f"{prefix}/{{control}}", handlers.change, methods=["POST"]),
    ]


class _AdminRoutes:
    def __init__(self, services: JobServices, permissions: Permissions, can_sign_in: bool) -> None:
        self._spending = services.spending
        self._moderation = services.moderation
        self._catalog = services.catalog
        self._balance = services.balance
        self._permissions = permissions
        self._can_sign_in = can_sign_in

    async def page(self, request: Request) -> Response:
        """Leads the owner to the tab, and others to the sign-in page."""
        if not self._permissions.is_owner(request):
            return RedirectResponse("sign-in?next=owner", 303) if self._can_sign_in else _owner_only(request)
        return RedirectResponse("../#/admin", 303)

    async def texts(self, request: Request) -> Response:
        """The texts of the tab by key, which are in no response to others."""
        if not self._permissions.is_owner(request):
            return _owner_only(request)
        language = language_of(request)
        texts = {**languages()[FALLBACK], **languages()[language]}
        texts = {key: text for key, text in texts.items() if key.startswith(TEXTS)}
        return JSONResponse(texts, headers=NO_STORE)

    async def overview(self, request: Request) -> Response:
        """Everything that the tab shows, as `overview_json` makes it, and whether there is a session to end."""
        if not self._permissions.is_owner(request):
            return _owner_only(request)
        try:
            return await self._respond(request)
        except DreaminaError as exc:
            return _refuse(exc, request)

    async def change(self, request: Request) -> Response:
        """Change one control and return the overview afterwards.

        The body depends on the control:
            switch: `{"stopped": bool}`.
            limits: numbers by the names of `limits.Limits`, null for the value of the environment, "none" for none.
            shut-out: `{"kind": "visitor" | "address", "name": hash, "out": bool}`; not of whoever sends it.
            words: `{"words": [str]}`.
            name: `{"visitor": hash, "name": str}`.
            models: `{"models": [model_id]}`: those of the catalog that visitors may use; `*` stands for all.
        """
        if not self._permissions.is_owner(request):
            return _owner_only(request)
        try:
            control, body = request.path_params["control"], await read_json(request)
            if control == "shut-out" and body.get("out") is True:
                self._ensure_somebody_else(request, body.get("kind"), body.get("name"))
            await run_in_threadpool(self._change, control, body)
            return await self._respond(request)
        except DreaminaError as exc:
            return _refuse(exc, request)

    def _change(self, control: str, body: dict[str, Any]) -> None:
        if control == "switch":
            if _flag(body, "stopped"):
                self._moderation.stop()
            else:
                self._moderation.resume()
        elif control == "limits":
            self._spending.change_limits(body)
        elif control == "shut-out":
            change = self._moderation.block if _flag(body, "out") else self._moderation.unblock
            change(str(body.get("kind")), str(body.get("name")))
        elif control == "name":
            self._moderation.name_visitor(str(body.get("visitor")), body.get("name"))
        elif control == "words":
            words = body.get("words")
            if not isinstance(words, list):
                raise InputError("words", "type", "array", words)
            self._moderation.block_words(words)
        elif control == "models":
            models = body.get("models")
            if not isinstance(models, list):
                raise InputError("models", "type", "array", models)
            self._catalog.offer(models)
        else:
            raise InputError("control", "enum", CONTROLS, control)

    async def try_words(self, request: Request) -> Response:
        """Which of `{"words": [str], "text": str}` would refuse the text: `{"found": [str]}`; changes nothing."""
        if not self._permissions.is_owner(request):
            return _owner_only(request)
        body = await read_json(request)
        words, text = body.get("words"), body.get("text")
        if not isinstance(words, list) or not isinstance(text, str):
            return _refuse(InputError("words", "type", "array", words), request)
        wanted = [word for word in words[:MAX_WORDS] if isinstance(word, str)]
        return JSONResponse({"found": matching_words(text[:MAX_TEXT], wanted)}, headers=NO_STORE)

    async def invitation(self, request: Request) -> Response:
        """The QR code of the URL in the query, which the owner's browser opened the page with: `{"svg": str}`."""
        if not self._permissions.is_owner(request):
            return _owner_only(request)
        url = request.query_params.get("url", "")
        if not url.startswith(("https://", "http://")) or len(url) > MAX_URL:
            return _refuse(InputError("url", "format", "uri", url[:MAX_URL]), request)
        svg = segno.make(url, error="m", micro=False).svg_inline(scale=4, light="#fff")
        return JSONResponse({"svg": svg}, headers=NO_STORE)

    def _ensure_somebody_else(self, request: Request, kind: Any, name: Any) -> None:
        own = self._permissions.own_ids(request) if kind == "visitor" else {hashed_client_ip(request)}
        if name in own:
            raise InputError(str(kind), "self", None, name)

    async def _respond(self, request: Request) -> Response:
        overview = await run_in_threadpool(self._spending.dashboard)
        you = {
            "signed_in": self._permissions.session(request) is not None,
            "catalog": asdict(self._catalog.state()),
            "balance": None if (balance := self._balance.state()) is None else asdict(balance),
            "you": [*self._permissions.own_ids(request), hashed_client_ip(request)],
        }
        return JSONResponse(overview_json(overview, language_of(request)) | you, headers=NO_STORE)


def overview_json(overview: Dashboard, language: str) -> dict[str, Any]:
    """A dashboard as the page's script gets it.

    Returns:
        What `Dashboard.to_json` returns, the `presets` of limits by name, and `"notices": [{"title": str, "text": str,
        "lines": [str]}]` in place of `schema_differences`: one for each model's file that is out of date. Title and
        text are translated; the lines are technical English.
    """
    fields = overview.to_json() | {"presets": {name: asdict(limits) for name, limits in PRESETS.items()}}
    fields["notices"] = [
        {
            "title": f"{translate(language, 'owner_model_file')}: {model_id}",
            "text": translate(language, "owner_model_file_help"),
            "lines": list(lines),
        }
        for model_id, lines in fields.pop("schema_differences").items()
    ]
    return fields


def _flag(body: dict[str, Any], name: str) -> bool:
    if not isinstance(body.get(name), bool):
        raise InputError(name, "type", "boolean", body.get(name))
    return body[name] is True


def _owner_only(request: Request) -> Response:
    return JSONResponse({"message": translate(language_of(request), "owner_only")}, 403)


def _refuse(exc: DreaminaError, request: Request) -> Response:
    language = language_of(request)
    titles = {name: translate(language, f"owner_limit_{name}") for name in Limits.__dataclass_fields__}
    titles |= {kind: translate(language, f"owner_{kind}") for kind in ("visitor", "address")}
    return refusal(exc, language, titles)
