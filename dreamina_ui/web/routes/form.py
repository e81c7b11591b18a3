"""HTTP routes of the form: a new job, and prices.

Neither goes through Gradio's queue, which builds a session for each new visitor on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import Job
from dreamina_ui.models.schema import Model
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page.form import read_form
from dreamina_ui.web.http import NO_STORE, hashed_client_ip, language_of, message_response, read_json, refusal
from dreamina_ui.web.i18n.error_texts import field_titles
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.model_prices import ModelPrices
from dreamina_ui.web.paths import PREFIX
from dreamina_ui.web.presenters import JobPresenter
from dreamina_ui.web.press_id import read_press_id

log = logging.getLogger(__name__)

_NO_SESSION = ""
"""No browser's session: its key is not here, and nobody else pays in its place."""


def build_form_routes(
    services: JobServices, presenter: JobPresenter, permissions: Permissions, *, uses_sandbox: bool
) -> list[BaseRoute]:
    """The routes of the form; `uses_sandbox` if the owner's jobs cost nothing."""
    handlers = _FormRoutes(services, presenter, permissions, uses_sandbox)
    return [
        Route(f"/{PREFIX}/generate", handlers.generate, methods=["POST"]),
        Route(f"/{PREFIX}/prices", handlers.prices),
    ]


class _FormRoutes:
    def __init__(
        self, services: JobServices, presenter: JobPresenter, permissions: Permissions, uses_sandbox: bool
    ) -> None:
        self._models = services.models
        self._jobs = services.jobs
        self._catalog = services.catalog
        self._prices = ModelPrices(services, permissions, uses_sandbox=uses_sandbox)
        self._presenter = presenter
        self._permissions = permissions

    async def generate(self, request: Request) -> Response:
        """Make a job; responds with its card.

        Body: `{"model_id": str, "inputs": {schema key: value}, "press_id": str, "own_key": bool}`.

        The `press_id` is made by the page: repeated, also after a restart, the response is the card of the same job.
        `own_key` is whether the page showed that a key of the visitor pays; without it, that key pays if there is one.
        Nothing is sent if the header `X-Dreamina-Requester` names somebody else; see `Permissions.requester_tag`.
        """
        language, body = language_of(request), await read_json(request)
        visitor = self._permissions.visitor(request)
        if visitor is None:
            return message_response(translate(language, "error_no_cookie"), 403)
        model = None
        try:
            self._permissions.ensure_same_requester(request)
            self._catalog.ensure_usable(
                body.get("model_id"),
                is_owner=self._permissions.is_owner(request),
                has_key=self._permissions.has_key(request),
            )
            model = await run_in_threadpool(self._models.require, body.get("model_id"))  # it may have to be built
            job = await self._generate(request, model, visitor, body)
        except DreaminaError as exc:
            titles = field_titles(model, language) if model else None
            return refusal(exc, language, titles, for_owner=self._permissions.is_owner(request))
        except Exception:
            log.exception("Generate failed")
            return message_response(translate(language, "error_unexpected"), 500)
        is_owner = self._permissions.is_owner(request)
        card = await run_in_threadpool(self._presenter.card, job, language, for_owner=is_owner)
        return JSONResponse(card, headers=NO_STORE)

    async def _generate(self, request: Request, model: Model, visitor: str, body: dict[str, Any]) -> Job:
        inputs = body.get("inputs")
        generated = self._jobs.generate_soon(
            model.model_id,
            read_form(model, inputs if isinstance(inputs, dict) else {}),
            visitor_id=visitor,
            client_hash=hashed_client_ip(request),
            key_session=self._key_session(request, body.get("own_key")),
            press_id=read_press_id(body),
            lifts_stop=self._permissions.is_owner(request),
        )
        return await asyncio.wrap_future(generated)

    def _key_session(self, request: Request, is_own_key: Any) -> str | None:
        """The session whose key pays, as the page showed it; one without a key where that key is gone meanwhile."""
        if is_own_key is False:
            return None
        return self._permissions.key_session(request) or (_NO_SESSION if is_own_key is True else None)

    async def prices(self, request: Request) -> Response:
        """What each model is expected to cost, in USD: `{"play_money": bool, "models": {model_id: {...} | null}}`.

        For visitors who gave a key of their own, what that key pays.
        """
        return JSONResponse(self._prices.all(request), headers=NO_STORE)
