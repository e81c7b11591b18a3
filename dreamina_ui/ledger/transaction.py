"""Our own handles on an open database: callers pass them on, and only this package looks inside.

A `Reader` reads. A `Transaction` also writes, all or nothing: what an exception leaves undone is undone as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import sqlalchemy as sa

from dreamina_ui.ledger.job import Job


class Reader:
    """Reads committed rows.

    Attributes:
        connection: for the query modules of this package; nobody else touches it.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection


class Transaction(Reader):
    """Reads and writes rows, all or nothing."""

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction: an exception undoes the part, and is raised; the rest may continue."""
        cursor = self.connection.connection.cursor()  # the driver's own: cheap, as each write of a group has one
        cursor.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            cursor.execute("ROLLBACK TO SAVEPOINT part")
            raise
        finally:
            cursor.execute("RELEASE SAVEPOINT part")


class AddHook(Protocol):
    """What happens in the transaction that writes a new job's row, before the row; an exception undoes everything."""

    def __call__(self, transaction: Transaction, job: Job, /) -> None: ...


class Database(Protocol):
    """One database engine, such as the SQLite file of `sqlite.SqliteDatabase`.

    Attributes:
        label: what error messages call the database.
    """

    @property
    def label(self) -> str: ...

    def write(self, *, durable: bool = True) -> AbstractContextManager[Transaction]:
        """One transaction at a time; database errors become LedgerError.

        Args:
            durable: whether a power loss after the commit may not undo it.
        """

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[Reader]:
        """A connection to read with; database errors become LedgerError.

        Args:
            snapshot: whether all reads see the rows of one moment.
        """

    def mark_ready(self) -> None:
        """The schema is up to date: visitors see error messages from now on, so they name no folder."""

    def close(self) -> None:
        """Close all connections."""
