"""Sums over all jobs: what they cost, and what the owner's dashboard and the metrics show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.budget_rows import DAY_S, counts_since, owner_pays
from dreamina_ui.ledger.job import IMPORT_ORIGIN, SANDBOX_ORIGIN
from dreamina_ui.ledger.personal.erasure import ERASED
from dreamina_ui.ledger.tables import budgets, jobs, outputs
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
        images: their last ones.
    """

    visitor_id: str | None
    jobs: int
    jobs_today: int
    usd: float
    last_at: float
    client_hashes: tuple[str, ...]
    images: tuple[RecentImage, ...] = ()


@dataclass(frozen=True)
class RecentImage:
    """One of a visitor's last images."""

    job_id: str
    index: int
    file_key: str


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
    whose = jobs.c.visitor_id == visitor_id
    if all_of_owner:
        whose &= jobs.c.key_fingerprint.is_not(None)  # the others are among the owner's
    own = [] if visitor_id is None else _costs_of_jobs(reader, whose)
    return sorted(own + (_costs_of_owner(reader) if all_of_owner else []), key=lambda group: group.day)


def _costs_of_owner(reader: Reader) -> list[CostGroup]:
    """From the counters: nobody waits until the rows of all jobs are read."""
    columns = (budgets.c.day, budgets.c.owner, budgets.c.api_origin == SANDBOX_ORIGIN)
    query = sa.select(*columns, budgets.c.micro_usd, budgets.c.requested, budgets.c.made - budgets.c.requested)
    query = query.where(budgets.c.scope == "model", budgets.c.made > 0)
    return [
        CostGroup(day, model_id, bool(is_sandbox), False, amount / 1e6, reported, unknown)
        for day, model_id, is_sandbox, amount, reported, unknown in reader.connection.execute(query)
    ]


def _costs_of_jobs(reader: Reader, whose: sa.ColumnElement[bool]) -> list[CostGroup]:
    groups = (
        sa.func.floor(jobs.c.created_at / float(DAY_S)),
        jobs.c.model_id,
        jobs.c.api_origin == SANDBOX_ORIGIN,
        jobs.c.key_fingerprint.is_not(None),
    )
    reported = sa.func.count(jobs.c.cost_usd)
    query = sa.select(*groups, _sum(jobs.c.cost_usd), reported, sa.func.count() - reported).select_from(jobs)
    query = query.where(whose, counts_since(0.0), jobs.c.api_origin != IMPORT_ORIGIN).group_by(*groups)
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
    ).where(_of_origin(api_origin), jobs.c.key_fingerprint.is_(None), counts_since(since))
    return Spending(*reader.connection.execute(query.select_from(jobs)).one())


def count_states(reader: Reader) -> dict[str, int]:
    """How many jobs there are by state."""
    query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
    return dict(reader.connection.execute(query).tuples().all())


def count_visitors(reader: Reader, since: float | None = None) -> int:
    """How many visitors created a job at `since` or later, or ever."""
    query = sa.select(sa.func.count(_every_visitor().c.visitor_id))
    if since is not None:
        query = sa.select(sa.func.count(jobs.c.visitor_id.distinct())).where(jobs.c.created_at >= since)
    return int(reader.connection.execute(query).scalar_one())


def visitor_summaries(
    reader: Reader, api_origin: str, today: float, *, max_visitors: int, max_client_hashes: int, max_images: int
) -> list[VisitorSummary]:
    """The latest visitors, and the programs; the newest first."""
    latest = _latest_visitors(reader, max_visitors)
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
        .where(_of_visitors(latest), _on_dashboard(api_origin))
        .group_by(jobs.c.visitor_id)
        .order_by(last_at.desc())
    )
    client_hashes, images = _client_hashes(reader, api_origin, latest), _last_images(reader, latest, max_images)
    return [
        VisitorSummary(
            visitor_id,
            count,
            count_today,
            usd,
            last,
            tuple(client_hashes.get(visitor_id, [])[:max_client_hashes]),
            tuple(images.get(visitor_id, [])[:max_images]),
        )
        for visitor_id, count, count_today, usd, last in reader.connection.execute(query)
    ]


def _latest_visitors(reader: Reader, limit: int) -> list[str | None]:
    """Who created a job last; None stands for programs."""
    visitors = _every_visitor()
    name, newest = visitors.c.visitor_id, sa.select(sa.func.max(jobs.c.created_at))
    last_at = newest.where(jobs.c.visitor_id == name).scalar_subquery().label("last_at")
    is_erased = (name >= ERASED) & (name < ERASED[:-1] + ".")
    query = sa.select(name, last_at).where(name.is_not(None), ~is_erased).order_by(last_at.desc()).limit(limit)
    rows: list[tuple[str | None, float]] = [(row[0], row[1]) for row in reader.connection.execute(query)]
    of_programs = reader.connection.execute(newest.where(jobs.c.visitor_id.is_(None))).scalar()
    rows += [] if of_programs is None else [(None, of_programs)]
    return [visitor_id for visitor_id, _ in sorted(rows, key=lambda row: -row[1])[:limit]]


def _every_visitor() -> sa.CTE:
    """All visitor_ids and one NULL; from one to the next by an index, not past the jobs of all."""
    first = sa.select(sa.func.min(jobs.c.visitor_id).label("visitor_id")).cte("visitors", recursive=True)
    following = sa.select(sa.func.min(jobs.c.visitor_id)).where(jobs.c.visitor_id > first.c.visitor_id)
    return first.union_all(sa.select(following.scalar_subquery()).where(first.c.visitor_id.is_not(None)))


def _of_visitors(visitor_ids: Iterable[str | None]) -> sa.ColumnElement[bool]:
    names = list(visitor_ids)
    is_listed: sa.ColumnElement[bool] = jobs.c.visitor_id.in_([name for name in names if name])
    return is_listed | jobs.c.visitor_id.is_(None) if None in names else is_listed


def _last_images(
    reader: Reader, visitor_ids: Iterable[str | None], max_images: int
) -> dict[str | None, list[RecentImage]]:
    """The stored images of the last few jobs of visitors, newest first."""
    newest_first = sa.func.row_number().over(partition_by=jobs.c.visitor_id, order_by=jobs.c.created_at.desc())
    is_named = jobs.c.visitor_id.in_([name for name in visitor_ids if name])
    job_columns = (jobs.c.job_id, jobs.c.visitor_id, newest_first.label("rank"), jobs.c.created_at)
    ranked = sa.select(*job_columns).where(is_named).subquery()
    last = sa.select(ranked.c.job_id, ranked.c.visitor_id).where(ranked.c.rank <= max_images)
    visitors = dict(reader.connection.execute(last.order_by(ranked.c.created_at.desc())).tuples().all())
    # Only by job_id: in a join, or with a condition on deleted_at, SQLite would read the files of all jobs.
    columns = (outputs.c.job_id, outputs.c.output_index, outputs.c.file_key)
    query = sa.select(*columns, outputs.c.state, outputs.c.kind, outputs.c.deleted_at)
    rows = reader.connection.execute(query.where(outputs.c.job_id.in_(list(visitors))))
    order = {job_id: number for number, job_id in enumerate(visitors)}
    stored = [
        RecentImage(*image)
        for *image, state, kind, deleted_at in rows
        if (state, kind, deleted_at) == ("kept", "image", None)
    ]
    images: dict[str | None, list[RecentImage]] = {}
    for image in sorted(stored, key=lambda image: (order[image.job_id], image.index)):
        images.setdefault(visitors[image.job_id], []).append(image)
    return images


def _client_hashes(reader: Reader, api_origin: str, visitor_ids: Iterable[str | None]) -> dict[str | None, list[str]]:
    """Client hashes by visitor_id (None for programs), newest first."""
    query = (
        sa.select(jobs.c.visitor_id, jobs.c.client_hash)
        .where(_of_visitors(visitor_ids), _on_dashboard(api_origin), jobs.c.client_hash.is_not(None))
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
    return _of_origin(api_origin) | jobs.c.key_fingerprint.is_not(None)


def _of_origin(api_origin: str) -> sa.ColumnElement[bool]:
    # Not the bare column: SQLite would take an index that finds all jobs of the API, instead of that of their time.
    return sa.func.coalesce(jobs.c.api_origin, "") == api_origin


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.func.coalesce(sa.func.sum(column), 0.0)
