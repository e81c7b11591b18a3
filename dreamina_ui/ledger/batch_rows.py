"""The tables `batches` and `batch_items`: jobs to be, in order, each of which becomes a job at most once.

An item is `planned`, `sent` (it has a job), `refused` or `cancelled`. A batch is `running`, `paused` or `ended`.

A batch stores each value of its inputs once, in `batch_values`; an item names them by index, as `[[key, index], ...]`.
Items from before that have their inputs in full, as `{key: value}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import sqlalchemy as sa

from dreamina_ui.ledger.job import SETTLED
from dreamina_ui.ledger.tables import batch_items as items
from dreamina_ui.ledger.tables import batch_values, batches, jobs
from dreamina_ui.ledger.transaction import Reader, Transaction

Owner = Literal["visitor_id", "client_hash"]

_NOT_SENT = (jobs.c.state == "failed") & jobs.c.request_id.is_(None) & jobs.c.problem.not_in(("refused", "input"))
_HAS_ERROR = (jobs.c.state == "submit_unclear") | _NOT_SENT
"""Jobs whose error concerns more than themselves; the service refuses one for its inputs, and the next may be fine."""


@dataclass(frozen=True)
class BatchRow:
    """A row of `batches`.

    Attributes:
        problem: why the program paused it, or why it waits though it is running, as the caller wrote it; None if a
            person paused it, or if all is well.
        created_at, changed_at: seconds since 1970; `changed_at` is when it came into its state.
        price_usd: what a person agreed that one file may cost; None if nobody knew.
        press_id: what the browser named this start; a visitor's same id is the same batch.
    """

    batch_id: str
    visitor_id: str
    client_hash: str | None
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
class QueuedItem:
    """The first planned item of a running batch.

    Attributes:
        position: its index in the batch, from 0.
        active_jobs: how many of the batch's jobs are not settled.
        has_errors: whether a job that was sent since the batch runs could not be sent, or is unclear.
    """

    batch: BatchRow
    position: int
    inputs: Mapping[str, Any]
    active_jobs: int
    has_errors: bool


_VALUES_PER_QUERY = 500
"""Each may be of another batch, and SQLite takes no more than 1,000 alternatives."""

_DELETE_VALUE = batch_values.delete().where(
    batch_values.c.batch_id == sa.bindparam("of_batch_id"), batch_values.c.value_index == sa.bindparam("at_index")
)
_COLUMNS = [batches.c[name] for name in BatchRow.__dataclass_fields__]


def insert_batch(
    transaction: Transaction,
    batch: BatchRow,
    planned: Sequence[Mapping[str, Any]],
    *,
    cells: Sequence[tuple[int, int]] = (),
    layout: str | None = None,
    request: str | None = None,
) -> None:
    """Write a batch and its planned items.

    Args:
        cells: the row and the column of each item, both from 0.
        layout: the labels of rows and columns, as the caller wrote them.
        request: what the batch was made from, as the caller wrote it.
    """
    values, item_texts = _encode(planned)
    size_bytes = size_bytes_of(planned) + len(layout or "") + len(request or "")
    row = {**asdict(batch), "size_bytes": size_bytes, "layout": layout, "request": request}
    transaction.connection.execute(batches.insert(), row)
    indexes: Sequence[tuple[int | None, int | None]] = cells or [(None, None)] * len(planned)
    rows = [
        {
            "batch_id": batch.batch_id,
            "position": position,
            "inputs": text,
            "state": "planned",
            "row_index": row_index,
            "column_index": column_index,
        }
        for position, (text, (row_index, column_index)) in enumerate(zip(item_texts, indexes, strict=True))
    ]
    transaction.connection.execute(items.insert(), rows)
    value_rows = [
        {"batch_id": batch.batch_id, "value_index": index, "value": value} for index, value in enumerate(values)
    ]
    if value_rows:
        transaction.connection.execute(batch_values.insert(), value_rows)


def size_bytes_of(planned: Sequence[Mapping[str, Any]]) -> int:
    """How much room the inputs of a batch take in the ledger."""
    values, item_texts = _encode(planned)
    return sum(len(text) for text in (*values, *item_texts))


def waiting_bytes(reader: Reader, column: Owner | None = None, owner: str | None = None) -> int:
    """How much room the batches take that are not ended: all, or those of a visitor or client.

    Args:
        owner: the visitor_id, or the beginning of a client hash.
    """
    query = sa.select(sa.func.sum(batches.c.size_bytes)).where(batches.c.state != "ended")
    if column is not None and owner is not None:
        query = query.where(batches.c[column].startswith(owner, autoescape=True))
    return int(reader.connection.execute(query).scalar() or 0)


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
    refused = rows.all()
    inputs = _decode(reader, [(batch_id, text) for batch_id, text, _ in refused])
    return [RefusedItem(row[0], values, row[2]) for row, values in zip(refused, inputs, strict=True)]


def first_inputs(reader: Reader, batch_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The inputs of the first item of each of a few batches, by batch_id; empty ones of a cancelled item."""
    is_first = items.c.batch_id.in_(batch_ids) & (items.c.position == 0)
    first = reader.connection.execute(sa.select(items.c.batch_id, items.c.inputs).where(is_first)).all()
    stored = [(batch_id, text) for batch_id, text in first]
    return dict(zip((batch_id for batch_id, _ in stored), _decode(reader, stored), strict=True))


def item_inputs(reader: Reader, batch_id: str) -> list[Mapping[str, Any] | None]:
    """The inputs of all items of a batch, in order; None for a cancelled one, whose inputs are gone."""
    query = sa.select(items.c.inputs, items.c.state).where(items.c.batch_id == batch_id).order_by(items.c.position)
    rows = reader.connection.execute(query).all()
    decoded = _decode(reader, [(batch_id, text) for text, _ in rows])
    return [None if row[1] == "cancelled" else inputs for row, inputs in zip(rows, decoded, strict=True)]


def planned_inputs(reader: Reader, batch_id: str) -> list[Mapping[str, Any]]:
    """The inputs of all planned items of a batch, in order."""
    query = sa.select(items.c.inputs).where(items.c.batch_id == batch_id, items.c.state == "planned")
    texts = reader.connection.execute(query.order_by(items.c.position)).scalars()
    return _decode(reader, [(batch_id, text) for text in texts])


def count_planned(reader: Reader, column: Owner, owner: str | None) -> int:
    """How many items of one visitor or IP address wait in batches; 0 for an IP address that is not known."""
    query = (
        sa.select(sa.func.count())
        .select_from(items)
        .join(batches, batches.c.batch_id == items.c.batch_id)
        .where(batches.c[column] == owner, batches.c.state != "ended", items.c.state == "planned")
    )
    return int(reader.connection.execute(query).scalar_one())


def delete_empty_batches(transaction: Transaction, column: Owner, owner: str | None, max_batches: int) -> None:
    """Delete the oldest of those ended batches of a visitor or IP address that never became a job.

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


def note_problem(transaction: Transaction, batch_id: str, problem: str | None) -> None:
    """Write why a running batch waits; None if it does not. Errors of the jobs that it has sent still count."""
    is_there = (batches.c.batch_id == batch_id) & (batches.c.state == "running")
    transaction.connection.execute(batches.update().where(is_there).values(problem=problem))


def end_batch_if_done(transaction: Transaction, batch_id: str, now: float) -> None:
    """End a batch that has no planned item."""
    planned = sa.exists().where(items.c.batch_id == batch_id, items.c.state == "planned")
    update = batches.update().where(batches.c.batch_id == batch_id, ~planned)
    transaction.connection.execute(update.values(state="ended", problem=None, changed_at=now))


def cancel_planned(transaction: Transaction, batch_id: str) -> int:
    """Cancel all planned items and drop their inputs; returns how many there were."""
    update = items.update().where(items.c.batch_id == batch_id, items.c.state == "planned")
    count = transaction.connection.execute(update.values(state="cancelled", inputs="{}")).rowcount
    texts = transaction.connection.execute(sa.select(items.c.inputs).where(items.c.batch_id == batch_id)).scalars()
    used = {index for text in texts for index in _indexes(text)}
    known = transaction.connection.execute(
        sa.select(batch_values.c.value_index).where(batch_values.c.batch_id == batch_id)
    ).scalars()
    unused = [{"of_batch_id": batch_id, "at_index": index} for index in known if index not in used]
    if unused:
        transaction.connection.execute(_DELETE_VALUE, unused)
    return count


def paused_batches(reader: Reader, before: float, limit: int = 100) -> list[str]:
    """The ids of batches that are paused since before a moment, oldest first."""
    query = sa.select(batches.c.batch_id).where(batches.c.state == "paused", batches.c.changed_at < before)
    return list(reader.connection.execute(query.order_by(batches.c.changed_at).limit(limit)).scalars())


def refuse_item(transaction: Transaction, batch_id: str, position: int, problem: str) -> None:
    """Write down why a planned item cannot become a job."""
    update = _planned_item(batch_id, position).values(state="refused", problem=problem)
    transaction.connection.execute(update)


def mark_item_sent(transaction: Transaction, batch_id: str, position: int, job_id: str) -> bool:
    """Give a planned item its job; False if it is not planned any more."""
    update = _planned_item(batch_id, position).values(state="sent", job_id=job_id)
    return bool(transaction.connection.execute(update).rowcount)


def next_items(reader: Reader, since: float) -> list[QueuedItem]:
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
    batch_of_row = [BatchRow(*columns) for _, _, *columns in rows]
    inputs = _decode(reader, [(batch.batch_id, row[1]) for batch, row in zip(batch_of_row, rows, strict=True)])
    return [
        QueuedItem(batch, row[0], values, *sent.get(batch.batch_id, (0, False)))
        for batch, row, values in zip(batch_of_row, rows, inputs, strict=True)
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


def _encode(planned: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """The distinct values of some inputs as JSON, and each inputs as JSON with the indexes of its values."""
    index_of: dict[str, int] = {}
    item_texts = []
    for inputs in planned:
        pairs = [[key, index_of.setdefault(json.dumps(value), len(index_of))] for key, value in inputs.items()]
        item_texts.append(json.dumps(pairs))
    return list(index_of), item_texts


def _decode(reader: Reader, stored: Sequence[tuple[str, str]]) -> list[Mapping[str, Any]]:
    """The inputs of items, each given by its batch_id and its stored text."""
    needed = sorted({(batch_id, index) for batch_id, text in stored for index in _indexes(text)})
    values = dict(_read_values(reader, needed))
    decoded: list[Mapping[str, Any]] = []
    for batch_id, text in stored:
        parsed = json.loads(text)
        if isinstance(parsed, list):
            parsed = {key: values[batch_id, index] for key, index in parsed}
        decoded.append(parsed)
    return decoded


def _indexes(text: str) -> Iterable[int]:
    """The indexes of the values that an item's stored text names."""
    parsed = json.loads(text)
    return [index for _, index in parsed] if isinstance(parsed, list) else []


def _read_values(reader: Reader, needed: Sequence[tuple[str, int]]) -> Iterable[tuple[tuple[str, int], Any]]:
    """The values of some batches, each given by its batch_id and its index; of many batches in one query."""
    columns = batch_values.c
    for start in range(0, len(needed), _VALUES_PER_QUERY):
        by_batch = groupby(needed[start : start + _VALUES_PER_QUERY], itemgetter(0))
        where = [
            (columns.batch_id == batch_id) & columns.value_index.in_([index for _, index in pairs])
            for batch_id, pairs in by_batch
        ]
        query = sa.select(columns.batch_id, columns.value_index, columns.value).where(sa.or_(*where))
        for batch_id, index, value in reader.connection.execute(query):
            yield (batch_id, index), json.loads(value)
