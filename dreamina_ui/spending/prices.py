"""Reads the price of a file from the APIs: every hour, and more often until one responds.

A visitor's key is used, too, where the owner's token does not know the price that this key pays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from random import random

from dreamina_ui.api.model_api import ModelApi
from dreamina_ui.api.pacing import Pace
from dreamina_ui.errors import ApiError, InputError, RateLimitError, TransportError
from dreamina_ui.spending.limits import SpendingGuard

log = logging.getLogger(__name__)

PRICE_INTERVAL_S = 3600.0
"""The pause between two reads of the prices, once an API has responded."""

RETRY_INTERVAL_S = 60.0
"""How long no visitor's key is used again where the last one read no price."""


class Prices:
    """Reads prices on a thread of its own, and gives them to the spending guard.

    Args:
        pace: bounds of the pauses while no API responds.

    Attributes:
        were_read: set once all prices were asked for in the owner's name, whatever came of it.
    """

    def __init__(self, model_ids: Collection[str], guard: SpendingGuard, pace: Pace) -> None:
        self._model_ids = model_ids
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
        for model_id in self._model_ids:
            self._is_unanswered(client, model_id, api_origin, warns=False)
        if any(self._guard.price(model_id, api_origin) for model_id in self._model_ids):
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
            silent = [name for name in self._model_ids if self._is_unanswered(owner, name, None, warns=not failures)]
            self.were_read.set()
            failures = failures + 1 if silent else 0
            self._wanted.wait(self._pace.error_pause_s(failures, random()) if silent else PRICE_INTERVAL_S)

    def _is_unanswered(self, client: ModelApi, model_id: str, api_origin: str | None, *, warns: bool) -> bool:
        """Read one price; returns whether the API did not respond. Without a price, the owner's setting holds."""
        reason, is_silent = "the API does not say", False
        guard = self._guard
        try:
            price = client.price(model_id)
            if price.base_price_usd is not None:
                guard.set_price(model_id, price.base_price_usd, price.price_unit, api_origin)
        except (ApiError, InputError) as exc:
            reason, is_silent = str(exc), isinstance(exc, TransportError | RateLimitError)
        if warns and self._are_needed and guard.expected_usd(model_id, {}) is None:
            log.warning(
                "The price of %s is not known: limits in USD cannot hold without DREAMINA_PRICE_USD (%s)",
                model_id, reason,
            )  # fmt: skip
        return is_silent
