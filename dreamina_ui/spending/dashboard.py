"""What the owner wants to know at a glance: money, limits, visitors, states and errors; no prompts.

Money and limits are those of the jobs that the owner pays for; all else counts those of visitors' own keys, too. Days
and months are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dreamina_ui.ledger import report_queries
from dreamina_ui.ledger.budget_rows import day_of, highest_usages
from dreamina_ui.ledger.report_queries import RecentError, Spending, VisitorSummary
from dreamina_ui.ledger.transaction import Reader
from dreamina_ui.spending.limits import Limits, SpendingGuard, day_start, month_start
from dreamina_ui.spending.moderation import Rules

MAX_VISITORS = 100
MAX_CLIENT_HASHES = 4
MAX_IMAGES = 4
MAX_ERRORS = 500
MAX_GROUPS = 20
MAX_GROUP_JOBS = 5
_VARYING = re.compile(r"\b[0-9a-f-]{8,}\b|\d+")
"""What differs between errors of one kind: ids and numbers."""


@dataclass(frozen=True)
class BudgetUsage:
    """A limit and how much of it is used; that of a visitor or IP address by whoever used it most.

    Attributes:
        most: what holds; None for no limit.
        at_start: what the environment says.
    """

    name: str
    most: float | None
    at_start: float | None
    used: float


@dataclass(frozen=True)
class ErrorGroup:
    """Recent errors of one kind.

    Attributes:
        detail: of the last one.
        jobs: short names of the last jobs.
        first_at, last_at: seconds since 1970.
    """

    state: str
    problem: str
    detail: str | None
    count: int
    jobs: tuple[str, ...]
    first_at: float
    last_at: float


@dataclass(frozen=True)
class Dashboard:
    """Everything on the owner's page.

    Attributes:
        price_is_missing: whether there is a limit in USD that cannot hold, because nobody knows a price.
        states: how many jobs, by state.
        visitors: how many there are; `visitor_summaries` are the latest of them, and the programs.
        schema_differences: what differs between a model's file and the service's input schema, by model_id, as lines
            in technical English; only of models where something does.
    """

    rules: Rules
    limits: tuple[BudgetUsage, ...]
    price_is_missing: bool
    today: Spending
    month: Spending
    states: Mapping[str, int]
    visitors: int
    visitor_summaries: tuple[VisitorSummary, ...]
    error_groups: tuple[ErrorGroup, ...]
    schema_differences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The attributes as the page reads them; its own names for some of them are written here."""
        fields = asdict(self)
        fields["guests"] = [
            {"addresses" if name == "client_hashes" else name: value for name, value in summary.items()}
            for summary in fields.pop("visitor_summaries")
        ]
        fields["troubles"] = fields.pop("error_groups")
        fields["rules"]["shut_out"] = fields["rules"].pop("blocks")
        return fields


def _used_jobs(reader: Reader, api_origin: str, now: float) -> dict[str, float]:
    """What is used of the limits on jobs, by their names."""
    used: dict[str, float] = {}
    for scope, usage in highest_usages(reader, api_origin, day_of(now)).items():
        prefix = "" if scope == "installation" else f"{scope}_"
        used |= {f"{prefix}at_once": usage.active, f"{prefix}per_day": usage.made}
    return used


def read_dashboard(
    reader: Reader, guard: SpendingGuard, rules: Rules, model_ids: Iterable[str], now: float
) -> Dashboard:
    """Read everything; a few queries, whatever the number of visitors."""
    origin, midnight = guard.api_origin, day_start(now)
    today = report_queries.spending_since(reader, origin, midnight)
    month = report_queries.spending_since(reader, origin, month_start(now))
    limits = guard.limits_now(reader)
    used: dict[str, float] = {
        **_used_jobs(reader, origin, now),
        "usd_per_day": today.billed_usd + today.open_usd,
        "usd_per_month": month.billed_usd + month.open_usd,
    }
    return Dashboard(
        rules=rules,
        limits=tuple(
            BudgetUsage(name, getattr(limits, name), getattr(guard.limits, name), used[name])
            for name in Limits.__dataclass_fields__
        ),
        price_is_missing=limits.in_usd and any(guard.expected_usd(model_id, {}) is None for model_id in model_ids),
        today=today,
        month=month,
        states=report_queries.count_states(reader),
        visitors=report_queries.count_visitors(reader),
        visitor_summaries=tuple(
            report_queries.visitor_summaries(
                reader,
                origin,
                midnight,
                max_visitors=MAX_VISITORS,
                max_client_hashes=MAX_CLIENT_HASHES,
                max_images=MAX_IMAGES,
            )
        ),
        error_groups=group_errors(report_queries.recent_errors(reader, origin, MAX_ERRORS)),
    )


def group_errors(errors: Iterable[RecentError]) -> tuple[ErrorGroup, ...]:
    """Put errors that differ only in ids and numbers together; newest first, as the errors are."""
    groups: dict[tuple[str, str, str], list[RecentError]] = {}
    for error in errors:
        groups.setdefault((error.state, error.problem, _VARYING.sub("#", error.detail or "")), []).append(error)
    return tuple(
        ErrorGroup(
            state=group[0].state,
            problem=group[0].problem,
            detail=group[0].detail,
            count=len(group),
            jobs=tuple(error.job for error in group[:MAX_GROUP_JOBS]),
            first_at=group[-1].at,
            last_at=group[0].at,
        )
        for group in list(groups.values())[:MAX_GROUPS]
    )
