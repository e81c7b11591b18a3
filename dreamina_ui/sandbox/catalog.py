"""The catalog of models, as the Model API lists them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dreamina_ui.models.live_schema import live_model
from dreamina_ui.models.schema import Model
from dreamina_ui.sandbox.service import PRICE_USD, Refusal, makes_films

SAMPLES = Path(__file__).parent / "sample_models.json"
MAX_LIMIT = 500
DEFAULT_LIMIT = 50


def sample_models() -> dict[str, Model]:
    """Models beside those of this program, so that a page on the sandbox has something to choose from, by model_id."""
    entries = json.loads(SAMPLES.read_text(encoding="utf-8"))
    return {
        entry["model_id"]: live_model(
            entry["model_id"],
            entry["display_name"],
            entry["input_schema"],
            output_schema=entry.get("output_schema"),
        )
        for entry in entries
    }


def model_entry(model: Model, base_url: str, *, include_schema: bool) -> dict[str, Any]:
    """One model as the API describes it: its price, kind and categories, and its inputs if they are wanted."""
    entry: dict[str, Any] = {
        "model_id": model.model_id,
        "display_name": model.title,
        "description": f"{model.title}, painted by the sandbox.",
        "kind": _kind(model),
        "categories": [_category(model)],
        "model_url": f"{base_url}v1/models/{model.model_id}",
        "base_price_usd": PRICE_USD,
        "price_unit": "second" if makes_films(model) else "output",
        "pricing_note": "The sandbox charges play money: nothing is billed.",
    }
    if include_schema:
        required = list(model.input_schema.get("required", ()))
        entry |= {"input_schema": model.input_schema, "required_inputs": required}
    return entry


def list_models(models: Iterable[Model], query: Mapping[str, str], base_url: str) -> dict[str, Any]:
    """A page of the catalog: `{"models": [...], "total": int, "limit": int, "offset": int}`.

    Args:
        query: `search`, `category`, `kind`, `limit` (1 to 500), `offset` and `include_schema`.

    Raises:
        Refusal: 422 for a limit or an offset that cannot be.

    Source: RunComfy Model API, the catalog as its own clients read it.
    """
    limit, offset = _number(query, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT), _number(query, "offset", 0, 0, 10**9)
    words = query.get("search", "").lower().split()
    matches = [
        model
        for model in models
        if all(word in f"{model.model_id} {model.title}".lower() for word in words)
        and query.get("category", _category(model)).lower() == _category(model)
        and query.get("kind", _kind(model)).lower() == _kind(model)
    ]
    include_schema = query.get("include_schema", "").lower() in ("true", "1")
    page = [model_entry(model, base_url, include_schema=include_schema) for model in matches[offset : offset + limit]]
    return {"models": page, "total": len(matches), "limit": limit, "offset": offset}


def list_categories(models: Iterable[Model]) -> dict[str, Any]:
    """`{"categories": [str]}`."""
    return {"categories": sorted({_category(model) for model in models})}


def _category(model: Model) -> str:
    takes_files = any(field.kind.holds_urls for field in model.fields)
    return f"image-to-{_kind(model)}" if takes_files else f"text-to-{_kind(model)}"


def _kind(model: Model) -> str:
    return "video" if makes_films(model) else "image"


def _number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) <= high:
        detail = {"loc": ["query", name], "msg": f"Input should be from {low} to {high}", "type": "int_range"}
        raise Refusal(422, 422001, "The query is not valid.", detail=[detail])
    return int(text)
