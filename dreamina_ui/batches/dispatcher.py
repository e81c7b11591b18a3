"""The dispatcher sends the jobs of batches: a few at a time, in turns between visitors, and none twice.

It waits for events instead of polling. A limit on jobs at once makes a batch wait; whatever a person should know of
pauses it, and only a person resumes it: nothing is spent without their knowledge.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial

from dreamina_ui.batches.store import Batch, BatchStore, QueuedItem
from dreamina_ui.errors import (
    BlockedError,
    BlockedWordError,
    DispatchError,
    DreaminaError,
    InputError,
    KeyNeededError,
    LimitError,
    PriceError,
    StateError,
    StoppedError,
)
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.transaction import Transaction

log = logging.getLogger(__name__)

AT_ONCE = 2
"""How many jobs of one visitor's batches are under way at a time."""

TURN_TIMEOUT_S = 0.5
"""How long a visitor's turn may hold up the next one's: a job is written in a fraction of it."""

PRICE_S = 15.0
"""How long a start waits for the prices, which may have risen meanwhile."""

RETRY_S = 30.0
"""How long to wait where no news will come, such as from a disk that is full."""

CLEANUP_INTERVAL_S = 3600.0
"""How often batches that are paused for too long are looked for."""


class Dispatcher:
    """Sends what `batches` holds as jobs."""

    def __init__(self, services: JobServices, batches: BatchStore) -> None:
        self._services = services
        self._batches = batches
        self._next_cleanup_at = 0.0
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(8, "batch")
        self._lock = threading.Lock()
        self._sending: dict[str, Future[bool]] = {}  # by visitor, one each
        self._served: dict[str, int] = {}  # by visitor: when their turn was last
        self._turn = 0
        self._room = 0  # grows whenever there may be room for one more
        self._has_plans = False  # whether a batch may wait for room

    def start(self) -> None:
        """Resume every running batch; call it when the job services have started."""
        self._since = self._services.clock()
        self._leave = self._services.reader.changes.subscribe(EVERY_JOB, self._on_change)
        self._batches.news.set()
        threading.Thread(target=self._run, name="batches", daemon=True).start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Send nothing more; what is just being written has `timeout_s` seconds."""
        self._stopping.set()
        self._batches.news.set()
        with suppress(AttributeError):  # it was never started
            self._leave()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            going_on = list(self._sending.values())
        wait(going_on, timeout_s)

    def _on_change(self, job: Job | None) -> None:
        if job is not None and job.is_settled:
            self._room += 1
            if self._has_plans:
                self._batches.news.set()

    def _run(self) -> None:
        self._services.prices.were_read.wait(PRICE_S)
        while not self._stopping.is_set():
            self._batches.news.wait(RETRY_S)
            self._batches.news.clear()
            try:
                self._end_old_pauses()
                self._take_turns()
            except Exception as exc:
                known = isinstance(exc, DreaminaError)
                log.warning("The batches will be processed again: %s", exc, exc_info=not known)

    def _end_old_pauses(self) -> None:
        """Look for batches that are paused for too long, once an hour."""
        if time.monotonic() < self._next_cleanup_at:
            return
        self._next_cleanup_at = time.monotonic() + CLEANUP_INTERVAL_S
        if count := self._batches.end_old_pauses():
            log.info("%d batches were paused for too long and are canceled", count)

    def _take_turns(self) -> None:
        """Begin to send one job for each visitor who has room; who had their turn last comes last."""
        self._has_plans = True  # room that comes while this reads must not be missed
        nexts = self._batches.next_ones(self._since)
        self._has_plans = bool(nexts)
        under_way: dict[str, int] = {}
        turns: dict[str, QueuedItem] = {}
        for item in nexts:
            visitor = item.batch.visitor_id
            under_way[visitor] = under_way.get(visitor, 0) + item.under_way
            if item.in_trouble:
                self._batches.pause(item.batch.batch_id, DispatchError("Jobs of this batch could not be sent."))
            elif self.is_here(item.batch):
                turns.setdefault(visitor, item)
        self._served = {visitor: turn for visitor, turn in self._served.items() if visitor in under_way}
        is_full = False
        for visitor in sorted(turns, key=lambda name: self._served.get(name, 0)):
            if is_full and turns[visitor].batch.key_fingerprint is None:
                continue  # the next free place is that of those before; one's own key needs none
            with self._lock:
                if visitor in self._sending or under_way[visitor] >= AT_ONCE or self._stopping.is_set():
                    continue
                turn = self._sending[visitor] = self._pool.submit(self._send, turns[visitor])
            wait([turn], TURN_TIMEOUT_S)
            is_full |= turn.done() and not turn.cancelled() and turn.result()

    def is_here(self, batch: Batch) -> bool:
        """Whether the batch's jobs can be made by this program as it runs now."""
        accounts = self._services.accounts
        origin = accounts.api_origin if batch.key_fingerprint is None else accounts.key_origin
        return batch.api_origin == origin and batch.model_id in self._services.models

    def _send(self, what: QueuedItem) -> bool:
        """Make one job, or note why it cannot be.

        Returns:
            Whether there is room for nobody now.
        """
        visitor, room = what.batch.visitor_id, self._room
        is_sent = False
        try:
            self._try(what)
            is_sent = True
        except LimitError as exc:
            return exc.limit == "at_once"
        except Exception as exc:
            known = isinstance(exc, DreaminaError)
            log.warning("Batch %s waits: %s", what.batch.batch_id[:8], exc, exc_info=not known)
        finally:
            with self._lock:
                self._sending.pop(visitor, None)
            # Room that came while this one was refused must not be missed.
            if is_sent or room != self._room:
                self._batches.news.set()
        return False

    def _try(self, what: QueuedItem) -> None:
        """Make one job or note why not; raises what passes by itself: a limit on jobs at once, a disk that is full."""
        batch, batches = what.batch, self._batches
        try:
            self._check_price(batch)
            self._services.jobs.generate(
                batch.model_id,
                what.inputs,
                visitor_id=batch.visitor_id,
                address=batch.address,
                account=self._services.accounts.account_of_key(batch.key_fingerprint),
                is_click=False,
                hook=partial(self._mark_sent, what),
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
            if rule.startswith("address_"):  # a given file: all jobs of the batch need it
                batches.pause(batch.batch_id, exc)
            else:
                batches.refuse(what, exc)
        except StateError as exc:
            log.debug("It was paused or cancelled meanwhile, or the program stops: %s", exc)
        else:
            self._turn += 1
            self._served[batch.visitor_id] = self._turn

    def _check_price(self, batch: Batch) -> None:
        guard, model_id, origin = self._services.guard, batch.model_id, batch.api_origin
        now_usd = guard.file_usd(model_id, origin)
        if batch.price_usd is not None and now_usd is not None and now_usd > batch.price_usd:
            waiting = self._batches.waiting(batch.batch_id)
            left_usd = sum(guard.expected_usd(model_id, inputs, origin) or 0.0 for inputs in waiting)
            raise PriceError(batch.price_usd, now_usd, left_usd)

    def _mark_sent(self, what: QueuedItem, transaction: Transaction, job: Job) -> None:
        if self._stopping.is_set():
            raise StateError("The program is stopping.")
        self._batches.mark_sent(transaction, what, job)
