"""Asks the APIs what a file costs: every hour, and again and again until there was an answer.

A visitor's key asks, too, where the owner's token does not know the price that this key pays.
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

ASK_S = 3600.0
"""The pause between two questions for the prices, once there were answers."""

ASK_AGAIN_S = 60.0
"""How long no visitor's key asks again where the last one was told no price."""


class Prices:
    """Tells a money guard the prices, on a thread of its own.

    Args:
        guard: is told them.
        pace: bounds of the pauses while there is no answer.

    Attributes:
        were_asked: set once all prices were asked for in the owner's name, whatever came of it.
    """

    def __init__(self, model_ids: Collection[str], guard: SpendingGuard, pace: Pace) -> None:
        self._model_ids = model_ids
        self._guard = guard
        self._pace = pace
        self.were_asked = threading.Event()
        self._lock = threading.Lock()
        self._not_before: dict[str, float] = {}  # by API: when a visitor's key may ask again
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._are_needed = False

    def start(self, owner: ModelApi | None) -> None:
        """Ask in the owner's name from now on, if there is an owner's token."""
        if owner is None:
            self.were_asked.set()
            return
        threading.Thread(target=self._learn, args=(owner,), name="price", daemon=True).start()

    def ask_with(self, client: ModelApi, api_origin: str) -> None:
        """Ask in the name of a visitor's key what this pays, unless another one asked lately; blocks until answered."""
        now = time.monotonic()
        with self._lock:
            if now < self._not_before.get(api_origin, 0.0):
                return
            self._not_before[api_origin] = now + ASK_AGAIN_S
        for model_id in self._model_ids:
            self._is_silent(client, model_id, api_origin, warns=False)
        if any(self._guard.price(model_id, api_origin) for model_id in self._model_ids):
            self._not_before[api_origin] = now + ASK_S

    def ask_soon(self, *, are_needed: bool) -> None:
        """Ask anew in the background; `are_needed` if a limit in USD cannot hold without the prices."""
        self._are_needed = are_needed
        self._wanted.set()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        self._wanted.set()

    def _learn(self, owner: ModelApi) -> None:
        faults = 0
        while True:
            self._wanted.clear()
            if self._stopping.is_set():
                return
            silent = [each for each in self._model_ids if self._is_silent(owner, each, None, warns=not faults)]
            self.were_asked.set()
            faults = faults + 1 if silent else 0
            self._wanted.wait(self._pace.error_pause_s(faults, random()) if silent else ASK_S)

    def _is_silent(self, client: ModelApi, model_id: str, api_origin: str | None, *, warns: bool) -> bool:
        """Ask for one price; whether there was no answer. Without a price, what the owner said holds."""
        reason, is_silent = "the API does not tell it", False
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
