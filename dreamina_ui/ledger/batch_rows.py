"""The tables `batches` and `batch_items`: jobs to be, in order, each of which becomes a job at most once.

An item is `planned`, `sent` (it has a job), `refused` or `cancelled`. A batch is `running`, `paused` or `ended`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa

from dreamina_ui.ledger.job import SETTLED
from dreamina_ui.ledger.tables import batch_items as items
from dreamina_ui.ledger.tables import batches, jobs
from dreamina_ui.ledger.transaction import Reader, Transaction

Owner = Literal["visitor_id", "address"]

_NOT_SENT = (jobs.c.state == "failed") & jobs.c.request_id.is_(None) & jobs.c.problem.not_in(("refused", "input"))
_HAS_ERROR = (jobs.c.state == "submit_unclear") | _NOT_SENT
"""Jobs whose error concerns more than themselves; the service refuses one for its inputs, and the next may be fine."""


@dataclass(frozen=True)
class BatchRow:
    """A row of `batches`.

    Attributes:
        problem: why the program paused it, as the caller wrote it; None if a person did.
        created_at, changed_at: seconds since 1970; `changed_at` is when it came into its state.
        price_usd: what a person agreed that one file may cost; None if nobody knew.
        press_id: what the browser named this start; a visitor's same id is the same batch.
    """

    batch_id: str
    visitor_id: str
    address: str | None
    model_id: str
    api_origin: str
    key_fingerprint: str | None
    state: str
    problem: str | None
    created_at: float
    changed_at: float
    price_usd: float | None
    press_id: str | None


@dataclass(frozen=True)
class ItemCount:
    """How many items of a batch are in a state; of those sent, with the state of their jobs."""

    batch_id: str
    state: str
    job_state: str | None
    count: int


@dataclass(frozen=True)
class RefusedItem:
    """An item that could not become a job, and why."""

    batch_id: str
    inputs: Mapping[str, Any]
    problem: str


@dataclass(frozen=True)
class NextItem:
    """The first planned item of a running batch.

    Attributes:
        active: how many of the batch's jobs are not settled.
        has_errors: whether a job that was sent since the batch runs could not be sent, or is unclear.
    """

    batch: BatchRow
    position: int
    inputs: Mapping[str, Any]
    active: int
    has_errors: bool


_COLUMNS = [batches.c[name] for name in BatchRow.__dataclass_fields__]


def insert_batch(transaction: Transaction, batch: BatchRow, planned: Sequence[Mapping[str, Any]]) -> None:
    """Write a batch and its planned items."""
    transaction.connection.execute(batches.insert(), asdict(batch))
    rows = [
        {"batch_id": batch.batch_id, "position": position, "inputs": json.dumps(dict(inputs)), "state": "planned"}
        for position, inputs in enumerate(planned)
    ]
    transaction.connection.execute(items.insert(), rows)


def has_batch(reader: Reader, batch_id: str, state: str | None = None) -> bool:
    """Whether there is such a batch, in this state if one is given."""
    query = sa.select(batches.c.batch_id).where(batches.c.batch_id == batch_id)
    if state is not None:
        query = query.where(batches.c.state == state)
    return reader.connection.execute(query).first() is not None


def read_batch(reader: Reader, batch_id: str) -> BatchRow | None:
    """One batch; None if there is no such batch."""
    row = reader.connection.execute(sa.select(*_COLUMNS).where(batches.c.batch_id == batch_id)).first()
    return BatchRow(*row) if row else None


def batches_of_visitor(reader: Reader, visitor_id: str, limit: int) -> list[BatchRow]:
    """A visitor's batches, those first that are not ended, then newest first."""
    order = (batches.c.state == "ended", batches.c.created_at.desc(), batches.c.batch_id)
    query = sa.select(*_COLUMNS).where(batches.c.visitor_id == visitor_id).order_by(*order).limit(limit)
    return [BatchRow(*row) for row in reader.connection.execute(query)]


def count_items(reader: Reader, batch_ids: Sequence[str]) -> list[ItemCount]:
    """The items of some batches, counted by state."""
    query = (
        sa.select(items.c.batch_id, items.c.state, jobs.c.state, sa.func.count())
        .outerjoin(jobs, jobs.c.job_id == items.c.job_id)
        .where(items.c.batch_id.in_(batch_ids))
        .group_by(items.c.batch_id, items.c.state, jobs.c.state)
    )
    return [ItemCount(*row) for row in reader.connection.execute(query)]


def refused_items(reader: Reader, batch_ids: Sequence[str]) -> list[RefusedItem]:
    """The refused items of some batches, in order."""
    query = sa.select(items.c.batch_id, items.c.inputs, items.c.problem).where(
        items.c.batch_id.in_(batch_ids), items.c.state == "refused"
    )
    rows = reader.connection.execute(query.order_by(items.c.position))
    return [RefusedItem(batch_id, json.loads(inputs), problem) for batch_id, inputs, problem in rows]


def item_inputs(reader: Reader, batch_id: str) -> list[Mapping[str, Any] | None]:
    """The inputs of all items of a batch, in order; None for a cancelled one, whose inputs are gone."""
    query = sa.select(items.c.inputs, items.c.state).where(items.c.batch_id == batch_id).order_by(items.c.position)
    rows = reader.connection.execute(query)
    return [None if state == "cancelled" else json.loads(inputs) for inputs, state in rows]


def planned_inputs(reader: Reader, batch_id: str) -> list[Mapping[str, Any]]:
    """The inputs of all planned items of a batch, in order."""
    query = sa.select(items.c.inputs).where(items.c.batch_id == batch_id, items.c.state == "planned")
    return [json.loads(inputs) for inputs in reader.connection.execute(query.order_by(items.c.position)).scalars()]


def count_planned(reader: Reader, column: Owner, owner: str | None) -> int:
    """How many items of one visitor or address wait in batches; 0 for an address that is not known."""
    query = (
        sa.select(sa.func.count())
        .select_from(items)
        .join(batches, batches.c.batch_id == items.c.batch_id)
        .where(batches.c[column] == owner, batches.c.state != "ended", items.c.state == "planned")
    )
    return int(reader.connection.execute(query).scalar_one())


def delete_empty_batches(transaction: Transaction, column: Owner, owner: str | None, max_batches: int) -> None:
    """Delete the oldest of those ended batches of a visitor or address that never became a job.

    One with a job stays forever: its start, should it be repeated, must find it.
    """
    sent = sa.exists().where(items.c.batch_id == batches.c.batch_id, items.c.state == "sent")
    empty = sa.select(batches.c.batch_id).where(batches.c[column] == owner, batches.c.state == "ended", ~sent)
    surplus = empty.order_by(batches.c.created_at.desc()).offset(max_batches)
    transaction.connection.execute(batches.delete().where(batches.c.batch_id.in_(surplus)))


def move_batch(transaction: Transaction, batch_id: str, *, only_in: str, now: float, **values: Any) -> None:
    """Set columns of a batch that is in a state; else nothing."""
    is_there = (batches.c.batch_id == batch_id) & (batches.c.state == only_in)
    transaction.connection.execute(batches.update().where(is_there).values(**values, changed_at=now))


def end_batch_if_done(transaction: Transaction, batch_id: str, now: float) -> None:
    """End a batch that has no planned item."""
    planned = sa.exists().where(items.c.batch_id == batch_id, items.c.state == "planned")
    update = batches.update().where(batches.c.batch_id == batch_id, ~planned)
    transaction.connection.execute(update.values(state="ended", problem=None, changed_at=now))


def cancel_planned(transaction: Transaction, batch_id: str) -> int:
    """Cancel all planned items and drop their inputs; returns how many there were."""
    update = items.update().where(items.c.batch_id == batch_id, items.c.state == "planned")
    return transaction.connection.execute(update.values(state="cancelled", inputs="{}")).rowcount


def refuse_item(transaction: Transaction, batch_id: str, position: int, problem: str) -> None:
    """Write down why a planned item cannot become a job."""
    update = _planned_item(batch_id, position).values(state="refused", problem=problem)
    transaction.connection.execute(update)


def mark_item_sent(transaction: Transaction, batch_id: str, position: int, job_id: str) -> bool:
    """Give a planned item its job; False if it is not planned any more."""
    update = _planned_item(batch_id, position).values(state="sent", job_id=job_id)
    return bool(transaction.connection.execute(update).rowcount)


def next_items(reader: Reader, since: float) -> list[NextItem]:
    """The first planned item of every running batch, the oldest batch first.

    Args:
        since: errors of jobs that were created before do not count, in seconds since 1970.
    """
    first = sa.select(items.c.batch_id, sa.func.min(items.c.position).label("position"))
    firsts = first.where(items.c.state == "planned").group_by(items.c.batch_id).subquery()
    query = (
        sa.select(items.c.position, items.c.inputs, *_COLUMNS)
        .join(firsts, firsts.c.batch_id == batches.c.batch_id)
        .join(items, (items.c.batch_id == batches.c.batch_id) & (items.c.position == firsts.c.position))
        .where(batches.c.state == "running")
        .order_by(batches.c.created_at, batches.c.batch_id)
    )
    rows = reader.connection.execute(query).all()
    sent = _sent_jobs(reader, since) if rows else {}
    return [
        NextItem(BatchRow(*columns), position, json.loads(inputs), *sent.get(columns[0], (0, False)))
        for position, inputs, *columns in rows
    ]


def _sent_jobs(reader: Reader, since: float) -> dict[str, tuple[int, bool]]:
    """How many jobs of each running batch are active, and whether there are new errors; by batch_id."""
    is_new = (jobs.c.created_at >= batches.c.changed_at) & (jobs.c.created_at >= since)
    query = (
        sa.select(
            batches.c.batch_id,
            sa.func.sum(sa.cast(jobs.c.state.not_in(SETTLED), sa.Integer)),
            sa.func.sum(sa.cast(is_new & _HAS_ERROR, sa.Integer)),
        )
        .join(items, items.c.batch_id == batches.c.batch_id)
        .join(jobs, jobs.c.job_id == items.c.job_id)
        .where(batches.c.state == "running")
        .group_by(batches.c.batch_id)
    )
    return {batch_id: (active or 0, bool(errors)) for batch_id, active, errors in reader.connection.execute(query)}


def _planned_item(batch_id: str, position: int) -> sa.Update:
    where = (items.c.batch_id == batch_id) & (items.c.position == position) & (items.c.state == "planned")
    return items.update().where(where)
