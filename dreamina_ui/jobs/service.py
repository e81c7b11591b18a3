"""What people and programs ask for: generate, cancel, fetch again, submit again, archive.

Its promises: a row is on disk before anything is sent; a job is called canceled only when the service says so or when
nothing was sent. With the submitter, the attacher and the worker it is the only place where a job changes state.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dreamina_ui.catalog.registry import ModelRegistry
from dreamina_ui.errors import InputError, KeyNeededError, RequestConflictError, StateError
from dreamina_ui.jobs.submitter import Submitter
from dreamina_ui.jobs.worker import Worker
from dreamina_ui.ledger.job import SANDBOX_ORIGIN, SETTLED, Job, Outcome, State, new_id, requester_of
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.transaction import AddHook
from dreamina_ui.media.fetching.reachability import Reachability
from dreamina_ui.media.input_files import InputFiles, given_urls
from dreamina_ui.media.store import MediaStore
from dreamina_ui.models.sizes import parse_size
from dreamina_ui.spending.accounts import Account, Accounts
from dreamina_ui.spending.limits import SpendingGuard

log = logging.getLogger(__name__)

GENERATE_THREADS = 16
"""Enough: admissions share the one writer of the ledger, which takes a few milliseconds for each."""

DUPLICATE_WINDOW_S = 1.0
"""Two requests of one visitor with the same inputs within this time are one job."""


@dataclass(frozen=True)
class CancelVerdict:
    """What came of a wish to cancel: `cancelled`, `too_late` or `unconfirmed`, and the job as it is now."""

    outcome: Outcome
    job: Job


class JobService:
    """Makes jobs and changes them.

    Args:
        accounts: who pays for a job; jobs of another API are left alone.
        models: by model_id.
        guard: knows what a job is expected to cost.
        input_files: validates files that are given by URL; None to look at none.
        call_pool: threads for cancels.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        models: ModelRegistry,
        ledger: Ledger,
        media: MediaStore,
        guard: SpendingGuard,
        submitter: Submitter,
        worker: Worker,
        call_pool: ThreadPoolExecutor,
        clock: Callable[[], float],
        input_files: InputFiles | None = None,
        reachability: Reachability | None = None,
    ) -> None:
        self._accounts = accounts
        self._models = models
        self._ledger = ledger
        self._media = media
        self._guard = guard
        self._submitter = submitter
        self._worker = worker
        self._clock = clock
        self._input_files = input_files
        self._reachability = reachability
        self._under_way_lock = threading.Lock()
        self._under_way: dict[tuple[str, str, str, str], Future[Job]] = {}  # requests with an id, until they are done
        self._call_pool = call_pool
        # Apart, so that a slow host of somebody's files holds up nobody who gives none.
        self._generate_pool = ThreadPoolExecutor(GENERATE_THREADS, "generate")
        self._given_files_pool = ThreadPoolExecutor(GENERATE_THREADS, "generate-files")

    def stop(self) -> None:
        """Begin nothing new."""
        for pool in (self._generate_pool, self._given_files_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def generate(
        self,
        model_id: str,
        inputs: Mapping[str, Any],
        *,
        visitor_id: str | None = None,
        client_hash: str | None = None,
        account: Account | None = None,
        key_session: str | None = None,
        press_id: str | None = None,
        is_click: bool = True,
        lifts_stop: bool = False,
        hook: AddHook | None = None,
    ) -> Job:
        """Check the inputs, write the job's row, and have it submitted in the background.

        Args:
            inputs: by schema key; missing optional ones get their defaults.
            visitor_id: who asks.
            client_hash: a hash of the client's IP address, for limits.
            account: who pays; None for the key of `key_session`, or the owner.
            press_id: what the caller named this request: the same caller's same id is the same job, also after a
                restart; nothing else is asked again for it, neither limits nor who pays.
            is_click: a person's: without a `press_id`, a second one with the same inputs within a second is the same
                job.
            lifts_stop, hook: as in `Submitter.begin`.

        Returns:
            The new job, in state `submitting`; or the one that the request made before.

        Raises:
            RequestConflictError: the `press_id` belongs to a request with other inputs.
            KeyNeededError: the owner does not pay; there is no job.
            InputError: the inputs break the schema, or a given file breaks a rule; there is no job.
            LimitError: a limit is reached; there is no job.
            StoppedError, BlockedError, BlockedWordError: the owner does not want it; there is no job.
            LedgerError, DiskError: nothing can be written; there is no job and nothing was sent.
        """
        requested_at = self._clock()
        fingerprint = account.key_fingerprint if account else None
        if press_id and (
            known := self._ledger.by_press_id(requester_of(visitor_id, fingerprint, client_hash), press_id)
        ):
            return self._same_request(known, model_id, inputs)
        account = account or self._accounts.account(key_session)
        validated = self._validate_inputs(model_id, inputs, visitor_id, client_hash)
        if self._submitter.is_stopping:
            raise StateError("The program is stopping; nothing was submitted. Try again in a moment.")
        job = self._prepare(model_id, validated, visitor_id, client_hash, account, press_id, requested_at)
        since = requested_at - DUPLICATE_WINDOW_S if is_click and visitor_id else None
        added = self._submitter.begin(job, account, duplicate_since=since, lifts_stop=lifts_stop, hook=hook)
        return self._same_request(added, model_id, validated)

    def generate_soon(
        self, model_id: str, inputs: Mapping[str, Any], *, press_id: str | None = None, **more: Any
    ) -> Future[Job]:
        """`generate` on another thread: validating given files may take seconds.

        Repeated while the first attempt is still under way, a request shares its outcome: a refusal of the repeat alone
        would say that nothing was sent, and the first attempt would send it.
        """
        if press_id is None:
            return self._begin_to_generate(model_id, inputs, **more)
        account: Account | None = more.get("account")
        requester = requester_of(
            more.get("visitor_id"), account.key_fingerprint if account else None, more.get("client_hash")
        )
        request = requester, press_id, model_id, json.dumps(inputs, sort_keys=True, default=str)
        with self._under_way_lock:
            under_way = self._under_way.get(request)
            if under_way is None:
                under_way = self._begin_to_generate(model_id, inputs, press_id=press_id, **more)
                self._under_way[request] = under_way
                under_way.add_done_callback(lambda _: self._under_way.pop(request, None))
        return _shared(under_way)

    def _begin_to_generate(self, model_id: str, inputs: Mapping[str, Any], **more: Any) -> Future[Job]:
        is_refused = threading.Event()
        model = self._models.get(model_id)
        has_files = model is not None and any(inputs.get(field.key) for field in model.fields if field.kind.holds_urls)
        pool = self._given_files_pool if has_files else self._generate_pool

        def generate() -> Job:
            if is_refused.is_set():
                raise StateError("This request was refused.")
            return self.generate(model_id, inputs, **more)

        try:
            return pool.submit(generate)
        except RuntimeError as exc:  # no thread, and the pool still keeps the work; or the program stops
            is_refused.set()
            raise StateError("This cannot be done now; nothing was submitted. Try again in a moment.") from exc

    def submit_again(
        self,
        job_id: str,
        *,
        visitor_id: str | None = None,
        client_hash: str | None = None,
        press_id: str | None = None,
        may_charge_twice: bool = False,
        lifts_stop: bool = False,
    ) -> Job:
        """Make a new job with the inputs of one that was never accepted, or may not have been, and archive that one.

        Both happen, or neither: a job is submitted again once. The account of the old job pays, or nothing is sent.

        Args:
            press_id, lifts_stop: as for `generate`.
            may_charge_twice: a person agreed that the old request may have been accepted after all.

        Raises:
            JobNotFoundError: no such job.
            StateError: it was accepted, or it is archived.
            InputError: its outcome is unknown, and nobody agreed to pay twice.
            The others: as for `generate`.
        """
        old = self._ledger.job(job_id)
        requester = requester_of(visitor_id, old.key_fingerprint, client_hash)
        # Looked up after the old job was read: whoever archived it before wrote the new one with that.
        new = self._ledger.by_press_id(requester, press_id) if press_id else None
        if new is None:
            _ensure_unaccepted(old, may_charge_twice=may_charge_twice)
            account = self._accounts.account_of_key(old.key_fingerprint)
            validated = self._validate_inputs(old.model_id, old.inputs, visitor_id, client_hash)
            job = self._prepare(old.model_id, validated, visitor_id, client_hash, account, press_id, self._clock())
            new = self._submitter.begin(job, account, lifts_stop=lifts_stop, replaces=old)
        return self._same_request(new, old.model_id, old.inputs)

    def fetch_again(self, job_id: str) -> Job:
        """Ask for a failed job's result anew and fetch only what is missing; repeated, it changes nothing.

        Raises:
            JobNotFoundError: no such job.
            StateError: it did not fail, has no request_id, or belongs to another API.
            KeyNeededError: the key that it was made with is not here.
            LedgerError: not written.
        """
        job = self._ledger.job(job_id)
        if not job.request_id:
            raise StateError(f"Job {job_id[:8]} has no request_id: the service never accepted it.")
        self._accounts.client(job)
        if job.state == "saving":
            return job
        job = self._ledger.change(job_id, "saving", only_in=("failed",), problem=None, detail=None)
        self._worker.poll_in(job_id, 0.0)
        return job

    def cancel(self, job_id: str) -> CancelVerdict:
        """Ask for a job's cancellation and wait for the outcome; at most as long as the client's timeouts.

        Raises:
            JobNotFoundError: no such job.
            LedgerError: the wish could not be written.
        """
        job, attempts_before = self._ledger.job(job_id), self._worker.cancel_attempts(job_id)
        if not job.is_settled:
            job = self._ledger.change(job_id, cancel_requested_at=job.cancel_requested_at or self._clock())
        self._submitter.wait_for(job_id)
        job = self._ledger.job(job_id)
        confirmed = job.state not in ("queued", "running") or not self._accounts.is_ours(job)
        is_accepted = False
        if not confirmed:
            try:
                attempt = self._worker.request_cancel(job, attempts_before)
                job, confirmed, is_accepted = attempt.job, attempt.is_confirmed, attempt.is_accepted
            except KeyNeededError as exc:
                log.info("Job %s: the cancel was not asked: %s", job_id[:8], exc)
        outcome = _outcome(job.state) if confirmed or job.state == "cancelled" else "unconfirmed"
        log.info("Job %s: cancel asked, %s", job_id[:8], outcome)
        if not job.is_settled:  # a wish that the service accepted, and has not fulfilled yet, has no outcome
            is_pending = is_accepted and outcome == "unconfirmed"
            job = self._ledger.change(job_id, cancel_outcome=None if is_pending else outcome)
        return CancelVerdict(outcome, job)

    def cancel_soon(self, job_id: str) -> Future[CancelVerdict]:
        """`cancel` on another thread."""
        return self._call_pool.submit(self.cancel, job_id)

    def archive(self, job_id: str) -> Job:
        """Take a job out of sight; it is stored and can be found.

        A job that waits for what may never come is given up with that: it is failed and asked about no more, until
        somebody fetches it again. Its cost still counts.

        Raises:
            JobNotFoundError: no such job.
            StateError: it is not settled, and nothing says that it may be lost.
            LedgerError: not written.
        """
        now, job = self._clock(), self._ledger.job(job_id)
        if job.may_be_lost(now, is_polled=self._accounts.is_ours(job)):
            job = self._ledger.change(
                job, "failed", only_in=(job.state,), problem="given_up", queue_position=None, archived_at=now
            )
            log.info("Job %s: given up by a person", job_id[:8])
            return job
        return self._ledger.change(job_id, only_in=tuple(SETTLED), archived_at=now)

    def restore(self, job_id: str) -> Job:
        """Bring an archived job back; raises as `archive`."""
        return self._ledger.change(job_id, only_in=tuple(SETTLED), archived_at=None)

    def _validate_inputs(
        self, model_id: str, inputs: Mapping[str, Any], visitor_id: str | None, client_hash: str | None
    ) -> dict[str, Any]:
        model = self._models.require(model_id)
        validated = model.validate_inputs(inputs)
        if self._input_files and any(given_urls(model, validated)):
            self._input_files.validate_files(model, validated, visitor_id, client_hash)
        return validated

    def _prepare(
        self,
        model_id: str,
        inputs: dict[str, Any],
        visitor_id: str | None,
        client_hash: str | None,
        account: Account,
        press_id: str | None,
        now: float,
    ) -> Job:
        """A new job with a folder that the disk took: it waits for the disk, so many requests do it side by side."""
        choices = (field.key for field in self._models[model_id].fields if field.choices)
        job = Job(
            job_id=new_id(),
            visitor_id=visitor_id,
            press_id=press_id,
            client_hash=client_hash,
            reserved_usd=None if account.key_fingerprint else self._guard.expected_usd(model_id, inputs),
            model_id=model_id,
            api_origin=account.api_origin,
            key_fingerprint=account.key_fingerprint,
            inputs=inputs,
            size=next((str(inputs[key]) for key in choices if parse_size(inputs.get(key))), None),
            created_at=now,
            updated_at=now,
        )
        if self._reachability and account.api_origin != SANDBOX_ORIGIN:
            self._reachability.require()
        self._media.prepare(job.job_id)
        return job

    def _same_request(self, job: Job, model_id: str, inputs: Mapping[str, Any]) -> Job:
        """The job, if it was made by a request with these inputs; raises RequestConflictError."""
        if job.press_id is None:
            return job
        if job.model_id == model_id:
            if job.inputs == inputs:
                return job
            with suppress(InputError, KeyError):
                if self._models[model_id].validate_inputs(inputs) == job.inputs:
                    return job
        raise RequestConflictError(job.press_id)


def _shared(outcome: Future[Job]) -> Future[Job]:
    """A future with the same outcome: who gives it up takes it from nobody else."""
    shared: Future[Job] = Future()
    shared.set_running_or_notify_cancel()

    def pass_on(done: Future[Job]) -> None:
        if done.cancelled():
            shared.set_exception(StateError("The program is stopping; nothing was submitted. Try again in a moment."))
        elif exc := done.exception():
            shared.set_exception(exc)
        else:
            shared.set_result(done.result())

    outcome.add_done_callback(pass_on)
    return shared


def _ensure_unaccepted(job: Job, *, may_charge_twice: bool) -> None:
    """Refuse a job that the service accepted, or that somebody decided about; one that is unclear needs consent."""
    was_refused = job.state == "failed" and job.request_id is None
    if job.archived_at is not None or not (was_refused or job.state == "submit_unclear"):
        raise StateError(f"Job {job.job_id[:8]} cannot be submitted again: it is {job.state} or archived.")
    if job.state == "submit_unclear" and not may_charge_twice:
        raise InputError("may_charge_twice", "const", True, may_charge_twice)


def _outcome(state: State) -> Outcome:
    """What a confirmed state means for a wish to cancel."""
    if state == "cancelled":
        return "cancelled"
    return "unconfirmed" if state in ("submitting", "submit_unclear", "queued") else "too_late"
