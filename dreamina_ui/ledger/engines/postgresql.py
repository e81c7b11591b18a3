"""The PostgreSQL engine: everything in the ledger that is PostgreSQL's own.

Every transaction that writes first takes advisory locks, which hold over all programs that share the database: either
one against all others, or one for each name that its checks depend on, such as who pays for a job. What is checked in a
transaction therefore still holds when it commits.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from dreamina_ui.errors import LedgerError, SettingsError
from dreamina_ui.ledger.transaction import Channel, Reader, Transaction

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.numeric import Int8Dumper
    from psycopg.types.string import StrDumperUnknown

    from dreamina_ui.ledger.engines.channel import PostgresqlChannel
except ImportError as exc:
    raise SettingsError('DREAMINA_DATABASE_URL needs one more package: pip install "psycopg[binary]>=3.2,<4"') from exc

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
"""Of one program. A server has 100 by default, for all programs together."""

POOL_TIMEOUT_S = 10.0
"""How long a thread waits for one of them."""

MIGRATION_TIMEOUT_S = 600.0
"""How long a program that starts waits for another one that changes the tables."""

STALLED_S = 5
"""How long a transaction may do nothing before the server ends it: a program that is frozen inside of one, or cut off
from the network, would hold the lock against all others."""

_LOCK_NOT_AVAILABLE = "55P03"
_DATABASE_ERRORS = (SQLAlchemyError, psycopg.Error, OverflowError, ValueError)
_CONNECTION_OPTIONS = {
    "application_name": "dreamina-ui",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""How soon a server that vanished is noticed; what the URL says instead counts."""

# The schema is part of the key: installations in two schemas of one database do not wait for each other.
_CLOCK = "SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision"
_LOCK_ALL = "SELECT pg_advisory_xact_lock(1685218661, hashtext(current_schema()))"
_LOCK_NAMES = (
    "SELECT pg_advisory_xact_lock_shared(1685218661, hashtext(current_schema())); "
    "SELECT count(pg_advisory_xact_lock(hashtext(current_schema()), name)) FROM unnest(ARRAY[{names}]::int[]) AS name"
)
# A server that stands still while it sends statements is not idle for the database, which would wait for it forever.
_END_STALLED = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND classid = 1685218661 AND objsubid = 2 AND granted "
    "AND objid = (hashtext(current_schema())::bigint & 4294967295)::oid "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - interval '{stalled_s} s'"
)
_ROUND_S = STALLED_S + 1.0
"""How long a transaction waits for its locks before it ends those that stand still and hold them."""

_MAX_LOCKS = 100
"""More names than this, and a transaction locks all others out: the server's memory for locks is limited."""

_NEVER = 1_000_000_000
"""After so many executions the driver prepares a statement by itself; `Prepared` asks for it."""


class _TextDumper(StrDumperUnknown):
    """Writes texts as PostgreSQL can store them: without NUL, which no text there contains."""

    def dump(self, obj: str) -> psycopg.abc.Buffer | None:
        return super().dump(obj.replace("\x00", "\ufffd"))


class _Reader(Reader):
    def __init__(self, connection: sa.Connection, *, prepares: bool) -> None:
        super().__init__(connection)
        self._prepares = prepares

    def execute(self, text: str, values: Any = ()) -> Any:
        return self._cursor.execute(text, values, prepare=self._prepares)


class _Transaction(Transaction):
    """Waits for no response before somebody reads it: what is sent with `execute` shares the way there and back.

    An error of such a statement is raised by a later one, or at the commit. Not safe for several threads.
    """

    sends_ahead = True

    def __init__(self, connection: sa.Connection, *, prepares: bool) -> None:
        super().__init__(connection)
        self._driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        self._prepares = prepares
        self._pipeline = ExitStack()
        self._is_pipelined = False

    @property
    def connection(self) -> sa.Connection:
        self.may_have_written = True
        self._end_pipeline()  # SQLAlchemy expects each result at once
        return super().connection

    def execute(self, text: str, values: Any = ()) -> Any:
        if not self._is_pipelined:
            self._pipeline.enter_context(self._driver.pipeline())
            self._is_pipelined = True
        return self._driver.cursor().execute(text.encode(), values, prepare=self._prepares and bool(values))

    def commit(self) -> None:
        self.execute("COMMIT")
        self._end_pipeline()

    def _end_pipeline(self) -> None:
        if self._is_pipelined:
            self._is_pipelined = False
            self._pipeline.close()

    def abandon(self) -> None:
        """After an error, so that the connection can roll back."""
        with suppress(psycopg.Error):
            self._end_pipeline()


class PostgresqlDatabase:
    """A `Database` on a PostgreSQL server.

    Args:
        url: as libpq takes it, such as `postgresql://user:password@host:5432/name`; it may name several hosts.
        lock_timeout_s: how long a write waits for those of other programs.
        max_connections: how many connections are open at most.
        listen_url: where `url` is a pooler's, the same database without it: for what a session must stay the same for.

    Raises:
        LedgerError: the server cannot be reached, or refuses.
        SettingsError: the URL is none, or the database's encoding is not UTF-8.
    """

    def __init__(
        self,
        url: str,
        lock_timeout_s: float = 10.0,
        max_connections: int = MAX_CONNECTIONS,
        *,
        listen_url: str | None = None,
    ) -> None:
        self._options = options = _connection_options(url)
        self._listen_options = _connection_options(listen_url) if listen_url else options
        self._prepares = listen_url is None  # a pooler may give a statement to a connection that does not know it
        self._label = _label(options)
        self._is_ready = False
        self._lock_timeout_s = lock_timeout_s
        self._write_lock = threading.Lock()  # a thread that waits needs no connection
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: _connect(options),
            isolation_level="AUTOCOMMIT",  # a single query begins no transaction; writers do, below
            pool_size=max_connections,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,  # a restart of the server costs no failed request
        )
        try:
            with self.read() as reader:
                encoding = reader.connection.exec_driver_sql("SHOW server_encoding").scalar_one()
            if encoding != "UTF8":
                raise SettingsError(f"DREAMINA_DATABASE_URL: the database's encoding must be UTF8; it is {encoding}.")
        except BaseException:
            self.close()
            raise

    @property
    def label(self) -> str:
        return "database" if self._is_ready else self._label

    @contextmanager
    def write(
        self, *, durable: bool = True, serialized: bool = True, locks: Collection[str] = ()
    ) -> Iterator[Transaction]:
        flush = "" if durable else "SET LOCAL synchronous_commit = off; "
        stalled = f"SET LOCAL idle_in_transaction_session_timeout = '{STALLED_S}s'; "
        if not serialized:
            with self._transaction(flush + stalled, self._lock_timeout_s, lock="") as transaction:
                yield transaction
            return
        lock = _lock(locks)
        with self._write_lock, self._transaction(flush + stalled, self._lock_timeout_s, lock) as transaction:
            yield transaction

    @contextmanager
    def migrating(self) -> Iterator[Transaction]:
        with self._transaction("", MIGRATION_TIMEOUT_S) as transaction:
            yield transaction

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        try:
            with self._engine.connect() as connection:
                if snapshot:  # the pool ends it when the connection comes back
                    connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield _Reader(connection, prepares=self._prepares)
        except _DATABASE_ERRORS as exc:
            raise self._ledger_error("read", exc) from exc

    def time(self, reader: Reader) -> float | None:
        return float(reader.connection.exec_driver_sql(_CLOCK).scalar_one())

    def open_channel(self) -> Channel:
        return PostgresqlChannel(lambda: _connect(self._listen_options))

    def mark_ready(self) -> None:
        self._is_ready = True

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self, settings: str, lock_timeout_s: float, lock: str = _LOCK_ALL) -> Iterator[Transaction]:
        try:
            with self._engine.begin() as connection:
                self._begin(connection, settings + lock, lock_timeout_s)
                transaction = _Transaction(connection, prepares=self._prepares)
                try:
                    yield transaction
                    transaction.commit()
                except BaseException:
                    transaction.abandon()
                    raise
        except _DATABASE_ERRORS as exc:
            raise self._ledger_error("written", exc) from exc

    def _begin(self, connection: sa.Connection, statements: str, lock_timeout_s: float) -> None:
        """Begin a transaction with its settings and locks, and end others that stand still and hold these."""
        end_s = time.monotonic() + lock_timeout_s
        while True:
            left_s = max(end_s - time.monotonic(), 0.001)
            timeout = f"SET LOCAL lock_timeout = {math.ceil(1000 * min(left_s, _ROUND_S))}; "
            try:
                # One round trip. READ WRITE, so that a standby refuses it.
                connection.exec_driver_sql(f"BEGIN READ WRITE; {timeout}{statements}")
                return
            except DBAPIError as exc:
                if _sqlstate(exc) != _LOCK_NOT_AVAILABLE or left_s <= _ROUND_S:
                    raise
            connection.exec_driver_sql("ROLLBACK")
            ended = connection.exec_driver_sql(_END_STALLED.format(stalled_s=STALLED_S)).scalar_one()
            if ended:
                log.warning("%d transactions of servers that stand still were ended: others wait for them", ended)

    def _ledger_error(self, verb: str, exc: Exception) -> LedgerError:
        reason = " ".join(str(getattr(exc, "orig", None) or exc).split())
        if _sqlstate(exc) == _LOCK_NOT_AVAILABLE:
            reason = "it is locked by another program"
        elif self._is_ready and _is_about_the_connection(exc):
            log.warning("The database %s: %s", self._label, reason)
            reason = "it cannot be reached now"  # visitors read it, and the driver names the host
        return LedgerError(f"The ledger {self.label} could not be {verb}: {reason}.")


def _connection_options(url: str) -> dict[str, str]:
    """A URL as the driver takes it, in parts; raises SettingsError."""
    try:
        return _CONNECTION_OPTIONS | {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error as exc:  # it shows no part of the URL, which may hold a password
        raise SettingsError(
            "DREAMINA_DATABASE_URL is no URL of PostgreSQL, such as postgresql://user:password@host/name"
        ) from exc


def _lock(names: Collection[str]) -> str:
    """What locks these names, in one order everywhere: two that lock the same never wait for each other."""
    if not 0 < len(names) <= _MAX_LOCKS:
        return _LOCK_ALL
    numbers = sorted({zlib.crc32(name.encode()) - 2**31 for name in names})
    return _LOCK_NAMES.format(names=", ".join(map(str, numbers)))


def _label(options: dict[str, str]) -> str:
    host = options.get("host") or options.get("hostaddr") or "localhost"
    return f"postgresql://{host}:{options.get('port', 5432)}/{options.get('dbname', '')}"


def _connect(options: dict[str, str]) -> psycopg.Connection:
    connection = psycopg.connect(prepare_threshold=_NEVER, **options)  # type: ignore[arg-type]
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_dumper(int, Int8Dumper)  # one type for all, or one statement is prepared several times
    return connection


def _is_about_the_connection(exc: Exception) -> bool:
    """Whether it failed because of the connection and not because of what was asked."""
    if isinstance(exc, PoolTimeoutError):
        return True
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    if not isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)):
        return False
    return cause.sqlstate is None or cause.sqlstate[:2] in ("08", "57")  # connection lost; the server stops


def _sqlstate(exc: Exception) -> str | None:
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None
