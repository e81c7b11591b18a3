"""Sums over all jobs: what they cost, and what the owner's dashboard and the metrics show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.budget_rows import DAY_S, counts_since, owner_pays
from dreamina_ui.ledger.job import SANDBOX_ORIGIN
from dreamina_ui.ledger.tables import jobs
from dreamina_ui.ledger.transaction import Reader


@dataclass(frozen=True)
class CostGroup:
    """Jobs of one day, model and kind of money.

    Attributes:
        day: days since 1970 (UTC).
        usd: the cost of those whose cost the service reported.
        reported: how many those are.
        unknown: how many more there are.
    """

    day: int
    model_id: str
    is_sandbox: bool
    is_own_key: bool
    usd: float
    reported: int
    unknown: int


@dataclass(frozen=True)
class Spending:
    """Money since a moment, in USD.

    Attributes:
        jobs: how many count: neither refused nor given back.
        billed_jobs, billed_usd: those whose cost the service reported, and that cost.
        foreseen_usd: what those same jobs were expected to cost at most, where a price was known.
        open_jobs, open_usd: those whose cost is not reported yet, and what they are expected to cost at most.
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
        last_at: when they created their last job, in seconds since 1970.
        client_hashes: hashes of the client IP addresses that they created jobs from, newest first.
    """

    visitor_id: str | None
    jobs: int
    jobs_today: int
    usd: float
    last_at: float
    client_hashes: tuple[str, ...]


@dataclass(frozen=True)
class RecentError:
    """A job with a problem: a short name of it, since the whole id is a key."""

    job: str
    state: str
    problem: str
    detail: str | None
    at: float


def cost_groups(reader: Reader, visitor_id: str | None, *, all_of_owner: bool) -> list[CostGroup]:
    """The costs of a visitor's jobs, and with `all_of_owner` of all that the owner pays for; oldest day first."""
    whose = jobs.c.visitor_id == visitor_id if visitor_id is not None else sa.false()
    if all_of_owner:
        whose |= jobs.c.key_fingerprint.is_(None)
    groups = (
        sa.func.floor(jobs.c.created_at / float(DAY_S)),
        jobs.c.model_id,
        jobs.c.api_origin == SANDBOX_ORIGIN,
        jobs.c.key_fingerprint.is_not(None),
    )
    reported = sa.func.count(jobs.c.cost_usd)
    query = sa.select(*groups, _sum(jobs.c.cost_usd), reported, sa.func.count() - reported).select_from(jobs)
    query = query.where(whose, counts_since(0.0)).group_by(*groups).order_by(groups[0])
    return [CostGroup(int(day), *rest) for day, *rest in reader.connection.execute(query)]


def spending_since(reader: Reader, api_origin: str, since: float) -> Spending:
    """What the owner spends on the jobs of an API that were created at `since` or later."""
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
    ).where(owner_pays(api_origin), counts_since(since))
    return Spending(*reader.connection.execute(query.select_from(jobs)).one())


def count_states(reader: Reader, api_origin: str | None = None) -> dict[str, int]:
    """How many jobs there are by state: all, or those of an API's dashboard."""
    query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
    if api_origin is not None:
        query = query.where(_on_dashboard(api_origin))
    return dict(reader.connection.execute(query).tuples().all())


def count_visitors(reader: Reader, api_origin: str | None = None, since: float = 0.0) -> int:
    """How many visitors created a job at `since` or later: any, or one of an API's dashboard."""
    query = sa.select(sa.func.count(jobs.c.visitor_id.distinct())).where(jobs.c.created_at >= since)
    if api_origin is not None:
        query = query.where(_on_dashboard(api_origin))
    return int(reader.connection.execute(query).scalar_one())


def visitor_summaries(
    reader: Reader, api_origin: str, today: float, *, max_visitors: int, max_client_hashes: int
) -> list[VisitorSummary]:
    """The latest visitors, and the programs; the newest first."""
    amount = sa.func.coalesce(jobs.c.cost_usd, jobs.c.reserved_usd, 0.0)
    last_at = sa.func.max(jobs.c.created_at)
    query = (
        sa.select(
            jobs.c.visitor_id,
            sa.func.count(),
            sa.func.count(sa.case((counts_since(today), 1))),
            _sum(sa.case((owner_pays(api_origin) & counts_since(0.0), amount))),
            last_at,
        )
        .where(_on_dashboard(api_origin))
        .group_by(jobs.c.visitor_id)
        .order_by(last_at.desc())
        .limit(max_visitors)
    )
    rows = reader.connection.execute(query).all()
    client_hashes = _client_hashes(reader, api_origin, [row[0] for row in rows])
    return [
        VisitorSummary(
            visitor_id, count, count_today, usd, last, tuple(client_hashes.get(visitor_id, [])[:max_client_hashes])
        )
        for visitor_id, count, count_today, usd, last in rows
    ]


def _client_hashes(reader: Reader, api_origin: str, visitor_ids: Iterable[str | None]) -> dict[str | None, list[str]]:
    """Client hashes by visitor_id (None for programs), newest first."""
    is_listed = jobs.c.visitor_id.in_([name for name in visitor_ids if name]) | jobs.c.visitor_id.is_(None)
    query = (
        sa.select(jobs.c.visitor_id, jobs.c.client_hash)
        .where(_on_dashboard(api_origin) & is_listed, jobs.c.client_hash.is_not(None))
        .group_by(jobs.c.visitor_id, jobs.c.client_hash)
        .order_by(sa.func.max(jobs.c.created_at).desc())
    )
    by_visitor: dict[str | None, list[str]] = {}
    for visitor_id, client_hash in reader.connection.execute(query):
        by_visitor.setdefault(visitor_id, []).append(client_hash)
    return by_visitor


def recent_errors(reader: Reader, api_origin: str, limit: int) -> list[RecentError]:
    """The jobs with a problem that changed last."""
    columns = (jobs.c.job_id, jobs.c.state, jobs.c.problem, jobs.c.detail, jobs.c.updated_at)
    query = sa.select(*columns).where(_on_dashboard(api_origin), jobs.c.problem.is_not(None))
    rows = reader.connection.execute(query.order_by(jobs.c.updated_at.desc()).limit(limit))
    return [RecentError(job_id[:8], *rest) for job_id, *rest in rows]


def _on_dashboard(api_origin: str) -> sa.ColumnElement[bool]:
    """Jobs that the owner pays for, and those of visitors' own keys."""
    return owner_pays(api_origin) | jobs.c.key_fingerprint.is_not(None)


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.func.coalesce(sa.func.sum(column), 0.0)
