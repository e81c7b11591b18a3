"""Sums over all jobs: what they cost, and what the owner's dashboard and the metrics show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from dreamina_ui.ledger.budget_rows import DAY_S, counts_since, day_of
from dreamina_ui.ledger.job import ACTIVE, IMPORT_ORIGIN, SANDBOX_ORIGIN
from dreamina_ui.ledger.personal.erasure import ERASED
from dreamina_ui.ledger.tables import budgets, day_totals, jobs, outputs, state_totals, visitor_totals
from dreamina_ui.ledger.transaction import Reader

_HAS_JOBS = visitor_totals.c.jobs > 0
_RECENT_JOBS = 20
"""Of how many of a visitor's last jobs the images and client IP addresses are looked at."""


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
        client_hashes: hashes of the client IP addresses that they created their last jobs from, newest first.
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
    """What the owner spends on the jobs of an API that were created on the day of `since` (UTC) or later."""
    of = day_totals.c
    columns = (of.jobs, of.billed_jobs, of.billed_micro_usd, of.foreseen_micro_usd, of.open_jobs, of.open_micro_usd)
    query = sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns))
    row = reader.connection.execute(query.where(of.api_origin == api_origin, of.day >= day_of(since))).one()
    made, billed, billed_usd, foreseen_usd, unbilled, unbilled_usd = map(int, row)
    unknown = made - billed - unbilled
    return Spending(made, billed, billed_usd / 1e6, foreseen_usd / 1e6, unbilled, unbilled_usd / 1e6, unknown)


def count_states(reader: Reader) -> dict[str, int]:
    """How many jobs there are by state."""
    settled = sa.select(state_totals.c.state, sa.func.sum(state_totals.c.jobs)).group_by(state_totals.c.state)
    active = sa.select(jobs.c.state, sa.func.count()).where(jobs.c.state.in_(ACTIVE)).group_by(jobs.c.state)
    rows = [*reader.connection.execute(settled), *reader.connection.execute(active)]
    return {state: int(count) for state, count in rows if count}


def count_visitors(reader: Reader, since: float | None = None) -> int:
    """How many visitors created a job at `since` or later, or ever."""
    if since is None:
        query = sa.select(sa.func.count(visitor_totals.c.owner.distinct())).where(
            _HAS_JOBS, visitor_totals.c.owner != ""
        )
    else:
        query = sa.select(sa.func.count(jobs.c.visitor_id.distinct())).where(jobs.c.created_at >= since)
    return int(reader.connection.execute(query).scalar_one())


def visitor_summaries(
    reader: Reader, api_origin: str, today: float, *, max_visitors: int, max_client_hashes: int, max_images: int
) -> list[VisitorSummary]:
    """The latest visitors, and the programs; the newest first."""
    of = visitor_totals.c
    last_at = sa.func.max(of.last_at)
    query = sa.select(of.owner, sa.func.sum(of.jobs), sa.func.sum(of.micro_usd), last_at)
    query = query.where(of.api_origin.in_([api_origin, ""]), _HAS_JOBS, ~of.owner.startswith(ERASED))
    rows = reader.connection.execute(query.group_by(of.owner).order_by(last_at.desc()).limit(max_visitors)).all()
    owners = [row[0] for row in rows]
    jobs_today = _jobs_since(reader, api_origin, owners, today)
    recent = _recent_jobs(reader, api_origin, owners)
    images = _last_images(reader, recent, max_images)
    return [
        VisitorSummary(
            owner or None,
            int(count),
            jobs_today.get(owner, 0),
            int(amount) / 1e6,
            last,
            _client_hashes(recent.get(owner, ()))[:max_client_hashes],
            tuple(images.get(owner, [])[:max_images]),
        )
        for owner, count, amount, last in rows
    ]


def _client_hashes(recent: Iterable[_RecentJob]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(job.client_hash for job in recent if job.client_hash))


class _RecentJob(NamedTuple):
    job_id: str
    client_hash: str | None


def _jobs_since(reader: Reader, api_origin: str, owners: Iterable[str], since: float) -> dict[str, int]:
    """How many jobs that count each owner of totals created at `since` or later."""
    owner = sa.func.coalesce(jobs.c.visitor_id, "")
    query = sa.select(owner, sa.func.count()).where(counts_since(since), _on_dashboard(api_origin)).group_by(owner)
    is_named = jobs.c.visitor_id.in_([name for name in owners if name])
    counts: dict[str, int] = {}
    for whose in (is_named, jobs.c.visitor_id.is_(None)):  # each by an index, which both in one condition are not
        counts |= dict(reader.connection.execute(query.where(whose)).tuples().all())
    return counts


def _recent_jobs(reader: Reader, api_origin: str, owners: Sequence[str]) -> dict[str, list[_RecentJob]]:
    """The last jobs of each owner of totals, newest first: of each, an index is read from its end."""
    client_hash = sa.case((_on_dashboard(api_origin), jobs.c.client_hash))
    names = sa.select(visitor_totals.c.owner).where(visitor_totals.c.owner.in_(owners)).distinct().subquery()
    others = jobs.alias()
    newest = sa.select(others.c.created_at).where(others.c.visitor_id == names.c.owner)
    nth = newest.order_by(others.c.created_at.desc()).offset(_RECENT_JOBS - 1).limit(1)
    is_recent = jobs.c.created_at >= sa.func.coalesce(nth.correlate(names).scalar_subquery(), 0.0)
    query = sa.select(names.c.owner, jobs.c.job_id, client_hash)
    query = query.join_from(names, jobs, (jobs.c.visitor_id == names.c.owner) & is_recent)
    of_programs = sa.select(sa.literal(""), jobs.c.job_id, client_hash).where(jobs.c.visitor_id.is_(None))
    recent: dict[str, list[_RecentJob]] = {}
    for part in (query, of_programs.limit(_RECENT_JOBS)):
        for owner, *job in reader.connection.execute(part.order_by(jobs.c.created_at.desc())):
            recent.setdefault(owner, []).append(_RecentJob(*job))
    return recent


def _last_images(
    reader: Reader, recent: Mapping[str, Sequence[_RecentJob]], max_images: int
) -> dict[str, list[RecentImage]]:
    """The stored images of the last few jobs of visitors, newest first."""
    visitors = {job.job_id: owner for owner, owned in recent.items() if owner for job in owned[:max_images]}
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
    images: dict[str, list[RecentImage]] = {}
    for image in sorted(stored, key=lambda image: (order[image.job_id], image.index)):
        images.setdefault(visitors[image.job_id], []).append(image)
    return images


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
