"""One of several servers reads the prices from the API, and the others take them from the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict

from dreamina_ui.api.model_api import Price
from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.catalog.price_rows import read_price, store_price
from dreamina_ui.ledger.ledger import Ledger

log = logging.getLogger(__name__)

DUTY_TTL_S = 180.0
"""How long the server that reads the prices may be gone before another one reads them."""

CHECK_INTERVAL_S = 60.0
"""How often each server looks for prices that another one has read."""


class SharedPrices:
    """The prices of the owner's API that the servers of a ledger have in common.

    Args:
        has_duty: whether this server is the one that asks, for so many seconds from now.
    """

    def __init__(self, ledger: Ledger, api_origin: str, has_duty: Callable[[float], bool]) -> None:
        self._ledger = ledger
        self._api_origin = api_origin
        self._has_duty = has_duty

    def find(self, model_id: str, ttl_s: float) -> Price | None:
        """What a server has read in the last `ttl_s` seconds; None if this one has to ask.

        If the one whose duty it is does not ask for twice as long, the others do.
        """
        is_ours = self._has_duty(DUTY_TTL_S)
        try:
            with self._ledger.reading() as reader:
                stored = read_price(reader, self._api_origin, model_id)
                now = self._ledger.time(reader)
            if stored is None or now - stored[1] >= (ttl_s if is_ours else 2 * ttl_s):
                return None
            return Price(**stored[0])
        except (LedgerError, TypeError) as exc:  # TypeError: another version of this program wrote it
            log.warning("The stored price of %s cannot be read: %s", model_id, exc)
            return None

    def store(self, model_id: str, price: Price) -> None:
        """Let the others know what was read."""
        try:
            with self._ledger.writing(durable=False, serialized=False) as transaction:
                now = self._ledger.time(transaction)
                store_price(transaction, self._api_origin, model_id, asdict(price), read_at=now)
        except LedgerError as exc:
            log.warning("The price of %s could not be stored: %s", model_id, exc)
