"""Fetch a completed job's files: each is shown as soon as it is whole, and the last one ends the job.

The result decides over the status: a request may have failed although its status says `completed`, and the other way
around. Files that cannot be had now are asked for again for minutes, with the URLs of a fresh result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from random import random
from typing import Any, TypeAlias

from dreamina_ui.api.model_api import OutputFile, ResultResponse
from dreamina_ui.api.pacing import Pace
from dreamina_ui.errors import ApiError, DiskError, MediaError
from dreamina_ui.jobs.poll_state import FILES_TIMEOUT_S, RESULT_TIMEOUT_S, PollState, read_status
from dreamina_ui.jobs.run_times import RunTimes
from dreamina_ui.ledger.job import Job, Output, State, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.spending.accounts import Accounts

SAVING_S = 1.0
"""How long a job whose files are being fetched may still be written as running."""

NOT_STORED = ("pending", "damaged")
"""Outputs that are still to be fetched; what a person deleted is not fetched again."""

_MAX_EMPTY_RESULTS = 3
EMPTY_RESULT_S = 60.0
"""A completed request without a file, or without all of them, must have been so for as long, too: some are late."""

_FACTS = ("kind", "file_name", "media_type", "format", "width", "height", "size_bytes", "sha256", "colors")
_NOT_DELIVERED = "The service did not deliver this file."
_Fetch: TypeAlias = "Future[tuple[Output, MediaError | None]]"
OnApiError: TypeAlias = Callable[[Job, PollState, ApiError], "float | None"]


class ResultSaver:
    """Takes one step towards a job's stored files.

    Args:
        on_api_error: what to do with a job whose result could not be read; returns seconds to the next step.
        clock: gives the time, in seconds since 1970.
        run_times: learns what the service says of its own times.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        ledger: Ledger,
        fetcher: OutputFetcher,
        pace: Pace,
        clock: Callable[[], float],
        on_api_error: OnApiError,
        run_times: RunTimes,
    ) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._fetcher = fetcher
        self._pace = pace
        self._clock = clock
        self._on_api_error = on_api_error
        self._run_times = run_times
        self._downloaders = ThreadPoolExecutor(32, "download")

    def stop(self) -> None:
        """Begin no further download."""
        self._downloaders.shutdown(wait=False, cancel_futures=True)

    def save(self, job: Job, state: PollState) -> float | None:
        """Ask for the result and fetch its files; returns seconds to the next step, None if the job is settled."""
        update = _JobUpdate(self._ledger, job, state, self._clock())
        try:
            result = self._accounts.client(job).result(job.request_id or "", attempts=2)
        except ApiError as exc:
            return self._on_api_error(update.write("saving"), state, exc)
        state.missing_since = None
        self._run_times.note_service_times(job.job_id, (job.model_id, job.size), result.created_at, result.finished_at)
        update.add({} if result.cost_usd is None else {"cost_usd": result.cost_usd})
        stays_empty = self._stays_empty(state)
        if stays_empty and result.copies:  # better than nothing
            result = replace(result, files=result.copies)
        if not any(file.url for file in result.files):
            return self._after_no_files(update.write("saving"), state, result, stays_empty=stays_empty)
        known = {output.index for output in job.outputs}
        new = [Output(index, file.kind, new_id()) for index, file in enumerate(result.files) if index not in known]
        outputs = {output.index: output for output in (*job.outputs, *new)}
        fetches = self._begin_fetches(job.job_id, outputs.values(), result.files)
        try:
            errors = self._store_as_they_come(fetches, outputs, new, update)
        finally:
            wait(fetches)  # if that broke, no other step may fetch them at the same time
        return self._after_fetches(update, state, result, outputs, errors)

    def _after_no_files(self, job: Job, state: PollState, result: ResultResponse, *, stays_empty: bool) -> float | None:
        """A result without files: not finished after all, failed, or late; never an empty gallery."""
        change = partial(self._ledger.change, job, only_in=("saving",), status=result.status or job.status)
        if result.phase == "cancelled":
            change("cancelled")
            return None
        if result.phase == "failed" or (result.reason and result.phase not in ("queued", "running", "canceling")):
            change("failed", problem="failed_at_service", detail=_reason_of(result))
            return None
        gives_up = state.note_fruitless(self._clock(), RESULT_TIMEOUT_S)
        if gives_up:
            detail = f"Request {job.request_id} is completed, but the service does not hand out its result."
            change("failed", problem="gave_up", detail=detail)
            return None
        pause_s = self._pace.retry_pause_s(state.fruitless_polls, random())
        if result.phase in ("queued", "running", "canceling"):
            state.is_saving = False
            change("queued" if result.phase == "queued" else "running", completed_at=None)
            return pause_s
        if result.phase == "completed" or (result.status is None and result.is_ready):
            if stays_empty:
                detail = f"Request {job.request_id} is completed, but its result names no image and no video."
                change("failed", problem="no_files", detail=detail)
                return None
            change()
            return pause_s
        if state.fruitless_polls >= _MAX_EMPTY_RESULTS:
            change(problem="not_ready", detail=None)
        else:
            change()
        return pause_s

    def _stays_empty(self, state: PollState) -> bool:
        """Whether what is missing in the result has been missing for so long that it will not come."""
        since = state.fruitless_since
        is_long = since is not None and self._clock() - since >= EMPTY_RESULT_S
        return is_long and state.fruitless_polls > _MAX_EMPTY_RESULTS

    def _begin_fetches(self, job_id: str, outputs: Iterable[Output], files: Sequence[OutputFile]) -> list[_Fetch]:
        """Begin to fetch what is missing, side by side."""
        urls = {index: file.url for index, file in enumerate(files) if file.url}
        return [
            self._downloaders.submit(self._store_file, job_id, output, urls[output.index])
            for output in outputs
            if output.index in urls and output.state in NOT_STORED
        ]

    def _store_file(self, job_id: str, output: Output, url: str) -> tuple[Output, MediaError | None]:
        """Store one file; returns what is known of it now, and the error that prevented it.

        A file that a crash left whole is not fetched again.
        """
        try:
            facts = self._fetcher.stored_facts(job_id, output.index)
            facts = facts or self._fetcher.fetch(job_id, output.index, output.kind, url)
        except DiskError as exc:
            return output, exc
        except MediaError as exc:
            return replace(output, state="damaged", note=str(exc)), exc
        return replace(output, state="kept", note=None, **{name: getattr(facts, name) for name in _FACTS}), None

    def _store_as_they_come(
        self, fetches: Sequence[_Fetch], outputs: dict[int, Output], new: Sequence[Output], update: _JobUpdate
    ) -> list[MediaError]:
        """Write each file when it comes; the last one is left for the write that ends the job.

        What is fetched at once is not written as being fetched: that is one transaction and one message less. What
        takes longer is written again when there is an early preview, so that pages show it.
        """
        for output in new:
            update.add_output(output)
        errors: list[MediaError] = []
        waiting = set(fetches)
        is_written = False
        while waiting:
            ended, waiting = wait(waiting, SAVING_S, FIRST_COMPLETED)
            for output, exc in (fetch.result() for fetch in ended):
                errors += [exc] if exc else []
                outputs[output.index] = output
                update.add_output(output)
            arriving = self._fetcher.early_previews.refresh(update.job.job_id) if waiting and is_written else {}
            for index, received_bytes in arriving.items():
                update.add_output(replace(outputs[index], note=str(received_bytes)))
            if waiting and (ended or arriving or not is_written):
                update.write("saving")
                is_written = True
        return errors

    def _after_fetches(
        self,
        update: _JobUpdate,
        state: PollState,
        result: ResultResponse,
        outputs: dict[int, Output],
        errors: list[MediaError],
    ) -> float | None:
        """Write how it ended, or that it will be tried again."""
        waits_for = next((exc for exc in errors if isinstance(exc, DiskError)), None)
        if waits_for:
            state.errors += 1
            update.finish("saving", problem=waits_for.kind, detail=str(waits_for))
            return self._pace.retry_pause_s(state.errors, random())
        late = next((exc for exc in errors if exc.is_temporary), None)
        if late and not state.note_fruitless(self._clock(), FILES_TIMEOUT_S):
            update.finish("saving", problem="file_unavailable", detail=str(late))
            return self._pace.retry_pause_s(state.fruitless_polls, random())
        undelivered = {index: file for index, file in enumerate(result.files) if file.url is None}
        is_explained = result.reason or any(file.reason for file in undelivered.values())
        may_follow = undelivered and not is_explained and result.phase != "failed" and not late
        if may_follow and not self._stays_empty(state):
            state.note_fruitless(self._clock(), FILES_TIMEOUT_S)
            update.finish("saving")
            return self._pace.retry_pause_s(state.fruitless_polls, random())
        for index, file in undelivered.items():
            if outputs[index].state in NOT_STORED:
                update.add_output(replace(outputs[index], state="damaged", note=file.reason or _NOT_DELIVERED))
        missing = [output for output in outputs.values() if output.state in NOT_STORED]
        if not missing and result.phase != "failed":
            update.finish("done", problem=None, detail=None)
            return None
        update.finish("failed", **_failure(update.job, result, outputs, missing, errors))
        return None


class _JobUpdate:
    """Writes a job step by step; what was noted before the first write goes out together with it."""

    def __init__(self, ledger: Ledger, job: Job, state: PollState, now: float) -> None:
        self.job = job
        self._ledger = ledger
        self._state = state
        self._fields: dict[str, Any] = {}
        self._via: dict[State, float] = {}
        self._outputs: dict[int, Output] = {}
        if state.completed:
            completed_at = state.completed_at or now
            self._fields = read_status(job, state.completed, completed_at)[1]
            self._via = {"saving": completed_at}

    def add(self, fields: dict[str, Any]) -> None:
        """Note fields for the next write."""
        self._fields |= fields

    def add_output(self, output: Output) -> None:
        """Note an output for the next write."""
        self._outputs[output.index] = output

    def write(self, to: State, *, durable: bool = False, **fields: Any) -> Job:
        """Write what was noted, and move the job."""
        self.job = self._ledger.change(
            self.job,
            to,
            only_in=("queued", "running", "saving"),
            via=self._via,
            outputs=list(self._outputs.values()),
            durable=durable,
            **(self._fields | fields),
        )
        self._state.completed = None
        self._fields, self._outputs = {}, {}
        return self.job

    def finish(self, to: State, **fields: Any) -> None:
        """The last write of a step."""
        self.write(to, durable=True, **fields)


def _failure(
    job: Job,
    result: ResultResponse,
    outputs: dict[int, Output],
    missing: Sequence[Output],
    errors: Sequence[MediaError],
) -> dict[str, Any]:
    """The problem of a job that ends without all of its files."""
    if errors or not any(file.url is None for file in result.files):
        if result.phase == "failed" and not errors:
            return {"problem": "failed_at_service", "detail": _reason_of(result)}
        reason = errors[0] if errors else MediaError("The result names it no longer.")
        count = f"{len(missing)} of {len(outputs)} files of request {job.request_id} could not be stored."
        return {"problem": reason.kind, "detail": f"{count} {reason}"}
    count = f"The service did not deliver {len(missing)} of {len(outputs)} files of request {job.request_id}."
    return {"problem": "incomplete", "detail": " ".join(filter(None, (count, _reason_of(result))))}


def _reason_of(result: ResultResponse) -> str | None:
    return result.reason or next((file.reason for file in result.files if file.reason), None)
