"""The table `own_keys`: visitors' own RunComfy keys, sealed so that only the browser that gave one can open it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from dreamina_ui.ledger.tables import own_keys
from dreamina_ui.ledger.transaction import Reader, Transaction

_PUT = sa.text(
    "INSERT INTO own_keys (session_hash, key_mark, sealed, used_at) "
    "VALUES (:session_hash, :key_fingerprint, :sealed, :used_at) ON CONFLICT (session_hash) DO UPDATE SET "
    "key_mark = excluded.key_mark, sealed = excluded.sealed, used_at = excluded.used_at"
)


def put_key(transaction: Transaction, session_hash: str, key_fingerprint: str, sealed: str, used_at: float) -> None:
    """Write a session's key, in the place of an older one."""
    row = {"session_hash": session_hash, "key_fingerprint": key_fingerprint, "sealed": sealed, "used_at": used_at}
    transaction.connection.execute(_PUT, row)


def sealed_key(reader: Reader, session_hash: str, since: float) -> str | None:
    """A session's sealed key; None if there is none, or it was last used before `since`."""
    query = sa.select(own_keys.c.sealed).where(own_keys.c.session_hash == session_hash, own_keys.c.used_at >= since)
    sealed: str | None = reader.connection.execute(query).scalar()
    return sealed


def sessions_with_key(reader: Reader, session_hashes: Sequence[str]) -> set[str]:
    """Those of these sessions that have a key."""
    query = sa.select(own_keys.c.session_hash).where(own_keys.c.session_hash.in_(session_hashes))
    return set(reader.connection.execute(query).scalars())


def has_key(reader: Reader, key_fingerprint: str) -> bool:
    """Whether a browser has given this key, at whatever server."""
    query = sa.select(own_keys.c.session_hash).where(own_keys.c.key_fingerprint == key_fingerprint).limit(1)
    return reader.connection.execute(query).first() is not None


def mark_used(transaction: Transaction, session_hashes: Sequence[str], used_at: float, forget_before: float) -> None:
    """Write down which sessions' keys are in use, and delete those that are in no use any more."""
    used = own_keys.c.session_hash.in_(session_hashes)
    transaction.connection.execute(own_keys.update().where(used).values(used_at=used_at))
    transaction.connection.execute(own_keys.delete().where(own_keys.c.used_at < forget_before))


def delete_key(transaction: Transaction, session_hash: str) -> None:
    """Delete a session's key."""
    transaction.connection.execute(own_keys.delete().where(own_keys.c.session_hash == session_hash))
