"""A whole ledger from one database to another, whichever engines they are: for backups, and for a move there and back.

What belongs to servers and not to the installation stays behind: leases, duties, sign-ins, sealed keys, the pace.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import sqlalchemy as sa

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger import tables
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.transaction import Reader, Transaction

_OF_SERVERS = ("replicas", "duties", "sessions", "login_attempts", "known_browsers", "own_keys", "pace")
_OF_TARGET = (tables.ledger_version.name, *(table.name for table in tables.TOTALS))
_COPIED = [table for name, table in tables.metadata.tables.items() if name not in (*_OF_SERVERS, *_OF_TARGET)]
"""All others, in the order of `tables`: rows that others refer to come first."""

_ROWS_AT_ONCE = 1000


def copy_ledger(source: Ledger, target: Ledger) -> None:
    """Copy all rows as they are at one moment, all or none, while others continue to write the source.

    A job that was being sent at that moment is unclear in the target: whether it was sent is known to the source only.

    Raises:
        LedgerError: the target has jobs or batches already, or one of both could not be read or written.
    """
    with source.snapshot() as reader, target.writing() as transaction:
        if any(_has_rows(transaction, table) for table in (tables.jobs, tables.batches)):
            raise LedgerError("There are jobs in the ledger already, and it was not overwritten. Choose an empty one.")
        for table in reversed(_COPIED):
            transaction.connection.execute(table.delete())
        for table in _COPIED:
            _copy_table(reader, transaction, table)
        may_be_sent = tables.jobs.update().where(tables.jobs.c.state == "submitting")
        armed_at = sa.func.coalesce(tables.jobs.c.armed_at, tables.jobs.c.created_at)
        transaction.connection.execute(may_be_sent.values(armed_at=armed_at))
        transaction.connection.execute(tables.jobs.update().values(replica_id=None))


def _copy_table(reader: Reader, transaction: Transaction, table: sa.Table) -> None:
    names = {column.key: column.name for column in table.columns}
    rows: Any = reader.connection.execute(sa.select(table), execution_options={"yield_per": _ROWS_AT_ONCE}).mappings()
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        values = [{key: row[name] for key, name in names.items()} for row in some]
        transaction.connection.execute(table.insert(), values)


def _has_rows(transaction: Transaction, table: sa.Table) -> bool:
    return transaction.connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None
