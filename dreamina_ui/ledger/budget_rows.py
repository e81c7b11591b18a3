"""What budgets were used for: jobs that are active, jobs and requests of a day, and money.

Only jobs that the owner pays for count, and only those of one API. A job counts from before it is sent; no longer when
it was refused, or was cancelled at no cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from dreamina_ui.ledger.job import SETTLED
from dreamina_ui.ledger.tables import jobs
from dreamina_ui.ledger.transaction import Reader

Scope = Literal["visitor", "address", "installation"]


@dataclass(frozen=True)
class Budget:
    """Whose usage is counted: that of a visitor, of a client address, or of the whole installation.

    Attributes:
        owner: the visitor_id or the address hash; "" for the installation.
    """

    scope: Scope
    api_origin: str
    owner: str = ""


def counts_since(since: float | sa.BindParameter[float]) -> sa.ColumnElement[bool]:
    """Jobs that count and were created at `since` or later."""
    refused = (jobs.c.state == "failed") & jobs.c.request_id.is_(None)
    given_back = (jobs.c.state == "cancelled") & (sa.func.coalesce(jobs.c.cost_usd, 0.0) == 0.0)
    return (jobs.c.created_at >= since) & ~refused & ~given_back


def owner_pays(api_origin: str | sa.BindParameter[str]) -> sa.ColumnElement[bool]:
    """Jobs of an API that the owner pays for."""
    return (jobs.c.api_origin == api_origin) & jobs.c.key_fingerprint.is_(None)


def _count(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(jobs).where(*where)


_OWNER_COLUMNS = {"visitor": jobs.c.visitor_id, "address": jobs.c.address, "installation": sa.literal("")}
_OF_BUDGET = {
    scope: _count(owner_pays(sa.bindparam("api_origin")), column == sa.bindparam("owner"))
    for scope, column in _OWNER_COLUMNS.items()
}
_ACTIVE = {scope: query.where(jobs.c.state.not_in(SETTLED)) for scope, query in _OF_BUDGET.items()}
_REQUESTED = {scope: query.where(jobs.c.created_at >= sa.bindparam("since")) for scope, query in _OF_BUDGET.items()}
_MADE = {scope: query.where(counts_since(sa.bindparam("since"))) for scope, query in _OF_BUDGET.items()}
_ACTIVE_OF_KEY = _count(jobs.c.key_fingerprint == sa.bindparam("key_fingerprint"), jobs.c.state.not_in(SETTLED))


def active_jobs(reader: Reader, budget: Budget) -> int:
    """How many jobs are not settled."""
    return _scalar(reader, _ACTIVE, budget)


def made_jobs(reader: Reader, budget: Budget, since: float) -> int:
    """How many jobs count that were created at `since` or later."""
    return _scalar(reader, _MADE, budget, since=since)


def requested_jobs(reader: Reader, budget: Budget, since: float) -> int:
    """How many jobs were created at `since` or later, whether they count or not."""
    return _scalar(reader, _REQUESTED, budget, since=since)


def active_jobs_of_key(reader: Reader, key_fingerprint: str) -> int:
    """How many jobs of a visitor's own key are not settled."""
    return int(reader.connection.execute(_ACTIVE_OF_KEY, {"key_fingerprint": key_fingerprint}).scalar_one())


def spent_usd(reader: Reader, api_origin: str, since: float) -> float:
    """USD that the jobs that count cost or are expected to cost, of those created at `since` or later."""
    amount = sa.func.coalesce(jobs.c.cost_usd, jobs.c.reserved_usd, 0.0)
    query = sa.select(sa.func.coalesce(sa.func.sum(amount), 0.0)).where(counts_since(since), owner_pays(api_origin))
    return float(reader.connection.execute(query).scalar_one())


def _scalar(reader: Reader, queries: dict[str, sa.Select[Any]], budget: Budget, **values: float) -> int:
    of_budget = {"api_origin": budget.api_origin, "owner": budget.owner, **values}
    return int(reader.connection.execute(queries[budget.scope], of_budget).scalar_one())
