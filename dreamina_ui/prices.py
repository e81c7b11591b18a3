"""Asks the API what a file costs: a few times a day, and again and again until there was an answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from random import random

from dreamina_ui.errors import ApiError, InputError, RateLimitError, TransportError
from dreamina_ui.limits import MoneyGuard
from dreamina_ui.polling import Pace
from dreamina_ui.runcomfy import RunComfy

log = logging.getLogger(__name__)

ASK_S = 6 * 3600.0
"""The pause between two questions for the prices, once there were answers."""


class Prices:
    """Tells a money guard the prices, on a thread of its own.

    Args:
        guard: gives the guard that is to know them.
        pace: bounds of the pauses while there is no answer.
    """

    def __init__(self, model_ids: Collection[str], guard: Callable[[], MoneyGuard], pace: Pace) -> None:
        self._model_ids = model_ids
        self._guard = guard
        self._pace = pace
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._are_needed = False

    def start(self, owner: RunComfy) -> None:
        """Ask in the owner's name from now on."""
        threading.Thread(target=self._learn, args=(owner,), name="price", daemon=True).start()

    def ask_soon(self, *, are_needed: bool) -> None:
        """Ask anew in the background; `are_needed` if a limit in USD cannot hold without the prices."""
        self._are_needed = are_needed
        self._wanted.set()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        self._wanted.set()

    def _learn(self, owner: RunComfy) -> None:
        faults = 0
        while True:
            self._wanted.clear()
            if self._stopping.is_set():
                return
            silent = [model_id for model_id in self._model_ids if self._is_silent(owner, model_id, warns=not faults)]
            faults = faults + 1 if silent else 0
            self._wanted.wait(self._pace.fault_pause_s(faults, random()) if silent else ASK_S)

    def _is_silent(self, owner: RunComfy, model_id: str, *, warns: bool) -> bool:
        """Ask for one price; whether there was no answer. Without a price, what the owner said holds."""
        reason, is_silent = "the API does not tell it", False
        guard = self._guard()
        try:
            price = owner.price(model_id)
            if price.base_price_usd is not None:
                guard.learn_price(model_id, price.base_price_usd, price.price_unit)
        except (ApiError, InputError) as fault:
            reason, is_silent = str(fault), isinstance(fault, TransportError | RateLimitError)
        if warns and self._are_needed and guard.expected_usd(model_id, {}) is None:
            log.warning(
                "The price of %s is not known: limits in USD cannot hold without DREAMINA_PRICE_USD (%s)",
                model_id, reason,
            )  # fmt: skip
        return is_silent
