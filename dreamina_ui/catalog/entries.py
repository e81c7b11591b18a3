"""A model of the service's catalog as this program stores it, and why it cannot be used here, if it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from dreamina_ui.api.model_api import CatalogEntry
from dreamina_ui.errors import SettingsError
from dreamina_ui.models.live_schema import live_model
from dreamina_ui.models.schema import Model

Reason = Literal["output", "schema", "retired"]
"""Why a model is left out: what it makes cannot be shown here, no form can be built, the service has it no longer."""

SHOWN_KINDS = ("image", "video")
"""What is stored, served and shown: results of other kinds could be downloaded, but not looked at."""

MAX_SCHEMA_CHARACTERS = 60_000


@dataclass(frozen=True)
class CatalogModel:
    """One model of the service.

    Attributes:
        kind: what it makes, such as `image`.
        category: such as `text-to-image`; "" if the service does not say.
        price_usd: for one `price_unit`; None if the service does not say.
        input_schema: as the service sent it; None if it is none, or too large.
        reason: why it is left out; None if it can be used.
    """

    model_id: str
    title: str
    kind: str
    category: str = ""
    description: str = ""
    price_usd: float | None = None
    price_unit: str | None = None
    pricing_note: str | None = None
    input_schema: Mapping[str, Any] | None = None
    required_inputs: tuple[str, ...] = ()
    reason: Reason | None = None

    @classmethod
    def from_entry(cls, entry: CatalogEntry) -> CatalogModel:
        """What is stored of an entry of the catalog; `reason` is not known yet."""
        schema = entry.price.input_schema
        if schema is not None and len(json.dumps(schema)) > MAX_SCHEMA_CHARACTERS:
            schema = None
        return cls(
            model_id=entry.model_id,
            title=entry.title,
            kind=_kind(entry),
            category=entry.categories[0] if entry.categories else "",
            description=entry.description,
            price_usd=entry.price.base_price_usd,
            price_unit=entry.price.price_unit,
            pricing_note=entry.price.pricing_note,
            input_schema=schema,
            required_inputs=entry.required_inputs,
        )

    @classmethod
    def from_json(cls, data: Any) -> CatalogModel | None:
        """The model that `to_json` wrote; None for what is none."""
        names = ("model_id", "title", "kind")
        if not isinstance(data, Mapping) or not all(isinstance(data.get(name), str) for name in names):
            return None
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        return cls(**known | {"required_inputs": tuple(data.get("required_inputs") or ())})

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    def build(self) -> Model:
        """The model; raises SettingsError if no form can be built from its schema."""
        return live_model(self.model_id, self.title, self.input_schema, self.required_inputs)

    def judged(self) -> CatalogModel:
        """The same with its `reason`."""
        if self.kind not in SHOWN_KINDS:
            return replace(self, reason="output")
        try:
            self.build()
        except SettingsError:
            return replace(self, reason="schema")
        return replace(self, reason=None)


def _kind(entry: CatalogEntry) -> str:
    """What a model makes, as the service says, or as its first category ends."""
    if entry.kind:
        return entry.kind.lower()
    category = entry.categories[0].lower() if entry.categories else ""
    _, separator, made = category.rpartition("-to-")
    return made if separator and made else "image"
