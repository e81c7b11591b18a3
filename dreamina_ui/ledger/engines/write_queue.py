"""Group commit: writes that wait at the same moment share one transaction, and one flush of the disk.

One that is refused undoes no other: what is refused has written nothing by then, or the others are written again.
benchmarks/README.md has the figures with and without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dreamina_ui.errors import DreaminaError, LedgerError
from dreamina_ui.ledger.transaction import Database, Transaction

_T = TypeVar("_T")
MAX_GROUP = 1000
_MAX_GROUPS = 4
"""How many groups one thread writes for the others before it hands the queue on."""


@dataclass(frozen=True)
class _Write:
    """Work that waits; `awake` is set when it is done, or when its own thread is the next one to write."""

    work: Callable[[Transaction], Any]
    durable: bool
    locks: Collection[str]
    send_reads: Callable[[Transaction], object]
    awake: threading.Event = field(default_factory=threading.Event)
    outcome: Future[Any] = field(default_factory=Future)


class WriteQueue:
    """Runs writes in the order in which they come, several in one transaction.

    Args:
        max_group: how many writes share a transaction at most.
    """

    def __init__(self, database: Database, max_group: int = MAX_GROUP) -> None:
        self._database = database
        self._max_group = max_group
        self._queue: list[_Write] = []
        self._lock = threading.Lock()

    def run(
        self,
        work: Callable[[Transaction], _T],
        *,
        locks: Collection[str],
        durable: bool = True,
        send_reads: Callable[[Transaction], object] = lambda _transaction: None,
    ) -> _T:
        """Run `work` in a transaction and return its result once that is committed.

        `work` may run twice: when another write of its group fails, the rest is written again.

        Args:
            locks: as for `Database.write`; one name at least.
            send_reads: sends ahead what `work` will read; called for all of a group before any of it writes.

        Raises:
            LedgerError: nothing was written; so do the exceptions of `work` itself.
        """
        write = _Write(work, durable, locks, send_reads)
        with self._lock:
            self._queue.append(write)
            if len(self._queue) == 1:
                write.awake.set()
        write.awake.wait()
        if not write.outcome.done():
            self._write_groups()
        result: _T = write.outcome.result()
        return result

    def _write_groups(self) -> None:
        for groups_left in reversed(range(_MAX_GROUPS)):
            with self._lock:
                group = self._queue[: self._max_group]
            self._write_group(group)
            with self._lock:
                del self._queue[: len(group)]
                successor = self._queue[0] if self._queue else None
            for write in group:
                write.awake.set()
            if successor is None:
                return
            if not groups_left:
                successor.awake.set()

    def _write_group(self, group: Sequence[_Write]) -> None:
        has_begun = False
        refusals: dict[int, DreaminaError] = {}
        results: dict[int, Any] = {}
        try:
            locks = {name for write in group for name in write.locks}
            with self._database.write(durable=any(write.durable for write in group), locks=locks) as transaction:
                has_begun = True
                for write in group:
                    write.send_reads(transaction)
                if len(group) == 1:
                    results[0] = group[0].work(transaction)
                else:
                    self._run_apart(transaction, group, results, refusals)
        except BaseException as exc:  # noqa: BLE001 - it belongs to the thread that waits
            if len(group) == 1:
                group[0].outcome.set_exception(exc)
            elif not has_begun:  # the ledger is locked: written one by one, each would wait for the lock again
                for write in group:
                    write.outcome.set_exception(LedgerError(str(exc)))
            else:  # the database refused one of them, or all
                for write in group:
                    self._write_group([write])
            return
        for index, write in enumerate(group):
            if index in refusals:
                write.outcome.set_exception(refusals[index])
            else:
                write.outcome.set_result(results[index])

    def _run_apart(
        self,
        transaction: Transaction,
        group: Sequence[_Write],
        results: dict[int, Any],
        refusals: dict[int, DreaminaError],
    ) -> None:
        """Run writes so that one that a rule refuses undoes no other.

        An error of the database undoes all, and so does a refusal of what has written something already. Savepoints
        would spare that, and cost every admission more than its checks.
        """
        for index, write in enumerate(group):
            transaction.may_have_written = False
            try:
                results[index] = write.work(transaction)
            except DreaminaError as exc:
                if transaction.may_have_written:
                    raise
                refusals[index] = exc
