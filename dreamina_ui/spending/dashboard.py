"""What the owner wants to know at a glance: money, limits, visitors, states and errors; no prompts.

Money and limits are those of the jobs that the owner pays for; all else counts those with a visitor's own key too. Days
and months are those of UTC. Measured with 10,000 jobs of 500 visitors: 60 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.job import SETTLED
from dreamina_ui.ledger.tables import jobs
from dreamina_ui.spending.limits import Limits, SpendingGuard, counts_since, day_start, month_start
from dreamina_ui.spending.moderation import Rules

MAX_VISITORS = 100
MAX_ADDRESSES = 4
MAX_FAULTS = 20


@dataclass(frozen=True)
class BudgetUsage:
    """A limit and how much of it is used; that of a visitor or address by whoever used it most.

    Attributes:
        most: what holds; None for no limit.
        at_start: what the environment says.
    """

    name: str
    most: float | None
    at_start: float | None
    used: float


@dataclass(frozen=True)
class Spending:
    """Money since a moment, in USD.

    Attributes:
        jobs: how many count: neither refused nor given back.
        billed_jobs, billed_usd: those whose cost the service told, and that cost.
        foreseen_usd: what those same jobs were expected to cost at most, where a price was known.
        open_jobs, open_usd: those whose cost is not told yet, and what they are expected to cost at most.
        unknown_jobs: those of which neither is known.
    """

    jobs: int
    billed_jobs: int
    billed_usd: float
    foreseen_usd: float
    open_jobs: int
    open_usd: float
    unknown_jobs: int


@dataclass(frozen=True)
class VisitorSummary:
    """A visitor; or, without a `visitor_id`, all programs together.

    Attributes:
        usd: what their jobs cost the owner or are expected to, of all times.
        last_at: when they made their last job, in seconds since 1970.
        addresses: hashes of the addresses that they made jobs from, newest first, at most `MOST_ADDRESSES`.
    """

    visitor_id: str | None
    jobs: int
    jobs_today: int
    usd: float
    last_at: float
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class RecentError:
    """A job with a problem: a short name of it, since the whole one is a key."""

    job: str
    state: str
    problem: str
    detail: str | None
    at: float


@dataclass(frozen=True)
class Dashboard:
    """All of it.

    Attributes:
        price_is_missing: whether there is a limit in USD that cannot hold, because nobody knows a price.
        states: how many jobs, by state.
        visitors: how many there are; `guests` are the latest of them, and the programs.
    """

    rules: Rules
    limits: tuple[BudgetUsage, ...]
    price_is_missing: bool
    today: Spending
    month: Spending
    states: Mapping[str, int]
    visitors: int
    guests: tuple[VisitorSummary, ...]
    troubles: tuple[RecentError, ...]


def read_dashboard(
    connection: sa.Connection, guard: SpendingGuard, rules: Rules, model_ids: Iterable[str], now: float
) -> Dashboard:
    """Read everything; a few queries, whatever the number of visitors."""
    ours, every = guard.ours, guard.ours | jobs.c.key_fingerprint.is_not(None)
    today, month = (_spending(connection, ours & counts_since(since)) for since in (day_start(now), month_start(now)))
    limits = guard.limits_now(connection)
    used = _used(connection, ours, now, today, month)
    state_counts = sa.select(jobs.c.state, sa.func.count()).where(every).group_by(jobs.c.state)
    return Dashboard(
        rules=rules,
        limits=tuple(
            BudgetUsage(name, getattr(limits, name), getattr(guard.limits, name), used[name])
            for name in Limits.__dataclass_fields__
        ),
        price_is_missing=limits.in_usd and any(guard.expected_usd(model_id, {}) is None for model_id in model_ids),
        today=today,
        month=month,
        states={state: count for state, count in connection.execute(state_counts)},
        visitors=connection.execute(sa.select(sa.func.count(jobs.c.visitor_id.distinct())).where(every)).scalar_one(),
        guests=tuple(_guests(connection, ours, every, now)),
        troubles=tuple(_troubles(connection, every)),
    )


def _used(
    connection: sa.Connection, ours: sa.ColumnElement[bool], now: float, today: Spending, month: Spending
) -> dict[str, float]:
    wheres = {"at_once": jobs.c.state.not_in(SETTLED), "per_day": counts_since(day_start(now))}
    found: dict[str, float] = {
        "usd_per_day": today.billed_usd + today.open_usd,
        "usd_per_month": month.billed_usd + month.open_usd,
    }
    for name, where in wheres.items():
        found[name] = connection.execute(sa.select(sa.func.count()).select_from(jobs).where(ours & where)).scalar_one()
        for prefix, column in (("visitor", jobs.c.visitor_id), ("address", jobs.c.address)):
            each = sa.select(sa.func.count().label("count")).where(ours & where, column.is_not(None)).group_by(column)
            most = sa.select(sa.func.coalesce(sa.func.max(each.subquery().c.count), 0))
            found[f"{prefix}_{name}"] = connection.execute(most).scalar_one()
    return found


def _spending(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Spending:
    is_billed = jobs.c.cost_usd.is_not(None)
    is_open = jobs.c.cost_usd.is_(None) & jobs.c.reserved_usd.is_not(None)
    is_unknown = jobs.c.cost_usd.is_(None) & jobs.c.reserved_usd.is_(None)
    query = sa.select(
        sa.func.count(),
        sa.func.count(jobs.c.cost_usd),
        _sum(jobs.c.cost_usd),
        _sum(sa.case((is_billed, jobs.c.reserved_usd))),
        sa.func.count(sa.case((is_open, 1))),
        _sum(sa.case((is_open, jobs.c.reserved_usd))),
        sa.func.count(sa.case((is_unknown, 1))),
    ).where(where)
    return Spending(*connection.execute(query.select_from(jobs)).one())


def _guests(
    connection: sa.Connection, ours: sa.ColumnElement[bool], every: sa.ColumnElement[bool], now: float
) -> Iterable[VisitorSummary]:
    amount = sa.func.coalesce(jobs.c.cost_usd, jobs.c.reserved_usd, 0.0)
    last_at = sa.func.max(jobs.c.created_at)
    query = (
        sa.select(
            jobs.c.visitor_id,
            sa.func.count(),
            sa.func.count(sa.case((counts_since(day_start(now)), 1))),
            _sum(sa.case((ours & counts_since(0.0), amount))),
            last_at,
        )
        .where(every)
        .group_by(jobs.c.visitor_id)
        .order_by(last_at.desc())
        .limit(MAX_VISITORS)
    )
    rows = connection.execute(query).all()
    is_one = jobs.c.visitor_id.in_([row[0] for row in rows]) | jobs.c.visitor_id.is_(None)
    places = sa.select(jobs.c.visitor_id, jobs.c.address).where(every & is_one, jobs.c.address.is_not(None))
    addresses: dict[str | None, list[str]] = {}
    for visitor_id, address in connection.execute(
        places.group_by(jobs.c.visitor_id, jobs.c.address).order_by(last_at.desc())
    ):
        addresses.setdefault(visitor_id, []).append(address)
    return [
        VisitorSummary(visitor_id, count, count_today, usd, last, tuple(addresses.get(visitor_id, [])[:MAX_ADDRESSES]))
        for visitor_id, count, count_today, usd, last in rows
    ]


def _troubles(connection: sa.Connection, every: sa.ColumnElement[bool]) -> Iterable[RecentError]:
    columns = (jobs.c.job_id, jobs.c.state, jobs.c.problem, jobs.c.detail, jobs.c.updated_at)
    query = sa.select(*columns).where(every, jobs.c.problem.is_not(None)).order_by(jobs.c.updated_at.desc())
    rows = connection.execute(query.limit(MAX_FAULTS))
    return [RecentError(job_id[:8], *rest) for job_id, *rest in rows]


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.func.coalesce(sa.func.sum(column), 0.0)
