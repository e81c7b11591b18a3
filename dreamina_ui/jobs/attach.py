"""Attaches a request of the service to a job: one whose answer was lost, or one made elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dreamina_ui.errors import InputError, LedgerError, StateError
from dreamina_ui.jobs.worker import Worker
from dreamina_ui.ledger.job import Job, new_id
from dreamina_ui.ledger.ledger import Ledger, is_request_taken
from dreamina_ui.media.store import MediaStore
from dreamina_ui.spending.accounts import Account, Accounts


class RequestAttacher:
    """Brings requests into the ledger.

    Args:
        worker: follows the request from then on.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        ledger: Ledger,
        media: MediaStore,
        worker: Worker,
        clock: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._media = media
        self._worker = worker
        self._clock = clock

    def attach(
        self,
        request_id: str,
        *,
        job_id: str | None = None,
        visitor_id: str | None = None,
        account: Account | None = None,
    ) -> Job:
        """Take a request of an account into the ledger; its result is stored like any other.

        Args:
            request_id: as the service names it.
            job_id: the `submit_unclear` job that this request belongs to; None makes a new job.
            visitor_id: whose the new job is.
            account: whose request it is; None for that of the job, or the owner's.

        Returns:
            The job that follows the request now; the one that does already, if there is one.

        Raises:
            InputError: this can be no request_id.
            RequestNotFoundError: the service does not know it.
            ApiError: the service could not be asked; nothing has changed.
            JobNotFoundError, StateError: no such job, or it is not `submit_unclear`, or belongs to another API.
            KeyNeededError: the key is not here.
            LedgerError, DiskError: nothing can be written; nothing has changed.
        """
        request_id = request_id.strip()
        if self._accounts.has_key(request_id):  # a key in the wrong field: it must reach no log, message or account
            raise InputError("request_id", "format", "request id", "***")
        old = self._ledger.job(job_id) if job_id is not None else None
        if old is not None:
            account = Account(self._accounts.client(old), old.api_origin, old.key_fingerprint)
        account = account or self._accounts.account(None)
        if known := self._ledger.by_request(account.api_origin, request_id):
            if job_id not in (None, known.job_id):
                raise StateError(f"Request {request_id} belongs to job {known.job_id[:8]} already.")
            return known
        if old is not None and old.state != "submit_unclear":
            raise StateError(f"Job {old.job_id[:8]} is not waiting for its request.")
        status = account.client.status(request_id, attempts=2)
        accepted = {"request_id": request_id, "status": status.status, "accepted_at": self._clock()}
        try:
            job = self._update(old, accepted) if old else self._add(account, visitor_id, accepted)
        except LedgerError as exc:
            if not is_request_taken(exc):
                raise
            return self.attach(request_id, job_id=job_id, account=account)  # somebody else was quicker
        self._worker.poll_in(job.job_id, 0.0)
        return job

    def _update(self, old: Job, accepted: dict[str, Any]) -> Job:
        fields = accepted | {"problem": None, "detail": None, "archived_at": None}
        return self._ledger.change(old.job_id, "queued", only_in=("submit_unclear",), **fields)

    def _add(self, account: Account, visitor_id: str | None, accepted: dict[str, Any]) -> Job:
        job = Job(
            job_id=new_id(),
            visitor_id=visitor_id,
            model_id="",  # the service does not say which
            api_origin=account.api_origin,
            key_fingerprint=account.key_fingerprint,
            inputs={},
            replica_id=self._ledger.replica_id,
            state="queued",
            created_at=accepted["accepted_at"],
            updated_at=accepted["accepted_at"],
            **accepted,
        )
        self._media.prepare(job.job_id)
        return self._ledger.add(job)
