"""The table `budgets`: how many jobs are active, how many a day has, and what they cost, as counters.

Each change of a job's row changes its counters in the same transaction, so a limit is enforced without reading other
jobs, however many there are. `count_budgets` computes the same numbers from the rows: `verify` compares them.

A model has one, too, which limits nothing: the owner's costs are added up from it.

Only jobs that the owner pays for have a budget; of a visitor's own key, only the active ones are counted. A job counts
from before it is sent; no longer when it was refused, or was canceled at no cost. Its day is that of its creation, UTC.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from dreamina_ui.ledger.job import ACTIVE, IMPORT_ORIGIN, Job
from dreamina_ui.ledger.tables import budgets, jobs
from dreamina_ui.ledger.transaction import Prepared, Reader, Transaction

DAY_S = 86400
ALL_DAYS = -1
"""The `day` of the row that counts active jobs, whenever they were created."""

Scope = Literal["visitor", "address", "installation", "own_key", "erased", "model"]
"""What was used today by a visitor whose data was erased has a row of its own, which no job's row explains. Of a model,
`requested` counts those jobs that count and whose cost is known, and `micro_usd` is that cost."""


class Budget(NamedTuple):
    """Whose usage is counted.

    Attributes:
        api_origin: of the jobs that count; "" for an own key, whose jobs count wherever they run.
        owner: the visitor_id, the client hash, the key fingerprint or the model_id; "" for the installation.
    """

    scope: Scope
    api_origin: str
    owner: str = ""


class Usage(NamedTuple):
    """What a budget was used for.

    Attributes:
        active: jobs that are not settled.
        made: jobs of a day that count.
        requested: jobs of a day, whether they count or not.
        micro_usd: what those that count cost, or are expected to cost; counted for the installation and models only.
    """

    active: int = 0
    made: int = 0
    requested: int = 0
    micro_usd: int = 0


@dataclass(frozen=True)
class BudgetDifference:
    """A counter row that is not what the jobs' rows say; `day` is in days since 1970, or `ALL_DAYS`."""

    budget: Budget
    day: int
    stored: Usage
    counted: Usage


_Key = tuple[Budget, int]
BudgetChanges = Mapping[_Key, Usage]
"""What is added to a budget's counters of a day."""

_COLUMNS = (budgets.c.active, budgets.c.made, budgets.c.requested, budgets.c.micro_usd)
_ROWS_PER_STATEMENT = 50
_ADDED = "added to budgets"
"""What a transaction remembers of the counters that it changed."""


_ADD_USAGES = (
    "INSERT INTO budgets (scope, api_origin, owner, day, active, made, requested, micro_usd) VALUES {rows} "
    "ON CONFLICT (scope, api_origin, owner, day) DO UPDATE SET active = budgets.active + excluded.active, "
    "made = budgets.made + excluded.made, requested = budgets.requested + excluded.requested, "
    "micro_usd = budgets.micro_usd + excluded.micro_usd"
)


@lru_cache(1000)
def _add_usages(rows: tuple[tuple[int, ...], ...]) -> Prepared:
    """One statement for all counters that a job's change concerns.

    Args:
        rows: the number of each value: equal ones have the same, as each value of a statement costs time.
    """
    values = (f"({', '.join(f':value{number}' for number in row)})" for row in rows)
    return Prepared(sa.text(_ADD_USAGES.format(rows=", ".join(values))))


_OF_OWNERS = (budgets.c.api_origin == sa.bindparam("api_origin")) & sa.or_(
    (budgets.c.scope == "visitor") & (budgets.c.owner == sa.bindparam("visitor_id")),
    (budgets.c.scope == "erased") & (budgets.c.owner == sa.bindparam("visitor_id")),
    (budgets.c.scope == "address") & (budgets.c.owner == sa.bindparam("client_hash")),
    (budgets.c.scope == "installation") & (budgets.c.owner == ""),
)
# Built once, and one statement for all limits: it is part of every admission.
_USAGES = (
    sa.select(budgets.c.scope, *(sa.func.sum(column) for column in _COLUMNS))
    .where(_OF_OWNERS, budgets.c.day.in_([ALL_DAYS, sa.bindparam("day")]))
    .group_by(budgets.c.scope)
)
_SPENT: Any = sa.select(
    sa.literal_column("'spent'"),
    sa.func.sum(sa.case((budgets.c.day >= sa.bindparam("day"), budgets.c.micro_usd), else_=0)),
    sa.func.sum(budgets.c.micro_usd),
    sa.literal_column("0"),
    sa.literal_column("0"),
).where(
    budgets.c.scope == "installation",
    budgets.c.api_origin == sa.bindparam("api_origin"),
    budgets.c.owner == "",
    budgets.c.day >= sa.bindparam("first_day"),
)
_READ_USAGES, _READ_SPENT = Prepared(_USAGES), Prepared(_SPENT)
_READ_USAGES_AND_SPENT = Prepared(sa.union_all(_USAGES, _SPENT))
_READ_USAGE_OF_NETWORK = Prepared(
    sa.select(*(sa.func.sum(column) for column in _COLUMNS)).where(
        budgets.c.scope == "address",
        budgets.c.api_origin == sa.bindparam("api_origin"),
        budgets.c.owner >= sa.bindparam("beginning"),
        budgets.c.owner < sa.bindparam("end"),
        budgets.c.day.in_([ALL_DAYS, sa.bindparam("day")]),
    )
)
_READ_ACTIVE_OF_KEY = Prepared(
    sa.select(budgets.c.active).where(
        budgets.c.scope == "own_key",
        budgets.c.api_origin == "",
        budgets.c.owner == sa.bindparam("key_fingerprint"),
        budgets.c.day == ALL_DAYS,
    )
)


def day_of(moment: float) -> int:
    """The day of a moment (UTC), in days since 1970."""
    return math.floor(moment / DAY_S)


def micro_usd(usd: float) -> int:
    """USD as whole millionths, rounded to the nearest: sums of them are exact."""
    return math.floor(usd * 1_000_000 + 0.5)


def read_usages(
    reader: Reader, api_origin: str, day: int, *, visitor_id: str | None = None, client_hash: str | None = None
) -> dict[Scope, Usage]:
    """The active jobs and a day's usage of the installation, and of a visitor and a client if they are given.

    Returns:
        A usage for each of the scopes `installation`, `visitor` and `address`.
    """
    values = {"api_origin": api_origin, "day": day, "visitor_id": visitor_id, "client_hash": client_hash}
    return _usages(_READ_USAGES.rows(reader, values))


def read_usages_and_spent(
    reader: Reader, api_origin: str, first_day: int, day: int, *, visitor_id: str | None, client_hash: str | None
) -> tuple[dict[Scope, Usage], tuple[int, int]]:
    """What `read_usages` and `spent_micro_usd` return, in one query."""
    values = _usages_and_spent_values(api_origin, first_day, day, visitor_id, client_hash)
    rows = _READ_USAGES_AND_SPENT.sent_rows(reader, values)
    added = [] if rows is None else _added_since(reader, values)
    rows = _READ_USAGES_AND_SPENT.rows(reader, values) if rows is None else rows
    rows += added
    spent = [(int(row[1] or 0), int(row[2] or 0)) for row in rows if row[0] == "spent"]
    today, month = (sum(column) for column in zip(*spent, strict=True))
    return _usages(row for row in rows if row[0] != "spent"), (today, month)


def send_usages_and_spent(
    transaction: Transaction,
    api_origin: str,
    first_day: int,
    day: int,
    *,
    visitor_id: str | None,
    client_hash: str | None,
) -> None:
    """Send ahead what `read_usages_and_spent` reads, which then adds what the transaction itself has changed since."""
    values = _usages_and_spent_values(api_origin, first_day, day, visitor_id, client_hash)
    _READ_USAGES_AND_SPENT.send(transaction, values)


def _usages_and_spent_values(
    api_origin: str, first_day: int, day: int, visitor_id: str | None, client_hash: str | None
) -> dict[str, Any]:
    values = {"api_origin": api_origin, "day": day, "visitor_id": visitor_id, "client_hash": client_hash}
    return {**values, "first_day": first_day}


def _added_since(reader: Reader, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What the transaction has added to these counters, as rows of `_READ_USAGES_AND_SPENT`."""
    changes: dict[_Key, Usage] = reader.remembered.get(_ADDED, {}) if isinstance(reader, Transaction) else {}
    owners = {("visitor", values["visitor_id"]), ("erased", values["visitor_id"])}
    owners |= {("address", values["client_hash"]), ("installation", "")}
    rows: list[tuple[Any, ...]] = []
    for (budget, day), usage in changes.items():
        if budget.api_origin != values["api_origin"]:
            continue
        if (budget.scope, budget.owner) in owners and day in (ALL_DAYS, values["day"]):
            rows.append((budget.scope, *usage))
        if budget.scope == "installation" and day >= values["first_day"]:
            rows.append(("spent", usage.micro_usd if day >= values["day"] else 0, usage.micro_usd))
    return rows


def read_usage_of_network(reader: Reader, api_origin: str, day: int, beginning: str) -> Usage:
    """The active jobs and a day's usage of all clients whose hash has this beginning."""
    end = beginning + "g"  # behind every hexadecimal digit
    values = {"api_origin": api_origin, "day": day, "beginning": beginning, "end": end}
    ((*counts,),) = _READ_USAGE_OF_NETWORK.rows(reader, values)
    return Usage(*(int(count or 0) for count in counts))


def highest_usages(reader: Reader, api_origin: str, day: int) -> dict[Scope, Usage]:
    """As `read_usages`, but for visitors and IP addresses each number of whoever has most."""
    usages: dict[Scope, Usage] = dict.fromkeys(("installation", "visitor", "address"), Usage())
    # Not the bare column: SQLite would take the index that has all days of a scope, instead of that of the day. This
    # query alone has the condition of that index: of a single visitor, all of a day would be read by it.
    scope = sa.func.coalesce(budgets.c.scope, "")
    query = sa.select(scope, *(sa.func.max(column) for column in _COLUMNS)).where(
        budgets.c.api_origin == api_origin,
        budgets.c.day.in_([ALL_DAYS, day]),
        scope.in_(usages),
        budgets.c.scope != sa.literal_column("'erased'"),
    )
    for name, *counts in reader.connection.execute(query.group_by(scope)):
        usages[name] = Usage(*counts)
    return usages


def active_jobs_of_key(reader: Reader, key_fingerprint: str) -> int:
    """How many jobs of a visitor's own key are not settled."""
    rows = _READ_ACTIVE_OF_KEY.rows(reader, {"key_fingerprint": key_fingerprint})
    return int(rows[0][0]) if rows else 0


def spent_micro_usd(reader: Reader, api_origin: str, first_day: int, day: int) -> tuple[int, int]:
    """What the jobs that count cost or are expected to cost: of those since `day`, and of those since `first_day`."""
    values = {"api_origin": api_origin, "first_day": first_day, "day": day}
    ((_, since_day, since_first_day, *_rest),) = _READ_SPENT.rows(reader, values)
    return int(since_day or 0), int(since_first_day or 0)


def payer(job: Job) -> str:
    """Who pays for a job: whoever changes its counters locks this name, see `Database.write`."""
    return job.api_origin if job.key_fingerprint is None else job.key_fingerprint


def budget_changes(before: Job | None, after: Job) -> BudgetChanges:
    """What a change of a job's row adds to the counters; {} if nothing.

    Args:
        before: the row as it was; None for a new one.
    """
    new, old = _usage(after), _usage(before) if before else {}
    changes = {key: _subtract(new.get(key, Usage()), old.get(key, Usage())) for key in {**new, **old}}
    return {key: change for key, change in changes.items() if any(change)}


def add_to_budgets(transaction: Transaction, changes: BudgetChanges) -> None:
    """Change the counters; call it in the transaction that writes the job's row."""
    keys = sorted(changes)  # in one order everywhere: two that change the same rows never wait for each other
    for start in range(0, len(keys), _ROWS_PER_STATEMENT):
        part = keys[start : start + _ROWS_PER_STATEMENT]
        numbers: dict[str | int, int] = {}
        rows = tuple(
            tuple(numbers.setdefault(value, len(numbers)) for value in (*budget, day, *changes[budget, day]))
            for budget, day in part
        )
        values = {f"value{number}": value for value, number in numbers.items()}
        _add_usages(rows).write(transaction, values)
    added = transaction.remembered.setdefault(_ADDED, {})
    for key, usage in changes.items():
        added[key] = Usage(*(sum(counts) for counts in zip(added.get(key, Usage()), usage, strict=True)))


def count_budgets(reader: Reader) -> dict[_Key, Usage]:
    """The counters as the jobs' rows say they must be."""
    counted: dict[_Key, Counter[str]] = {}
    for query in _counting_queries():
        for row in reader.connection.execute(query).mappings():
            key = Budget(row["scope"], row["api_origin"], row["owner"]), int(row["day"])
            counts = counted.setdefault(key, Counter())
            counts.update({name: int(row[name]) for name in Usage._fields})
    return {key: Usage(**counts) for key, counts in counted.items()}


def find_differences(reader: Reader) -> list[BudgetDifference]:
    """The counters that are not what the jobs' rows say; read them in one snapshot."""
    stored: dict[_Key, Usage] = {}
    for row in reader.connection.execute(sa.select(budgets).where(budgets.c.scope != "erased")).mappings():
        key = Budget(row["scope"], row["api_origin"], row["owner"]), row["day"]
        stored[key] = Usage(*(row[name] for name in Usage._fields))
    counted = count_budgets(reader)
    return [
        BudgetDifference(*key, stored.get(key, Usage()), counted.get(key, Usage()))
        for key in sorted({*stored, *counted})
        if stored.get(key, Usage()) != counted.get(key, Usage())
    ]


def rebuild_budgets(transaction: Transaction) -> None:
    """Put what the jobs' rows say in the place of all counters."""
    transaction.connection.execute(budgets.delete().where(budgets.c.scope != "erased"))
    add_to_budgets(transaction, count_budgets(transaction))


def counts_since(since: float | sa.BindParameter[float]) -> sa.ColumnElement[bool]:
    """Jobs that count and were created at `since` or later."""
    return (jobs.c.created_at >= since) & _counts()


def _usages(rows: Iterable[tuple[Any, ...]]) -> dict[Scope, Usage]:
    usages: dict[Scope, Usage] = dict.fromkeys(("installation", "visitor", "address"), Usage())
    for scope, *counts in rows:
        name: Scope = "visitor" if scope == "erased" else scope
        usages[name] = Usage(*(before + int(count) for before, count in zip(usages[name], counts, strict=True)))
    return usages


def _usage(job: Job) -> dict[_Key, Usage]:
    """What a job adds to each counter row."""
    if job.api_origin == IMPORT_ORIGIN:
        return {}
    is_active = int(not job.is_settled)
    if job.key_fingerprint is not None:
        return {(Budget("own_key", "", job.key_fingerprint), ALL_DAYS): Usage(active=is_active)}
    is_refused = job.state == "failed" and job.request_id is None
    is_given_back = job.state == "cancelled" and not job.cost_usd
    made = int(not is_refused and not is_given_back)
    amount = job.cost_usd if job.cost_usd is not None else job.reserved_usd or 0.0
    owners: dict[Scope, str | None] = {"visitor": job.visitor_id, "address": job.client_hash, "installation": ""}
    usage: dict[_Key, Usage] = {}
    for scope, owner in owners.items():
        if owner is None:
            continue
        budget = Budget(scope, job.api_origin, owner)
        money = made * micro_usd(amount) if scope == "installation" else 0
        usage[budget, ALL_DAYS] = Usage(active=is_active)
        usage[budget, day_of(job.created_at)] = Usage(made=made, requested=1, micro_usd=money)
    known = made * int(job.cost_usd is not None)
    budget = Budget("model", job.api_origin, job.model_id)
    usage[budget, day_of(job.created_at)] = Usage(0, made, known, known * micro_usd(job.cost_usd or 0.0))
    return usage


def _counting_queries() -> Iterable[sa.Select[Any]]:
    is_active = jobs.c.state.in_(ACTIVE)
    zero: sa.ColumnElement[int] = sa.literal_column("0")
    amount = sa.func.coalesce(jobs.c.cost_usd, jobs.c.reserved_usd, 0.0)
    money = sa.func.sum(sa.case((_counts(), sa.func.floor(amount * 1_000_000 + 0.5)), else_=0))
    made = sa.func.sum(sa.case((_counts(), 1), else_=0))
    day = sa.func.floor(jobs.c.created_at / float(DAY_S))
    owners: Mapping[Scope, Any] = {"visitor": jobs.c.visitor_id, "address": jobs.c.client_hash, "installation": None}
    for scope, column in owners.items():
        owner = sa.literal_column("''") if column is None else column
        groups = [jobs.c.api_origin, *([] if column is None else [column])]
        where = jobs.c.key_fingerprint.is_(None) & (jobs.c.api_origin != IMPORT_ORIGIN)
        where &= sa.true() if column is None else column.is_not(None)
        named = (sa.literal(scope).label("scope"), jobs.c.api_origin.label("api_origin"), owner.label("owner"))
        yield (
            sa.select(*named, *_labeled(sa.literal(ALL_DAYS), sa.func.count(), zero, zero, zero))
            .where(where, is_active)
            .group_by(*groups)
        )
        yield (
            sa.select(*named, *_labeled(day, zero, made, sa.func.count(), money if column is None else zero))
            .where(where)
            .group_by(*groups, day)
        )
    yield _counting_models(made, day)
    key = jobs.c.key_fingerprint
    yield (
        sa.select(
            sa.literal("own_key").label("scope"),
            sa.literal("").label("api_origin"),
            key.label("owner"),
            *_labeled(sa.literal(ALL_DAYS), sa.func.count(), zero, zero, zero),
        )
        .where(key.is_not(None), is_active)
        .group_by(key)
    )


def _counting_models(made: sa.ColumnElement[int], day: sa.ColumnElement[int]) -> sa.Select[Any]:
    is_known = _counts() & jobs.c.cost_usd.is_not(None)
    known = sa.func.sum(sa.case((is_known, 1), else_=0))
    money = sa.func.sum(sa.case((is_known, sa.func.floor(jobs.c.cost_usd * 1_000_000 + 0.5)), else_=0))
    scope: sa.ColumnElement[str] = sa.literal("model")
    return (
        sa.select(
            scope.label("scope"),
            jobs.c.api_origin.label("api_origin"),
            jobs.c.model_id.label("owner"),
            *_labeled(day, sa.literal_column("0"), made, known, money),
        )
        .where(jobs.c.key_fingerprint.is_(None), jobs.c.api_origin != IMPORT_ORIGIN)
        .group_by(jobs.c.api_origin, jobs.c.model_id, day)
    )


def _labeled(*columns: sa.ColumnElement[Any]) -> list[sa.Label[Any]]:
    return [column.label(name) for column, name in zip(columns, ("day", *Usage._fields), strict=True)]


def _counts() -> sa.ColumnElement[bool]:
    refused = (jobs.c.state == "failed") & jobs.c.request_id.is_(None)
    given_back = (jobs.c.state == "cancelled") & (sa.func.coalesce(jobs.c.cost_usd, 0.0) == 0.0)
    return ~refused & ~given_back


def _subtract(new: Usage, old: Usage) -> Usage:
    return Usage(*(after - before for after, before in zip(new, old, strict=True)))
