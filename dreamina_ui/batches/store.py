"""Batches in the ledger: jobs to be, in order, each of which becomes a job at most once.

A planned job is marked as sent in the very transaction that writes its job's row: whenever the program dies, it is
either still planned or a job. Nothing here sends anything; `sender` does.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dreamina_ui.batches.expansion import MAX_JOBS
from dreamina_ui.errors import (
    BatchError,
    DreaminaError,
    JobNotFoundError,
    PressConflictError,
    PriceError,
    StateError,
    pack,
    unpack,
)
from dreamina_ui.ledger import batch_rows
from dreamina_ui.ledger.batch_rows import BatchRow, ItemCount, Owner
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.transaction import Reader, Transaction
from dreamina_ui.spending.accounts import Account
from dreamina_ui.spending.moderation import Moderation

MAX_WAITING: Mapping[Owner, int] = {"visitor_id": MAX_JOBS, "address": 5 * MAX_JOBS}
"""How many jobs of one visitor, and from one client address, may wait to be sent: strangers cannot fill the disk."""

KEPT_EMPTY = 30
"""How many ended batches of one visitor or address are kept from which nothing was sent: they cost nothing to make."""


MAX_WAITING_BYTES: Mapping[Owner | None, int] = {"visitor_id": 2_000_000, "address": 6_000_000, None: 60_000_000}
"""How much room the batches may take in the ledger that are not ended: a visitor's, a client address's, and all."""

PAUSE_TTL_S = 7 * 86400.0
"""How long a batch stays paused; then what was not sent is canceled."""


@dataclass(frozen=True)
class Refusal:
    """A job to be that could not become one, and why."""

    inputs: Mapping[str, Any]
    problem: DreaminaError


@dataclass(frozen=True)
class Batch:
    """A snapshot of one batch.

    Attributes:
        state: `running`, `paused`, or `ended` once nothing waits to be sent.
        problem: why the program paused it; None if a person did.
        key_fingerprint: as of a job: whose key pays.
        created_at, changed_at: seconds since 1970; `changed_at` is that of its state.
        price_usd: what a person agreed that one file may cost; None if nobody knew.
        counts: how many jobs are `waiting`, `running`, `done`, `failed`, `unclear`, `cancelled`, `refused`; cancelled
            ones were never sent, or the service confirmed it.
        refusals: those refused, in order.
    """

    batch_id: str
    visitor_id: str
    address: str | None
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


@dataclass(frozen=True)
class QueuedItem:
    """The next job to be of a running batch.

    Attributes:
        under_way: how many of the batch's jobs are not at rest.
        in_trouble: whether jobs that were sent since it runs could not be sent, or are unclear.
    """

    batch: Batch
    position: int
    inputs: Mapping[str, Any]
    under_way: int
    in_trouble: bool


class BatchStore:
    """Keeps batches; every method may raise LedgerError, and then nothing has changed.

    Args:
        controls: are asked before a batch is taken at all.
        clock: gives the time, in seconds since 1970.

    Attributes:
        news: set when there may be something to send.
    """

    def __init__(self, ledger: Ledger, controls: Moderation, clock: Callable[[], float]) -> None:
        self.news = threading.Event()
        self._ledger = ledger
        self._controls = controls
        self._clock = clock

    def begin(
        self,
        model_id: str,
        planned: Sequence[Mapping[str, Any]],
        *,
        visitor_id: str,
        account: Account,
        press_id: str,
        address: str | None = None,
        price_usd: float | None = None,
        lifts_stop: bool = False,
    ) -> Batch:
        """Write a batch down, to be sent from now on.

        Args:
            planned: checked inputs of each job to be.
            account: who pays.
            press_id: made by the browser for this one start: a visitor's same id is the same batch, and no rule is
                enforced again.
            address: a hash of the client's address, for limits.
            price_usd: what one file costs by the table that the person saw.
            lifts_stop: the owner asks: a stop that a refused token or an empty balance made ends.

        Raises:
            PressConflictError: the `press_id` belongs to a batch of other jobs.
            BatchError: too much is waiting already.
            StoppedError, BlockedError, BlockedWordError: the owner does not want it.
        """
        now = self._clock()
        batch_id = _batch_id(visitor_id, press_id)
        row = BatchRow(
            batch_id=batch_id,
            visitor_id=visitor_id,
            address=address,
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
                    self._controls.lift_refusal_stop(transaction, first_job)
                self._controls.enforce_moderation(transaction, first_job)
                for column, most in MAX_WAITING.items():
                    owner = getattr(row, column)
                    if batch_rows.count_planned(transaction, column, owner) + len(planned) > most:
                        raise BatchError("waiting", most=most)
                    batch_rows.delete_empty_batches(transaction, column, owner, KEPT_EMPTY)
                _limit_waiting_bytes(transaction, row, planned)
                batch_rows.insert_batch(transaction, row, planned)
        self.news.set()
        return self.batch(batch_id)

    def begun(
        self, model_id: str, planned: Sequence[Mapping[str, Any]], *, visitor_id: str, press_id: str
    ) -> Batch | None:
        """The batch that a visitor began with this id, if there is one.

        Raises:
            PressConflictError: it was begun with other jobs.
        """
        batch_id = _batch_id(visitor_id, press_id)
        with self._ledger.reading() as reader:
            is_begun = _is_begun(reader, batch_id, press_id, model_id, planned)
        return self.batch(batch_id) if is_begun else None

    def by_press(self, visitor_id: str, press_id: str) -> Batch | None:
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
        """A visitor's batches, those first that are not ended, then newest first."""
        with self._ledger.reading() as reader:
            rows = batch_rows.batches_of_visitor(reader, visitor_id, limit)
        return self._with_counts(rows)

    def pause(self, batch_id: str, problem: DreaminaError | None = None) -> None:
        """Send nothing more of a running batch until a person lets it go on; what was sent goes on."""
        packed = json.dumps(pack(problem)) if problem else None
        with self._ledger.writing() as transaction:
            batch_rows.move_batch(
                transaction, batch_id, only_in="running", now=self._clock(), state="paused", problem=packed
            )

    def resume(self, batch_id: str, *, lifts_stop: bool = False) -> None:
        """Resume a paused batch; if a price paused it, at that price. `lifts_stop` is as for `begin`."""
        with self._ledger.writing() as transaction:
            row = batch_rows.read_batch(transaction, batch_id)
            if lifts_stop and row:
                self._controls.lift_refusal_stop(transaction, _first_job(row, {}))
            problem = unpack(json.loads(row.problem)) if row and row.problem else None
            agreed = {"price_usd": problem.now_usd} if isinstance(problem, PriceError) else {}
            batch_rows.move_batch(
                transaction, batch_id, only_in="paused", now=self._clock(), state="running", problem=None, **agreed
            )
        self.news.set()

    def cancel(self, batch_id: str) -> int:
        """Cancel all that was not sent; what was goes on. Returns how many jobs will never be sent."""
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

    def refuse(self, what: QueuedItem, problem: DreaminaError) -> None:
        """Note that a planned job cannot become one; the others may."""
        with self._ledger.writing() as transaction:
            batch_rows.refuse_item(transaction, what.batch.batch_id, what.position, json.dumps(pack(problem)))
            batch_rows.end_batch_if_done(transaction, what.batch.batch_id, self._clock())

    def waiting(self, batch_id: str) -> list[Mapping[str, Any]]:
        """The inputs of all jobs that are still to be sent, in order."""
        with self._ledger.reading() as reader:
            return batch_rows.planned_inputs(reader, batch_id)

    def mark_sent(self, transaction: Transaction, what: QueuedItem, job: Job) -> None:
        """Note that a planned job becomes this one; call it in the transaction that writes the job's row.

        Raises:
            StateError: it is not planned any more, or its batch is paused: the job must not be written.
        """
        batch_id = what.batch.batch_id
        is_running = batch_rows.has_batch(transaction, batch_id, "running")
        if not is_running or not batch_rows.mark_item_sent(transaction, batch_id, what.position, job.job_id):
            raise StateError(f"Batch {batch_id[:8]} does not send its job {what.position} now.")
        batch_rows.end_batch_if_done(transaction, batch_id, self._clock())

    def next_ones(self, since: float) -> list[QueuedItem]:
        """The next job to be of every running batch, the oldest batch first.

        Args:
            since: trouble of jobs made before then counts no more, in seconds since 1970.
        """
        with self._ledger.reading() as reader:
            rows = batch_rows.next_items(reader, since)
        return [
            QueuedItem(_batch_of(row.batch), row.position, row.inputs, under_way=row.active, in_trouble=row.has_errors)
            for row in rows
        ]

    def _with_counts(self, rows: Sequence[BatchRow]) -> list[Batch]:
        batch_ids = [row.batch_id for row in rows]
        with self._ledger.reading() as reader:
            counted = batch_rows.count_items(reader, batch_ids)
            refused = batch_rows.refused_items(reader, batch_ids)
        counts: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
        for item_count in counted:
            by_name, name = counts[item_count.batch_id], _count_name(item_count)
            by_name[name] = by_name.get(name, 0) + item_count.count
        refusals: dict[str, list[Refusal]] = {batch_id: [] for batch_id in batch_ids}
        for item in refused:
            refusals[item.batch_id].append(Refusal(item.inputs, unpack(json.loads(item.problem))))
        return [_batch_of(row, counts[row.batch_id], tuple(refusals[row.batch_id])) for row in rows]


def _batch_id(visitor_id: str, press_id: str) -> str:
    return hashlib.sha256(json.dumps([visitor_id, press_id]).encode()).hexdigest()[:32]


def _is_begun(
    reader: Reader, batch_id: str, press_id: str, model_id: str, planned: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether there is such a batch; raises PressConflictError if it is of other jobs."""
    row = batch_rows.read_batch(reader, batch_id)
    if row is None:
        return False
    begun = batch_rows.item_inputs(reader, batch_id)
    is_same = len(begun) == len(planned) and all(old in (None, new) for old, new in zip(begun, planned, strict=True))
    if row.model_id != model_id or not is_same:
        raise PressConflictError(press_id)
    return True


def _first_job(batch: BatchRow, inputs: Mapping[str, Any]) -> Job:
    """A job such as the batch will send, for the rules that hold for every job."""
    return Job(
        job_id="",
        visitor_id=batch.visitor_id,
        address=batch.address,
        model_id=batch.model_id,
        api_origin=batch.api_origin,
        key_fingerprint=batch.key_fingerprint,
        inputs=inputs,
        created_at=batch.created_at,
        updated_at=batch.created_at,
    )


def _limit_waiting_bytes(transaction: Transaction, batch: BatchRow, planned: Sequence[Mapping[str, Any]]) -> None:
    """Raise BatchError if the inputs of a new batch take more room than is left for those that wait."""
    size_bytes = batch_rows.size_bytes_of(planned)
    for column, most in MAX_WAITING_BYTES.items():
        owner = getattr(batch, column) if column else None
        if column and owner is None:
            continue
        if batch_rows.waiting_bytes(transaction, column, owner) + size_bytes > most:
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
