"""What jobs cost: in all, by day, month and model. A cost that the service did not report is counted, never as zero.

Real money and the sandbox's play money are reported apart. Days and months are UTC, of the moment of Generate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from dreamina_ui.ledger.budget_rows import DAY_S
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.report_queries import CostGroup, cost_groups


@dataclass
class CostTotal:
    """What some jobs cost.

    Attributes:
        usd: the cost of those whose cost the service reported.
        reported: how many those are.
        unknown: how many more there are; they may have cost something, too, or are not finished.
    """

    usd: float = 0.0
    reported: int = 0
    unknown: int = 0

    def add(self, group: CostGroup) -> None:
        self.usd += group.usd
        self.reported += group.reported
        self.unknown += group.unknown

    def to_json(self) -> dict[str, Any]:
        """`{"usd": float, "told": int, "unknown": int}`."""
        return {"usd": self.usd, "told": self.reported, "unknown": self.unknown}


@dataclass
class CostReport:
    """What one kind of money was spent on.

    Attributes:
        own_key: the part that a visitor's own key paid for.
        days, months: by `2026-11-23` and `2026-11`, oldest first, only those with jobs.
        models: by model_id.
    """

    total: CostTotal = field(default_factory=CostTotal)
    own_key: CostTotal = field(default_factory=CostTotal)
    days: dict[str, CostTotal] = field(default_factory=dict)
    months: dict[str, CostTotal] = field(default_factory=dict)
    models: dict[str, CostTotal] = field(default_factory=dict)

    def add(self, group: CostGroup) -> None:
        day = f"{datetime.fromtimestamp(group.day * DAY_S, timezone.utc):%Y-%m-%d}"
        self.total.add(group)
        if group.is_own_key:
            self.own_key.add(group)
        self.days.setdefault(day, CostTotal()).add(group)
        self.months.setdefault(day[:7], CostTotal()).add(group)
        self.models.setdefault(group.model_id, CostTotal()).add(group)

    def to_json(self) -> dict[str, Any]:
        """The attributes, each total as `CostTotal.to_json` gives it."""
        tables = {"days": self.days, "months": self.months, "models": self.models}
        totals = {"total": self.total.to_json(), "own_key": self.own_key.to_json()}
        return totals | {name: {key: total.to_json() for key, total in table.items()} for name, table in tables.items()}


class Costs:
    """Adds up what jobs cost.

    Args:
        ledger: the rows.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(self, visitor_id: str | None, *, all_of_owner: bool) -> dict[str, CostReport]:
        """What a visitor's jobs cost, whoever paid; for the owner, also all that the owner's token paid for.

        What other visitors pay with their own keys is nobody else's business.

        Returns:
            `{"money": CostReport, "play": CostReport}`.

        Raises:
            LedgerError: the ledger could not be read.
        """
        reports = {"money": CostReport(), "play": CostReport()}
        with self._ledger.reading() as reader:
            groups = cost_groups(reader, visitor_id, all_of_owner=all_of_owner)
        for group in groups:
            reports["play" if group.is_sandbox else "money"].add(group)
        return reports
