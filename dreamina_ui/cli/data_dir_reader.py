"""A data folder as its operator reads it: beside a running server, without the server's lock, and every job in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamina_ui.errors import JobNotFoundError, LedgerError
from dreamina_ui.ledger.job import Job, Output, iso
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.folder_store import FolderStore

LEDGER_NAME = "ledger.sqlite3"
MEDIA_NAME = "media"

_ID_START = re.compile(r"[0-9a-f]{6,32}")


@dataclass(frozen=True)
class Records:
    """An open data folder."""

    folder: Path
    ledger: Ledger

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / MEDIA_NAME)

    def files(self, job: Job, output: Output) -> list[Path]:
        """The files that a stored output must have on disk: the original first, then its previews."""
        try:
            return self.store.expected_paths(job.job_id, output.index, output.kind, output.file_name)
        except ValueError as exc:
            raise LedgerError(f"A row of the ledger cannot be ours: {exc}.") from exc

    def described(self, job: Job) -> dict[str, Any]:
        """Every field of a job; times in ISO 8601, and each file with its path.

        The key in a file's URL is left out: who has it may see the file.
        """
        return _to_dict(job) | {
            "inputs": dict(job.inputs),
            "outputs": [
                _to_dict(output) | {"path": str(self.files(job, output)[0]) if output.state == "kept" else None}
                for output in job.outputs
            ],
        }


_PUBLISHED = {"client_hash": "address"}
"""The names in the output of commands, which scripts read, of fields that have other names in the code."""


@contextmanager
def open_records(folder: Path) -> Iterator[Records]:
    """Open a data folder that is there.

    Raises:
        LedgerError: there is no ledger in it, or it cannot be read.
    """
    path = folder.absolute() / LEDGER_NAME
    if not path.is_file():
        raise LedgerError(f"There is no ledger in {path.parent}. Name the data folder by --data-dir.")
    ledger = Ledger(path)
    try:
        yield Records(path.parent, ledger)
    finally:
        ledger.close()


def find_job(ledger: Ledger, name: str) -> Job:
    """The one job that a job_id, the first 6 or more digits of one, or a request_id names.

    Raises:
        JobNotFoundError: it names none, or more than one.
        LedgerError: the ledger could not be read.
    """
    name = name.strip()
    jobs = ledger.by_name(name, name.lower() if _ID_START.fullmatch(name.lower()) else None, limit=9)
    if not jobs:
        raise JobNotFoundError(
            f"There is no job {name[:200]!r} here. Give a job_id, its first 6 or more digits, or a request_id."
        )
    if len(jobs) > 1:
        ids = ", ".join(job.job_id for job in jobs)
        raise JobNotFoundError(f"{name!r} names more than one job: {ids}. Give more digits.")
    return jobs[0]


def _to_dict(thing: Job | Output) -> dict[str, Any]:
    """The fields of a job or an output as JSON can hold them."""
    return {
        _PUBLISHED.get(name, name): iso(value) if name.endswith("_at") else value
        for name, value in vars(thing).items()
        if name != "file_key"
    }
