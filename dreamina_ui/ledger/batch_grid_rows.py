"""The items of a batch in rows and columns, and the jobs that they became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.job_rows import select_jobs
from dreamina_ui.ledger.tables import batch_items as items
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
