"""HTTP routes of the model chooser: the list of the service's models, and the form of one of them."""

from __future__ import annotations

import logging
import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.catalog.entries import CatalogModel
from dreamina_ui.errors import InputError, LedgerError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page.head import field_facts
from dreamina_ui.web.http import NO_STORE, language_of, refusal
from dreamina_ui.web.i18n.translate import field_texts
from dreamina_ui.web.model_prices import ModelPrices
from dreamina_ui.web.paths import PREFIX

log = logging.getLogger(__name__)

LIVE_PREFIX = "live"
"""The beginning of the ids of the components of a form that the page builds by itself."""


def build_model_routes(
    services: JobServices, prompts: PromptTools, permissions: Permissions, *, uses_sandbox: bool
) -> list[BaseRoute]:
    """The routes of the model chooser; `prompts` has each visitor's favorites."""
    handlers = _ModelRoutes(services, prompts, permissions, uses_sandbox)
    return [Route(f"/{PREFIX}/models", handlers.models), Route(f"/{PREFIX}/models/form", handlers.form)]


class _ModelRoutes:
    def __init__(
        self, services: JobServices, prompts: PromptTools, permissions: Permissions, uses_sandbox: bool
    ) -> None:
        self._prompts = prompts
        self._models = services.models
        self._catalog = services.catalog
        self._api_keys = services.api_keys
        self._permissions = permissions
        self._prices = ModelPrices(services, permissions, uses_sandbox=uses_sandbox)

    async def models(self, request: Request) -> Response:
        """The models that whoever asks may use: those with a file first, then the catalog in the service's order.

        `{"read_at": s | null, "is_stale": bool, "models": [{"model_id", "title", "kind", "category", "usd", "unit"}],
        "left_out": [{"model_id", "title", "reason"}], "favorites": [model_id], "recent": [model_id]}`; only the owner
        gets what is left out, and `recent` has the model that was used last first.
        """
        is_owner, catalog = self._permissions.is_owner(request), self._catalog
        has_key = self._permissions.has_key(request)
        if key_session := self._permissions.key_session(request):
            self._api_keys.read_catalog_soon(key_session)
        state = catalog.state()
        packaged = [self._packaged(model) for model in self._models.packaged.values()]
        known = {model["model_id"] for model in packaged}
        usable = catalog.models(is_owner=is_owner, has_key=has_key)
        live = [_row(model) for model in usable if model.model_id not in known]
        left_out = [
            {"model_id": model.model_id, "title": model.title, "reason": model.reason}
            for model in (catalog.left_out() if is_owner else ())
        ]
        body = {"read_at": state.read_at, "is_stale": state.problem is not None, "models": [*packaged, *live]}
        own = await run_in_threadpool(self._own_models, self._permissions.visitor(request))
        return JSONResponse({**body, "left_out": left_out, **own}, headers=NO_STORE)

    async def form(self, request: Request) -> Response:
        """What the page builds a model's form from; the query has its `model_id`.

        `{"model_id", "title", "description", "price", "fields": [...]}`: each field as in the page's facts, with
        `title`, `help`, `required`, `component` and `arguments`, see `ComponentSpec`.
        """
        model_id, language = request.query_params.get("model_id"), language_of(request)
        try:
            self._catalog.ensure_usable(
                model_id, is_owner=self._permissions.is_owner(request), has_key=self._permissions.has_key(request)
            )
            model = await run_in_threadpool(self._models.require, model_id)
        except InputError as exc:
            return refusal(exc, language)
        entry = self._catalog.find(model.model_id)
        body = {
            "model_id": model.model_id,
            "title": model.title,
            "description": entry.description if entry else "",
            "price": self._prices.of(model, request),
            "fields": [_field(field, language) for field in model.fields],
        }
        return JSONResponse(body, headers=NO_STORE)

    def _own_models(self, visitor: str | None) -> dict[str, list[str]]:
        """What the list does without where the ledger cannot be read."""
        try:
            if visitor:
                return {
                    "favorites": self._prompts.favorite_models(visitor),
                    "recent": self._prompts.used_models(visitor),
                }
        except LedgerError as exc:
            log.warning("The favorite models cannot be read: %s", exc)
        return {"favorites": [], "recent": []}

    def _packaged(self, model: Model) -> dict[str, Any]:
        entry = self._catalog.find(model.model_id)
        row = _row(entry) if entry else {"model_id": model.model_id, "kind": "image", "category": ""}
        return row | {"title": model.title, "packaged": True}


def _row(model: CatalogModel) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "title": model.title,
        "kind": model.kind,
        "category": model.category,
        "usd": model.price_usd,
        "unit": model.price_unit or "",
    }


def _readable(field: Field) -> str:
    """A title for an input without one: `image_urls` are images."""
    words = field.key.replace("_", " ").strip()
    stem, ending, many = re.fullmatch(r"(.+?)( ur[il](s?))?", words, re.IGNORECASE).groups()  # type: ignore[union-attr]
    is_many = ending and many and not stem.lower().endswith("s")
    return f"{stem}{'s' if is_many else ''}".capitalize() if field.kind.holds_urls and words else words.capitalize()


def _field(field: Field, language: str) -> dict[str, Any]:
    title, help_text = field_texts(field, language)
    spec = field.kind.component(field)
    arguments = {key: value for key, value in spec.arguments.items() if key != "choices"}
    return field_facts(field, LIVE_PREFIX) | {
        "title": title if field.label or title != field.key else _readable(field),
        "help": help_text,
        "required": field.required,
        "component": spec.class_name,
        "arguments": arguments,
        "min_items": field.min_items,
        "max_items": field.max_items,
    }
