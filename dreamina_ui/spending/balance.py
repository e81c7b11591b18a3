"""What is left in the owner's account: read at the start, which tests the token for nothing, and now and then.

Where nobody may ask, or nobody answers, everything else works without it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from dreamina_ui.api.model_api import CatalogApi
from dreamina_ui.errors import ApiError, AuthError

log = logging.getLogger(__name__)

READ_INTERVAL_S = 900.0
FRESH_S = 60.0
"""How old a balance may be that the owner looks at without its being read again."""


@dataclass(frozen=True)
class BalanceState:
    """What is known of the balance.

    Attributes:
        amount: in `currency`; None if it was never read.
        read_at: seconds since 1970.
        is_low: whether it is less than the owner wants to be warned at.
        problem: the kind of error that the last attempt ended with, such as `auth`; None if it did well.
    """

    amount: float | None = None
    currency: str = "USD"
    read_at: float | None = None
    is_low: bool = False
    problem: str | None = None


class BalanceReader:
    """Reads the balance on a thread of its own.

    Args:
        api: None where there is no owner's token.
        low_usd: what less than this is a warning for.
        clock: the time in seconds since 1970.
        is_play_money: whether it is the sandbox's.

    Attributes:
        was_read: set after the first attempt, whatever came of it.
    """

    def __init__(
        self, api: CatalogApi | None, *, low_usd: float, clock: Callable[[], float], is_play_money: bool = False
    ) -> None:
        self._api = api
        self._low_usd = low_usd
        self._clock = clock
        self._is_play_money = is_play_money
        self._state: BalanceState | None = None
        self.was_read = threading.Event()
        self._wanted = threading.Event()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Read it now and from time to time, if there is an owner's token."""
        if self._api is None:
            self.was_read.set()
            return
        threading.Thread(target=self._run, args=(self._api,), name="balance", daemon=True).start()

    def stop(self) -> None:
        """Read it no more."""
        self._stopping.set()
        self._wanted.set()

    def state(self) -> BalanceState | None:
        """What is known, and an old one is read again in the background; None where nobody may ask."""
        state = self._state
        if state and (state.read_at is None or self._clock() - state.read_at > FRESH_S):
            self._wanted.set()
        return state

    def read(self, api: CatalogApi) -> bool:
        """Read it once; blocks until the service responds. Returns whether it may be asked at all."""
        before = self._state or BalanceState()
        try:
            balance = api.balance()
        except ApiError as exc:
            self._state = BalanceState(before.amount, before.currency, before.read_at, before.is_low, exc.kind)
            if exc.kind != before.problem:
                level = logging.ERROR if isinstance(exc, AuthError) else logging.WARNING
                log.log(level, "The balance could not be read: %s", exc)
            return True
        if balance is None:
            return False
        is_low = balance.currency == "USD" and balance.amount < self._low_usd
        self._state = BalanceState(balance.amount, balance.currency, self._clock(), is_low)
        if is_low and not before.is_low:
            log.warning("The balance is low: %.2f %s", balance.amount, balance.currency)
        elif before.read_at is None:
            if self._is_play_money:
                log.info("The sandbox has %.2f %s of play money: nothing is billed", balance.amount, balance.currency)
            else:
                log.info("The token is good; the balance is %.2f %s", balance.amount, balance.currency)
        return True

    def _run(self, api: CatalogApi) -> None:
        while not self._stopping.is_set():
            self._wanted.clear()
            may_ask = False
            try:
                may_ask = self.read(api)
            except Exception:
                log.exception("The balance could not be read")
            self.was_read.set()
            if not may_ask:
                return
            self._wanted.wait(READ_INTERVAL_S)
            self._stopping.wait(1.0)  # somebody who looks all the time does not ask all the time
