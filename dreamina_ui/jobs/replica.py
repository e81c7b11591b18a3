"""This program as one of several that share a ledger: its lease, its jobs, the right to send one, and its duties.

Its promises: a job is sent by one replica only, whoever dies, freezes or wakes; and what a dead one followed, another
one follows within `LEASE_S` and one interval.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from dreamina_ui.errors import DreaminaError, JobNotFoundError, LedgerError, StateError
from dreamina_ui.ledger import job_rows
from dreamina_ui.ledger.job import Job, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing import replica_rows
from dreamina_ui.ledger.sharing.replica_rows import Claimable

log = logging.getLogger(__name__)

LEASE_S = 10.0
"""A replica that was not seen for so long is dead: its jobs are taken."""

INTERVAL_S = 2.0
"""How often a replica renews its lease, and looks for jobs to take."""

SUSPECT_S = 8.0
"""After so long without a renewal a replica begins nothing: soon it is dead for the others."""

ARM_TTL_S = 5.0
"""How old the right to send a job may be when it is sent; it is confirmed anew after a longer pause."""

_RETRY_INTERVAL_S = 1.0
_JOBS_PER_QUERY = 500

_OWN_JOBS_ROUNDS = 5
"""Every how many intervals a replica looks for jobs of its own that nothing follows."""

Role = Literal["all", "web", "worker"]
"""A server of the role `web` leaves the owner's jobs, once they are sent, and duties to the others. It follows jobs of
visitors' own keys, as their browsers bring these to servers with the page."""

TakeOver = Callable[[Sequence[Job]], object]


class Replica:
    """A member of the group of programs that share a ledger.

    Args:
        claimable: the origins of the APIs that it uses, and the fingerprints of the visitors' own keys that it has.
        on_lost: is called after another replica has ended, with a time before which all of its news had arrived.
        is_known: whether a job is followed here as it is in this version, by its job_id.
    """

    def __init__(
        self,
        ledger: Ledger,
        claimable: Callable[[], tuple[Sequence[str], Sequence[str]]],
        on_lost: Callable[[float], object] = lambda _since: None,
        *,
        role: Role = "all",
        is_known: Callable[[str, int], bool] = lambda _job_id, _version: False,
    ) -> None:
        self._role = role
        self._is_known = is_known
        self._ledger = ledger
        self._on_lost = on_lost
        self._others: set[str] = set()
        self._claimable = claimable
        self._id = new_id()
        self._is_registered = False
        self._renewed_at = -SUSPECT_S
        self._is_draining = False
        self._tick_lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it may begin something: its lease is far from its end."""
        return time.monotonic() - self._renewed_at < SUSPECT_S

    def follows(self, job: Job) -> bool:
        """Whether a job is this replica's, now."""
        return job.replica_id == self._id and self.is_alive

    def keeps(self, job: Job) -> bool:
        """Whether it follows a job that it sent, or leaves it to a worker."""
        return self._role != "web" or job.key_fingerprint is not None

    def start(self, take_over: TakeOver) -> None:
        """Join the group, and give `take_over` every job that is to be followed, now and from now on.

        Raises:
            LedgerError: the ledger could not be written.
        """
        self.tick(take_over)
        self._thread = threading.Thread(target=self._run, args=(take_over,), name="lease", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Take nothing more, and leave to the others what is not being sent."""
        self._is_draining = True
        self._leave(end=False)

    def stop(self) -> None:
        """Leave the group, with all that is left."""
        self._is_draining = True
        self._stopping.set()
        if self._thread:
            self._thread.join(INTERVAL_S)
            self._leave(end=True)

    def tick(self, take_over: TakeOver, *, own_jobs: bool = True) -> None:
        """One interval: renew the lease, and hand over the jobs that are free now, and with `own_jobs` those of its own
        that nothing follows; `take_over` is called also if there is none.

        Raises:
            LedgerError: the lease or the jobs could not be written.
        """
        with self._tick_lock:
            self.renew()
            self._notice_lost()
            if self._is_draining:
                return
            job_ids = list(dict.fromkeys(self.claim() + (self._unknown_jobs() if own_jobs else [])))
            for jobs in self._read(job_ids) if job_ids else [[]]:
                take_over(jobs)

    def renew(self) -> None:
        """Renew the lease; a replica whose lease has ended is a new one from now on, without any job.

        Raises:
            LedgerError: not renewed.
        """
        began = time.monotonic()
        with self._ledger.writing(durable=False, serialized=False) as transaction:
            now = self._ledger.time(transaction)
            if not (self._is_registered and replica_rows.renew(transaction, self._id, now, LEASE_S)):
                if self._is_registered:
                    log.warning("This server was away for too long: others follow its jobs now")
                    self._id = new_id()
                replica_rows.register(transaction, self._id, now, self._role)
        self._is_registered = True
        self._ledger.replica_id = self._id
        self._renewed_at = began

    def _notice_lost(self) -> None:
        """A replica that ends right after a commit tells nobody of it: whoever waits for news reads the rows."""
        with self._ledger.reading() as reader:
            now = self._ledger.time(reader)
            others = replica_rows.alive_replicas(reader, now - LEASE_S) - {self._id}
        if self._others - others:
            self._on_lost(now - LEASE_S - 2 * INTERVAL_S)
        self._others = others

    def claim(self) -> list[str]:
        """Take jobs that nobody follows, or whose replica is dead; returns their job_ids.

        Raises:
            LedgerError: the ledger could not be read or written.
        """
        with self._ledger.reading() as reader:
            since = self._ledger.time(reader) - LEASE_S
            claimable = Claimable(replica_rows.dead_owners(reader, since), *self._claimable(), self._role != "web")
            if not replica_rows.has_claimable(reader, claimable):
                return []
        with self._ledger.writing() as transaction:
            job_ids = replica_rows.claim(transaction, self._id, claimable, since)
            replica_rows.forget_dead(transaction, since)
        if job_ids:
            log.info("%d jobs of other servers are followed here from now on", len(job_ids))
        return job_ids

    def _unknown_jobs(self) -> list[str]:
        """Jobs of its own that nothing follows, or that another server has changed; the others are not read."""
        with self._ledger.reading() as reader:
            versions = replica_rows.own_versions(reader, self._id, self._claimable()[0])
        return [job_id for job_id, version in versions if not self._is_known(job_id, version)]

    def _read(self, job_ids: Sequence[str]) -> Iterator[list[Job]]:
        """Jobs, some at a time: a server that dies may leave very many."""
        for start in range(0, len(job_ids), _JOBS_PER_QUERY):
            with self._ledger.reading() as reader:
                jobs = job_rows.jobs_with_ids(reader, job_ids[start : start + _JOBS_PER_QUERY])
            yield jobs

    def arm(self, job_id: str) -> Job | None:
        """Take the right to send a job.

        Returns:
            The job as it is now; None if it is not this replica's to send: another one sends it, or decides about it.
        """
        armed_at, may_be_armed = self._ledger.clock(), False
        while not self._is_draining and self.is_alive:
            began = time.monotonic()
            try:
                job = self._ledger.write_row(job_id, lambda now: replica_rows.arm(now, job_id, self._id, armed_at))
            except LedgerError as exc:  # it may be armed, and this asks again
                log.warning("Job %s waits for the ledger before it is sent: %s", job_id[:8], exc)
                may_be_armed = True
                self._stopping.wait(_RETRY_INTERVAL_S)
                continue
            if job is None:
                break
            if time.monotonic() - began < ARM_TTL_S:
                return job
            may_be_armed = True
        if may_be_armed:
            self.give_back(job_id, armed_at)
        return None

    def give_back(self, job_id: str, armed_at: float) -> None:
        """Say that the right to send a job was not used: only this replica knows, and for the others it is unclear."""
        detail = "The server was away when it was about to send this. Nothing was sent."
        while True:
            try:
                if not self._ledger.write_row(job_id, lambda now: replica_rows.disarm(now, job_id, armed_at)):
                    job = self._ledger.job(job_id)
                    if job.state == "submit_unclear" and job.armed_at == armed_at:
                        self._ledger.change(
                            job, "failed", only_in=("submit_unclear",), problem="not_sent", detail=detail
                        )
                return
            except (StateError, JobNotFoundError) as exc:  # a person was quicker
                log.info("Job %s was not sent, and is decided: %s", job_id[:8], exc)
                return
            except LedgerError as exc:
                log.warning("Job %s was not sent, which cannot be written down now: %s", job_id[:8], exc)
                if self._stopping.wait(_RETRY_INTERVAL_S):
                    return

    def has_duty(self, name: str, ttl_s: float) -> bool:
        """Whether this replica does for all what `name` says, for the next `ttl_s` seconds."""
        if self._is_draining or not self.is_alive or self._role == "web":
            return False
        try:
            with self._ledger.reading() as reader:
                now = self._ledger.time(reader)
                holder, held_until = replica_rows.duty(reader, name) or (self._id, now)
            if held_until > now + ttl_s / 2 or (held_until > now and holder != self._id):
                return holder == self._id
            with self._ledger.writing(durable=False) as transaction:
                now = self._ledger.time(transaction)
                return replica_rows.take_duty(transaction, name, self._id, now, now + ttl_s)
        except LedgerError as exc:
            log.warning("It is unknown whose duty %s is: %s", name, exc)
            return False

    def _run(self, take_over: TakeOver) -> None:
        rounds = 0
        while not self._stopping.wait(INTERVAL_S):
            rounds += 1
            try:
                self.tick(take_over, own_jobs=rounds % _OWN_JOBS_ROUNDS == 0)
            except DreaminaError as exc:
                log.warning("The lease could not be renewed: %s", exc)
            except Exception:
                log.exception("Taking over jobs failed and will be tried again")

    def _leave(self, *, end: bool) -> None:
        try:
            with self._ledger.writing() as transaction:
                replica_rows.release(transaction, self._id)
                replica_rows.leave_duties(transaction, self._id)
                if end:
                    replica_rows.end_lease(transaction, self._id)
        except LedgerError as exc:  # then the others wait for the end of the lease
            log.warning("The jobs of this server could not be released: %s", exc)
