"""The tables `sessions`, `login_attempts` and `known_browsers`: who has signed in, and who guesses, at any server.

Only several servers use them; a single one has all this in memory. No row lets anybody in: tokens are hashed with a
secret, and passwords stand nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import sqlalchemy as sa

from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.tables import known_browsers, login_attempts, sessions
from dreamina_ui.ledger.transaction import Transaction

_T = TypeVar("_T")
Failures = Mapping[str, tuple[int, float]]
"""By client: how many attempts failed, and the time of the last one, in seconds since 1970."""

KNOWN_BROWSER_TTL_S = 400 * 86_400.0
_FORGET_SESSIONS = sa.text(
    "DELETE FROM sessions WHERE expires_at <= :now OR token_hash IN (SELECT token_hash FROM sessions WHERE "
    "COALESCE(name, '') = :name ORDER BY expires_at DESC LIMIT 1000000 OFFSET :per_person) OR token_hash IN "
    "(SELECT token_hash FROM sessions ORDER BY expires_at DESC LIMIT 1000000 OFFSET :most)"
)
_REMEMBER_BROWSER = sa.text(
    "INSERT INTO known_browsers (browser, seen_at) VALUES (:browser, :now) "
    "ON CONFLICT (browser) DO UPDATE SET seen_at = excluded.seen_at"
)


class SignInStore:
    """Every method may raise LedgerError, and blocks.

    Attributes:
        secret: what the tokens of sessions are hashed with, the same at all servers.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.secret = ledger.secret("sessions")

    def session(self, token_hash: str) -> tuple[str | None, float] | None:
        """The login, None for the owner's password, and the end of a session, in seconds since 1970."""
        with self._ledger.reading() as reader:
            query = sa.select(sessions.c.name, sessions.c.expires_at).where(sessions.c.token_hash == token_hash)
            row = reader.connection.execute(query).first()
        return (row.name, row.expires_at) if row else None

    def add_session(self, token_hash: str, name: str | None, expires_at: float, *, per_person: int, most: int) -> None:
        """Write a session; the oldest ones of the person, and of all, end for it where there are too many."""
        with self._ledger.writing() as transaction:
            row = {"token_hash": token_hash, "name": name, "expires_at": expires_at}
            transaction.connection.execute(sessions.insert().values(row))
            bounds = {"now": self._ledger.time(transaction), "name": name or "", "per_person": per_person, "most": most}
            transaction.connection.execute(_FORGET_SESSIONS, bounds)

    def delete_session(self, token_hash: str) -> None:
        """End a session at all servers."""
        with self._ledger.writing() as transaction:
            transaction.connection.execute(sessions.delete().where(sessions.c.token_hash == token_hash))

    def change_failures(
        self, clients: Sequence[str], ttl_s: float, change: Callable[[dict[str, tuple[int, float]], float], _T]
    ) -> _T:
        """Change what is known of some clients.

        Args:
            ttl_s: how long a failure counts; older ones are deleted.
            change: gets it by client, with the time now, and changes it in place.

        Returns:
            What `change` returns.
        """
        with self._ledger.writing(durable=False) as transaction:
            now = self._ledger.time(transaction)
            query = sa.select(login_attempts).where(login_attempts.c.client.in_(clients))
            before = {row.client: (row.failures, row.last_at) for row in transaction.connection.execute(query)}
            after = dict(before)
            result = change(after, now)
            _replace_failures(transaction, before, after, now - ttl_s)
        return result

    def is_known(self, browser: str) -> bool:
        """Whether somebody has signed in with this browser before."""
        with self._ledger.reading() as reader:
            query = sa.select(known_browsers.c.browser).where(known_browsers.c.browser == browser)
            return reader.connection.execute(query).first() is not None

    def remember(self, browser: str) -> None:
        """Somebody has signed in with this browser."""
        with self._ledger.writing(durable=False) as transaction:
            now = self._ledger.time(transaction)
            transaction.connection.execute(_REMEMBER_BROWSER, {"browser": browser, "now": now})
            old = known_browsers.c.seen_at < now - KNOWN_BROWSER_TTL_S
            transaction.connection.execute(known_browsers.delete().where(old))


def _replace_failures(transaction: Transaction, before: Failures, after: Failures, since: float) -> None:
    gone = [client for client, failure in before.items() if after.get(client) != failure]
    outdated = login_attempts.c.client.in_(gone) | (login_attempts.c.last_at < since)
    transaction.connection.execute(login_attempts.delete().where(outdated))
    rows = [
        {"client": client, "failures": failures, "last_at": last_at}
        for client, (failures, last_at) in after.items()
        if before.get(client) != (failures, last_at) and last_at >= since
    ]
    if rows:
        transaction.connection.execute(login_attempts.insert(), rows)
