"""Visitors' own RunComfy keys: checked, stored, forgotten, and what that means for jobs that wait for one."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from dreamina_ui.api.model_api import CatalogApi
from dreamina_ui.catalog.service import Catalog
from dreamina_ui.errors import DreaminaError, KeyNeededError
from dreamina_ui.jobs.reader import JobReader
from dreamina_ui.jobs.shared_keys import SharedKeys
from dreamina_ui.jobs.worker import Worker
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.spending.accounts import Account, Accounts
from dreamina_ui.spending.prices import Prices


class ApiKeyService:
    """Takes keys and gives them up.

    Args:
        prices: are asked with a key where the owner's token does not know what it pays.
        catalog: is read with a key where the owner has no token.
        worker: polls the jobs of a key as soon as it is here.
        call_pool: threads for checks of keys.
        shared: where several servers have the keys; None for a single one.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        ledger: Ledger,
        reader: JobReader,
        prices: Prices,
        catalog: Catalog,
        worker: Worker,
        call_pool: ThreadPoolExecutor,
        shared: SharedKeys | None = None,
    ) -> None:
        self._shared = shared
        self._accounts = accounts
        self._ledger = ledger
        self._reader = reader
        self._prices = prices
        self._catalog = catalog
        self._worker = worker
        self._pool = call_pool

    def check_soon(self, token: str) -> Future[bool]:
        """`Accounts.verify_key` on another thread."""
        return self._pool.submit(self._accounts.verify_key, token)

    def give(self, token: str, session: str | None, cookie: str | None = None) -> Account:
        """Keep a visitor's own key for a session, in place of an older one; jobs that wait for it resume.

        Args:
            session: None for a program's key: it serves that program's jobs and no browser.
            cookie: the browser's secret, with which the key is sealed for other servers; None to tell none.

        Raises:
            SettingsError: this can be no key.
            LedgerError: the key could not be stored, or the jobs that wait for it not be read.
        """
        account, older = self._accounts.store_key(token, session)
        if self._shared and session and cookie and account.key_fingerprint:
            self._shared.save(token, cookie, session, account.key_fingerprint)
        for fingerprint in filter(None, (account.key_fingerprint, older)):
            self._wake_jobs(fingerprint)
        if self._accounts.owner is None or account.api_origin != self._accounts.api_origin:
            with suppress(RuntimeError):  # the program stops
                self._pool.submit(self._prices.read_with, account.client, account.api_origin)
        self._read_catalog(account)
        return account

    def read_catalog_soon(self, session: str) -> None:
        """Read the catalog with a session's key in the background, if that is due."""
        with suppress(DreaminaError):  # the key is not here
            self._read_catalog(self._accounts.account(session))

    def _read_catalog(self, account: Account) -> None:
        is_due = self._accounts.owner is None and self._catalog.waits_for_keys
        if is_due and isinstance(account.client, CatalogApi):
            with suppress(RuntimeError):  # the program stops
                self._pool.submit(self._catalog.read_with, account.client)

    def take_back(self, session: str) -> None:
        """Forget a session's key; jobs that were made with it wait. Raises LedgerError."""
        self._forget(session)
        if self._shared:
            self._shared.forget(session)

    def is_here(self, session: str) -> bool:
        """Whether this server has a session's key, or could get it from no other."""
        return self._shared is None or self._accounts.has_session(session)

    def bring(self, cookie: str, session: str) -> None:
        """Use a key here that its browser gave at another server.

        Raises:
            LedgerError: the key, or the jobs that wait for it, could not be read.
            SettingsError: it can be no key.
        """
        if self._shared and (token := self._shared.open(cookie, session)):
            self.give(token, session)

    def forget_outdated(self) -> None:
        """Forget the keys that were taken back at another server. Raises LedgerError."""
        for session in self._shared.outdated_sessions() if self._shared else ():
            self._forget(session)

    def _forget(self, session: str) -> None:
        if fingerprint := self._accounts.forget_key(session):
            self._wake_jobs(fingerprint)

    def _wake_jobs(self, fingerprint: str) -> None:
        """Poll all jobs of a key at once: they resume, or it is written down that they wait."""
        for job in self._reader.unfinished():
            if job.key_fingerprint == fingerprint and job.request_id:
                if job.problem == KeyNeededError.kind and self._accounts.can_ask_about(job):
                    self._ledger.change(job.job_id, durable=False, problem=None)
                self._worker.poll_in(job.job_id, 0.0)
