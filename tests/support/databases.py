"""A PostgreSQL server for the tests, and ledgers on it in the place of SQLite files."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from dreamina_ui.ledger import ledger as ledger_module
from dreamina_ui.ledger import tables
from dreamina_ui.ledger.engines.postgresql import PostgresqlDatabase
from dreamina_ui.ledger.engines.sqlite import SqliteDatabase
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.transaction import Database

_LOCK_TIMEOUT_S = 10.0


class Engine(Protocol):
    """Where the ledgers of a test are, each named by the path that it would have as an SQLite file."""

    name: str

    def open(self, path: Path, lock_timeout_s: float = _LOCK_TIMEOUT_S) -> Database: ...

    def rows(self, path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What another process sees, or does."""

    def locked(self, path: Path) -> AbstractContextManager[None]:
        """Another process in the middle of a write."""

    def count_writes(self, path: Path) -> object:
        """What changes with each write that changes rows."""


def open_database(path: Path) -> Database:
    """The database that `Ledger(path)` opens."""
    opened: Database = vars(ledger_module)["SqliteDatabase"](path, _LOCK_TIMEOUT_S)
    return opened


@cache
def _empty_ledger() -> Path:
    path = Path(tempfile.mkdtemp(prefix="dreamina-ledger-")) / "ledger.sqlite3"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    Ledger(SqliteDatabase(path, _LOCK_TIMEOUT_S)).close()
    return path


def make_ledger(path: Path) -> None:
    """Put an empty ledger there, unless it exists: a copy, as to create the tables takes longer than most tests."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_empty_ledger(), path)


class SqliteEngine:
    """Files."""

    name = "sqlite"

    def open(self, path: Path, lock_timeout_s: float = _LOCK_TIMEOUT_S) -> Database:
        make_ledger(path)
        return SqliteDatabase(path, lock_timeout_s)

    def rows(self, path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def count_writes(self, path: Path) -> object:
        return self.rows(path, "PRAGMA data_version"), path.with_name(path.name + "-wal").read_bytes()


class PostgresqlEngine:
    """A schema for each path. At the end of a test they are emptied, and the next one gets them: to create the tables
    takes longer than most tests."""

    name = "postgresql"

    def __init__(self, server: PostgresqlServer) -> None:
        self._server = server
        self._schemas: dict[Path, str] = {}
        self._opened: list[PostgresqlDatabase] = []

    def open(self, path: Path, lock_timeout_s: float = _LOCK_TIMEOUT_S) -> Database:
        database = PostgresqlDatabase(self.url(path), lock_timeout_s)
        self._opened.append(database)
        return database

    def url(self, path: Path) -> str:
        """The URL of a ledger, which is created if it is not there."""
        if path not in self._schemas:
            self._schemas[path] = self._server.take_schema()
        return f"{self._server.url}?options=-csearch_path%3D{self._schemas[path]}"

    def rows(self, path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(path)) as connection:
            cursor = connection.execute(query.replace("?", "%s"), values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        with closing(PostgresqlDatabase(self.url(path))) as other, other.write():
            yield

    def count_writes(self, path: Path) -> object:
        newest = "SELECT MAX(xmin::text::bigint), COUNT(*) FROM"
        return [self.rows(path, f"{newest} {name}") for name in tables.metadata.tables]

    def close(self) -> None:
        for database in self._opened:
            database.close()
        for schema in self._schemas.values():
            self._server.give_back(schema)


class PostgresqlServer:
    """A server on a free port, in a temporary folder, that flushes nothing to the disk.

    Args:
        binaries: the folder of `initdb` and `postgres`.
        flushes: flush at each commit all the same, for measurements.
    """

    def __init__(self, binaries: Path, *, flushes: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dreamina-postgresql-"))
        self._user = _unprivileged_user()
        if self._user:
            shutil.chown(self._folder, self._user)
        data, port = self._folder / "data", _free_port()
        self.url = f"postgresql://tests@127.0.0.1:{port}/postgres"
        options = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 300,
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB",
            "autovacuum": "off", "logging_collector": "off",
        }  # fmt: skip
        if flushes:
            options |= {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB"}
        command = [str(binaries / "postgres"), "-D", str(data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as log:
            # An order of letters as in a real installation: what relies on that of bytes is noticed.
            self._run(log, binaries / "initdb", "--no-sync", "-U", "tests", "-A", "trust", "-E", "UTF8",
                      "--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8", "-D", data)  # fmt: skip
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, user=self._user)
        self.pid = self._process.pid
        self._connection = self._connect()
        self._free: list[str] = []

    def take_schema(self) -> str:
        """The name of a schema that nobody uses; it is empty, or has empty tables."""
        if self._free:
            return self._free.pop()
        name = f"ledger_{secrets.token_hex(6)}"
        self._connection.execute(f"CREATE SCHEMA {name}".encode())
        return name

    def give_back(self, schema: str) -> None:
        """Empty a schema for the next test; one whose tables are not those of today is dropped."""
        emptied = [f"DELETE FROM {schema}.{name}" for name in tables.metadata.tables if name != "ledger_version"]
        try:
            self._connection.execute("; ".join(["SET lock_timeout = '1s'", *emptied]).encode())
        except psycopg.Error:
            self._connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())
        else:
            self._free.append(schema)

    def stop(self) -> None:
        self._connection.close()
        self._process.send_signal(signal.SIGQUIT)  # at once; SIGTERM waits until all clients are gone
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, log: Any, *command: object) -> None:
        subprocess.run([str(part) for part in command], stdout=log, stderr=log, cwd=self._folder, user=self._user,
                       check=True)  # fmt: skip

    def _connect(self) -> psycopg.Connection:
        deadline = time.monotonic() + 20.0
        while True:
            try:
                return psycopg.connect(self.url, autocommit=True)
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"PostgreSQL does not start: {(self._folder / 'log').read_text()}")
                time.sleep(0.05)


def find_postgresql() -> Path | None:
    """The folder of a PostgreSQL server's programs; None if there is none."""
    on_path = shutil.which("postgres")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return Path(on_path).resolve().parent if on_path else installed[-1].parent if installed else None


def _unprivileged_user() -> str | None:
    """Whom the server runs as where the tests run as root, which PostgreSQL refuses."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
