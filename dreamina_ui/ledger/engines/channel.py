"""Messages between programs that share a PostgreSQL database: LISTEN, and NOTIFY in a transaction of its own.

Never in the transaction that it is about: every such commit would wait for the flush of the one before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import psycopg

from dreamina_ui.errors import LedgerError

MAX_PAYLOAD_BYTES = 7_900
"""How long a message can be; PostgreSQL refuses 8000."""

# A schema is an installation: two in one database do not hear of each other.
_NAME = "SELECT 'dreamina_' || hashtext(current_schema())"
_SEND = "SELECT pg_notify('dreamina_' || hashtext(current_schema()), %s)"


class PostgresqlChannel:
    """A `Channel` with a connection to send and another one to receive; each is opened when it is needed.

    Args:
        connect: opens a connection; raises psycopg.Error.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._sender: psycopg.Connection | None = None
        self._receiver: psycopg.Connection | None = None
        self._lock = threading.Lock()

    def send(self, messages: Sequence[str]) -> None:
        with self._lock:
            try:
                if self._sender is None:
                    self._sender = self._connect()
                    self._sender.autocommit = True
                    self._sender.execute("SET synchronous_commit = off")
                for message in messages:
                    self._sender.execute(_SEND, [message])
            except psycopg.Error as exc:
                _close(self._sender)
                self._sender = None
                raise LedgerError("Other servers could not be notified.") from exc

    def listen(self) -> None:
        _close(self._receiver)
        self._receiver = None
        try:
            receiver = self._connect()
            receiver.autocommit = True
            (name,) = receiver.execute(_NAME).fetchone() or ("",)
            receiver.execute(f'LISTEN "{name}"'.encode())
        except psycopg.Error as exc:
            raise LedgerError("The news of other servers cannot be read now.") from exc
        self._receiver = receiver

    def receive(self, timeout_s: float) -> list[str]:
        assert self._receiver is not None, "`listen` comes first"
        try:
            return [notice.payload for notice in self._receiver.notifies(timeout=timeout_s, stop_after=1)]
        except psycopg.Error as exc:
            raise LedgerError("The connection for the news of other servers is lost.") from exc

    def close(self) -> None:
        _close(self._receiver)
        with self._lock:
            _close(self._sender)
            self._sender = None


def _close(connection: psycopg.Connection | None) -> None:
    if connection is not None:
        connection.close()
