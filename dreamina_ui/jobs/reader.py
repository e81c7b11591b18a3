"""Reads jobs and their files; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from dreamina_ui.api.pacing import RunTimeModel
from dreamina_ui.errors import KeyNeededError
from dreamina_ui.jobs.submitter import Submitter
from dreamina_ui.jobs.worker import Worker
from dreamina_ui.ledger.events import JobEvents
from dreamina_ui.ledger.job import ARCHIVABLE, Job, Output, requester_of
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.store import MediaStore, StoredFile
from dreamina_ui.spending.accounts import Accounts


class JobReader:
    """Jobs as they are now; every method that reads rows may raise LedgerError.

    Args:
        accounts: know which jobs this program can ask about.
        worker: knows how long runs take.
        submitter: knows how long the service asked to wait.
        is_replica: whether another server may follow a job.
    """

    def __init__(
        self,
        ledger: Ledger,
        media: MediaStore,
        accounts: Accounts,
        worker: Worker,
        submitter: Submitter,
        *,
        is_replica: bool = False,
    ) -> None:
        self._is_replica = is_replica
        self._ledger = ledger
        self._media = media
        self._accounts = accounts
        self._worker = worker
        self._submitter = submitter

    @property
    def changes(self) -> JobEvents:
        """Every change of every job, for whoever subscribes."""
        return self._ledger.changes

    def job(self, job_id: str) -> Job:
        """Read one job; raises JobNotFoundError."""
        return self._ledger.job(job_id)

    def recent(self, visitor_id: str, limit: int = 24) -> list[Job]:
        """A visitor's `limit` newest jobs and all that are not settled, newest first."""
        return self._ledger.recent(visitor_id, limit)

    def by_press_id(self, visitor_id: str, press_id: str) -> Job | None:
        """The job that a visitor's request with this id made, if there is one."""
        return self._ledger.by_press_id(requester_of(visitor_id, None, None), press_id)

    def unfinished(self) -> list[Job]:
        """All jobs of our APIs that are not settled, oldest first."""
        jobs = self._ledger.unfinished(self._accounts.api_origin, self._accounts.key_origin)
        return [job for job in jobs if self._accounts.is_ours(job)]

    def is_active(self, job: Job) -> bool:
        """Whether anything will happen to the job without a person: it is not settled, of our API, and has its key."""
        is_open = not job.is_settled and self._accounts.is_ours(job)
        has_key = self._accounts.can_ask_about(job) or (self._is_replica and job.problem != KeyNeededError.kind)
        return is_open and (job.state == "submitting" or has_key)

    def can_archive(self, job: Job, now: float) -> bool:
        """Whether a person may archive the job: it ended without success, or it waits for what may never come."""
        return job.state in ARCHIVABLE or job.may_be_lost(now, is_polled=self._accounts.is_ours(job))

    def retry_wait_s(self, job: Job) -> float:
        """How long the service asked to wait before a job that it refused is sent again, in seconds from now."""
        return self._submitter.retry_wait_s(job.job_id)

    def run_time_model(self, job: Job) -> RunTimeModel:
        """How long runs such as this one take, as last fitted; nothing is read."""
        return self._worker.run_time_model(job)

    def known_file_keys(self, file_keys: Sequence[str]) -> list[str]:
        """Those file keys that an output has, each once and in their order."""
        return self._ledger.known_file_keys(file_keys)

    def output(self, file_key: str) -> tuple[Job, Output] | None:
        """The job and output behind a file's URL; None if there is no such file."""
        return self._ledger.output_by_key(file_key)

    def original(self, job: Job, output: Output) -> StoredFile | None:
        """An output's original; None if it is not stored."""
        return self._media.find(job.job_id, output.index, "original", output.sha256)

    def file(self, file_key: str, tier: str, *, also_deleted: bool = False) -> tuple[Job, Output, StoredFile] | None:
        """The job, output and stored file behind a file's URL; None if there is no such file or it was deleted.

        Args:
            tier: one of `TIERS`.
            also_deleted: also a file that somebody deleted and that is still in the trash.
        """
        match = self._ledger.output_by_key(file_key)
        if match and match[1].deleted_at is not None and not also_deleted:
            return None
        stored = self._media.find(match[0].job_id, match[1].index, tier, match[1].sha256) if match else None
        return (*match, stored) if match and stored else None
