"""Writes a new job's row, then sends it once.

Its promises: the row is on disk before anything is sent; the POST is made once; its outcome is written down, however
long the ledger refuses.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from random import random
from typing import Any

from dreamina_ui.api.model_api import ModelApi
from dreamina_ui.api.pacing import Pace
from dreamina_ui.errors import (
    ApiError,
    DiskError,
    InputError,
    LedgerError,
    RateLimitError,
    StateError,
    SubmitUnclearError,
)
from dreamina_ui.jobs.replica import Replica
from dreamina_ui.jobs.worker import Worker
from dreamina_ui.ledger.job import Job, State
from dreamina_ui.ledger.ledger import Ledger, is_request_taken
from dreamina_ui.ledger.transaction import AddHook
from dreamina_ui.library.sent_inputs import SentInputs
from dreamina_ui.media.store import MediaStore
from dreamina_ui.spending.accounts import Account
from dreamina_ui.spending.limits import SpendingGuard
from dreamina_ui.spending.moderation import Moderation

log = logging.getLogger(__name__)

MAX_SUBMITS = 32
"""How many POSTs wait for the API at the same time: 40 jobs a second at 0.8 seconds each."""

MAX_RETRY_TIMES = 1000
"""Of how many refused jobs the program remembers when the service takes them again."""

MAX_RETRY_WAIT_S = 600.0
"""Nobody waits longer in front of a button, whatever the service asks for."""


@dataclass
class _Right:
    """The right to send a job.

    Attributes:
        job: as it was when it was read last.
        is_taken: whether this server has the right; None before it has asked.
    """

    job: Job
    is_taken: bool | None = None


class _WithheldError(Exception):
    """Nothing is sent; the job's state and fields from then on."""

    def __init__(self, state: State, **fields: Any) -> None:
        super().__init__(state)
        self.state = state
        self.fields = fields


class Submitter:
    """Submits jobs in the background.

    Args:
        guard, moderation: are asked in the transaction that writes a job's row.
        worker: follows what was accepted.
        replica: this server as one of several; None if it is the only one.
        sent_inputs: puts what the service gets in the place of given images; None to send all inputs as they are.
        pace: bounds of the pauses between attempts to write an outcome.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        media: MediaStore,
        guard: SpendingGuard,
        moderation: Moderation,
        worker: Worker,
        pace: Pace,
        clock: Callable[[], float],
        replica: Replica | None = None,
        sent_inputs: SentInputs | None = None,
    ) -> None:
        self._replica = replica
        self._sent_inputs = sent_inputs
        self._ledger = ledger
        self._media = media
        self._guard = guard
        self._moderation = moderation
        self._worker = worker
        self._pace = pace
        self._clock = clock
        self._stopping = threading.Event()
        self._submits: dict[str, Future[None]] = {}
        self._retry_at: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(MAX_SUBMITS, "submit")

    @property
    def is_stopping(self) -> bool:
        """Whether nothing new is sent."""
        return self._stopping.is_set()

    def stop_sending(self) -> None:
        """Send nothing new; what is being sent continues."""
        self._stopping.set()

    def stop(self, timeout_s: float) -> None:
        """Send nothing new, and give what is being sent `timeout_s` seconds to be answered."""
        self.stop_sending()
        self._pool.shutdown(wait=False)
        wait(list(self._submits.values()), timeout_s)

    def wait_for(self, job_id: str) -> None:
        """Wait until the outcome of a job's submit is written down."""
        if sending := self._submits.get(job_id):
            wait([sending])

    def retry_wait_s(self, job_id: str) -> float:
        """How long the service asked to wait before a refused job is sent again, in seconds from now.

        0.0 if it did not ask, or before the last restart.
        """
        return max(0.0, self._retry_at.get(job_id, 0.0) - self._clock())

    def begin(
        self,
        job: Job,
        account: Account,
        *,
        duplicate_since: float | None = None,
        lifts_stop: bool = False,
        hook: AddHook | None = None,
        replaces: Job | None = None,
    ) -> Job:
        """Write the row of a job whose folder is prepared, and have it submitted.

        Args:
            duplicate_since: a job of the same visitor with the same inputs, made since then, is returned instead.
            lifts_stop: the owner asks: a stop that a refused token or an empty balance made ends with this job's row.
            hook: for a job that nobody waits for: called in the transaction that writes its row; what it raises undoes
                everything. Such a job leaves room for another one where a limit on jobs at once holds.
            replaces: a job that is archived with the row, as in `Ledger.add`.

        Returns:
            The job, or its duplicate, which is neither written nor sent again.

        Raises:
            LimitError, StoppedError, BlockedError, BlockedWordError: it is not admitted; there is no row.
            StateError: the job to replace has changed since it was read; there is no row.
            LedgerError: the row could not be written; nothing was sent.
        """
        job = replace(job, replica_id=self._ledger.replica_id)
        # Registered before the row is written: whoever reads the job may cancel it at once, and waits for this.
        sending = self._register(job)
        try:
            hooks = self._hooks(hook, lifts_stop)
            reads = [self._moderation.send_reads, self._guard.send_reads]
            added = self._ledger.add(job, hooks, duplicate_since=duplicate_since, replaces=replaces, send_reads=reads)
        except BaseException:
            sending.set_result(None)
            self._media.discard(job.job_id)
            raise
        if added is not job:
            sending.set_result(None)
            self._media.discard(job.job_id)
            return added
        self._send_in_background(job, account.client, sending)
        return job

    def send_later(self, job: Job, client: ModelApi) -> None:
        """Send a job whose row another server wrote, and that was not sent yet; nothing if it is being sent here.

        Raises:
            DiskError: nothing was sent.
        """
        if not self.is_sending(job.job_id):
            self._media.prepare(job.job_id)
            self._send_in_background(job, client, self._register(job))

    def is_sending(self, job_id: str) -> bool:
        """Whether a job is being sent, or will be."""
        return job_id in self._submits

    def _register(self, job: Job) -> Future[None]:
        sending: Future[None] = Future()
        self._submits[job.job_id] = sending
        sending.add_done_callback(lambda _: self._submits.pop(job.job_id, None))
        return sending

    def _send_in_background(self, job: Job, client: ModelApi, sending: Future[None]) -> None:
        once = threading.Lock()

        def send() -> None:
            if once.acquire(blocking=False):  # a pool that can start no thread raises, and still keeps the work
                try:
                    self._submit(job, client)
                finally:
                    sending.set_result(None)

        try:
            self._pool.submit(send)
        except RuntimeError:  # no thread, or the program stops: then this writes down that nothing was sent
            send()

    def _hooks(self, hook: AddHook | None, lifts_stop: bool) -> list[AddHook]:
        """What happens in the transaction that writes a job's row: moderation, limits, and the caller's hook."""
        lift: list[AddHook] = [self._moderation.lift_refusal_stop] if lifts_stop else []
        enforce_limits = partial(self._guard.enforce_limits, spare=1 if hook else 0)
        return [*lift, self._moderation.enforce_moderation, enforce_limits, *([hook] if hook else [])]

    def _submit(self, job: Job, client: ModelApi) -> None:
        right = _Right(job)
        state, fields = self._send(right, client)
        if right.is_taken is None:  # nothing was sent, and only who has the right writes down why
            self._take(right)
        if not right.is_taken:
            return
        job = right.job
        is_left = state == "queued" and self._replica is not None and not self._replica.keeps(job)
        self._write_outcome(job, state, fields | ({"replica_id": None} if is_left else {}))
        if state == "queued" and not is_left:
            self._worker.accept(job)

    def _send(self, right: _Right, client: ModelApi) -> tuple[State, dict[str, Any]]:
        """Send a job once; its state and fields from then on."""
        try:
            if self._replica is None:
                self._begin_alone(right)
            job = right.job
            with self._sent_inputs.opened(job) if self._sent_inputs else nullcontext(job.inputs) as inputs:
                request_id = client.submit(job.model_id, inputs, lambda: self._use(right))
            return "queued", {"request_id": request_id, "accepted_at": self._clock()}
        except _WithheldError as exc:
            return exc.state, exc.fields
        except SubmitUnclearError as exc:
            return "submit_unclear", {"problem": exc.kind, "detail": str(exc)}
        except (ApiError, InputError) as exc:
            if isinstance(exc, ApiError):
                self._moderation.on_refusal(right.job, exc)
            if isinstance(exc, RateLimitError):
                self._remember_wait(right.job.job_id, exc.retry_after_s)
            return "failed", {"problem": exc.kind, "detail": str(exc)}
        except (LedgerError, DiskError) as exc:  # raised by the reads before the POST: nothing was sent
            return "failed", {"problem": "not_sent", "detail": str(exc)}
        except Exception as exc:
            log.exception("Job %s: the submit broke", right.job.job_id[:8])
            return "submit_unclear", {"problem": "submit_unclear", "detail": type(exc).__name__}

    def _begin_alone(self, right: _Right) -> None:
        """The only server always has the right; raises what keeps it from sending."""
        right.is_taken = True
        if self.is_stopping:
            raise _WithheldError("failed", problem="not_sent", detail="The program stopped before sending it.")
        right.job = self._ledger.job(right.job.job_id)
        if right.job.cancel_requested_at:
            raise _WithheldError("cancelled", cancel_outcome="cancelled")

    def _use(self, right: _Right) -> None:
        """Take the right to send at the last moment: a server that dies before this leaves nothing unclear."""
        if self._replica is None:
            return
        self._take(right)
        if not right.is_taken:  # another server sends it, or decides about it
            raise _WithheldError("failed")
        if right.job.cancel_requested_at:
            raise _WithheldError("cancelled", cancel_outcome="cancelled")

    def _take(self, right: _Right) -> None:
        armed = None if self.is_stopping or self._replica is None else self._replica.arm(right.job.job_id)
        right.is_taken = armed is not None
        right.job = armed or right.job

    def _remember_wait(self, job_id: str, retry_after_s: float | None) -> None:
        if len(self._retry_at) >= MAX_RETRY_TIMES:
            self._retry_at.clear()
        self._retry_at[job_id] = self._clock() + min(retry_after_s or 0.0, MAX_RETRY_WAIT_S)

    def _write_outcome(self, job: Job, state: State, fields: dict[str, Any]) -> None:
        """Write a submit's outcome, however long the ledger refuses: a request_id exists nowhere else."""
        failures = 0
        while True:
            try:
                self._ledger.change(job, state, **fields)
                return
            except StateError as exc:  # it took so long that another server decided what became of it
                log.warning("Job %s: the submit's outcome, %s, came too late: %s", job.job_id[:8], state, exc)
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
                failures += 1
                log.error(
                    "Job %s: the ledger refuses the submit's outcome (state %s, request_id %s): %s",
                    job.job_id[:8], state, fields.get("request_id"), exc,
                )  # fmt: skip
                if self._stopping.wait(self._pace.retry_pause_s(failures, random())):
                    return
