"""Changes of jobs that one program writes reach the pages that another one serves.

Each program tells the others which jobs it changed, right after the commit; they read those that somebody waits for
there. What may have been missed is read from the rows: after the connection was lost, when a program is gone that may
have died between the commit and the message, and when there was more to tell than is remembered.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger import job_rows
from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.transaction import Channel

log = logging.getLogger(__name__)

MAX_UNSENT = 10_000
"""How many changed jobs are remembered while they cannot be sent; the others read the rows instead."""

JOBS_PER_MESSAGE = 70
"""With their visitors they fit into one message."""

MARGIN_S = 60.0
"""How much further back the rows are read than seems necessary: clocks differ, and a cut may be noticed late."""

RETRY_INTERVAL_S = 1.0
RECEIVE_TIMEOUT_S = 2.0
_MISSED = "missed"


class News:
    """Tells other programs with the same ledger of changes, and publishes theirs to the listeners of `ledger.changes`.

    Listeners to `EVERY_JOB` get only what this program writes.
    """

    def __init__(self, ledger: Ledger, channel: Channel) -> None:
        self._ledger = ledger
        self._channel = channel
        self._me = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._unsent: dict[str, str] = {}  # job_id: visitor_id
        self._has_missed = False
        self._has_unsent, self._stopping = threading.Event(), threading.Event()
        self._unsubscribe = ledger.changes.subscribe(EVERY_JOB, self._on_change)
        self._sender = threading.Thread(target=self._send_news, name="news-out", daemon=True)
        self._receiver = threading.Thread(target=self._receive_news, name="news-in", daemon=True)

    def start(self) -> None:
        """Listen, from when this returns, and tell.

        Raises:
            LedgerError: the database cannot be reached.
        """
        self._channel.listen()
        self._sender.start()
        self._receiver.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Tell what is left, and no more."""
        self._unsubscribe()
        self._stopping.set()
        self._has_unsent.set()
        if self._sender.is_alive():
            self._sender.join(timeout_s)
            with suppress(LedgerError):
                self._channel.send([self._me])  # wakes our own receiver
            self._receiver.join(timeout_s)
        self._channel.close()

    def catch_up(self, since: float) -> None:
        """Publish all jobs with a listener here that changed at `since` or later, in seconds since 1970.

        Raises:
            LedgerError: they could not be read.
        """
        topics = self._ledger.changes.topics()
        with self._ledger.reading() as reader:
            changed = job_rows.changed_jobs(reader, topics, since - MARGIN_S)
        self._publish(changed)

    def _on_change(self, job: Job | None) -> None:
        if job is None:
            return
        with self._lock:
            if len(self._unsent) < MAX_UNSENT:
                self._unsent[job.job_id] = job.visitor_id or "-"
            else:
                self._has_missed = True
        self._has_unsent.set()

    def _send_news(self) -> None:
        while not (self._stopping.is_set() and not self._has_unsent.is_set()):
            self._has_unsent.wait()
            self._has_unsent.clear()
            with self._lock:
                unsent, self._unsent = self._unsent, {}
                has_missed, self._has_missed = self._has_missed, False
            try:
                self._channel.send(list(self._messages(unsent, has_missed=has_missed)))
            except LedgerError as exc:
                log.warning("%s This will be tried again: %s", exc, exc.__cause__)
                with self._lock:
                    self._unsent = unsent | self._unsent
                    self._has_missed |= has_missed
                if self._stopping.wait(RETRY_INTERVAL_S):
                    return
                self._has_unsent.set()

    def _messages(self, unsent: dict[str, str], *, has_missed: bool) -> Iterator[str]:
        lines = [f"{job_id} {visitor_id}" for job_id, visitor_id in unsent.items()]
        for start in range(0, len(lines), JOBS_PER_MESSAGE):
            yield "\n".join([self._me, *lines[start : start + JOBS_PER_MESSAGE]])
        if has_missed:
            yield f"{self._me}\n{_MISSED}"

    def _receive_news(self) -> None:
        received_at = self._ledger.clock()
        is_connected = True
        while not self._stopping.is_set():
            try:
                if not is_connected:
                    self._channel.listen()
                    self.catch_up(received_at)
                    is_connected = True
                messages = self._channel.receive(RECEIVE_TIMEOUT_S)
                received_at = self._ledger.clock()
                self._read(messages)
            except LedgerError as exc:
                if self._stopping.is_set():
                    return
                log.warning("%s It will be opened again: %s", exc, exc.__cause__)
                is_connected = False
                self._stopping.wait(RETRY_INTERVAL_S if self._is_down() else 0.0)
            except Exception:
                log.exception("News of other servers could not be published")

    def _is_down(self) -> bool:
        """Whether the database itself cannot be reached, so that it is no use to try again at once."""
        try:
            with self._ledger.reading() as reader:
                self._ledger.time(reader)
        except LedgerError:
            return True
        return False

    def _read(self, messages: Iterable[str]) -> None:
        """Publish what other programs sent, if somebody here waits for it."""
        job_ids: dict[str, None] = {}
        has_missed = False
        for message in messages:
            sender, *lines = message.split("\n")
            if sender == self._me:
                continue
            has_missed |= lines == [_MISSED]
            for job_id, _, visitor_id in (line.partition(" ") for line in lines):
                if self._ledger.changes.has_listener(job_id, visitor_id):
                    job_ids[job_id] = None
        if job_ids:
            with self._ledger.reading() as reader:
                changed = job_rows.jobs_with_ids(reader, list(job_ids))
            self._publish(changed)
        if has_missed:
            self.catch_up(self._ledger.clock())

    def _publish(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._ledger.changes.publish(job, is_ours=False)
