"""The worker follows every accepted request until it ends and its files are on disk.

It belongs to the server, not to a page: no tab that closes and no connection that breaks concerns it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from random import random
from typing import Any, TypeAlias

from dreamina_ui.api.client import CancelResponse, ResultResponse, StatusResponse
from dreamina_ui.api.pacing import PRIOR, Pace, RunTimeModel, learn
from dreamina_ui.errors import (
    ApiError,
    AuthError,
    DiskError,
    DreaminaError,
    ForeignRequestError,
    JobNotFoundError,
    KeyNeededError,
    LedgerError,
    MediaError,
    RateLimitError,
    RequestNotFoundError,
    StateError,
)
from dreamina_ui.jobs.scheduler import Schedule
from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import TERMINAL, Job, Output, State, new_id, state_of
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.fetch import OutputFetcher
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.spending.moderation import Moderation

log = logging.getLogger(__name__)

MISSING_GRACE_S = 15.0
"""How long the service may not know a request before we believe it: a fresh one may not be everywhere yet."""

LAW_S = 5.0
"""How long a law of run times is good enough. Measured: with 40 jobs a second, each one's end had it learned anew."""

SAVING_S = 1.0
"""How long a job whose files are being fetched may still be written as running."""

UNKEPT = ("pending", "damaged")
"""Outputs that are still to be fetched; what a person deleted is not fetched again."""

_Fetch: TypeAlias = "Future[tuple[Output, MediaError | None]]"
_OUTPUT_KINDS = (("image", "image"), ("images", "image"), ("video", "video"), ("videos", "video"))


@dataclass
class _Watch:
    """What the worker remembers of one job between two looks; all of it may be lost."""

    job: Job | None = None  # as this process last read or wrote it
    faults: int = 0
    missing_since: float | None = None
    saving: bool = False
    completed: StatusResponse | None = None  # noticed at `completed_at`, and not yet written down
    completed_at: float | None = None


class Worker:
    """Looks at jobs, one step at a time.

    Args:
        accounts: whom to ask about a job; jobs of another API are left alone, those without their key wait.
        controls: are told when the service refuses the owner's token.
        pace: bounds of all pauses between looks.
        clock: gives the time, in seconds since 1970.
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
    ) -> None:
        self.pace = pace
        self._accounts = accounts
        self._ledger = ledger
        self._fetcher = fetcher
        self._controls = controls
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        self._laws: dict[tuple[str, str | None], tuple[RunTimeModel, float]] = {}
        self._stopping = threading.Event()
        self._noting = threading.Lock()
        ledger.changes.subscribe(EVERY_JOB, self._note)
        self._schedule = Schedule(self._poll_soon)
        # One pool for each kind of waiting, so that a slow download never holds up a status.
        self._lookers = ThreadPoolExecutor(24, "look")
        self._savers = ThreadPoolExecutor(64, "save")
        self._keepers = ThreadPoolExecutor(32, "keep")

    def start(self) -> None:
        """Take up every accepted job that is not at rest, and begin to look at what was put and what will be."""
        self._pick_up()
        self._schedule.start()
        threading.Thread(target=self._pick_up_periodically, name="adopt", daemon=True).start()

    def stop(self) -> None:
        """Start no further step; what is going on ends by itself or with the program."""
        self._stopping.set()
        self._schedule.stop()
        for pool in (self._lookers, self._savers, self._keepers):
            pool.shutdown(wait=False, cancel_futures=True)

    def put(self, job_id: str, pause_s: float) -> None:
        """Look at a job in `pause_s` seconds, or earlier if that is planned already."""
        self._schedule.put(job_id, pause_s)

    def _pick_up(self) -> None:
        accounts = self._accounts
        for job in self._ledger.unfinished(accounts.api_origin, accounts.key_origin):
            self._note(job)
            self._learn(job)  # a page that is opened before the first look wants to know how long it takes
            waits = job.problem == KeyNeededError.kind and not accounts.has(job)
            if job.request_id and job.job_id not in self._watches and accounts.is_ours(job) and not waits:
                self._schedule.put(job.job_id, 0.0)

    def _pick_up_periodically(self) -> None:
        """Take up what another process wrote into the ledger, such as the command line's `attach`."""
        while not self._stopping.wait(self.pace.adopt_s):
            self._accounts.tidy()
            try:
                self._pick_up()
            except LedgerError as exc:
                log.warning("The ledger could not be read for new jobs: %s", exc)

    def law(self, job: Job) -> RunTimeModel:
        """How long runs of this model and size take, as last learned; nothing is read."""
        law, _ = self._laws.get((job.model_id, job.size), (PRIOR, 0.0))
        return law

    def _learn(self, job: Job) -> RunTimeModel:
        """How long runs of this model and size take, learned from the ledger a moment ago."""
        law, learned_at = self._laws.get((job.model_id, job.size), (None, 0.0))
        if law is None or self._clock() - learned_at > LAW_S:
            law = learn(self._ledger.run_times(job.model_id, job.size))
            self._laws[job.model_id, job.size] = law, self._clock()
        return law

    def _note(self, job: Job | None) -> None:
        """Keep what was read or written of a job that is looked at, so that it need not be read for every step."""
        watch = self._watches.get(job.job_id) if job else None
        if job and watch:
            with self._noting:
                if watch.job is None or watch.job.version < job.version:
                    watch.job = job

    def _poll_soon(self, job_id: str) -> None:
        watch = self._watches.setdefault(job_id, _Watch())
        pool, step = (self._savers, self._save) if watch.saving else (self._lookers, self._look)
        if not self._stopping.is_set():
            with suppress(RuntimeError):  # no thread can be started now; the pool keeps the work for the next one
                pool.submit(self._step, job_id, watch, step)

    def _step(self, job_id: str, watch: _Watch, step: Callable[[Job, _Watch], float | None]) -> None:
        """Take one step and plan the next; a surprise costs a pause, never the job."""
        pause_s: float | None = None
        try:
            # What another process wrote is noted when jobs are taken up, or met by a write, which then reads it anew.
            if watch.job is None:
                self._note(self._ledger.job(job_id))
            job = watch.job or self._ledger.job(job_id)
            if not job.is_settled and self._accounts.is_ours(job) and job.request_id:
                pause_s = self._try(job, watch, step)
        except StateError:  # it moved on while we looked, by a cancel for instance: look again
            watch.job, pause_s = None, self.pace.min_s
        except JobNotFoundError:
            log.warning("Job %s is gone from the ledger", job_id[:8])
        except Exception as exc:
            if self._stopping.is_set():
                return
            watch.faults += 1
            pause_s = self.pace.fault_pause_s(watch.faults, random())
            foreseen = isinstance(exc, DreaminaError)
            log.warning("Job %s: will be looked at again: %s", job_id[:8], exc, exc_info=not foreseen)
        if pause_s is None:
            self._watches.pop(job_id, None)
        self._schedule.finish(job_id, pause_s)

    def _try(self, job: Job, watch: _Watch, step: Callable[[Job, _Watch], float | None]) -> float | None:
        """Take a step, or write down that the job waits for its key; when that is given again, the job is put again."""
        try:
            return step(job, watch)
        except KeyNeededError as exc:
            self._ledger.change(job, problem=exc.kind, detail=None)
            return None

    def _look(self, job: Job, watch: _Watch) -> float | None:
        """Ask how far a job has come and write it down; returns seconds to the next step, None for none."""
        if job.state != "saving":
            try:
                reply = self._accounts.client(job).status(job.request_id or "", attempts=1)
            except ApiError as exc:
                return self._after_fault(job, watch, exc)
            watch.faults, watch.missing_since = 0, None
            if state_of(reply.status) == "saving":  # written down together with what is to be saved
                watch.completed, watch.completed_at, watch.saving = reply, self._clock(), True
                return 0.0
            self._learn(job)  # who hears that it runs is told for how long
            job = self._apply_status(job, reply)
        if job.state == "queued" and job.cancel_requested_at:
            job, _ = self.ask_cancel(job)  # a wish that could not be confirmed stays a wish
        return self._next_pause_s(job, watch)

    def _next_pause_s(self, job: Job, watch: _Watch) -> float | None:
        watch.saving = job.state == "saving"
        if watch.saving:
            return 0.0
        if job.is_settled:
            return None
        if job.state == "queued":
            return self.pace.queue_pause_s(job.queue_position)
        return self.pace.run_pause_s(self._learn(job), self._clock() - (job.started_at or job.created_at))

    def _apply_status(self, job: Job, reply: StatusResponse) -> Job:
        """Write what the service said; an unheard-of status is kept and shown, and the state stays."""
        state, fields = _news_of(job, reply, self._clock())
        if state == "failed":
            fields |= self._failure(job)
        to = state if state != job.state else None
        if to is None and all(getattr(job, name) == value for name, value in fields.items()):
            return job  # as after most looks; spares a transaction
        return self._ledger.change(job, to, only_in=("queued", "running"), durable=state in TERMINAL, **fields)

    def _failure(self, job: Job) -> dict[str, Any]:
        """Why the service says a request failed; without an answer, that it failed."""
        fields: dict[str, Any] = {"problem": "failed_at_service", "detail": None}
        try:
            result = self._accounts.client(job).result(job.request_id or "", attempts=2)
        except ApiError as exc:
            return fields | {"detail": str(exc)}
        return fields | {"detail": result.error, "cost_usd": result.cost_usd}

    def _after_fault(self, job: Job, watch: _Watch, exc: ApiError) -> float | None:
        """Keep a job whose status or result could not be read; give up only where the service says there is nothing."""
        watch.faults += 1
        self._controls.on_refusal(job, exc)
        if isinstance(exc, RequestNotFoundError):
            watch.missing_since = watch.missing_since or self._clock()
            if self._clock() - watch.missing_since >= MISSING_GRACE_S:
                self._ledger.change(job, "failed", problem=exc.kind, detail=str(exc))
                return None
            return min(self.pace.fault_pause_s(watch.faults, random()), MISSING_GRACE_S / 4)
        watch.missing_since = None
        if isinstance(exc, ForeignRequestError):
            self._ledger.change(job, "failed", problem=exc.kind, detail=str(exc))
            return None
        if (
            watch.faults >= 3
            or (watch.faults >= 2 and not isinstance(exc, RateLimitError))
            or isinstance(exc, AuthError)
        ):
            self._ledger.change(job, problem=exc.kind, detail=str(exc))
        if (
            isinstance(exc, RateLimitError) and job.key_fingerprint is not None
        ):  # another account: only its jobs slow down
            return self.pace.fault_pause_s(watch.faults, random(), exc.retry_after_s)
        if isinstance(exc, RateLimitError):  # all jobs together slow down; each one keeps its place
            self._schedule.slow_down(exc.retry_after_s)
            return self.pace.min_s
        return self.pace.fault_pause_s(watch.faults, random())

    def _save(self, job: Job, watch: _Watch) -> float | None:
        """Fetch a completed job's files: each is shown as soon as it is whole."""
        news: dict[str, Any] = {}
        via: dict[State, float] = {}
        if watch.completed:
            completed_at = watch.completed_at or self._clock()
            news, via = _news_of(job, watch.completed, completed_at)[1], {"saving": completed_at}

        def write(to: State, outputs: Iterable[Output] = (), *, durable: bool = False, **fields: Any) -> Job:
            nonlocal job
            fields = news | fields
            change = partial(self._ledger.change, only_in=("queued", "running", "saving"), via=via)
            job = change(job, to, outputs=list(outputs), durable=durable, **fields)
            watch.completed = None
            news.clear()
            return job

        try:
            result = self._accounts.client(job).result(job.request_id or "", attempts=2)
        except ApiError as exc:
            return self._after_fault(write("saving"), watch, exc)
        watch.missing_since = None
        news |= {} if result.cost_usd is None else {"cost_usd": result.cost_usd}
        files = _files_of(result)
        if not files:
            return self._after_no_files(write("saving"), watch, result)
        known = {output.index for output in job.outputs}
        new = [Output(index, kind, new_id()) for index, (kind, _) in enumerate(files) if index not in known]
        fetches = self._fetch(job.job_id, (*job.outputs, *new), files)
        try:
            return self._keep_all(job, new, fetches, watch, write)
        finally:
            wait(fetches)  # if that broke, no other step may fetch them at the same time

    def _after_no_files(self, job: Job, watch: _Watch, result: ResultResponse) -> float | None:
        """A result without files: not finished after all, failed, or late; never an empty gallery."""
        status = result.status or job.status
        state = state_of(result.status)
        if state in ("queued", "running"):
            watch.saving = False
            self._ledger.change(job, state, status=status, completed_at=None)
            return self.pace.min_s
        if state == "cancelled":
            self._ledger.change(job, state, status=status)
        elif state == "failed" or result.error:
            self._ledger.change(job, "failed", status=status, problem="failed_at_service", detail=result.error)
        elif (result.status and state is None) or watch.faults < 3:
            watch.faults += 1
            self._ledger.change(job, status=status)
            return self.pace.fault_pause_s(watch.faults, random())
        else:
            detail = f"Request {job.request_id} is completed, but its result names no picture and no video."
            self._ledger.change(job, "failed", problem="no_files", detail=detail)
        return None

    def _fetch(self, job_id: str, outputs: Iterable[Output], files: list[tuple[str, str]]) -> list[_Fetch]:
        """Begin to fetch what is missing, side by side."""
        urls = {index: url for index, (_, url) in enumerate(files)}
        return [
            self._keepers.submit(self._keep, job_id, output, urls[output.index])
            for output in outputs
            if output.index in urls and output.state in UNKEPT
        ]

    def _keep_all(
        self, job: Job, new: list[Output], fetches: list[_Fetch], watch: _Watch, write: Callable[..., Job]
    ) -> float | None:
        """Write down each file that comes; the last one together with the job's end.

        What is fetched at once is not written as being fetched: that is one transaction and one message less.
        """
        outputs = {output.index: output for output in (*job.outputs, *new)}
        unwritten = {output.index: output for output in new}
        faults: list[MediaError] = []
        waiting = set(fetches)
        patience_s: float | None = SAVING_S
        while waiting:
            ended, waiting = wait(waiting, patience_s, FIRST_COMPLETED)
            for output, exc in (fetch.result() for fetch in ended):
                faults += [exc] if exc else []
                outputs[output.index] = unwritten[output.index] = output
            if waiting:
                write("saving", unwritten.values())
                unwritten, patience_s = {}, None
        end = partial(write, outputs=unwritten.values(), durable=True)
        full = next((exc for exc in faults if isinstance(exc, DiskError)), None)
        if full:
            watch.faults += 1
            end("saving", problem=full.kind, detail=str(full))
            return self.pace.fault_pause_s(watch.faults, random())
        missing = [output for output in outputs.values() if output.state in UNKEPT]
        if missing:
            reason = faults[0] if faults else MediaError("The result names it no longer.")
            detail = f"{len(missing)} of {len(outputs)} files of request {job.request_id} could not be kept. {reason}"
            end("failed", problem=reason.kind, detail=detail)
        else:
            end("done", problem=None, detail=None)
        return None

    def _keep(self, job_id: str, output: Output, url: str) -> tuple[Output, MediaError | None]:
        """Keep one file; returns what is known of it now, and the fault that prevented it.

        A file that a crash left whole is not fetched again.
        """
        try:
            facts = self._fetcher.stored_facts(job_id, output.index)
            facts = facts or self._fetcher.fetch(job_id, output.index, output.kind, url)
        except DiskError as full:
            return output, full
        except MediaError as damage:
            return replace(output, state="damaged", note=str(damage)), damage
        names = ("file_name", "media_type", "format", "width", "height", "size_bytes", "sha256")
        return replace(output, state="kept", note=None, **{name: getattr(facts, name) for name in names}), None

    def ask_cancel(self, job: Job) -> tuple[Job, bool]:
        """Ask the service to cancel, then believe only a status; returns the job and whether there was one.

        Raises:
            KeyNeededError: the job's key is not here; nothing was asked.
        """
        request_id = job.request_id or ""
        client = self._accounts.client(job)
        reply = CancelResponse(None, None)
        try:
            reply = client.cancel(request_id, attempts=1)
        except ApiError as exc:
            log.info("Job %s: the cancel was not answered: %s", job.job_id[:8], exc)
        status: StatusResponse | None = None
        try:
            status = client.status(request_id, attempts=2)
        except RequestNotFoundError:
            if reply.outcome == "cancelled":
                status = StatusResponse("cancelled", None, None)
        except ApiError:
            if reply.outcome == "not_cancellable" and reply.status:
                status = StatusResponse(reply.status, None, None)
        try:
            job = self._apply_status(job, status) if status else job
        except StateError:  # a look was quicker: what it wrote is the truth
            job = self._ledger.job(job.job_id)
        if not job.is_settled:
            self._schedule.put(job.job_id, self.pace.min_s)
        return job, status is not None


def _news_of(job: Job, reply: StatusResponse, now: float) -> tuple[State | None, dict[str, Any]]:
    """The state that a status means, None for one that nobody has heard of, and what it says of a job's fields."""
    state = state_of(reply.status)
    fields: dict[str, Any] = {"status": reply.status, "queue_position": reply.queue_position}
    fields |= {"problem": None, "detail": None}
    if state != "queued":
        fields["queue_position"] = None
    if state in ("running", "saving"):
        fields["started_at"] = job.started_at or (now if state == "running" else job.accepted_at)
    if state == "saving":
        fields["completed_at"] = now
    if state == "cancelled":
        fields["cancel_outcome"] = "cancelled" if job.cancel_requested_at else None
    return state, fields


def _files_of(result: ResultResponse) -> list[tuple[str, str]]:
    """`(kind, url)` of every file in a result, pictures first, each address once."""
    found: dict[str, str] = {}
    for key, kind in _OUTPUT_KINDS:
        value = (result.output or {}).get(key)
        for url in value if isinstance(value, list) else [value]:
            if isinstance(url, str) and url:
                found.setdefault(url, kind)
    return [(kind, url) for url, kind in found.items()]
