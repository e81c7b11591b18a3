"""In whose name the API is asked: the owner's, or that of a visitor who gave a RunComfy key of their own.

A visitor's key is in this process's memory; several servers also store it sealed, see `jobs.shared_keys`. The ledger
stores its fingerprint, a hash that only this installation can compute: it identifies the right key, and no other one
is used to ask about a job.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dreamina_ui.api.model_api import ModelApi
from dreamina_ui.errors import ApiError, AuthError, KeyNeededError, StateError
from dreamina_ui.ledger.job import Job

KEY_TTL_S = 8 * 3600.0
"""How long a key is stored without use; polling a job that was created with it is use."""

MAX_KEYS = 500
MAX_SESSIONS = 20
"""How many keys are stored, and browser sessions for one key; beyond, the least recently used one is forgotten."""


@dataclass(frozen=True)
class Account:
    """Who pays for a job; `key_fingerprint` is None for the owner."""

    client: ModelApi
    api_origin: str
    key_fingerprint: str | None = None


@dataclass
class _Key:
    client: ModelApi
    suffix: str
    used_at: float
    sessions: dict[str, None] = field(default_factory=dict)  # an ordered set


class Accounts:
    """The owner's account, and the keys that visitors gave.

    Args:
        owner: calls the API in the owner's name; None if the owner gave no token.
        api_origin: the name in the ledger of the API that the owner's jobs belong to.
        secret: of this installation, for the fingerprints.
        connect: creates a client for a key; raises SettingsError if it can be no key.
        key_origin: the name of the API that visitors' keys are for; None if it is the owner's too.
        requires_own_key: whether the owner pays for nothing new.
        clock: the time in seconds since 1970.
    """

    def __init__(
        self,
        owner: ModelApi | None,
        api_origin: str,
        *,
        secret: bytes,
        connect: Callable[[str], ModelApi],
        key_origin: str | None = None,
        requires_own_key: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.owner = owner
        self.api_origin = api_origin
        self.key_origin = key_origin or api_origin
        self.requires_own_key = requires_own_key
        self._secret = secret
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, _Key] = {}  # by fingerprint
        self._fingerprints: dict[str, str] = {}  # by session

    def account(self, session: str | None) -> Account:
        """Who pays for a new job: the session's own key if it gave one, else the owner.

        Raises:
            KeyNeededError: the session's key is no longer stored, or it has none and the owner does not pay.
        """
        if session is not None:
            with self._lock:
                if fingerprint := self._fingerprints.get(session):
                    return Account(self._use(fingerprint).client, self.key_origin, fingerprint)
            raise KeyNeededError("Your RunComfy key is no longer here: give it again. Nothing was submitted.")
        if self.owner is None or self.requires_own_key:
            raise KeyNeededError(
                "Your own RunComfy key is needed here; a program gives it in the header X-RunComfy-Token. "
                "Nothing was submitted."
            )
        return Account(self.owner, self.api_origin)

    def client(self, job: Job) -> ModelApi:
        """The client to ask about a job: that of the account it was created in, and no other.

        Raises:
            StateError: it belongs to an API that this program does not use.
            KeyNeededError: that key is not stored.
        """
        if not self.is_ours(job):
            ours = self.origin_of(job)
            raise StateError(f"Job {job.job_id[:8]} belongs to {job.api_origin}, and this program runs on {ours}.")
        if job.key_fingerprint is None:
            if self.owner is not None:
                return self.owner
        else:
            with self._lock:
                if job.key_fingerprint in self._keys:
                    return self._use(job.key_fingerprint).client
        raise KeyNeededError(f"Job {job.job_id[:8]} waits for the RunComfy key that it was made with.")

    def account_of_key(self, key_fingerprint: str | None) -> Account:
        """Who pays for a planned job, by the fingerprint of its key; None for the owner.

        Raises:
            KeyNeededError: that key is not stored, or the owner does not pay.
        """
        if key_fingerprint is None:
            return self.account(None)
        with self._lock:
            if key_fingerprint in self._keys:
                return Account(self._use(key_fingerprint).client, self.key_origin, key_fingerprint)
        raise KeyNeededError("This waits for the RunComfy key that it was begun with. Nothing was submitted.")

    def can_ask_about(self, job: Job) -> bool:
        """Whether the key that a job needs is here now."""
        return self.owner is not None if job.key_fingerprint is None else job.key_fingerprint in self._keys

    def origin_of(self, job: Job) -> str:
        """The API that a job of its kind must belong to."""
        return self.api_origin if job.key_fingerprint is None else self.key_origin

    def is_ours(self, job: Job) -> bool:
        """Whether the job's API is one that this program uses."""
        return job.api_origin == self.origin_of(job)

    def verify_key(self, token: str) -> bool:
        """Try a key with a call that costs nothing.

        Returns:
            Whether the service could be asked.

        Raises:
            SettingsError: this can be no key.
            AuthError: the service refuses it.
        """
        try:
            self._connect(token).status(f"key-check-{secrets.token_hex(8)}", attempts=1)
        except AuthError as exc:
            if exc.scope == "token":  # else it may mean the unknown request
                raise
        except ApiError as exc:
            return exc.kind not in ("transport", "protocol", "rate_limit")
        return True

    def has_key(self, token: str) -> bool:
        """Whether a key is stored, for whomever."""
        return self._fingerprint(token) in self._keys

    def key_fingerprints(self) -> list[str]:
        """The fingerprints of all keys that are stored."""
        with self._lock:
            return list(self._keys)

    def has_session(self, session: str) -> bool:
        """Whether a session's key is here."""
        return session in self._fingerprints

    def key_sessions(self) -> list[str]:
        """The sessions whose key is here."""
        with self._lock:
            return list(self._fingerprints)

    def store_key(self, token: str, session: str | None) -> tuple[Account, str | None]:
        """Store a key for a browser session, in place of an older one, or without a session for a program's jobs.

        Returns:
            Its account, and the fingerprint of the older key if that is another.

        Raises:
            SettingsError: this can be no key.
        """
        client = self._connect(token)
        fingerprint = self._fingerprint(token)
        with self._lock:
            older = self._fingerprints.get(session or "")
            older = self._forget(session) if session and older != fingerprint else None
            if fingerprint not in self._keys:
                if len(self._keys) >= MAX_KEYS:
                    self._drop(min(self._keys, key=self._priority))
                self._keys[fingerprint] = _Key(client, token[-4:], self._clock())
            key = self._use(fingerprint)
            if session is not None:
                self._fingerprints[session] = fingerprint
                key.sessions[session] = None
                if len(key.sessions) > MAX_SESSIONS:
                    first = next(iter(key.sessions))
                    del key.sessions[first], self._fingerprints[first]
            return Account(key.client, self.key_origin, fingerprint), older

    def forget_key(self, session: str) -> str | None:
        """Forget a session's key, unless another session gave the same; returns its fingerprint."""
        with self._lock:
            return self._forget(session)

    def key_suffix(self, session: str | None) -> str | None:
        """The last characters of a session's key, so that a person recognizes it; None if there is none."""
        with self._lock:
            fingerprint = self._fingerprints.get(session or "")
            return self._use(fingerprint).suffix if fingerprint else None

    def forget_unused_keys(self) -> None:
        """Forget keys that were not used for `KEY_TTL_S`."""
        with self._lock:
            for fingerprint in [
                fingerprint for fingerprint, key in self._keys.items() if key.used_at < self._clock() - KEY_TTL_S
            ]:
                self._drop(fingerprint)

    def _forget(self, session: str) -> str | None:
        fingerprint = self._fingerprints.pop(session, None)
        if fingerprint:
            del self._keys[fingerprint].sessions[session]
            if not self._keys[fingerprint].sessions:
                del self._keys[fingerprint]
        return fingerprint

    def _fingerprint(self, token: str) -> str:
        return hmac.new(self._secret, token.encode(), hashlib.sha256).hexdigest()[:32]

    def _priority(self, fingerprint: str) -> tuple[bool, float]:
        """Keys of programs are forgotten first: they come again with the next call."""
        return bool(self._keys[fingerprint].sessions), self._keys[fingerprint].used_at

    def _use(self, fingerprint: str) -> _Key:
        key = self._keys[fingerprint]
        key.used_at = self._clock()
        return key

    def _drop(self, fingerprint: str) -> None:
        for session in self._keys.pop(fingerprint).sessions:
            del self._fingerprints[session]
