"""What people read about the owner's money: the limits, the quota that is left, and the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.models.schema import Model
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.spending.dashboard import Dashboard, read_dashboard
from dreamina_ui.spending.limits import Limits, Quota, SpendingGuard, day_end
from dreamina_ui.spending.moderation import Moderation
from dreamina_ui.spending.prices import Prices


class SpendingService:
    """Reads and changes what may be spent; every method may raise LedgerError.

    Args:
        clock: the time in seconds since 1970.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        accounts: Accounts,
        models: Mapping[str, Model],
        guard: SpendingGuard,
        moderation: Moderation,
        prices: Prices,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._models = models
        self._guard = guard
        self._moderation = moderation
        self._prices = prices
        self._clock = clock

    def limits(self) -> Limits:
        """What is allowed now."""
        with self._ledger.reading() as reader:
            return self._guard.limits_now(reader)

    def change_limits(self, changes: Mapping[str, Any]) -> None:
        """As `Moderation.change_limits`; then ask for prices, which a limit in USD needs."""
        self._moderation.change_limits(changes)
        self.refresh_prices()

    def refresh_prices(self) -> None:
        """Ask anew in the background what a file costs."""
        self._prices.read_soon(are_needed=self.limits().in_usd)

    def quota(self, visitor_id: str, *, has_own_key: bool = False) -> Quota:
        """What a visitor may still do today, at the owner's cost; without a limit for one who pays."""
        own_key = self._accounts.requires_own_key or has_own_key
        now = self._clock()
        with self._ledger.reading() as reader:
            quota = Quota(None, day_end(now)) if own_key else self._guard.quota(reader, visitor_id, now)
            stopped = self._moderation.stop_reason(reader, None if own_key else self._accounts.api_origin)
        return replace(quota, stopped=stopped)

    def dashboard(self) -> Dashboard:
        """What the owner wants to know at a glance."""
        with self._ledger.reading() as reader:
            rules = self._moderation.rules(reader)
            dashboard = read_dashboard(reader, self._guard, rules, self._models, self._clock())
        differences = {name: lines for name, lines in self._prices.schema_differences.items() if lines}
        return replace(dashboard, schema_differences=differences)
