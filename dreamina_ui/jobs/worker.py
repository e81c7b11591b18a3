"""The worker follows every accepted request until it ends and its files are on disk.

It belongs to the server, not to a page: no tab that closes and no connection that breaks concerns it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import random
from typing import Any, TypeAlias

from dreamina_ui.api.model_api import StatusResponse
from dreamina_ui.api.pacing import Pace, RunTimeModel
from dreamina_ui.errors import (
    ApiError,
    AuthError,
    DreaminaError,
    ForeignRequestError,
    JobNotFoundError,
    KeyNeededError,
    LedgerError,
    RateLimitError,
    RequestNotFoundError,
    StateError,
)
from dreamina_ui.jobs.canceling import CancelAttempt, CancelSender
from dreamina_ui.jobs.poll_state import RESULT_TIMEOUT_S, STATUS_TIMEOUT_S, PollState, read_status
from dreamina_ui.jobs.replica import Replica
from dreamina_ui.jobs.run_times import RunTimes
from dreamina_ui.jobs.saving import ResultSaver
from dreamina_ui.jobs.scheduler import Schedule
from dreamina_ui.jobs.shared_throttle import SharedThrottle
from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import TERMINAL, Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.spending.moderation import Moderation

log = logging.getLogger(__name__)

MISSING_GRACE_S = 15.0
"""How long the service may not know a request before we believe it: a fresh one may not be everywhere yet."""

_POLLED = ("queued", "running", "saving")
"""A person may give a job up while it is polled: what comes then changes nothing."""

_Step: TypeAlias = "Callable[[Job, PollState], float | None]"


class Worker:
    """Polls jobs, one step at a time.

    Args:
        accounts: which client to ask about a job; jobs of another API are left alone, those without their key wait.
        controls: is called when the service refuses the owner's token.
        pace: bounds of all pauses between polls.
        clock: gives the time, in seconds since 1970.
        replica: this server as one of several, which follows its own jobs only; None if it is the only one.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        ledger: Ledger,
        fetcher: OutputFetcher,
        controls: Moderation,
        pace: Pace,
        clock: Callable[[], float],
        replica: Replica | None = None,
    ) -> None:
        self.pace = pace
        self._replica = replica
        self._accounts = accounts
        self._ledger = ledger
        self._controls = controls
        self._clock = clock
        self._states: dict[str, PollState] = {}
        self._run_times = RunTimes(ledger, pace, clock)
        self._stopping = threading.Event()
        self._noting = threading.Lock()
        ledger.changes.subscribe(EVERY_JOB, self._note)
        self._throttle = SharedThrottle(ledger, accounts.api_origin) if replica else None
        self._schedule = Schedule(self._begin_step, self._throttle)
        self._cancels = CancelSender(pace, clock)
        self._saver = ResultSaver(
            accounts=accounts,
            ledger=ledger,
            fetcher=fetcher,
            pace=pace,
            clock=clock,
            on_api_error=self._after_error,
            run_times=self._run_times,
        )
        # One pool for each kind of waiting, so that a slow download never holds up a status.
        self._pollers = ThreadPoolExecutor(24, "poll")
        self._savers = ThreadPoolExecutor(64, "save")

    def start(self) -> None:
        """Pick up every accepted job that is not settled, and begin to poll those and the ones to come."""
        self._pick_up()
        if self._throttle:
            self._throttle.start()
        self._schedule.start()
        threading.Thread(target=self._pick_up_periodically, name="pick-up", daemon=True).start()

    def stop(self) -> None:
        """Start no further step; what is running ends by itself or with the program."""
        self._stopping.set()
        self._schedule.stop()
        if self._throttle:
            self._throttle.stop()
        self._saver.stop()
        for pool in (self._pollers, self._savers):
            pool.shutdown(wait=False, cancel_futures=True)

    def poll_in(self, job_id: str, pause_s: float) -> None:
        """Poll a job in `pause_s` seconds, or earlier if that is planned already."""
        self._schedule.put(job_id, pause_s)

    def run_time_model(self, job: Job) -> RunTimeModel:
        """How long runs of this model and size take, as last fitted; nothing is read."""
        return self._run_times.model((job.model_id, job.size))

    def accept(self, job: Job) -> None:
        """Begin to poll a job that the service has just accepted."""
        self._schedule.put(job.job_id, self._run_times.accept(job.job_id, (job.model_id, job.size)))

    def cancel_attempts(self, job_id: str) -> int:
        """How many times the wish to cancel a job was sent; `request_cancel` gets what it was before the wish."""
        state = self._states.get(job_id)
        return state.cancel_attempts if state else 0

    def request_cancel(self, job: Job, attempts_before: int) -> CancelAttempt:
        """Send a person's wish to cancel, unless a poll has sent it meanwhile; then believe only a status.

        Raises:
            KeyNeededError: the job's key is not here; nothing was asked.
        """
        request_id = job.request_id or ""
        client = self._accounts.client(job)
        state = self._states.setdefault(job.job_id, PollState())
        self._cancels.send(client, job, state, attempts_before=attempts_before)
        status: StatusResponse | None = None
        try:
            status = client.status(request_id, attempts=2)
        except RequestNotFoundError:
            if state.cancel_accepted:
                status = StatusResponse("cancelled", "cancelled")
        except ApiError as exc:
            log.info("Job %s: no status after the cancel: %s", job.job_id[:8], exc)
        try:
            job = self._apply_status(job, status) if status and status.phase != "failed" else job
        except StateError:  # a poll was quicker: what it wrote is the truth
            job = self._ledger.job(job.job_id)
        if job.is_settled:
            self._states.pop(job.job_id, None)
        else:
            self._schedule.put(job.job_id, self.pace.min_s)
        return CancelAttempt(job, is_accepted=state.cancel_accepted, is_confirmed=status is not None)

    def follow(self, job: Job) -> None:
        """Poll an accepted job that is not settled, unless it is polled already, or waits for its key."""
        self._note(job)
        # A page that is opened before the first poll wants to know how long it takes.
        self._run_times.read((job.model_id, job.size))
        waits = job.problem == KeyNeededError.kind and not self._accounts.can_ask_about(job)
        if job.request_id and job.job_id not in self._states and self._accounts.is_ours(job) and not waits:
            self._schedule.put(job.job_id, 0.0)

    def knows(self, job_id: str, version: int) -> bool:
        """Whether a job is polled as it is in this version or a later one; it is read when it is polled first."""
        state = self._states.get(job_id)
        if state is None or state.job is None:
            return self._schedule.has(job_id)
        return state.job.version >= version

    def _pick_up(self) -> None:
        if self._replica is None:  # else that gives us what we are to follow
            for job in self._ledger.unfinished(self._accounts.api_origin, self._accounts.key_origin):
                self.follow(job)

    def _pick_up_periodically(self) -> None:
        """Pick up what another process wrote into the ledger, such as the command line's `attach`."""
        while not self._stopping.wait(self.pace.pick_up_interval_s):
            self._accounts.forget_unused_keys()
            try:
                self._pick_up()
            except LedgerError as exc:
                log.warning("The ledger could not be read for new jobs: %s", exc)

    def _note(self, job: Job | None) -> None:
        """Remember what was read or written of a job that is polled, so that it need not be read for every step."""
        state = self._states.get(job.job_id) if job else None
        if job and state:
            with self._noting:
                if state.job is None or state.job.version < job.version:
                    state.job = job

    def _begin_step(self, job_id: str) -> None:
        state = self._states.setdefault(job_id, PollState())
        pool: ThreadPoolExecutor
        step: _Step
        pool, step = (self._savers, self._saver.save) if state.is_saving else (self._pollers, self._poll)
        if not self._stopping.is_set():
            with suppress(RuntimeError):  # no thread can be started now; the pool holds the work for the next one
                pool.submit(self._take_step, job_id, state, step)

    def _take_step(self, job_id: str, state: PollState, step: _Step) -> None:
        """Take one step and plan the next; a surprise costs a pause, never the job."""
        pause_s: float | None = None
        try:
            # What another process wrote is noted when jobs are picked up, or met by a write, which then reads it anew.
            if state.job is None:
                self._note(self._ledger.job(job_id))
            job = state.job or self._ledger.job(job_id)
            is_here = self._replica is None or self._replica.follows(job)
            if is_here and not job.is_settled and self._accounts.is_ours(job) and job.request_id:
                pause_s = self._try_step(job, state, step)
        except StateError:  # it moved on meanwhile, by a cancel for instance: poll again
            state.job, pause_s = None, self.pace.min_s
        except JobNotFoundError:
            log.warning("Job %s is gone from the ledger", job_id[:8])
        except Exception as exc:
            if self._stopping.is_set():
                return
            state.errors += 1
            pause_s = self.pace.retry_pause_s(state.errors, random())
            foreseen = isinstance(exc, DreaminaError)
            log.warning("Job %s: will be polled again: %s", job_id[:8], exc, exc_info=not foreseen)
        if pause_s is None:
            self._states.pop(job_id, None)
            if state.job:
                self._run_times.forget(job_id, (state.job.model_id, state.job.size))
        self._schedule.finish(job_id, pause_s)

    def _try_step(self, job: Job, state: PollState, step: _Step) -> float | None:
        """Take a step, or write that the job waits for its key; when that is given again, the job is polled again."""
        try:
            return step(job, state)
        except KeyNeededError as exc:
            # Another server may get the key: then that one follows the job.
            follower = None if self._replica else job.replica_id
            self._ledger.change(job, only_in=_POLLED, problem=exc.kind, detail=None, replica_id=follower)
            return None

    def _poll(self, job: Job, state: PollState) -> float | None:
        """Ask how far a job has come and write it; returns seconds to the next step, None for none."""
        if job.state != "saving":
            try:
                response = self._accounts.client(job).status(job.request_id or "", attempts=1)
            except ApiError as exc:
                return self._after_error(job, state, exc)
            state.errors, state.missing_since = 0, None
            if response.phase == "completed":  # written together with what is to be saved
                state.completed, state.completed_at, state.is_saving = response, self._clock(), True
                self._plan_others(job)
                return 0.0
            self._run_times.read((job.model_id, job.size))  # whoever reads that it runs reads for how long, too
            if response.phase == "failed":
                return self._after_failure(job, state, response)
            if response.phase is None and state.note_fruitless(self._clock(), STATUS_TIMEOUT_S):
                self._give_up(job, f"The service says nothing but “{response.status}”.")
                return None
            if response.phase is not None:
                state.note_progress()
            job = self._apply_status(job, response)
        if job.state == "queued" and job.cancel_requested_at:  # an unfulfilled wish stays a wish
            self._cancels.send(self._accounts.client(job), job, state)
        return self._next_pause_s(job, state)

    def _next_pause_s(self, job: Job, state: PollState) -> float | None:
        state.is_saving = job.state == "saving"
        if state.is_saving:
            return 0.0
        if job.is_settled:
            return None
        kind = job.model_id, job.size
        if job.state == "queued":
            self._run_times.forget(job.job_id, kind)
            return self.pace.queue_pause_s(job.queue_position)
        return self._run_times.note_running(job.job_id, kind, job.started_at or job.created_at)

    def _plan_others(self, ended: Job) -> None:
        """Poll the other runs of a kind sooner, if the end of one says so."""
        pauses_s = self._run_times.note_end(ended.job_id, (ended.model_id, ended.size), ended.started_at)
        for job_id, pause_s in pauses_s.items():
            self._schedule.put(job_id, pause_s)

    def _apply_status(self, job: Job, response: StatusResponse) -> Job:
        """Write what the service said; an unheard-of status is stored and shown, and the state stays."""
        state, fields = read_status(job, response, self._clock())
        to = state if state != job.state else None
        if to is None and all(getattr(job, name) == value for name, value in fields.items()):
            return job  # as after most polls; spares a transaction
        return self._ledger.change(job, to, only_in=("queued", "running"), durable=state in TERMINAL, **fields)

    def _after_failure(self, job: Job, state: PollState, response: StatusResponse) -> float | None:
        """Ask the result why a request failed, and whether it did: it may have files all the same."""
        fields: dict[str, Any] = {"detail": response.reason}
        try:
            result = self._accounts.client(job).result(job.request_id or "", attempts=2)
        except ApiError as exc:
            fields = {"detail": response.reason or exc.reason or str(exc)}
        else:
            if any(file.url for file in result.files):
                state.is_saving = True
                self._ledger.change(job, "saving", only_in=_POLLED, status=response.status, queue_position=None)
                return 0.0
            reason = result.reason or response.reason or next((file.reason for file in result.files), None)
            fields = {"detail": reason, "cost_usd": result.cost_usd}
        fields |= {"status": response.status, "queue_position": None, "problem": "failed_at_service"}
        self._ledger.change(job, "failed", only_in=("queued", "running"), **fields)
        return None

    def _after_error(self, job: Job, state: PollState, exc: ApiError) -> float | None:
        """What to do with a job whose status or result could not be read: it is lost only if the service says so."""
        state.errors += 1
        self._controls.on_refusal(job, exc)
        if isinstance(exc, RequestNotFoundError):
            state.missing_since = state.missing_since or self._clock()
            if self._clock() - state.missing_since >= MISSING_GRACE_S:
                self._ledger.change(job, "failed", only_in=_POLLED, problem=exc.kind, detail=str(exc))
                return None
            return min(self.pace.retry_pause_s(state.errors, random()), MISSING_GRACE_S / 4)
        state.missing_since = None
        if isinstance(exc, ForeignRequestError):
            self._ledger.change(job, "failed", only_in=_POLLED, problem=exc.kind, detail=str(exc))
            return None
        if state.note_fruitless(self._clock(), RESULT_TIMEOUT_S if job.state == "saving" else STATUS_TIMEOUT_S):
            self._give_up(job, str(exc))
            return None
        if self._is_worth_showing(state, exc):
            self._ledger.change(job, only_in=_POLLED, problem=exc.kind, detail=str(exc))
        if isinstance(exc, RateLimitError) and job.key_fingerprint is None:
            self._schedule.slow_down(exc.retry_after_s)  # all jobs together; each one waits its turn
            return self.pace.min_s
        # The limit of a visitor's own account slows down that account's jobs only.
        retry_after_s = exc.retry_after_s if isinstance(exc, RateLimitError) else None
        return self.pace.retry_pause_s(state.errors, random(), retry_after_s)

    def _is_worth_showing(self, state: PollState, exc: ApiError) -> bool:
        """One lost response is nothing; a refused token is something at once."""
        return state.errors >= (3 if isinstance(exc, RateLimitError) else 2) or isinstance(exc, AuthError)

    def _give_up(self, job: Job, detail: str) -> None:
        """Stop polling a job that polling cannot finish: it may be fetched again, and holds no place of a limit."""
        log.warning("Job %s: polling it is given up: %s", job.job_id[:8], detail)
        self._ledger.change(job, "failed", only_in=_POLLED, problem="gave_up", detail=detail)
