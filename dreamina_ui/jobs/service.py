"""The studio is what people and programs ask: generate, cancel, fetch again.

Its promises: a row is on disk before anything is sent; a submit is sent once; a job is called cancelled only when the
service says so or when nothing was sent. With the worker it is the only place where a job changes state.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from random import random
from typing import Any

import sqlalchemy as sa

from dreamina_ui.api.client import RunComfy
from dreamina_ui.api.pacing import Pace, RunTimeModel
from dreamina_ui.errors import (
    ApiError,
    InputError,
    KeyNeededError,
    LedgerError,
    StateError,
    SubmitUnclearError,
)
from dreamina_ui.jobs.worker import Worker
from dreamina_ui.ledger.events import JobEvents
from dreamina_ui.ledger.job import SETTLED, Job, Outcome, Output, State, iso, new_id
from dreamina_ui.ledger.ledger import Ledger, is_request_taken
from dreamina_ui.media.fetch import OutputFetcher
from dreamina_ui.media.input_files import InputFiles, given_urls
from dreamina_ui.media.store import MediaStore, StoredFile
from dreamina_ui.models.schema import Model
from dreamina_ui.models.sizes import parse_size
from dreamina_ui.spending.accounts import Account, Accounts
from dreamina_ui.spending.dashboard import Dashboard, read_dashboard
from dreamina_ui.spending.limits import Limits, Quota, SpendingGuard, day_end
from dreamina_ui.spending.moderation import Moderation
from dreamina_ui.spending.prices import Prices

log = logging.getLogger(__name__)

DOUBLE_CLICK_S = 1.0
"""Two presses of one visitor with the same inputs within this time are one job."""


@dataclass(frozen=True)
class CancelVerdict:
    """The answer to a press of Cancel: `cancelled`, `too_late` or `unconfirmed`, and the job as it is now."""

    outcome: Outcome
    job: Job


class Studio:
    """Runs jobs in the accounts it knows.

    Args:
        accounts: who pays for a job, and whom to ask about it; jobs of another API are left alone.
        models: by model_id.
        guard: what may be spent; None for no limits.
        given: looks at files that are given by their addresses; None to look at none.
        pace: bounds of all pauses between looks.
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
        guard: SpendingGuard | None = None,
        given: InputFiles | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.models = models
        self.accounts = accounts
        self._ledger = ledger
        self._media = media
        self.given = given
        self.guard = guard or SpendingGuard(Limits(), accounts.api_origin)
        self._pace = pace or Pace()
        self._clock = clock
        self.controls = Moderation(ledger, clock)
        self._worker = Worker(
            accounts=accounts,
            ledger=ledger,
            fetcher=fetcher,
            controls=self.controls,
            pace=self._pace,
            clock=clock,
        )
        self.prices = Prices(models, lambda: self.guard, self._pace)
        self._decision = threading.Lock()
        self._submits: dict[str, Future[None]] = {}
        self._stopping = threading.Event()
        self._submitters = ThreadPoolExecutor(64, "submit")
        self._cancellers = ThreadPoolExecutor(32, "cancel")
        self._checkers = ThreadPoolExecutor(4, "key")
        self._pressers = ThreadPoolExecutor(64, "press")

    @property
    def changes(self) -> JobEvents:
        """Every change of every job, for whoever subscribes."""
        return self._ledger.changes

    def start(self) -> None:
        """Take up every unfinished job of ours; what a crash left half done is told apart first.

        Raises:
            LedgerError: the ledger could not be read or written.
        """
        self._media.clean_up()
        if self.given:
            self.given.clean_up()
        for job in self._unfinished():
            if job.state == "submitting":
                detail = "The program ended while this was being sent."
                self._ledger.change(job.job_id, "submit_unclear", problem="submit_unclear", detail=detail)
        self.controls.forget_refused_token(self.accounts.api_origin)
        with self._ledger.reading() as connection:
            for stop in self.controls.rules(connection).stops:
                log.warning("New jobs are stopped since %s (%s)", iso(stop.since), stop.reason)
        self._worker.start()
        self.learn_price_soon()
        self.prices.start(self.accounts.owner)

    def learn_price_soon(self) -> None:
        """Ask anew in the background what a file costs: a limit in USD needs it; raises LedgerError."""
        self.prices.ask_soon(are_needed=self.limits().in_usd)

    def stop(self, timeout_s: float = 3.0) -> None:
        """Start nothing new, give what is being sent `timeout_s` seconds to be answered, and let go of the rest."""
        self._stopping.set()
        self.prices.stop()
        self._worker.stop()
        self.changes.close()
        for pool in (self._cancellers, self._checkers, self._pressers):
            pool.shutdown(wait=False, cancel_futures=True)
        self._submitters.shutdown(wait=False)
        wait(list(self._submits.values()), timeout_s)

    def generate(
        self,
        model_id: str,
        inputs: Mapping[str, Any],
        *,
        visitor_id: str | None = None,
        address: str | None = None,
        account: Account | None = None,
        is_click: bool = True,
        also: Callable[[sa.Connection, Job], None] | None = None,
    ) -> Job:
        """Check the inputs, write the job's row, and have it submitted in the background.

        Args:
            inputs: by schema key; missing optional ones get their defaults.
            visitor_id: who pressed.
            address: a hash of the client's address, for limits.
            account: who pays; None for the owner.
            is_click: a person's: a second one with the same inputs within a second is the same job.
            also: for a job that nobody waits for: what to write in the transaction that writes its row; what it raises
                undoes all. Such a job leaves room for another one where a limit on jobs at once holds.

        Returns:
            The new job, in state `submitting`.

        Raises:
            KeyNeededError: the owner does not pay; there is no job.
            InputError: the inputs break the schema, or a given file breaks a rule; there is no job.
            LimitError: a limit is reached; there is no job.
            StoppedError, ShutOutError, ForbiddenWordError: the owner does not want it; there is no job.
            LedgerError, DiskError: nothing can be written; there is no job and nothing was sent.
        """
        pressed_at = self._clock()
        account = account or self.accounts.account(None)
        checked = self._check_inputs(model_id, inputs, visitor_id, address)
        if self._stopping.is_set():
            raise StateError("The program is stopping; nothing was submitted. Try again in a moment.")
        job = self._prepare(model_id, checked, visitor_id, address, account, pressed_at)
        since = pressed_at - DOUBLE_CLICK_S if is_click and visitor_id else None
        return self._begin(job, account, duplicate_since=since, also=also)

    def generate_soon(self, model_id: str, inputs: Mapping[str, Any], **more: Any) -> Future[Job]:
        """`generate` on a thread of its own pool: looking at given files may take seconds."""
        is_refused = threading.Event()

        def press() -> Job:
            if is_refused.is_set():
                raise StateError("This press was refused.")
            return self.generate(model_id, inputs, **more)

        try:
            return self._pressers.submit(press)
        except RuntimeError as exc:  # no thread, and the pool keeps the work all the same; or the program stops
            is_refused.set()
            raise StateError("This cannot be done now; nothing was submitted. Try again in a moment.") from exc

    def _check_inputs(
        self, model_id: str, inputs: Mapping[str, Any], visitor_id: str | None, address: str | None
    ) -> dict[str, Any]:
        if model_id not in self.models:
            raise InputError("model_id", "enum", sorted(self.models), model_id)
        model = self.models[model_id]
        checked = model.validate_inputs(inputs)
        if self.given and any(given_urls(model, checked)):
            self.given.check(model, checked, visitor_id, address)
        return checked

    def _prepare(
        self,
        model_id: str,
        checked: dict[str, Any],
        visitor_id: str | None,
        address: str | None,
        account: Account,
        now: float,
    ) -> Job:
        """A new job with a folder that the disk took: it waits for the disk, so many presses do it side by side."""
        job = Job(
            job_id=new_id(),
            visitor_id=visitor_id,
            address=address,
            reserved_usd=None if account.key_fingerprint else self.guard.expected_usd(model_id, checked),
            model_id=model_id,
            api_origin=account.api_origin,
            key_fingerprint=account.key_fingerprint,
            inputs=checked,
            size=next((str(checked[key]) for key in self._choices(model_id) if parse_size(checked.get(key))), None),
            created_at=now,
            updated_at=now,
        )
        self._media.prepare(job.job_id)
        return job

    def _begin(
        self,
        job: Job,
        account: Account,
        duplicate_since: float | None = None,
        also: Callable[[sa.Connection, Job], None] | None = None,
    ) -> Job:
        """Write a prepared job's row and have it submitted; the twin of a job is neither written nor sent."""
        # Before the row: whoever reads of the job there may cancel it at once, and then waits for this.
        sending: Future[None] = Future()
        self._submits[job.job_id] = sending
        sending.add_done_callback(lambda _: self._submits.pop(job.job_id, None))
        try:
            added = self._ledger.add(job, partial(self._check, also), duplicate_since=duplicate_since)
        except BaseException:
            sending.set_result(None)
            self._media.discard(job.job_id)
            raise
        if added is not job:
            sending.set_result(None)
            self._media.discard(job.job_id)
            return added
        once = threading.Lock()

        def send() -> None:
            if once.acquire(blocking=False):  # a pool that can start no thread raises, and keeps the work all the same
                try:
                    self._submit(job, account.client)
                finally:
                    sending.set_result(None)

        try:
            self._submitters.submit(send)
        except RuntimeError:  # no thread, or the program stops: then this writes down that nothing was sent
            send()
        return job

    def _check(self, also: Callable[[sa.Connection, Job], None] | None, connection: sa.Connection, job: Job) -> None:
        self.controls.check(connection, job)
        self.guard.check(connection, job, spare=1 if also else 0)
        if also:
            also(connection, job)

    def cancel(self, job_id: str) -> CancelVerdict:
        """Ask for a job's cancellation and wait for the truth; at most as long as the client's time-outs.

        Raises:
            JobNotFoundError: no such job.
            LedgerError: the wish could not be written.
        """
        job = self._ledger.job(job_id)
        if not job.is_settled:
            job = self._ledger.change(job_id, cancel_requested_at=job.cancel_requested_at or self._clock())
        if sending := self._submits.get(job_id):
            wait([sending])
        job = self._ledger.job(job_id)
        confirmed = job.state not in ("queued", "running") or not self.accounts.is_ours(job)
        if not confirmed:
            try:
                job, confirmed = self._worker.ask_cancel(job)
            except KeyNeededError as exc:
                log.info("Job %s: the cancel was not asked: %s", job_id[:8], exc)
        outcome = _outcome(job.state) if confirmed or job.state == "cancelled" else "unconfirmed"
        log.info("Job %s: cancel asked, %s", job_id[:8], outcome)
        return CancelVerdict(outcome, job if job.is_settled else self._ledger.change(job_id, cancel_outcome=outcome))

    def cancel_soon(self, job_id: str) -> Future[CancelVerdict]:
        """`cancel` on a thread of its own pool."""
        return self._cancellers.submit(self.cancel, job_id)

    def fetch_again(self, job_id: str) -> Job:
        """Ask for a failed job's result anew and fetch only what is missing.

        Raises:
            JobNotFoundError: no such job.
            MoveError: it did not fail, has no request_id, or belongs to another API.
            KeyNeededError: the key that it was made with is not here.
            LedgerError: not written.
        """
        job = self._ledger.job(job_id)
        if not job.request_id:
            raise StateError(f"Job {job_id[:8]} has no request_id: the service never accepted it.")
        self._client(job)
        job = self._ledger.change(job_id, "saving", only_in=("failed",), problem=None, detail=None)
        self._worker.put(job_id, 0.0)
        return job

    def attach(
        self,
        request_id: str,
        *,
        job_id: str | None = None,
        visitor_id: str | None = None,
        account: Account | None = None,
    ) -> Job:
        """Take a request of an account into the ledger, also one made elsewhere; its result is kept like ours.

        Args:
            request_id: as the service names it.
            job_id: the `submit_unclear` job that this request is the answer to; None makes a new job.
            visitor_id: whose the new job is.
            account: whose request it is; None for that of the job, or the owner's.

        Returns:
            The job that follows the request now; the one that does already, if there is one.

        Raises:
            InputError: this can be no request_id.
            RequestNotFoundError: the service does not know it.
            ApiError: the service could not be asked; nothing has changed.
            JobNotFoundError, MoveError: no such job, or it is not `submit_unclear`, or belongs to another API.
            KeyNeededError: the key is not here.
            LedgerError, DiskError: nothing can be written; nothing has changed.
        """
        request_id = request_id.strip()
        if self.accounts.knows(request_id):  # pasted in the wrong place: it must reach no log, message or account
            raise InputError("request_id", "format", "request id", "***")
        old = self._ledger.job(job_id) if job_id is not None else None
        if old is not None:
            account = Account(self._client(old), old.api_origin, old.key_fingerprint)
        account = account or self.accounts.account(None)
        if known := self._ledger.by_request(account.api_origin, request_id):
            if job_id not in (None, known.job_id):
                raise StateError(f"Request {request_id} belongs to job {known.job_id[:8]} already.")
            return known
        if old is not None and old.state != "submit_unclear":
            raise StateError(f"Job {old.job_id[:8]} is not waiting for its request.")
        status = account.client.status(request_id, attempts=2)
        now = self._clock()
        fields: dict[str, Any] = {"request_id": request_id, "status": status.status, "accepted_at": now}
        try:
            if job_id is not None:
                fields |= {"problem": None, "detail": None, "archived_at": None}
                job = self._ledger.change(job_id, "queued", only_in=("submit_unclear",), **fields)
            else:
                job = Job(
                    job_id=new_id(),
                    visitor_id=visitor_id,
                    model_id="",  # the service does not say which
                    api_origin=account.api_origin,
                    key_fingerprint=account.key_fingerprint,
                    inputs={},
                    state="queued",
                    created_at=now,
                    updated_at=now,
                    **fields,
                )
                self._media.prepare(job.job_id)
                self._ledger.add(job)
        except LedgerError as exc:
            if not is_request_taken(exc):
                raise
            return self.attach(request_id, job_id=job_id, account=account)  # somebody else was quicker
        self._worker.put(job.job_id, 0.0)
        return job

    def archive(self, job_id: str, *, back: bool = False) -> Job:
        """Put a job at rest out of sight, or `back` into it; it is kept and can be found.

        Raises:
            JobNotFoundError: no such job.
            MoveError: it is not at rest.
            LedgerError: not written.
        """
        return self._ledger.change(job_id, only_in=tuple(SETTLED), archived_at=None if back else self._clock())

    def job(self, job_id: str) -> Job:
        """Read one job; raises JobNotFoundError."""
        return self._ledger.job(job_id)

    def recent(self, visitor_id: str, limit: int = 24) -> list[Job]:
        """A visitor's newest jobs and all that go on, newest first."""
        return self._ledger.recent(visitor_id, limit)

    def is_active(self, job: Job) -> bool:
        """Whether anything will happen to the job without a person: it is not at rest, of our API, and has its key."""
        return (
            not job.is_settled and self.accounts.is_ours(job) and (job.state == "submitting" or self.accounts.has(job))
        )

    def law(self, job: Job) -> RunTimeModel:
        """How long runs such as this one take, as last learned; nothing is read."""
        return self._worker.law(job)

    def submit_again(
        self,
        job_id: str,
        *,
        visitor_id: str | None = None,
        address: str | None = None,
        account: Account | None = None,
    ) -> Job:
        """Make a new job with the inputs of one whose outcome is unknown, and put that one aside; it may charge twice.

        Raises:
            JobNotFoundError: no such job.
            MoveError: it is not `submit_unclear`, or put aside.
            The others: as for `generate`.
        """
        account = account or self.accounts.account(None)
        old = self._waiting(job_id)
        checked = self._check_inputs(old.model_id, old.inputs, visitor_id, address)
        with self._decision:
            self._waiting(job_id)
            job = self._prepare(old.model_id, checked, visitor_id, address, account, self._clock())
            new = self._begin(job, account)
            try:
                self._ledger.change(job_id, archived_at=self._clock())
            except LedgerError as exc:  # the new one is on its way: an error would have it sent once more
                log.warning("Job %s could not be put aside: %s", job_id[:8], exc)
        return new

    def _waiting(self, job_id: str) -> Job:
        job = self._ledger.job(job_id)
        if job.state != "submit_unclear" or job.archived_at is not None:
            raise StateError(f"Job {job_id[:8]} is not waiting for a decision: it is {job.state} or put aside.")
        return job

    def limits(self) -> Limits:
        """What is allowed now; raises LedgerError."""
        with self._ledger.reading() as connection:
            return self.guard.limits_now(connection)

    def check_key_soon(self, token: str) -> Future[bool]:
        """`Accounts.check` on a thread of its own pool."""
        return self._checkers.submit(self.accounts.check, token)

    def give_key(self, token: str, session: str | None) -> Account:
        """Keep a visitor's own key for a session, in place of an older one; jobs that wait for it go on.

        Args:
            session: None for a program's key: it serves its jobs, and no press.

        Raises:
            SettingsError: this can be no key.
            LedgerError: the jobs that wait for it could not be read.
        """
        account, older = self.accounts.keep(token, session)
        for mark in filter(None, (account.key_fingerprint, older)):
            self._wake(mark)
        if self.accounts.owner is None or account.api_origin != self.accounts.api_origin:
            with suppress(RuntimeError):  # the program stops
                self._checkers.submit(self.prices.ask_with, account.client, account.api_origin)
        return account

    def take_key(self, session: str) -> None:
        """Forget a session's key; jobs that were made with it wait. Raises LedgerError."""
        if mark := self.accounts.forget(session):
            self._wake(mark)

    def _wake(self, mark: str) -> None:
        """Look at all jobs of a key at once: they go on, or it is written down that they wait."""
        for job in self._unfinished():
            if job.key_fingerprint == mark and job.request_id:
                if job.problem == KeyNeededError.kind and self.accounts.has(job):
                    self._ledger.change(job.job_id, durable=False, problem=None)
                self._worker.put(job.job_id, 0.0)

    def _unfinished(self) -> list[Job]:
        found = self._ledger.unfinished(self.accounts.api_origin, self.accounts.key_origin)
        return [job for job in found if self.accounts.is_ours(job)]

    def _client(self, job: Job) -> RunComfy:
        if not self.accounts.is_ours(job):
            here = self.accounts.origin_of(job)
            raise StateError(f"Job {job.job_id[:8]} belongs to {job.api_origin}, and this program runs on {here}.")
        return self.accounts.client(job)

    def overview(self) -> Dashboard:
        """What the owner wants to know at a glance; raises LedgerError."""
        with self._ledger.reading() as connection:
            rules = self.controls.rules(connection)
            return read_dashboard(connection, self.guard, rules, self.models, self._clock())

    def left(self, visitor_id: str, session: str | None = None) -> Quota:
        """What a visitor may still do today, at the owner's cost; raises LedgerError."""
        own_key = self.accounts.requires_own_key or session is not None
        with self._ledger.reading() as connection:
            now = self._clock()
            left = Quota(None, day_end(now)) if own_key else self.guard.left(connection, visitor_id, now)
            stopped = self.controls.stopped(connection, None if own_key else self.accounts.api_origin)
            return replace(left, stopped=stopped)

    def now(self) -> float:
        """The time, in seconds since 1970."""
        return self._clock()

    def output(self, file_key: str) -> tuple[Job, Output] | None:
        """The job and output behind a file's address; None if there is no such file."""
        return self._ledger.output_by_key(file_key)

    def original(self, job: Job, output: Output) -> StoredFile | None:
        """An output's original; None if it is not stored."""
        return self._media.find(job.job_id, output.index, "original")

    def file(self, file_key: str, tier: str) -> tuple[Job, Output, StoredFile] | None:
        """The job, output and stored file behind a file's URL; None if there is no such file.

        Args:
            tier: `original`, `preview` or `thumbnail`.
        """
        found = self._ledger.output_by_key(file_key)
        stored = self._media.find(found[0].job_id, found[1].index, tier) if found else None
        return (*found, stored) if found and stored else None

    def _choices(self, model_id: str) -> list[str]:
        return [field.key for field in self.models[model_id].fields if field.choices]

    def _submit(self, job: Job, client: RunComfy) -> None:
        fields: dict[str, Any]
        state: State
        try:
            if self._stopping.is_set():
                state, fields = "failed", {"problem": "not_sent", "detail": "The program stopped before sending it."}
            elif (job := self._ledger.job(job.job_id)).cancel_requested_at:
                state, fields = "cancelled", {"cancel_outcome": "cancelled"}
            else:
                request_id = client.submit(job.model_id, job.inputs)
                state, fields = "queued", {"request_id": request_id, "accepted_at": self._clock()}
        except SubmitUnclearError as exc:
            state, fields = "submit_unclear", {"problem": exc.kind, "detail": str(exc)}
        except (ApiError, InputError) as exc:
            state, fields = "failed", {"problem": exc.kind, "detail": str(exc)}
            if isinstance(exc, ApiError):
                self.controls.on_refusal(job, exc)
        except LedgerError as exc:  # raised by the read before the POST: nothing was sent
            state, fields = "failed", {"problem": "not_sent", "detail": str(exc)}
        except Exception as exc:
            log.exception("Job %s: the submit broke", job.job_id[:8])
            state, fields = "submit_unclear", {"problem": "submit_unclear", "detail": type(exc).__name__}
        self._write_answer(job, state, fields)
        if state == "queued":
            self._worker.put(job.job_id, self._pace.min_s)

    def _write_answer(self, job: Job, state: State, fields: dict[str, Any]) -> None:
        """Write a submit's outcome, however long the ledger refuses: a request_id exists nowhere else."""
        faults = 0
        while True:
            try:
                self._ledger.change(job, state, **fields)
                return
            except LedgerError as exc:
                if is_request_taken(exc):
                    fields = {
                        "problem": "submit_unclear",
                        "detail": f"The service answered with request {fields.pop('request_id')}, "
                        "which already belongs to another job.",
                    }
                    state = "submit_unclear"
                    continue
                faults += 1
                log.error(
                    "Job %s: the ledger refuses its answer (state %s, request_id %s): %s",
                    job.job_id[:8], state, fields.get("request_id"), exc,
                )  # fmt: skip
                if self._stopping.wait(self._pace.fault_pause_s(faults, random())):
                    return


def _outcome(state: State) -> Outcome:
    """What a confirmed state means for a wish to cancel."""
    if state == "cancelled":
        return "cancelled"
    return "unconfirmed" if state in ("submitting", "submit_unclear", "queued") else "too_late"
