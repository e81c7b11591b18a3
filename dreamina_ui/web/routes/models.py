"""HTTP routes of the model chooser: the list of the service's models, and the form of one of them."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.catalog.entries import CatalogModel
from dreamina_ui.errors import InputError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page.head import field_facts
from dreamina_ui.web.http import NO_STORE, language_of, refusal
from dreamina_ui.web.i18n.translate import field_texts
from dreamina_ui.web.model_prices import ModelPrices
from dreamina_ui.web.paths import PREFIX

LIVE_PREFIX = "live"
"""The beginning of the ids of the components of a form that the page builds by itself."""


def build_model_routes(services: JobServices, permissions: Permissions, *, uses_sandbox: bool) -> list[BaseRoute]:
    """The routes of the model chooser."""
    handlers = _ModelRoutes(services, permissions, uses_sandbox)
    return [Route(f"/{PREFIX}/models", handlers.models), Route(f"/{PREFIX}/models/form", handlers.form)]


class _ModelRoutes:
    def __init__(self, services: JobServices, permissions: Permissions, uses_sandbox: bool) -> None:
        self._models = services.models
        self._catalog = services.catalog
        self._permissions = permissions
        self._prices = ModelPrices(services, permissions, uses_sandbox=uses_sandbox)

    async def models(self, request: Request) -> Response:
        """The models that whoever asks may use: those with a file first, then the catalog in the service's order.

        `{"read_at": s | null, "is_stale": bool, "models": [{"model_id", "title", "kind", "category", "usd", "unit"}],
        "left_out": [{"model_id", "title", "reason"}]}`; only the owner gets what is left out.
        """
        is_owner, catalog = self._permissions.is_owner(request), self._catalog
        state = catalog.state()
        packaged = [self._packaged(model) for model in self._models.packaged.values()]
        known = {model["model_id"] for model in packaged}
        live = [_row(model) for model in catalog.models(is_owner=is_owner) if model.model_id not in known]
        left_out = [
            {"model_id": model.model_id, "title": model.title, "reason": model.reason}
            for model in (catalog.left_out() if is_owner else ())
        ]
        body = {"read_at": state.read_at, "is_stale": state.problem is not None, "models": [*packaged, *live]}
        return JSONResponse(body | {"left_out": left_out}, headers=NO_STORE)

    async def form(self, request: Request) -> Response:
        """What the page builds a model's form from; the query has its `model_id`.

        `{"model_id", "title", "description", "price", "fields": [...]}`: each field as in the page's facts, with
        `title`, `help`, `required`, `component` and `arguments`, see `ComponentSpec`.
        """
        model_id, language = request.query_params.get("model_id"), language_of(request)
        try:
            self._catalog.ensure_usable(model_id, is_owner=self._permissions.is_owner(request))
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


def _field(field: Field, language: str) -> dict[str, Any]:
    title, help_text = field_texts(field, language)
    spec = field.kind.component(field)
    arguments = {key: value for key, value in spec.arguments.items() if key != "choices"}
    return field_facts(field, LIVE_PREFIX) | {
        "title": title if field.label or title != field.key else field.key.replace("_", " ").capitalize(),
        "help": help_text,
        "required": field.required,
        "component": spec.class_name,
        "arguments": arguments,
        "min_items": field.min_items,
        "max_items": field.max_items,
    }
