"""Which jobs of a batch can be made anew, and what that costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dreamina_ui.batches.store import BatchGrid, GridCell
from dreamina_ui.web.i18n.job_texts import action_of


@dataclass(frozen=True)
class Retry:
    """The failed jobs of a batch.

    Attributes:
        failed: by position in the batch, the job that failed; None for an item that was refused.
        file_usd: the price of one file now; None if it is unknown.
        expected_usd: what all of them cost at most; None if it is unknown.
        has_own_key: whether the visitor's own key pays, as for the batch.
    """

    failed: Mapping[int, str | None]
    file_usd: float | None
    expected_usd: float | None
    has_own_key: bool

    @property
    def digest(self) -> str:
        """Changes with any of it; the same jobs cannot fail twice, so each digest pays once."""
        content = [sorted(self.failed.items()), self.expected_usd, self.has_own_key]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def facts(self, *, uses_sandbox: bool) -> dict[str, Any]:
        """What the page shows: how many, at what price, and who pays."""
        return {
            "count": len(self.failed),
            "expected_usd": self.expected_usd,
            "digest": self.digest,
            "own_key": self.has_own_key,
            "play_money": uses_sandbox and not self.has_own_key,
        }


def plan_retry(
    grid: BatchGrid, file_usd: float | None, price_of: Callable[[Mapping[str, Any]], float | None]
) -> Retry | None:
    """What a retry would make; None if nothing failed.

    Args:
        price_of: gives the price of a job with these inputs.
    """
    cells = [cell for cell in grid.cells if _can_be_retried(cell)]
    if not cells:
        return None
    prices = [price_of(cell.inputs or {}) for cell in cells]
    known = [price for price in prices if price is not None]
    return Retry(
        {cell.position: cell.job.job_id if cell.job else None for cell in cells},
        file_usd,
        sum(known) if len(known) == len(prices) else None,
        grid.batch.key_fingerprint is not None,
    )


def _can_be_retried(cell: GridCell) -> bool:
    """Whether an item brought nothing and never will: a result that could not be downloaded is paid for already."""
    if cell.state == "refused":
        return True
    if cell.job is None or cell.job.state != "failed":
        return False
    return action_of(cell.job, for_owner=True) not in ("retry_download", "none")
