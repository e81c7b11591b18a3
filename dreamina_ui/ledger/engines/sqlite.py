"""The SQLite engine: everything in the ledger that is SQLite's own."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.transaction import Reader, Transaction

# The driver raises the last two for a value that it cannot store, and JSON raises ValueError for a damaged row.
_DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error, OverflowError, ValueError)


class SqliteDatabase:
    """A `Database` in one file.

    Args:
        path: the file; it is created, with its folder, if it is not there.
        busy_timeout_s: how long a write waits for another process's lock.

    Raises:
        LedgerError: the file cannot be opened, or is damaged.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self._path = path
        self._shown_path = path
        self._identity: tuple[int, int] | None = None
        self._write_lock = threading.Lock()
        if damage := find_damage(path):
            raise _damaged(path, damage)
        self._durable = open_sqlite(path, busy_timeout_s)
        self._relaxed = open_sqlite(path, busy_timeout_s, durable=False)
        self._reader = open_sqlite(path, busy_timeout_s, writes=False)

    @property
    def label(self) -> str:
        return str(self._shown_path)

    @contextmanager
    def write(
        self, *, durable: bool = True, serialized: bool = True, locks: Collection[str] = ()
    ) -> Iterator[Transaction]:
        engine = self._durable if durable else self._relaxed
        try:
            with self._write_lock, engine.begin() as connection:
                yield Transaction(connection)
                # SQLite itself keeps writing into a file that was deleted.
                if self._identity and _identity(self._path) != self._identity:
                    raise LedgerError(
                        f"The ledger {self.label} was moved, deleted or replaced while this program runs. "
                        "Stop the program, put the ledger back, and start again."
                    )
        except _DATABASE_ERRORS as exc:
            raise _ledger_error("written", self._shown_path, exc) from exc

    @contextmanager
    def migrating(self) -> Iterator[Transaction]:
        with self.write() as transaction:
            yield transaction

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        try:
            with self._reader.connect() as connection:
                if snapshot:
                    connection.exec_driver_sql("BEGIN")  # the pool ends it when the connection comes back
                yield Reader(connection)
        except _DATABASE_ERRORS as exc:
            raise _ledger_error("read", self._shown_path, exc) from exc

    def time(self, reader: Reader) -> float | None:
        return None

    def open_channel(self) -> None:
        return None

    def mark_ready(self) -> None:
        self._identity = _identity(self._path)
        self._shown_path = Path(self._path.name)

    def close(self) -> None:
        for engine in (self._durable, self._relaxed, self._reader):
            engine.dispose()


def find_damage(path: Path) -> str | None:
    """What is wrong with the file; None if it is sound or does not exist.

    It only reads: SQLite would mix the newest changes into a damaged file, and delete those of a file that is empty.
    """
    changes = path.with_name(f"{path.name}-wal")
    if _size_bytes(changes) and not _size_bytes(path):
        return f"it is empty or gone, and its newest changes are still in {changes.name}"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            verdict = str(file.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # it does not exist, or cannot be opened: opening it to write raises the reason
        return None
    except sqlite3.DatabaseError as exc:
        return str(exc)
    return None if verdict == "ok" else verdict


def open_sqlite(path: Path, busy_timeout_s: float, *, writes: bool = True, durable: bool = True) -> sa.Engine:
    """Open a database, to write it or only to read.

    Args:
        durable: whether a transaction is on the disk once it is committed. If not, it survives the end of the program,
            but a power loss only once a later durable one is on the disk.

    Raises:
        LedgerError: its folder cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise LedgerError(f"The folder of the ledger, {path.parent}, cannot be created: {exc}") from exc
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        pool_size=16,
        max_overflow=80,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction; writers do, below
        synchronous = "FULL" if durable else "NORMAL"
        # What is deleted is overwritten, not left in free pages of the file and its backups.
        pragmas = ("journal_mode=WAL", "foreign_keys=ON", f"synchronous={synchronous}", "secure_delete=ON")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        _provide_floor(connection)

    if writes:

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # a plain BEGIN can fail when it turns into a write

    return engine


def _provide_floor(connection: sqlite3.Connection) -> None:
    """Define the function of standard SQL where SQLite was built without its mathematical functions."""
    try:
        connection.execute("SELECT FLOOR(0.5)")
    except sqlite3.OperationalError:
        connection.create_function("floor", 1, lambda value: value and math.floor(value), deterministic=True)


def copy_sqlite(path: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while others continue to write it.

    Raises:
        LedgerError: it could not be read, or the copy not be written.
    """
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except sqlite3.Error as exc:
        raise LedgerError(f"The ledger {path} could not be copied to {target}: {exc}.") from exc


def _ledger_error(verb: str, path: Path, exc: Exception) -> LedgerError:
    reason = str(getattr(exc, "orig", None) or exc)
    if type(exc) is DatabaseError:  # its subclasses, such as OperationalError, mean a lock or the disk
        return _damaged(path, reason)
    return LedgerError(f"The ledger {path} could not be {verb}: {reason}.")


def _damaged(path: Path, damage: str) -> LedgerError:
    return LedgerError(
        f"The ledger {path} is damaged: {' '.join(damage.split())}. Stop the program and put a copy of it back, or "
        f"move all files {path.name}* elsewhere to begin with an empty ledger; the pictures stay where they are."
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies at a path; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
