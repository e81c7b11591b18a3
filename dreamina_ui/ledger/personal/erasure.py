"""The end of everything that a visitor made: rows lose their texts, and nothing leads from them to the visitor.

What a job cost and when it was made stays, under a name that means nothing: it is the owner's bookkeeping. So that
nobody gets a new budget this way, what the visitor used today still counts for them until the day ends.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.job import SETTLED
from dreamina_ui.ledger.tables import (
    batch_items,
    batch_retries,
    batch_values,
    batches,
    board_files,
    boards,
    budgets,
    controls,
    jobs,
    metadata,
    outputs,
    shares,
)
from dreamina_ui.ledger.transaction import Reader, Transaction

ERASED = "erased-"
"""How the names begin that replace visitor_ids; no visitor_id does."""

_END = "erased."
_IS_ERASED = (jobs.c.visitor_id >= ERASED) & (jobs.c.visitor_id < _END)
_KEEP_USAGE = sa.text(
    "INSERT INTO budgets (scope, api_origin, owner, day, active, made, requested, micro_usd) "
    "SELECT 'erased', api_origin, owner, day, 0, made, requested, 0 FROM budgets "
    "WHERE scope = 'visitor' AND owner = :visitor_id AND day = :day "
    "ON CONFLICT (scope, api_origin, owner, day) DO UPDATE SET made = budgets.made + excluded.made, "
    "requested = budgets.requested + excluded.requested"
)


def all_visitors(reader: Reader) -> list[str | None]:
    """The visitor_ids of everybody who has anything here; None for jobs of programs that have no visitor."""
    tables = [table for table in metadata.sorted_tables if "visitor_id" in table.c]
    names = sa.union(*(sa.select(table.c.visitor_id) for table in tables))
    return [name for name in reader.connection.scalars(names) if name is None or not name.startswith(ERASED)]


def erase_visitor(transaction: Transaction, visitor_id: str | None, pseudonym: str, now: float, day: int) -> int:
    """Take everything from a visitor; returns how many jobs they had.

    Files are in the trash afterwards, where nobody sees them, until the housekeeping removes them.

    Args:
        visitor_id: None for what has no visitor.
        pseudonym: begins with `ERASED`.
        day: today, as the budgets count.
    """
    execute = transaction.connection.execute
    own_jobs = sa.select(jobs.c.job_id).where(jobs.c.visitor_id == visitor_id)
    own_files = sa.select(outputs.c.file_key).where(outputs.c.job_id.in_(own_jobs))
    own_boards = sa.select(boards.c.board_id).where(boards.c.visitor_id == visitor_id)
    own_batches = sa.select(batches.c.batch_id).where(batches.c.visitor_id == visitor_id)
    execute(board_files.delete().where(board_files.c.file_key.in_(own_files) | board_files.c.board_id.in_(own_boards)))
    execute(shares.delete().where(shares.c.file_key.in_(own_files)))
    for part in (batch_items, batch_values, batch_retries):
        execute(part.delete().where(part.c.batch_id.in_(own_batches)))
    execute(outputs.update().where(outputs.c.job_id.in_(own_jobs), outputs.c.state == "kept").values(deleted_at=0.0))
    for table in metadata.sorted_tables:
        if table is not jobs and "visitor_id" in table.c:
            _take_rows(transaction, table, visitor_id)
    execute(controls.delete().where(controls.c.kind == "name", controls.c.name == visitor_id))
    execute(budgets.delete().where(budgets.c.scope == "erased", budgets.c.day < day))
    execute(_KEEP_USAGE, {"visitor_id": visitor_id, "day": day})
    execute(budgets.update().where(budgets.c.scope == "visitor", budgets.c.owner == visitor_id).values(owner=pseudonym))
    renamed = jobs.update().where(jobs.c.visitor_id == visitor_id)
    result = execute(
        renamed.values(visitor_id=pseudonym, press_id=None, requester=None, archived_at=now, version=jobs.c.version + 1)
    )
    wipe_texts(transaction)
    return int(result.rowcount)


def wipe_texts(transaction: Transaction) -> int:
    """Remove the texts of erased jobs that have ended, and put their files in the trash; returns of how many."""
    wiped = jobs.update().where(_IS_ERASED, jobs.c.inputs != "{}", jobs.c.state.in_(SETTLED))
    ended = sa.select(jobs.c.job_id).where(_IS_ERASED, jobs.c.inputs != "{}", jobs.c.state.in_(SETTLED))
    execute = transaction.connection.execute
    execute(outputs.update().where(outputs.c.job_id.in_(ended), outputs.c.state == "kept").values(deleted_at=0.0))
    values: dict[str, Any] = {"inputs": "{}", "search_text": "", "detail": None, "version": jobs.c.version + 1}
    return int(execute(wiped.values(values)).rowcount)


def _take_rows(transaction: Transaction, table: sa.Table, visitor_id: str | None) -> None:
    """Delete a visitor's rows; those of files end now, and whoever removes the files removes them."""
    own = table.c.visitor_id == visitor_id
    if "keep_until" in table.c:
        transaction.connection.execute(table.update().where(own).values(keep_until=0.0))
    else:
        transaction.connection.execute(table.delete().where(own))
