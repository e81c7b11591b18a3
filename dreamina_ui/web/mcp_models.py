"""Two tools for all models of the service's catalog: a list of them, and one that makes a job with any of them."""

from __future__ import annotations

from typing import Any

import gradio as gr
from mcp.types import Tool, ToolAnnotations

from dreamina_ui.errors import InputError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.models.schema import Model

LIST = "list_models"
GENERATE = "generate_with_model"
MAX_LISTED = 40


class CatalogTools:
    """What the tools do; whoever asks sees the models that they may use."""

    def __init__(self, services: JobServices) -> None:
        self._catalog = services.catalog
        self._models = services.models

    def tools(self, idempotency: dict[str, Any], *, is_owner: bool, has_key: bool = False) -> list[Tool]:
        """Both tools, or none where there is no more than the models with a tool of their own.

        Args:
            idempotency: the JSON Schema of the idempotency key.
            has_key: whether a key of their own pays, see `CatalogService.models`.
        """
        if not self._catalog.has_more(is_owner=is_owner, has_key=has_key):
            return []
        text = {"type": "string", "maxLength": 200}
        model_id = {**text, "description": "As `list_models` gives it."}
        inputs = {"type": "object", "description": "By the names of the model's `input_schema`."}
        generate = {"model_id": model_id, "inputs": inputs, "idempotency_key": idempotency}
        search = {**text, "description": "Words of titles, ids, and categories; empty for the first models."}
        with_schema = {**text, "description": "One model: then its `input_schema` is in the response."}
        return [
            Tool(
                name=LIST,
                title="List the models of the service",
                description="The models that `generate_with_model` takes, with their prices in USD. Costs nothing.",
                inputSchema={"type": "object", "properties": {"search": search, "model_id": with_schema}},
                annotations=ToolAnnotations(readOnlyHint=True),
            ),
            Tool(
                name=GENERATE,
                title="Make pictures with any model",
                description="As `generate`, with a model of `list_models` and inputs by its `input_schema`. Each call "
                "costs money unless its `idempotency_key` repeats an earlier one.",
                inputSchema={"type": "object", "properties": generate, "required": ["model_id", "inputs"]},
                annotations=ToolAnnotations(readOnlyHint=False, destructiveHint=False, openWorldHint=True),
            ),
        ]

    def list_models(self, arguments: dict[str, Any], *, is_owner: bool, has_key: bool = False) -> dict[str, Any]:
        """`{"models": [{"model_id", "title", "kind", "category", "usd", "unit"}], "total": int}`; of one model also its
        `input_schema`.

        Raises:
            gr.Error: there is no such model for whoever asks, or the list is still being read.
        """
        if self._catalog.state().read_at is None:
            raise gr.Error("The list of models is not here yet. Ask again in a few seconds.", print_exception=False)
        if arguments.get("model_id"):
            model = self.model(arguments, is_owner=is_owner, has_key=has_key)
            return {"models": [self._row(model.model_id) | {"input_schema": model.json_schema}], "total": 1}
        words = str(arguments.get("search") or "").lower().split()
        matches = [
            model.model_id
            for model in self._catalog.models(is_owner=is_owner, has_key=has_key)
            if all(word in f"{model.title} {model.model_id} {model.category}".lower() for word in words)
        ]
        return {"models": [self._row(model_id) for model_id in matches[:MAX_LISTED]], "total": len(matches)}

    def model(self, arguments: dict[str, Any], *, is_owner: bool, has_key: bool = False) -> Model:
        """The model that a call names; raises gr.Error for one that whoever asks may not use."""
        try:
            self._catalog.ensure_usable(arguments.get("model_id"), is_owner=is_owner, has_key=has_key)
            return self._models.require(arguments.get("model_id"))
        except InputError as exc:
            text = f"There is no such model for you; `{LIST}` finds those that there are. Nothing was submitted."
            raise gr.Error(text, print_exception=False) from exc

    def _row(self, model_id: str) -> dict[str, Any]:
        model = self._catalog.find(model_id)
        if model is None:
            return {"model_id": model_id, "title": self._models[model_id].title}
        facts = {"title": model.title, "kind": model.kind, "category": model.category}
        return {"model_id": model_id, **facts, "usd": model.price_usd, "unit": model.price_unit}
