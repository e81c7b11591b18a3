"""Batches in the ledger: ordered items, each of which becomes a job at most once.

An item is marked as sent in the transaction that writes its job's row: whenever the program dies, it is either still
planned or a job. Nothing is sent here; the dispatcher does that.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dreamina_ui.batches.expansion import MAX_JOBS
from dreamina_ui.batches.layout import EMPTY_LAYOUT, Layout
from dreamina_ui.errors import (
    BatchError,
    DreaminaError,
    JobNotFoundError,
    PriceError,
    RequestConflictError,
    StateError,
    pack,
    unpack,
)
from dreamina_ui.ledger import batch_grid_rows, batch_rows
from dreamina_ui.ledger.batch_rows import BatchRow, ItemCount, Owner, QueuedItem
from dreamina_ui.ledger.job import Job, input_keys, networks_of
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal import input_image_rows
from dreamina_ui.ledger.personal.input_image_rows import USED_TTL_S
from dreamina_ui.ledger.transaction import Reader, Transaction
from dreamina_ui.spending.accounts import Account
from dreamina_ui.spending.moderation import Moderation

MAX_WAITING: Mapping[Owner, int] = {"visitor_id": MAX_JOBS, "client_hash": 5 * MAX_JOBS}
"""How many items of one visitor, and of one client IP, may wait to be sent: strangers cannot fill the disk."""

MAX_EMPTY_BATCHES = 30
"""How many ended batches without a job are stored for one visitor or client IP: creating them costs nothing."""


MAX_WAITING_BYTES: Mapping[Owner | None, int] = {"visitor_id": 2_000_000, "client_hash": 6_000_000, None: 60_000_000}
"""How much room the batches may take in the ledger that are not ended: a visitor's, a client's, and all."""

PAUSE_TTL_S = 7 * 86400.0
"""How long a batch stays paused; then what was not sent is canceled."""


@dataclass(frozen=True)
class Refusal:
    """An item that could not become a job, and why."""

    inputs: Mapping[str, Any]
    problem: DreaminaError


@dataclass(frozen=True)
class Batch:
    """A snapshot of one batch.

    Attributes:
        client_hash: a hash of the client's IP address.
        state: `running`, `paused`, or `ended` once nothing waits to be sent.
        problem: why the program paused it; None if a person did.
        key_fingerprint: the visitor's own key that pays, as in a job; None if the owner's token pays.
        created_at, changed_at: seconds since 1970; `changed_at` is when its state changed.
        price_usd: the price of one file that the person agreed to; None if it was unknown.
        counts: how many items are `waiting`, `running`, `done`, `failed`, `unclear`, `cancelled` and `refused`;
            `cancelled` ones were never sent, or the service confirmed the cancellation.
        refusals: the refused items, in order.
        first_inputs: the inputs of the first item; empty if it was cancelled.
    """

    batch_id: str
    visitor_id: str
    client_hash: str | None
    model_id: str
    api_origin: str
    key_fingerprint: str | None
    state: str
    problem: DreaminaError | None
    created_at: float
    changed_at: float
    price_usd: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    first_inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GridCell:
    """One item of a batch.

    Attributes:
        position: its index in the batch, from 0.
        state: `planned`, `sent` (it has a job), `refused` or `cancelled`.
        job: None if it has none, or if the job is gone.
        inputs: None for a cancelled item, whose inputs are gone.
        problem: why it was refused.
    """

    position: int
    state: str
    job: Job | None
    inputs: Mapping[str, Any] | None
    problem: DreaminaError | None


@dataclass(frozen=True)
class BatchGrid:
    """A batch with its items in rows and columns; `request` is what `begin` was given."""

    batch: Batch
    layout: Layout
    cells: Sequence[GridCell]
    request: str | None


class BatchStore:
    """Stores batches. Every method may raise LedgerError, and then nothing has changed.

    Args:
        moderation: the owner's rules, enforced before a batch is created.
        clock: returns the time, in seconds since 1970.

    Attributes:
        work_available: set when there may be something to send.
    """

    def __init__(self, ledger: Ledger, moderation: Moderation, clock: Callable[[], float]) -> None:
        self.work_available = threading.Event()
        self._ledger = ledger
        self._moderation = moderation
        self._clock = clock

    def begin(
        self,
        model_id: str,
        planned: Sequence[Mapping[str, Any]],
        *,
        visitor_id: str,
        account: Account,
        press_id: str,
        client_hash: str | None = None,
        price_usd: float | None = None,
        lifts_stop: bool = False,
        layout: Layout = EMPTY_LAYOUT,
        request: str | None = None,
    ) -> Batch:
        """Store a running batch; a second call with the same `press_id` returns the same batch.

        Args:
            planned: the validated inputs of each item.
            account: who pays.
            press_id: made by the browser for this one start: a visitor's same id is the same batch, and no rule is
                enforced again.
            client_hash: a hash of the client's IP address, for limits.
            price_usd: the price of one file in the table that the person saw.
            lifts_stop: whether the owner asks; then a stop after a refused token or an empty balance ends.
            layout: the rows and columns that the items are shown in.
            request: what a person typed, as JSON, to edit it and start again.

        Raises:
            RequestConflictError: the `press_id` belongs to a batch of other jobs.
            BatchError: too many items are waiting already.
            StoppedError, BlockedError, BlockedWordError: the owner's rules do not allow it.
        """
        now = self._clock()
        batch_id = _batch_id(visitor_id, press_id)
        row = BatchRow(
            batch_id=batch_id,
            visitor_id=visitor_id,
            client_hash=client_hash,
            model_id=model_id,
            api_origin=account.api_origin,
            key_fingerprint=account.key_fingerprint,
            state="running",
            problem=None,
            created_at=now,
            changed_at=now,
            price_usd=price_usd,
            press_id=press_id,
        )
        with self._ledger.writing() as transaction:
            if not _is_begun(transaction, batch_id, press_id, model_id, planned):
                first_job = _first_job(row, planned[0])
                if lifts_stop:
                    self._moderation.lift_refusal_stop(transaction, first_job)
                self._moderation.enforce_moderation(transaction, first_job)
                _limit_waiting_items(transaction, row, len(planned))
                texts = {"layout": layout.to_json(), "request": request}
                _limit_waiting_bytes(transaction, row, planned, sum(len(text or "") for text in texts.values()))
                batch_rows.insert_batch(transaction, row, planned, cells=layout.cells, **texts)
                input_image_rows.keep_images(transaction, input_keys(list(planned)), now + USED_TTL_S)
        self.work_available.set()
        return self.batch(batch_id)

    def begun(
        self, model_id: str, planned: Sequence[Mapping[str, Any]], *, visitor_id: str, press_id: str
    ) -> Batch | None:
        """The batch that a visitor began with this id, if there is one.

        Raises:
            RequestConflictError: it was begun with other jobs.
        """
        batch_id = _batch_id(visitor_id, press_id)
        with self._ledger.reading() as reader:
            is_begun = _is_begun(reader, batch_id, press_id, model_id, planned)
        return self.batch(batch_id) if is_begun else None

    def by_press_id(self, visitor_id: str, press_id: str) -> Batch | None:
        """The batch that a visitor began with this id, whatever is in it, if there is one."""
        batch_id = _batch_id(visitor_id, press_id)
        with self._ledger.reading() as reader:
            row = batch_rows.read_batch(reader, batch_id)
        return self._with_counts([row])[0] if row else None

    def batch(self, batch_id: str) -> Batch:
        """Read one batch; raises JobNotFoundError."""
        with self._ledger.reading() as reader:
            row = batch_rows.read_batch(reader, batch_id)
        if row is None:
            raise JobNotFoundError(f"No batch {batch_id[:64]!r} is known here.")
        return self._with_counts([row])[0]

    def recent(self, visitor_id: str, limit: int = 30) -> list[Batch]:
        """A visitor's batches: those that have not ended first, then the newest first."""
        with self._ledger.reading() as reader:
            rows = batch_rows.batches_of_visitor(reader, visitor_id, limit)
        return self._with_counts(rows)

    def grid(self, batch_id: str) -> BatchGrid:
        """The rows, columns and items of a batch, with the jobs that they became; raises JobNotFoundError."""
        batch = self.batch(batch_id)
        with self._ledger.reading() as reader:
            texts = batch_grid_rows.read_texts(reader, batch_id)
            items = batch_grid_rows.read_items(reader, batch_id)
            jobs = batch_grid_rows.jobs_of_batch(reader, batch_id)
            inputs = batch_rows.item_inputs(reader, batch_id)
        layout = Layout.from_json(texts.layout, [(item.row_index, item.column_index) for item in items], inputs)
        problems = [unpack(json.loads(item.problem)) if item.problem else None for item in items]
        cells = [
            GridCell(item.position, item.state, jobs.get(item.job_id or ""), values, problem)
            for item, values, problem in zip(items, inputs, problems, strict=True)
        ]
        return BatchGrid(batch, layout, cells, texts.request)

    def retry(
        self,
        batch_id: str,
        failed: Mapping[int, str | None],
        *,
        price_usd: float | None,
        press_id: str | None = None,
        lifts_stop: bool = False,
    ) -> int:
        """Plan failed items anew; returns how many. The same call again finds none, so that nothing is paid twice.

        A paused batch stays paused, and what waits already keeps the price that was agreed on.

        Args:
            failed: by position, the job that failed; None for an item that was refused.
            price_usd: the price of one file that the person saw.
            press_id: made by the browser for this one retry: repeated, also after a restart or at another server, it
                plans nothing, even where the same items were refused again.
            lifts_stop: as for `begin`.

        Raises:
            RequestConflictError: the `press_id` belongs to the retry of another batch.
            BatchError: too many items are waiting already.
        """
        with self._ledger.writing() as transaction:
            row = batch_rows.read_batch(transaction, batch_id)
            if row is None:
                raise JobNotFoundError(f"No batch {batch_id[:64]!r} is known here.")
            if press_id is not None:
                if _is_retried(transaction, row, press_id):
                    return 0
                batch_grid_rows.insert_retry(transaction, row.visitor_id, press_id, batch_id, self._clock())
            _limit_waiting_items(transaction, row, len(failed))
            if lifts_stop:
                self._moderation.lift_refusal_stop(transaction, _first_job(row, {}))
            count = batch_grid_rows.plan_again(transaction, batch_id, failed)
            planned = batch_rows.planned_inputs(transaction, batch_id)
            input_image_rows.keep_images(transaction, input_keys(planned), self._clock() + USED_TTL_S)
            if count:
                running = {"state": "running", "problem": None, "price_usd": price_usd}
                batch_rows.move_batch(transaction, batch_id, only_in="ended", now=self._clock(), **running)
        self.work_available.set()
        return count

    def is_retried(self, batch_id: str, press_id: str) -> bool:
        """Whether failed items of a batch were planned anew with this id; raises as `retry` does."""
        with self._ledger.reading() as reader:
            row = batch_rows.read_batch(reader, batch_id)
            return row is not None and _is_retried(reader, row, press_id)

    def pause(self, batch_id: str, problem: DreaminaError | None = None) -> None:
        """Send nothing more of a running batch until a person resumes it; jobs that were sent continue."""
        packed = json.dumps(pack(problem)) if problem else None
        with self._ledger.writing() as transaction:
            batch_rows.move_batch(
                transaction, batch_id, only_in="running", now=self._clock(), state="paused", problem=packed
            )

    def note_waiting(self, batch: BatchRow, problem: DreaminaError) -> None:
        """Record why nothing of a running batch can be sent for now; it continues by itself."""
        packed = json.dumps(pack(problem))
        if packed != batch.problem:
            with self._ledger.writing() as transaction:
                batch_rows.note_problem(transaction, batch.batch_id, packed)

    def resume(self, batch_id: str, *, lifts_stop: bool = False) -> None:
        """Resume a paused batch; if a price paused it, at that price. `lifts_stop` is as for `begin`."""
        with self._ledger.writing() as transaction:
            row = batch_rows.read_batch(transaction, batch_id)
            if lifts_stop and row:
                self._moderation.lift_refusal_stop(transaction, _first_job(row, {}))
            problem = unpack(json.loads(row.problem)) if row and row.problem else None
            agreed = {"price_usd": problem.now_usd} if isinstance(problem, PriceError) else {}
            batch_rows.move_batch(
                transaction, batch_id, only_in="paused", now=self._clock(), state="running", problem=None, **agreed
            )
        self.work_available.set()

    def cancel(self, batch_id: str) -> int:
        """Cancel all items that were not sent, and return how many; jobs that were sent continue."""
        with self._ledger.writing() as transaction:
            count = batch_rows.cancel_planned(transaction, batch_id)
            batch_rows.end_batch_if_done(transaction, batch_id, self._clock())
        return count

    def end_old_pauses(self) -> int:
        """Cancel what was not sent of batches that are paused for longer than `PAUSE_TTL_S`; returns how many they are.

        A pause that nobody ends would take room in the ledger forever.
        """
        now = self._clock()
        with self._ledger.reading() as reader:
            batch_ids = batch_rows.paused_batches(reader, now - PAUSE_TTL_S)
        for batch_id in batch_ids:
            with self._ledger.writing() as transaction:
                if batch_rows.has_batch(transaction, batch_id, "paused"):
                    batch_rows.cancel_planned(transaction, batch_id)
                    batch_rows.end_batch_if_done(transaction, batch_id, now)
        return len(batch_ids)

    def refuse(self, item: QueuedItem, problem: DreaminaError) -> None:
        """Record that an item cannot become a job; the others may."""
        with self._ledger.writing() as transaction:
            batch_rows.refuse_item(transaction, item.batch.batch_id, item.position, json.dumps(pack(problem)))
            batch_rows.end_batch_if_done(transaction, item.batch.batch_id, self._clock())

    def waiting(self, batch_id: str) -> list[Mapping[str, Any]]:
        """The inputs of all items that are still to be sent, in order."""
        with self._ledger.reading() as reader:
            return batch_rows.planned_inputs(reader, batch_id)

    def mark_sent(self, transaction: Transaction, item: QueuedItem, job: Job) -> None:
        """Record that an item becomes this job; call it in the transaction that writes the job's row.

        Raises:
            StateError: it is no longer planned, or its batch is paused: the job must not be written.
        """
        batch_id = item.batch.batch_id
        is_running = batch_rows.has_batch(transaction, batch_id, "running")
        if not is_running or not batch_rows.mark_item_sent(transaction, batch_id, item.position, job.job_id):
            raise StateError(f"Batch {batch_id[:8]} cannot send its item {item.position} now.")
        if item.batch.problem:  # it does not wait any more
            batch_rows.note_problem(transaction, batch_id, None)
        batch_rows.end_batch_if_done(transaction, batch_id, self._clock())

    def next_items(self, since: float) -> list[QueuedItem]:
        """The next item of every running batch, the oldest batch first.

        Args:
            since: errors of jobs that were made before this time do not count, in seconds since 1970.
        """
        with self._ledger.reading() as reader:
            return batch_rows.next_items(reader, since)

    def _with_counts(self, rows: Sequence[BatchRow]) -> list[Batch]:
        batch_ids = [row.batch_id for row in rows]
        with self._ledger.reading() as reader:
            counted = batch_rows.count_items(reader, batch_ids)
            refused = batch_rows.refused_items(reader, batch_ids)
            first = batch_rows.first_inputs(reader, batch_ids)
        counts: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
        for item_count in counted:
            by_name, name = counts[item_count.batch_id], _count_name(item_count)
            by_name[name] = by_name.get(name, 0) + item_count.count
        refusals: dict[str, list[Refusal]] = {batch_id: [] for batch_id in batch_ids}
        for item in refused:
            refusals[item.batch_id].append(Refusal(item.inputs, unpack(json.loads(item.problem))))
        batches = [_batch_of(row, counts[row.batch_id], tuple(refusals[row.batch_id])) for row in rows]
        return [replace(batch, first_inputs=first.get(batch.batch_id, {})) for batch in batches]


def _batch_id(visitor_id: str, press_id: str) -> str:
    return hashlib.sha256(json.dumps([visitor_id, press_id]).encode()).hexdigest()[:32]


def _is_begun(
    reader: Reader, batch_id: str, press_id: str, model_id: str, planned: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether there is such a batch; raises RequestConflictError if it is of other jobs."""
    row = batch_rows.read_batch(reader, batch_id)
    if row is None:
        return False
    begun = batch_rows.item_inputs(reader, batch_id)
    is_same = len(begun) == len(planned) and all(old in (None, new) for old, new in zip(begun, planned, strict=True))
    if row.model_id != model_id or not is_same:
        raise RequestConflictError(press_id)
    return True


def _is_retried(reader: Reader, batch: BatchRow, press_id: str) -> bool:
    """Whether a batch was retried with this id; raises RequestConflictError if the visitor's other one was."""
    retried = batch_grid_rows.batch_of_retry(reader, batch.visitor_id, press_id)
    if retried not in (None, batch.batch_id):
        raise RequestConflictError(press_id)
    return retried is not None


def _first_job(batch: BatchRow, inputs: Mapping[str, Any]) -> Job:
    """A job such as the batch will send, for the rules that every job must follow."""
    return Job(
        job_id="",
        visitor_id=batch.visitor_id,
        client_hash=batch.client_hash,
        model_id=batch.model_id,
        api_origin=batch.api_origin,
        key_fingerprint=batch.key_fingerprint,
        inputs=inputs,
        created_at=batch.created_at,
        updated_at=batch.created_at,
    )


def _limit_waiting_items(transaction: Transaction, batch: BatchRow, count: int) -> None:
    """Raise BatchError if too many items wait with those of a new batch; forget the oldest batches without a job."""
    for column, most in MAX_WAITING.items():
        owner = getattr(batch, column)
        if batch_rows.count_planned(transaction, column, owner) + count > most:
            raise BatchError("waiting", most=most)
        batch_rows.delete_empty_batches(transaction, column, owner, MAX_EMPTY_BATCHES)


def _limit_waiting_bytes(
    transaction: Transaction, batch: BatchRow, planned: Sequence[Mapping[str, Any]], text_bytes: int
) -> None:
    """Raise BatchError if a new batch takes more room than is left for those that wait."""
    size_bytes = batch_rows.size_bytes_of(planned) + text_bytes
    for column, most in MAX_WAITING_BYTES.items():
        owner = getattr(batch, column) if column else None
        if column and owner is None:
            continue
        for beginning, factor in networks_of(owner) if owner else ((None, 1),):
            if batch_rows.waiting_bytes(transaction, column, beginning) + size_bytes > factor * most:
                raise BatchError("waiting_size")


def _count_name(item_count: ItemCount) -> str:
    if item_count.state != "sent":
        return "waiting" if item_count.state == "planned" else item_count.state
    if item_count.job_state in ("done", "failed", "cancelled"):
        return item_count.job_state
    return "unclear" if item_count.job_state == "submit_unclear" else "running"


def _batch_of(row: BatchRow, counts: Mapping[str, int] | None = None, refusals: tuple[Refusal, ...] = ()) -> Batch:
    problem = unpack(json.loads(row.problem)) if row.problem else None
    columns = {name: value for name, value in vars(row).items() if name != "press_id"}
    return Batch(**columns | {"problem": problem}, counts=counts or {}, refusals=refusals)
