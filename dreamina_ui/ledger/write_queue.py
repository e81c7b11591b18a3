"""Group commit: writes that wait at the same moment share one transaction, and one flush of the disk.

benchmarks/README.md has the figures with and without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.transaction import Database, Transaction

_T = TypeVar("_T")
_MAX_GROUPS = 4
"""How many groups one thread writes for the others before it hands the queue on."""


@dataclass(frozen=True)
class _Write:
    """Work that waits; `awake` is set when it is done, or when its own thread is the next one to write."""

    work: Callable[[Transaction], Any]
    durable: bool
    awake: threading.Event = field(default_factory=threading.Event)
    outcome: Future[Any] = field(default_factory=Future)


class WriteQueue:
    """Runs writes in the order in which they come, several in one transaction.

    Args:
        max_group: how many writes share a transaction at most.
    """

    def __init__(self, database: Database, max_group: int = 1000) -> None:
        self._database = database
        self._max_group = max_group
        self._queue: list[_Write] = []
        self._lock = threading.Lock()

    def run(self, work: Callable[[Transaction], _T], *, durable: bool = True) -> _T:
        """Run `work` in a transaction and return its result once that is committed.

        `work` may run twice: when another write of its group fails, the rest is written again.

        Raises:
            LedgerError: nothing was written; so do the exceptions of `work` itself.
        """
        write = _Write(work, durable)
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
        try:
            with self._database.write(durable=any(write.durable for write in group)) as transaction:
                has_begun = True
                results = [write.work(transaction) for write in group]
        except BaseException as exc:  # noqa: BLE001 - it belongs to the thread that waits
            if len(group) == 1:
                group[0].outcome.set_exception(exc)
            elif not has_begun:  # the ledger is locked: written one by one, each would wait for the lock again
                for write in group:
                    write.outcome.set_exception(LedgerError(str(exc)))
            else:  # one of them undid the transaction of all
                for write in group:
                    self._write_group([write])
        else:
            for write, result in zip(group, results, strict=True):
                write.outcome.set_result(result)
