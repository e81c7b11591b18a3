"""Our own handles on an open database: callers pass them on, and only this package looks inside.

A `Reader` reads. A `Transaction` also writes, all or nothing: what an exception leaves undone is undone as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from dreamina_ui.ledger.job import Job


class Reader:
    """Reads committed rows.

    Attributes:
        connection, dialect: for the query modules of this package; nobody else touches them.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    @property
    def connection(self) -> sa.Connection:
        """For statements that SQLAlchemy executes."""
        return self._connection

    def execute(self, text: str, values: Any = ()) -> Any:
        """Give a statement to the driver itself: for those that are executed so often that every layer above it counts.

        Returns:
            The driver's cursor, to fetch rows from.
        """
        return self._cursor.execute(text, values)

    @cached_property
    def _cursor(self) -> Any:
        return self._connection.connection.cursor()


class Transaction(Reader):
    """Reads and writes rows, all or nothing.

    Attributes:
        remembered: rows that are the same until this transaction itself changes them, so that the writes of a group
            need not each read them.
        may_have_written: whether anything but queries of `Prepared` was executed.
        sends_ahead: whether a query can be sent whose rows are read later.
    """

    sends_ahead = False

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection)
        self.remembered: dict[str, Any] = {}
        self.may_have_written = False
        self._sent: dict[Any, Any] = {}

    @property
    def connection(self) -> sa.Connection:
        self.may_have_written = True
        return super().connection

    def forget(self) -> None:
        """Read anew from now on what is remembered, or was sent ahead."""
        self.remembered.clear()
        self._sent.clear()

    def send(self, query: Prepared, values: Mapping[str, Any]) -> None:
        """Send a query ahead, once."""
        if (key := (query, *values.values())) not in self._sent:
            self._sent[key] = query.execute(self, values)

    def take_sent(self, query: Prepared, values: Mapping[str, Any]) -> Any:
        """The cursor of a query that was sent ahead with these values, once; else None."""
        return self._sent.pop((query, *values.values()), None) if self._sent else None


class _Compiled(NamedTuple):
    """SQL in a driver's own form, the values that never change, and the order of all, or None where names count."""

    text: str
    constants: dict[str, Any]
    order: Sequence[str] | None

    def arguments(self, values: Mapping[str, Any]) -> Any:
        if self.order is None:
            return {**self.constants, **values}
        constants = self.constants
        return [values[name] if name in values else constants[name] for name in self.order]


class Prepared:
    """A statement that is compiled once and then goes straight to the database's driver.

    For those of every admission: SQLAlchemy takes longer to execute such a small statement than the database does
    (benchmarks/README.md). Its columns need no conversion between Python and the database: texts and numbers.

    Args:
        statement: its values are bound by name.
    """

    def __init__(self, statement: sa.ClauseElement) -> None:
        self.statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def send(self, transaction: Transaction, values: Mapping[str, Any]) -> None:
        """Send a query ahead, where that is possible: `rows` and `mappings` with the same values then need not wait.

        For a group of writes the first row takes a way there and back, and all others none. They are the rows as they
        were when the query was sent.
        """
        if transaction.sends_ahead:
            transaction.send(self, values)

    def sent_rows(self, transaction: Reader, values: Mapping[str, Any]) -> list[tuple[Any, ...]] | None:
        """The rows of a query that was sent ahead; None if it was not, or its rows were read."""
        cursor = transaction.take_sent(self, values) if isinstance(transaction, Transaction) else None
        return None if cursor is None else _fetched(cursor)

    def rows(self, reader: Reader, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return _fetched(self._cursor(reader, values))

    def mappings(self, reader: Reader, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a query, by the names of the columns."""
        cursor = self._cursor(reader, values)
        rows = _fetched(cursor)
        names = [column[0] for column in cursor.description] if rows else []
        return [dict(zip(names, row, strict=True)) for row in rows]

    def write(self, transaction: Transaction, *rows: Mapping[str, Any]) -> None:
        """Execute a statement that changes rows, once for each mapping of values."""
        transaction.may_have_written = True
        for row in rows:
            self.execute(transaction, row)

    def _cursor(self, reader: Reader, values: Mapping[str, Any]) -> Any:
        sent = reader.take_sent(self, values) if isinstance(reader, Transaction) else None
        return self.execute(reader, values) if sent is None else sent

    def execute(self, reader: Reader, values: Mapping[str, Any]) -> Any:
        """Execute the statement; returns the driver's cursor."""
        dialect = reader.dialect
        compiled = self._compiled.get(dialect.name) or self._compile(dialect)
        errors = dialect.loaded_dbapi.Error
        try:
            return reader.execute(compiled.text, compiled.arguments(values))
        except errors as exc:  # as SQLAlchemy raises it
            raise DBAPIError.instance(compiled.text, None, exc, errors, True, dialect=dialect) from exc

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        compiled: Any = self.statement.compile(dialect=dialect)
        constants = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
        made = _Compiled(str(compiled), constants, compiled.positiontup)
        self._compiled[dialect.name] = made
        return made


def _fetched(cursor: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


class AddHook(Protocol):
    """What happens in the transaction that writes a new job's row, before the row; an exception undoes everything."""

    def __call__(self, transaction: Transaction, job: Job, /) -> None: ...


class Channel(Protocol):
    """Short messages between programs with the same ledger; each method raises LedgerError when the database is away.

    Nothing is repeated: what was sent while a program did not listen never reaches it. A program gets its own, too.
    """

    def send(self, messages: Sequence[str]) -> None:
        """Send to all, in this order."""

    def listen(self) -> None:
        """Get what is sent from now on; also to begin anew after an error."""

    def receive(self, timeout_s: float) -> list[str]:
        """What arrived; waits for it, and returns [] after `timeout_s` seconds."""

    def close(self) -> None:
        """Close all connections."""


class Database(Protocol):
    """One database engine: the SQLite file of `sqlite.SqliteDatabase`, or a server's `postgresql.PostgresqlDatabase`.

    Attributes:
        label: what error messages call the database.
    """

    @property
    def label(self) -> str: ...

    def write(
        self, *, durable: bool = True, serialized: bool = True, locks: Collection[str] = ()
    ) -> AbstractContextManager[Transaction]:
        """One transaction at a time; database errors become LedgerError.

        Args:
            durable: whether a power loss after the commit may not undo it.
            serialized: False for a change of one row that depends on no other: it need not wait for its turn.
            locks: names of all that its checks depend on, such as who pays: where several programs share the database,
                transactions without a name in common run at the same time. Without any name it runs alone.
        """

    def time(self, reader: Reader) -> float | None:
        """The database's own time, in seconds since 1970; None if it has no clock but this machine's."""

    def migrating(self) -> AbstractContextManager[Transaction]:
        """As `write`, to change the tables: it may take long, and waits for another program that does so."""

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[Reader]:
        """A connection to read with; database errors become LedgerError.

        Args:
            snapshot: whether all reads see the rows of one moment.
        """

    def open_channel(self) -> Channel | None:
        """Messages to and from other programs with this ledger; None where there is only this one."""

    def mark_ready(self) -> None:
        """The schema is up to date: visitors see error messages from now on, so they name no folder."""

    def close(self) -> None:
        """Close all connections."""
