"""The services around jobs, wired together, with one start and one stop for all of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypedDict

from dreamina_ui.api.model_api import CatalogApi
from dreamina_ui.api.pacing import Pace
from dreamina_ui.catalog.registry import ModelRegistry
from dreamina_ui.catalog.service import Catalog
from dreamina_ui.errors import DiskError, KeyNeededError, StateError
from dreamina_ui.jobs.api_keys import ApiKeyService
from dreamina_ui.jobs.attach import RequestAttacher
from dreamina_ui.jobs.reader import JobReader
from dreamina_ui.jobs.replica import Replica, Role
from dreamina_ui.jobs.service import JobService
from dreamina_ui.jobs.shared_keys import SharedKeys
from dreamina_ui.jobs.submitter import Submitter
from dreamina_ui.jobs.worker import Worker
from dreamina_ui.ledger.job import SANDBOX_ORIGIN, Job, iso
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing.news import News
from dreamina_ui.library.sent_inputs import SentInputs
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.media.fetching.reachability import Reachability
from dreamina_ui.media.input_files import InputFiles
from dreamina_ui.media.store import MediaStore
from dreamina_ui.models.schema import Model
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.spending.balance import BalanceReader
from dreamina_ui.spending.limits import Limits, SpendingGuard
from dreamina_ui.spending.moderation import Moderation
from dreamina_ui.spending.prices import Prices
from dreamina_ui.spending.service import SpendingService
from dreamina_ui.spending.shared_prices import SharedPrices

log = logging.getLogger(__name__)

CALL_THREADS = 8
"""How many cancels and checks of keys wait for the API at the same time; each is one person who waits."""


class _Parts(TypedDict):
    """What the worker and the submitter have in common."""

    ledger: Ledger
    pace: Pace
    clock: Callable[[], float]
    replica: Replica | None


class JobServices:
    """Everything that runs jobs, in the accounts it knows.

    Args:
        accounts: who pays for a job, and whom to ask about it; jobs of another API are left alone.
        models: those that have a file, by model_id.
        catalog_api: lists the models of the owner's service; None for no catalog.
        guard: what may be spent; None for no limits.
        input_files: validates files that are given by URL; None to look at none.
        sent_inputs: as for `Submitter`.
        reachability: is asked before a job that costs money; None to submit without.
        role: what this server does where others share the ledger; None if it is the only one.
        is_shared: whether strangers reach the page, as for `Moderation`.
        low_balance_usd: what the owner is warned at.
        pace: bounds of all pauses between polls.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        models: Mapping[str, Model],
        ledger: Ledger,
        media: MediaStore,
        fetcher: OutputFetcher,
        catalog_api: CatalogApi | None = None,
        guard: SpendingGuard | None = None,
        input_files: InputFiles | None = None,
        sent_inputs: SentInputs | None = None,
        reachability: Reachability | None = None,
        role: Role | None = None,
        is_shared: bool = False,
        low_balance_usd: float = 0.0,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        pace = pace or Pace()
        self.accounts, self.models = accounts, (registry := ModelRegistry(models))
        self.input_files, self.clock, self.early_previews = input_files, clock, fetcher.early_previews
        self.guard = guard = guard or SpendingGuard(Limits(), accounts.api_origin)
        self.moderation = moderation = Moderation(ledger, clock, is_shared=is_shared)
        shared_prices = SharedPrices(ledger, accounts.api_origin, partial(self.has_duty, "prices")) if role else None
        self.prices = Prices(registry.packaged, guard, pace, registry.set_live_schema, shared_prices)
        self._ledger, self._media = ledger, media
        self.catalog = self._catalog(catalog_api, pace)
        is_play_money = accounts.api_origin == SANDBOX_ORIGIN
        self.balance = BalanceReader(catalog_api, low_usd=low_balance_usd, clock=clock, is_play_money=is_play_money)
        is_replica = role is not None
        self._news = News(ledger, channel) if is_replica and (channel := ledger.open_channel()) else None
        self.replica = replica = self._replica(role)
        parts = _Parts(ledger=ledger, pace=pace, clock=clock, replica=replica)
        self._worker = worker = Worker(accounts=accounts, fetcher=fetcher, controls=moderation, **parts)
        self._call_pool = ThreadPoolExecutor(CALL_THREADS, "call")
        self._submitter = submitter = Submitter(
            media=media, guard=guard, moderation=moderation, worker=worker, sent_inputs=sent_inputs, **parts
        )
        self.reader = JobReader(ledger, media, accounts, worker, submitter, is_replica=is_replica)
        self.shared_keys = SharedKeys(ledger, accounts) if is_replica else None
        self.jobs = self._job_service(reachability)
        self.attacher = RequestAttacher(accounts=accounts, ledger=ledger, media=media, worker=worker, clock=clock)
        self.api_keys, self.spending = self._api_key_service(), self._spending_service()

    def _replica(self, role: Role | None) -> Replica | None:
        on_lost: Callable[[float], object] = self._news.catch_up if self._news else lambda _since: None
        return Replica(self._ledger, self._claimable, on_lost, role=role, is_known=self._is_known) if role else None

    def _catalog(self, api: CatalogApi | None, pace: Pace) -> Catalog:
        return Catalog(
            api,
            self._ledger,
            self.models,
            api_origin=self.accounts.api_origin,
            set_price=self.guard.set_catalog_price,
            pace=pace,
            clock=self.clock,
        )

    def _job_service(self, reachability: Reachability | None) -> JobService:
        return JobService(
            accounts=self.accounts,
            models=self.models,
            ledger=self._ledger,
            media=self._media,
            guard=self.guard,
            submitter=self._submitter,
            worker=self._worker,
            call_pool=self._call_pool,
            clock=self.clock,
            input_files=self.input_files,
            reachability=reachability,
        )

    def _api_key_service(self) -> ApiKeyService:
        return ApiKeyService(
            accounts=self.accounts,
            ledger=self._ledger,
            reader=self.reader,
            prices=self.prices,
            catalog=self.catalog,
            worker=self._worker,
            call_pool=self._call_pool,
            shared=self.shared_keys,
        )

    def _spending_service(self) -> SpendingService:
        return SpendingService(
            ledger=self._ledger,
            accounts=self.accounts,
            models=self.models.packaged,
            guard=self.guard,
            moderation=self.moderation,
            prices=self.prices,
            clock=self.clock,
        )

    def start(self) -> None:
        """Pick up every unfinished job of ours; what a crash interrupted while it was sent becomes `submit_unclear`.

        Raises:
            LedgerError: the ledger could not be read or written.
        """
        self._media.clean_up()
        if self.input_files:
            self.input_files.clean_up()
        if self.replica is None:
            for job in self.reader.unfinished():
                if job.state == "submitting":
                    self._call_unclear(job)
        self.moderation.lift_outdated_stop(self.accounts.api_origin)
        with self._ledger.reading() as reader:
            for stop in self.moderation.rules(reader).stops:
                log.warning("New jobs are stopped since %s (%s)", iso(stop.since), stop.reason)
        if self._news:
            self._news.start()
        self._worker.start()
        if self.replica:
            self.replica.start(self.take_over)
        self.spending.refresh_prices()
        self.prices.start(self.accounts.owner)
        self.catalog.start()
        self.balance.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Start nothing new, give what is being sent `timeout_s` seconds to be answered, and let go of the rest.

        Of several servers, the others follow the jobs from now on, and send what was not sent.
        """
        self._submitter.stop_sending()
        self.prices.stop()
        self.catalog.stop()
        self.balance.stop()
        self._worker.stop()
        if self.replica:
            self.replica.drain()
        self.reader.changes.close()
        self.jobs.stop()
        self._call_pool.shutdown(wait=False, cancel_futures=True)
        self._submitter.stop(timeout_s)
        if self.replica:
            self.replica.stop()
        if self._news:
            self._news.stop()

    def has_duty(self, name: str, ttl_s: float) -> bool:
        """Whether this server is the one that does something for all: the only one always is."""
        return self.replica is None or self.replica.has_duty(name, ttl_s)

    def _is_known(self, job_id: str, version: int) -> bool:
        return self._worker.knows(job_id, version)

    def _claimable(self) -> tuple[Sequence[str], Sequence[str]]:
        return (self.accounts.api_origin, self.accounts.key_origin), self.accounts.key_fingerprints()

    def take_over(self, jobs: Sequence[Job]) -> None:
        """Continue jobs where another server, or this one, left them."""
        for job in jobs:
            try:
                if job.state != "submitting":
                    self._worker.follow(self._without_key_problem(job))
                elif job.armed_at is None:
                    self._submitter.send_later(job, self.accounts.client(job))
                elif not self._submitter.is_sending(job.job_id):
                    self._call_unclear(job)
            except StateError as exc:  # it moved on since it was read
                log.info("Job %s is not taken over: %s", job.job_id[:8], exc)
            except (KeyNeededError, DiskError) as exc:
                log.warning("Job %s cannot be sent now: %s", job.job_id[:8], exc)

        self.api_keys.forget_outdated()

    def _without_key_problem(self, job: Job) -> Job:
        """The job, which no longer waits for its key if that is here now."""
        if job.problem == KeyNeededError.kind and self.accounts.can_ask_about(job):
            return self._ledger.change(job, durable=False, problem=None)
        return job

    def _call_unclear(self, job: Job) -> None:
        """Nobody knows whether a job was sent whose server ended meanwhile."""
        detail = "The program ended while this was being sent."
        self._ledger.change(
            job.job_id, "submit_unclear", only_in=("submitting",), problem="submit_unclear", detail=detail
        )
