"""The items of a batch in rows and columns, the jobs that they became, and the retries of those that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.job_rows import select_jobs
from dreamina_ui.ledger.tables import batch_items as items
from dreamina_ui.ledger.tables import batch_retries as retries
from dreamina_ui.ledger.tables import batches, jobs
from dreamina_ui.ledger.transaction import Reader, Transaction


@dataclass(frozen=True)
class BatchTexts:
    """What a batch has besides its items, as the caller wrote it; None in batches from before."""

    layout: str | None
    request: str | None


@dataclass(frozen=True)
class ItemRow:
    """An item without its inputs; `row_index` and `column_index` are None in batches from before."""

    position: int
    state: str
    job_id: str | None
    problem: str | None
    row_index: int | None
    column_index: int | None


MAX_RETRIES = 1000
"""How many retries of a batch are remembered, to know their repeats; an item that is refused again costs nothing."""

_COLUMNS = [items.c[name] for name in ItemRow.__dataclass_fields__]


def read_texts(reader: Reader, batch_id: str) -> BatchTexts:
    """The labels and the request of a batch."""
    query = sa.select(batches.c.layout, batches.c.request).where(batches.c.batch_id == batch_id)
    row = reader.connection.execute(query).first()
    return BatchTexts(*row) if row else BatchTexts(None, None)


def read_items(reader: Reader, batch_id: str) -> list[ItemRow]:
    """All items of a batch, in order."""
    query = sa.select(*_COLUMNS).where(items.c.batch_id == batch_id).order_by(items.c.position)
    return [ItemRow(*row) for row in reader.connection.execute(query)]


def jobs_of_batch(reader: Reader, batch_id: str) -> dict[str, Job]:
    """The jobs that a batch's items became, by job_id."""
    query = sa.select(jobs).join(items, items.c.job_id == jobs.c.job_id).where(items.c.batch_id == batch_id)
    return {job.job_id: job for job in select_jobs(reader, query)}


def plan_again(transaction: Transaction, batch_id: str, failed: Mapping[int, str | None]) -> int:
    """Make refused items, and those that still have these failed jobs, planned ones; returns how many they are."""
    count = 0
    for position, job_id in failed.items():
        is_item = (items.c.batch_id == batch_id) & (items.c.position == position)
        has_failed = sa.exists().where(jobs.c.job_id == job_id, jobs.c.state == "failed")
        is_failed = items.c.state == "refused" if job_id is None else (items.c.job_id == job_id) & has_failed
        update = items.update().where(is_item, is_failed)
        count += transaction.connection.execute(update.values(state="planned", job_id=None, problem=None)).rowcount
    return count


def batch_of_retry(reader: Reader, visitor_id: str, press_id: str) -> str | None:
    """The batch whose failed items were planned anew by a request with this id; None if there was no such request."""
    query = sa.select(retries.c.batch_id).where(retries.c.visitor_id == visitor_id, retries.c.press_id == press_id)
    return reader.connection.execute(query).scalar()


def insert_retry(transaction: Transaction, visitor_id: str, press_id: str, batch_id: str, now: float) -> None:
    """Write the id of a request that planned failed items anew; of each batch the last `MAX_RETRIES` stay."""
    row = {"visitor_id": visitor_id, "press_id": press_id, "batch_id": batch_id, "created_at": now}
    transaction.connection.execute(retries.insert(), row)
    of_batch = retries.c.batch_id == batch_id
    newest = sa.select(retries.c.created_at).where(of_batch).order_by(retries.c.created_at.desc())
    oldest_stored = newest.offset(MAX_RETRIES - 1).limit(1).scalar_subquery()
    transaction.connection.execute(retries.delete().where(of_batch, retries.c.created_at < oldest_stored))
