"""All models that jobs can be made with: those with a file, and those of the service's catalog.

A model's file wins. What it does not say, the live schema says: more inputs, more rules.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dreamina_ui.catalog.entries import CatalogModel
from dreamina_ui.errors import InputError, SettingsError
from dreamina_ui.models.live_schema import live_model, merged_schema, usable_schema
from dreamina_ui.models.schema import Model

log = logging.getLogger(__name__)

MAX_BUILT = 200
"""How many models of the catalog stay built; the others are built again when somebody uses them."""


class ModelRegistry(Mapping[str, Model]):
    """Models by model_id; safe to use from many threads. A model of the catalog is built when it is used first.

    Args:
        packaged: the models that have a file, by model_id.

    Attributes:
        packaged: as given, without what the service says about them.
    """

    def __init__(self, packaged: Mapping[str, Model]) -> None:
        self.packaged: Mapping[str, Model] = MappingProxyType(dict(packaged))
        self._merged: dict[str, Model] = {}
        self._live: Mapping[str, CatalogModel] = {}
        self._built: dict[str, Model] = {}
        self._lock = threading.Lock()

    def __getitem__(self, model_id: str) -> Model:
        if model_id in self.packaged:
            return self._merged.get(model_id, self.packaged[model_id])
        with self._lock:
            model = self._built.pop(model_id, None) or self._build(model_id)
            self._built[model_id] = model  # the last one used stands last
            if len(self._built) > MAX_BUILT:
                del self._built[next(iter(self._built))]
            return model

    def __contains__(self, model_id: object) -> bool:
        return model_id in self.packaged or model_id in self._live

    def __iter__(self) -> Iterator[str]:
        yield from self.packaged
        yield from self._live

    def __len__(self) -> int:
        return len(self.packaged) + len(self._live)

    def require(self, model_id: Any) -> Model:
        """The model of this id.

        Raises:
            InputError: there is none; it names those that have a file.
        """
        model = self.get(model_id) if isinstance(model_id, str) else None
        if model is None:
            raise InputError("model_id", "enum", sorted(self.packaged), model_id)
        return model

    def extended(self) -> list[str]:
        """The model_ids of those with a file that have more inputs at the service."""
        merged = dict(self._merged)
        return sorted(name for name, model in merged.items() if len(model.fields) > len(self.packaged[name].fields))

    def set_catalog(self, models: Mapping[str, CatalogModel]) -> None:
        """Replace the models of the catalog; those with a file stay as they are."""
        live = {model_id: model for model_id, model in models.items() if model_id not in self.packaged}
        with self._lock:
            before, self._live = self._live, live
            self._built = {
                model_id: model
                for model_id, model in self._built.items()
                if model_id in live and live[model_id] == before.get(model_id)
            }

    def set_live_schema(self, model_id: str, schema: Mapping[str, Any]) -> None:
        """Take from the schema that the service has now what the model's file does not say."""
        model = self.packaged[model_id]
        try:
            merged = merged_schema(model.input_schema, usable_schema(schema))
            if merged is None:
                self._merged.pop(model_id, None)
            elif self._merged.get(model_id, model).input_schema != merged:
                self._merged[model_id] = _with_schema(model, merged)
        except Exception as exc:  # noqa: BLE001 - whatever the library makes of it, the file is still there
            log.warning("The service's schema of %s cannot be used, its file alone is: %s", model_id, exc)

    def _build(self, model_id: str) -> Model:
        entry = self._live[model_id]
        try:
            return entry.build()
        except SettingsError as exc:
            raise KeyError(model_id) from exc


def _with_schema(model: Model, schema: Mapping[str, Any]) -> Model:
    """A model of a file with a larger schema: the names and labels of its own inputs stay."""
    names = {field.key: field.parameter for field in model.fields}
    return live_model(
        model.model_id, model.title, schema, names=names,
        labels={field.key: field.label for field in model.fields if field.label},
        output_schema=model.output_schema,
    )  # fmt: skip
