"""Visitors' own RunComfy keys at several servers: each can use a key as soon as its browser is there.

A key is sealed (AES-GCM) under what only the browser has: its cookie, 256 random bits, of which the ledger has a hash
that opens nothing. So whoever reads the database reads no key.
"""

from __future__ import annotations

import base64
import secrets
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing import key_rows
from dreamina_ui.spending.accounts import KEY_TTL_S, Accounts

CHECK_INTERVAL_S = 5.0
"""How long a key that was taken back at one server may be used at another."""

_NONCE_BYTES = 12


class SharedKeys:
    """The sealed keys in the ledger; every method may raise LedgerError.

    Args:
        accounts: have the keys that this server can use.
    """

    def __init__(self, ledger: Ledger, accounts: Accounts) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._checked_at = -CHECK_INTERVAL_S

    def save(self, token: str, cookie: str, session: str, key_fingerprint: str) -> None:
        """Store the key that a browser gave.

        Args:
            cookie: the browser's secret, which is stored nowhere.
            session: the hash by which the key is known, as in `Accounts`.
        """
        sealed = seal(token, cookie, session)
        with self._ledger.writing() as transaction:
            now = self._ledger.time(transaction)
            key_rows.put_key(transaction, session, key_fingerprint, sealed, now)

    def open(self, cookie: str, session: str) -> str | None:
        """The key that a browser gave at whatever server; None if there is none, or it was not used for long."""
        with self._ledger.reading() as reader:
            sealed = key_rows.sealed_key(reader, session, self._ledger.time(reader) - KEY_TTL_S)
        return unseal(sealed, cookie, session) if sealed else None

    def forget(self, session: str) -> None:
        """Delete the key of a session, so that every server forgets it."""
        with self._ledger.writing() as transaction:
            key_rows.delete_key(transaction, session)

    def is_somewhere(self, key_fingerprint: str) -> bool:
        """Whether a browser gave this key, so that some server has it, or will have it with that browser's return."""
        with self._ledger.reading() as reader:
            return key_rows.has_key(reader, key_fingerprint)

    def outdated_sessions(self) -> list[str]:
        """The sessions whose key is here, but was taken back at another server; those in use stay in the ledger."""
        sessions, now_s = self._accounts.key_sessions(), time.monotonic()
        if not sessions or now_s - self._checked_at < CHECK_INTERVAL_S:
            return []
        self._checked_at = now_s
        with self._ledger.writing(durable=False, serialized=False) as transaction:
            known = key_rows.sessions_with_key(transaction, sessions)
            now = self._ledger.time(transaction)
            key_rows.mark_used(transaction, sorted(known), now, now - KEY_TTL_S)
        return [session for session in sessions if session not in known]


def seal(token: str, cookie: str, session: str) -> str:
    """Encrypt a key so that only who has the cookie can read it; as URL-safe base64."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_sealing_key(cookie)).encrypt(nonce, token.encode(), session.encode())
    return base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(sealed: str, cookie: str, session: str) -> str | None:
    """The key; None if another cookie sealed it, or it is damaged."""
    try:
        raw = base64.urlsafe_b64decode(sealed)
        opened = AESGCM(_sealing_key(cookie)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], session.encode())
    except (InvalidTag, ValueError):
        return None
    return opened.decode()


def _sealing_key(cookie: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"dreamina own key").derive(cookie.encode())
