"""In whose name the API is asked: the owner's, or that of a visitor who gave a RunComfy key of their own.

A visitor's key is in this process's memory and nowhere else. The ledger holds its mark, a hash that only this
installation can make: the right key is known again by it, and a job is never asked of with another one.
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

KEPT_S = 8 * 3600.0
"""How long a key is kept without use; a look at a job that was made with it is use."""

MAX_KEYS = 500
MAX_SESSIONS = 20
"""How many keys are kept, and browser sessions for one key; beyond, what was not used the longest is forgotten."""


@dataclass(frozen=True)
class Account:
    """Who pays for a job; `key_fingerprint` is None for the owner."""

    client: ModelApi
    api_origin: str
    key_fingerprint: str | None = None


@dataclass
class _Key:
    client: ModelApi
    hint: str
    used_at: float
    sessions: dict[str, None] = field(default_factory=dict)  # a set that knows which came first


class Accounts:
    """The owner's account, and the keys that visitors gave.

    Args:
        owner: speaks in the owner's name; None if the owner gave no token.
        api_origin: the name in the ledger of the API that the owner's jobs belong to.
        secret: of this installation, for the marks.
        connect: makes a client for a key; raises SettingsError if it can be no key.
        key_origin: the name of the API that visitors' keys are for; None if it is the owner's too.
        requires_own_key: whether the owner pays for nothing new.
        clock: gives the time, in seconds since 1970.
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
        self._keys: dict[str, _Key] = {}  # by mark
        self._marks: dict[str, str] = {}  # by session

    def account(self, session: str | None) -> Account:
        """Who pays for a press: the session's own key if it gave one, else the owner.

        Raises:
            KeyNeededError: the session's key is no longer here, or there is none and the owner does not pay.
        """
        if session is not None:
            with self._lock:
                if mark := self._marks.get(session):
                    return Account(self._use(mark).client, self.key_origin, mark)
            raise KeyNeededError("Your RunComfy key is no longer here: give it again. Nothing was submitted.")
        if self.owner is None or self.requires_own_key:
            raise KeyNeededError(
                "Your own RunComfy key is needed here; a program gives it in the header X-RunComfy-Token. "
                "Nothing was submitted."
            )
        return Account(self.owner, self.api_origin)

    def client(self, job: Job) -> ModelApi:
        """The client to ask about a job: that of the account it was made in, and of no other.

        Raises:
            StateError: it belongs to an API that this program does not speak to.
            KeyNeededError: that key is not here.
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

    def of_mark(self, key_fingerprint: str | None) -> Account:
        """Who pays for a job to be, by the mark that was kept of it; None for the owner.

        Raises:
            KeyNeededError: that key is not here, or the owner does not pay.
        """
        if key_fingerprint is None:
            return self.account(None)
        with self._lock:
            if key_fingerprint in self._keys:
                return Account(self._use(key_fingerprint).client, self.key_origin, key_fingerprint)
        raise KeyNeededError("This waits for the RunComfy key that it was begun with. Nothing was submitted.")

    def has(self, job: Job) -> bool:
        """Whether a job can be asked about now."""
        return self.owner is not None if job.key_fingerprint is None else job.key_fingerprint in self._keys

    def origin_of(self, job: Job) -> str:
        """The API that a job of its kind must belong to, to go on here."""
        return self.api_origin if job.key_fingerprint is None else self.key_origin

    def is_ours(self, job: Job) -> bool:
        """Whether the job's API is one that this program speaks to."""
        return job.api_origin == self.origin_of(job)

    def check(self, token: str) -> bool:
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

    def knows(self, token: str) -> bool:
        """Whether a key is kept, for whomever."""
        return self._mark(token) in self._keys

    def keep(self, token: str, session: str | None) -> tuple[Account, str | None]:
        """Keep a key for a browser session, in place of an older one, or without a session for a program's jobs.

        Returns:
            Its account, and the mark of the older key if that is another.

        Raises:
            SettingsError: this can be no key.
        """
        client = self._connect(token)
        mark = self._mark(token)
        with self._lock:
            older = self._marks.get(session or "")
            older = self._forget(session) if session and older != mark else None
            if mark not in self._keys:
                if len(self._keys) >= MAX_KEYS:
                    self._drop(min(self._keys, key=self._worth))
                self._keys[mark] = _Key(client, token[-4:], self._clock())
            key = self._use(mark)
            if session is not None:
                self._marks[session] = mark
                key.sessions[session] = None
                if len(key.sessions) > MAX_SESSIONS:
                    first = next(iter(key.sessions))
                    del key.sessions[first], self._marks[first]
            return Account(key.client, self.key_origin, mark), older

    def forget(self, session: str) -> str | None:
        """Forget a session's key, unless another session gave the same; returns its mark if there was one."""
        with self._lock:
            return self._forget(session)

    def hint(self, session: str | None) -> str | None:
        """The last characters of a session's key, to know it by; None if there is none."""
        with self._lock:
            mark = self._marks.get(session or "")
            return self._use(mark).hint if mark else None

    def tidy(self) -> None:
        """Forget keys that were not used for long."""
        with self._lock:
            for mark in [mark for mark, key in self._keys.items() if key.used_at < self._clock() - KEPT_S]:
                self._drop(mark)

    def _forget(self, session: str) -> str | None:
        mark = self._marks.pop(session, None)
        if mark:
            del self._keys[mark].sessions[session]
            if not self._keys[mark].sessions:
                del self._keys[mark]
        return mark

    def _mark(self, token: str) -> str:
        return hmac.new(self._secret, token.encode(), hashlib.sha256).hexdigest()[:32]

    def _worth(self, mark: str) -> tuple[bool, float]:
        """Programs' keys go first: they come again with the next call."""
        return bool(self._keys[mark].sessions), self._keys[mark].used_at

    def _use(self, mark: str) -> _Key:
        key = self._keys[mark]
        key.used_at = self._clock()
        return key

    def _drop(self, mark: str) -> None:
        for session in self._keys.pop(mark).sessions:
            del self._marks[session]
