"""Turns the items of batches into jobs: a few at a time, visitors take turns, and no item is sent twice.

The dispatcher waits for an event and does not poll. A limit on concurrent jobs makes a batch wait for a free slot;
anything that a person should know pauses the batch, and only a person resumes it, so that nothing is spent unnoticed.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial

from dreamina_ui.batches.store import Batch, BatchStore
from dreamina_ui.errors import (
    BlockedError,
    BlockedWordError,
    DispatchError,
    DreaminaError,
    InputError,
    KeyNeededError,
    LedgerError,
    LimitError,
    PriceError,
    StateError,
    StoppedError,
)
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.batch_rows import BatchRow, QueuedItem
from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.transaction import Transaction

log = logging.getLogger(__name__)

MAX_ACTIVE_JOBS = 2
"""How many jobs of one visitor's batches are active at a time."""

TURN_TIMEOUT_S = 0.5
"""How long one visitor's turn may delay the next visitor's: writing a job takes a fraction of it."""

PRICE_TIMEOUT_S = 15.0
"""How long the start waits for the prices, which may have risen meanwhile."""

RETRY_INTERVAL_S = 30.0
"""How long to wait when no event will come, such as after the disk was full."""

DUTY_INTERVAL_S = 2.0
"""How long to wait where other servers' changes of the ledger may give work."""

DUTY_TTL_S = 10.0
"""How long a server that sends for all may be silent, before another one does."""

CLEANUP_INTERVAL_S = 3600.0
"""How often batches that are paused for too long are canceled."""


class Dispatcher:
    """Sends the items of the stored batches as jobs."""

    def __init__(self, services: JobServices, batches: BatchStore) -> None:
        self._services = services
        self._batches = batches
        self._next_cleanup_at = 0.0
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(8, "batch")
        self._lock = threading.Lock()
        self._sending: dict[str, Future[bool]] = {}  # the one item that is being sent, by visitor
        self._last_turns: dict[str, int] = {}  # the number of the last turn, by visitor
        self._turn = 0
        self._freed_slots = 0  # grows whenever a slot may have become free
        self._has_items = False  # whether a batch may wait for a free slot

    def start(self) -> None:
        """Continue every running batch; call it after the job services have started."""
        self._since = self._services.clock()
        self._unsubscribe = self._services.reader.changes.subscribe(EVERY_JOB, self._on_change)
        self._batches.work_available.set()
        threading.Thread(target=self._run, name="batches", daemon=True).start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Send nothing more; a job that is being written has `timeout_s` seconds."""
        self._stopping.set()
        self._batches.work_available.set()
        with suppress(AttributeError):  # it was never started
            self._unsubscribe()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            active = list(self._sending.values())
        wait(active, timeout_s)

    def _on_change(self, job: Job | None) -> None:
        if job is not None and job.is_settled:
            self._freed_slots += 1
            if self._has_items:
                self._batches.work_available.set()

    def _run(self) -> None:
        self._services.prices.were_read.wait(PRICE_TIMEOUT_S)
        while not self._stopping.is_set():
            self._batches.work_available.wait(DUTY_INTERVAL_S if self._services.replica else RETRY_INTERVAL_S)
            self._batches.work_available.clear()
            try:
                # One server sends for all, so that visitors take turns; a job is written once whoever sends it.
                # Only what own keys pay is sent by those that have the keys.
                is_on_duty = self._services.has_duty("batches", DUTY_TTL_S)
                if is_on_duty:
                    self._end_old_pauses()
                if is_on_duty or self._services.accounts.key_fingerprints():
                    self._take_turns(is_on_duty=is_on_duty)
            except Exception as exc:
                is_expected = isinstance(exc, DreaminaError)
                log.warning("Dispatching batches failed and will be retried: %s", exc, exc_info=not is_expected)

    def _end_old_pauses(self) -> None:
        """Cancel what is left of batches that are paused for too long, once an hour."""
        if time.monotonic() < self._next_cleanup_at:
            return
        self._next_cleanup_at = time.monotonic() + CLEANUP_INTERVAL_S
        if count := self._batches.end_old_pauses():
            log.info("%d batches were paused for too long and are canceled", count)

    def _take_turns(self, *, is_on_duty: bool) -> None:
        """Start sending one item for each visitor with a free slot; whoever had a turn last comes last."""
        self._has_items = True  # a slot that becomes free during the read must not be missed
        items = self._batches.next_items(self._since)
        self._has_items = bool(items)
        active_jobs: dict[str, int] = {}
        turns: dict[str, QueuedItem] = {}
        for item in items:
            visitor = item.batch.visitor_id
            active_jobs[visitor] = active_jobs.get(visitor, 0) + item.active_jobs
            if not self._is_ours(item.batch.key_fingerprint, is_on_duty=is_on_duty):
                continue
            if item.has_errors:
                self._batches.pause(item.batch.batch_id, DispatchError("Jobs of this batch could not be sent."))
            elif self.can_run(item.batch):
                turns.setdefault(visitor, item)
        self._last_turns = {visitor: turn for visitor, turn in self._last_turns.items() if visitor in active_jobs}
        is_full = False
        for visitor in sorted(turns, key=lambda visitor: self._last_turns.get(visitor, 0)):
            if is_full and turns[visitor].batch.key_fingerprint is None:
                continue  # the next free slot belongs to the visitors before; an own key needs no slot
            with self._lock:
                if visitor in self._sending or active_jobs[visitor] >= MAX_ACTIVE_JOBS or self._stopping.is_set():
                    continue
                turn = self._sending[visitor] = self._pool.submit(self._send, turns[visitor])
            wait([turn], TURN_TIMEOUT_S)
            is_full |= turn.done() and not turn.cancelled() and turn.result()

    def _is_ours(self, key_fingerprint: str | None, *, is_on_duty: bool) -> bool:
        """Whether this server sends a batch's items, by the key that pays: the one on duty, or one that has the key."""
        shared_keys = self._services.shared_keys
        if key_fingerprint is None or shared_keys is None:
            return is_on_duty
        if key_fingerprint in self._services.accounts.key_fingerprints():
            return True
        return is_on_duty and not shared_keys.is_somewhere(key_fingerprint)

    def can_run(self, batch: Batch | BatchRow) -> bool:
        """Whether this program, as it is configured now, can make the batch's jobs."""
        accounts = self._services.accounts
        origin = accounts.api_origin if batch.key_fingerprint is None else accounts.key_origin
        return batch.api_origin == origin and batch.model_id in self._services.models

    def _send(self, item: QueuedItem) -> bool:
        """Make one job, or record why it cannot be made.

        Returns:
            Whether no visitor has a free slot now.
        """
        visitor, freed_slots = item.batch.visitor_id, self._freed_slots
        is_handled = False
        try:
            self._try(item)
            is_handled = True
        except LimitError as exc:
            return exc.limit == "at_once"
        except Exception as exc:
            is_expected = isinstance(exc, DreaminaError)
            log.warning("Batch %s waits: %s", item.batch.batch_id[:8], exc, exc_info=not is_expected)
            if isinstance(exc, DreaminaError):
                with suppress(LedgerError):  # on a full disk this cannot be written either
                    self._batches.note_waiting(item.batch, exc)
        finally:
            with self._lock:
                self._sending.pop(visitor, None)
            # A slot that became free while this item was refused must not be missed.
            if is_handled or freed_slots != self._freed_slots:
                self._batches.work_available.set()
        return False

    def _try(self, item: QueuedItem) -> None:
        """Make one job or record why not; raises temporary errors: a limit on concurrent jobs, a full disk."""
        batch, batches = item.batch, self._batches
        try:
            self._require_agreed_price(batch)
            self._services.jobs.generate(
                batch.model_id,
                item.inputs,
                visitor_id=batch.visitor_id,
                client_hash=batch.client_hash,
                account=self._services.accounts.account_of_key(batch.key_fingerprint),
                is_click=False,
                hook=partial(self._mark_sent, item),
            )
        except LimitError as exc:
            if exc.until is None:
                raise
            batches.pause(batch.batch_id, exc)
        except (StoppedError, BlockedError, KeyNeededError, PriceError) as exc:
            batches.pause(batch.batch_id, exc)
        except (InputError, BlockedWordError) as exc:
            rule = getattr(exc, "rule", "")
            if rule == "address_busy":
                raise
            if rule.startswith("address_"):  # all jobs of the batch need this input file
                batches.pause(batch.batch_id, exc)
            else:
                batches.refuse(item, exc)
        except StateError as exc:
            log.debug("The batch was paused or cancelled meanwhile, or the program stops: %s", exc)
        else:
            self._turn += 1
            self._last_turns[batch.visitor_id] = self._turn

    def _require_agreed_price(self, batch: Batch | BatchRow) -> None:
        guard, model_id, origin = self._services.guard, batch.model_id, batch.api_origin
        now_usd = guard.file_usd(model_id, origin)
        if batch.price_usd is not None and now_usd is not None and now_usd > batch.price_usd:
            waiting = self._batches.waiting(batch.batch_id)
            left_usd = sum(guard.expected_usd(model_id, inputs, origin) or 0.0 for inputs in waiting)
            raise PriceError(batch.price_usd, now_usd, left_usd)

    def _mark_sent(self, item: QueuedItem, transaction: Transaction, job: Job) -> None:
        if self._stopping.is_set():
            raise StateError("The program is stopping.")
        self._batches.mark_sent(transaction, item, job)
