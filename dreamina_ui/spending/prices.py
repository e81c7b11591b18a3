"""Reads the price of a file from the APIs: every hour, and more often until one responds; of several servers, one does.

A visitor's key is used, too, where the owner's token does not know the price that this key pays. The response brings
the model's input schema along; what differs from the model's file is logged and shown on the dashboard.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from random import random
from typing import Any

from dreamina_ui.api.model_api import ModelApi, Price
from dreamina_ui.api.pacing import Pace
from dreamina_ui.errors import ApiError, InputError, RateLimitError, TransportError
from dreamina_ui.models.schema import Model
from dreamina_ui.models.schema_diff import schema_differences
from dreamina_ui.spending.limits import SpendingGuard
from dreamina_ui.spending.shared_prices import CHECK_INTERVAL_S, SharedPrices

log = logging.getLogger(__name__)

PRICE_INTERVAL_S = 3600.0
"""The pause between two reads of the prices, once an API has responded."""

RETRY_INTERVAL_S = 60.0
"""How long no visitor's key is used again where the last one read no price."""


class Prices:
    """Reads prices on a thread of its own, and gives them to the spending guard.

    Args:
        models: those with a file, by model_id.
        pace: bounds of the pauses while no API responds.
        on_schema: gets the model_id and the input schema that the service has now.
        shared: what several servers have in common; None if there is one only.

    Attributes:
        were_read: set once all prices were asked for in the owner's name, whatever came of it.
        schema_differences: what differs between a model's file and the service's input schema, by model_id.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        guard: SpendingGuard,
        pace: Pace,
        on_schema: Callable[[str, Mapping[str, Any]], object] = lambda _model_id, _schema: None,
        shared: SharedPrices | None = None,
    ) -> None:
        self._shared = shared
        self._on_schema = on_schema
        self.schema_differences: dict[str, tuple[str, ...]] = {}
        self._models = models
        self._guard = guard
        self._pace = pace
        self.were_read = threading.Event()
        self._lock = threading.Lock()
        self._not_before: dict[str, float] = {}  # by API: when a visitor's key may be used again
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._are_needed = False

    def start(self, owner: ModelApi | None) -> None:
        """Read prices in the owner's name from now on, if there is an owner's token."""
        if owner is None:
            self.were_read.set()
            return
        threading.Thread(target=self._run, args=(owner,), name="price", daemon=True).start()

    def read_with(self, client: ModelApi, api_origin: str) -> None:
        """Read what a visitor's key pays, unless another one did so recently; blocks until the API responds."""
        now = time.monotonic()
        with self._lock:
            if now < self._not_before.get(api_origin, 0.0):
                return
            self._not_before[api_origin] = now + RETRY_INTERVAL_S
        for model_id in self._models:
            self._is_unanswered(client, model_id, api_origin, warns=False)
        if any(self._guard.price(model_id, api_origin) for model_id in self._models):
            self._not_before[api_origin] = now + PRICE_INTERVAL_S

    def read_soon(self, *, are_needed: bool) -> None:
        """Read them in the background; `are_needed` if a limit in USD cannot hold without the prices."""
        self._are_needed = are_needed
        self._wanted.set()

    def stop(self) -> None:
        """Read no more prices."""
        self._stopping.set()
        self._wanted.set()

    def _run(self, owner: ModelApi) -> None:
        failures = 0
        while True:
            self._wanted.clear()
            if self._stopping.is_set():
                return
            silent = [name for name in self._models if self._is_unanswered(owner, name, None, warns=not failures)]
            self.were_read.set()
            failures = failures + 1 if silent else 0
            interval_s = CHECK_INTERVAL_S if self._shared else PRICE_INTERVAL_S
            self._wanted.wait(self._pace.retry_pause_s(failures, random()) if silent else interval_s)

    def _is_unanswered(self, client: ModelApi, model_id: str, api_origin: str | None, *, warns: bool) -> bool:
        """Read one price; returns whether the API did not respond. Without a price, the owner's setting holds."""
        reason, is_silent = "the API does not say", False
        guard = self._guard
        try:
            price = self._read(client, model_id) if api_origin is None else client.price(model_id)
            if price.base_price_usd is not None:
                guard.set_price(model_id, price.base_price_usd, price.price_unit, api_origin)
            if price.input_schema is not None:
                self._compare_schema(model_id, price.input_schema)
                self._on_schema(model_id, price.input_schema)
        except (ApiError, InputError) as exc:
            reason, is_silent = str(exc), isinstance(exc, TransportError | RateLimitError)
        if warns and self._are_needed and guard.expected_usd(model_id, {}) is None:
            log.warning(
                "The price of %s is not known: limits in USD cannot hold without DREAMINA_PRICE_USD (%s)",
                model_id, reason,
            )  # fmt: skip
        return is_silent

    def _read(self, client: ModelApi, model_id: str) -> Price:
        """What a model costs the owner; raises as `ModelApi.price`."""
        shared = self._shared
        if shared is None:
            return client.price(model_id)
        if known := shared.find(model_id, PRICE_INTERVAL_S):
            return known
        try:
            price = client.price(model_id)
        except (TransportError, RateLimitError):
            raise
        except (ApiError, InputError):
            shared.store(model_id, Price())  # the others need not hear the same
            raise
        shared.store(model_id, price)
        return price

    def _compare_schema(self, model_id: str, live: Mapping[str, Any]) -> None:
        differences = tuple(schema_differences(self._models[model_id].input_schema, live))
        if differences == self.schema_differences.get(model_id, ()):
            return
        self.schema_differences[model_id] = differences
        if differences:
            log.warning("The file of %s differs from the service's schema: %s", model_id, "; ".join(differences))
