"""A data folder as its operator reads it: beside a running server, without the server's lock, and every job in it.

The images may be in a bucket instead, and the ledger in a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dreamina_ui.errors import JobNotFoundError, LedgerError, SettingsError
from dreamina_ui.ledger.job import Job, Output, iso
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal.input_image_rows import InputImage
from dreamina_ui.media.bucket import Bucket, BucketAccess
from dreamina_ui.media.folder_store import FolderStore, stored_file
from dreamina_ui.media.input_store import BucketInputs, FolderInputs, InputStore
from dreamina_ui.media.object_store import ObjectStore
from dreamina_ui.media.store import MediaStore, StoredFile

LEDGER_NAME = "ledger.sqlite3"
MEDIA_NAME = "media"
INPUTS_NAME = "inputs"
SCRATCH_NAME = "scratch"

_ID_START = re.compile(r"[0-9a-f]{6,32}")


@dataclass(frozen=True)
class RecordFile:
    """A file that a stored output must have.

    Attributes:
        name: where it lies in a data folder, such as `media/01/0123.../0/original.png`.
        location: where it is, as text: a path or a URL.
        stored: the file; None if it is not there.
    """

    name: str
    location: str
    stored: StoredFile | None


@dataclass(frozen=True)
class Records:
    """An open data folder; `bucket` has its images, if it is not None.

    Attributes:
        ledger_name: where the ledger is, for people.
    """

    folder: Path
    ledger: Ledger
    bucket: ObjectStore | None = None
    ledger_name: str = LEDGER_NAME

    @property
    def media(self) -> MediaStore:
        return self.bucket or self.store

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / MEDIA_NAME)

    @property
    def inputs(self) -> InputStore:
        return input_store(self.folder, self.bucket)

    def input_files(self, image: InputImage) -> list[RecordFile]:
        """The files of an image that a visitor gave: itself, then its thumbnail; raises StorageError."""
        where = self.bucket.bucket.name if self.bucket else self.folder
        names = (image.file_name, image.thumbnail_name)
        files = [(f"{INPUTS_NAME}/{name}", self.inputs.find(name)) for name in names]
        return [RecordFile(name, f"{where}/{name}", stored) for name, stored in files]

    def files(self, job: Job, output: Output) -> list[Path]:
        """The files that a stored output must have on disk: the original first, then its previews."""
        try:
            return self.store.expected_paths(job.job_id, output.index, output.kind, output.file_name)
        except ValueError as exc:
            raise LedgerError(f"A row of the ledger cannot be ours: {exc}.") from exc

    def stored_files(self, job: Job, output: Output) -> list[RecordFile]:
        """The files that a stored output must have: the original first, then its previews; raises StorageError."""
        paths = self.files(job, output)
        names = [str(Path(MEDIA_NAME) / path.relative_to(self.store.folder)) for path in paths]
        if self.bucket is None:
            return [RecordFile(name, str(path), stored_file(path)) for name, path in zip(names, paths, strict=True)]
        there = self.bucket.version_files(job.job_id, output.index, output.sha256)
        locations = [self.bucket.location(job.job_id, output.index, output.sha256, path.name) for path in paths]
        return [
            RecordFile(name, location, there.get(path.name))
            for name, location, path in zip(names, locations, paths, strict=True)
        ]

    def location(self, job: Job, output: Output) -> str:
        """Where the original of a stored output is, as text: a path or a URL."""
        path = self.files(job, output)[0]
        if self.bucket is None:
            return str(path)
        return self.bucket.location(job.job_id, output.index, output.sha256, path.name)

    def described(self, job: Job) -> dict[str, Any]:
        """Every field of a job; times in ISO 8601, and each file with its path.

        The key in a file's URL is left out: who has it may see the file.
        """
        return _to_dict(job) | {
            "inputs": dict(job.inputs),
            "outputs": [
                _to_dict(output) | {"path": self.location(job, output) if output.state == "kept" else None}
                for output in job.outputs
            ],
        }


_PUBLISHED = {"client_hash": "address"}
"""The names in the output of commands, which scripts read, of fields that have other names in the code."""


@contextmanager
def open_records(folder: Path, bucket: BucketAccess | None = None) -> Iterator[Records]:
    """Open a data folder that is there.

    Args:
        bucket: where its images are; None if they are in the folder.

    Raises:
        SettingsError: the bucket cannot be opened.
        LedgerError: there is no ledger in it, or it cannot be read.
    """
    path = folder.absolute() / LEDGER_NAME
    if not path.is_file():
        raise LedgerError(f"There is no ledger in {path.parent}. Name the data folder by --data-dir.")
    ledger = Ledger(path)
    try:
        yield Records(path.parent, ledger, open_bucket(path.parent, bucket))
    finally:
        ledger.close()


@contextmanager
def open_shared_records(database_url: str, folder: Path, bucket: BucketAccess | None) -> Iterator[Records]:
    """Open the ledger in a database that servers share, and the bucket with its images.

    Args:
        folder: where files are on their way.

    Raises:
        SettingsError: the URL is none, there is no bucket, or it cannot be opened.
        LedgerError: the database cannot be reached, or the ledger not be read.
    """
    if bucket is None:
        raise SettingsError(
            "DREAMINA_DATABASE_URL: the images of such a ledger are in a bucket. Set DREAMINA_MEDIA_URL."
        )
    with closing(open_database(database_url)) as ledger:
        yield Records(folder.absolute(), ledger, open_bucket(folder.absolute(), bucket), "the database")


def open_database(url: str) -> Ledger:
    """The ledger in a database; raises SettingsError or LedgerError."""
    from dreamina_ui.ledger.engines.postgresql import PostgresqlDatabase  # its package is optional

    return Ledger(PostgresqlDatabase(url))


def open_bucket(folder: Path, bucket: BucketAccess | None) -> ObjectStore | None:
    """The store of a data folder's images in a bucket, if it has one; raises SettingsError."""
    return ObjectStore(Bucket(bucket), folder / SCRATCH_NAME) if bucket else None


def input_store(folder: Path, bucket: ObjectStore | None) -> InputStore:
    """Where the images are that visitors gave: beside the outputs."""
    if bucket:
        return BucketInputs(bucket.bucket, folder / SCRATCH_NAME)
    return FolderInputs(folder / INPUTS_NAME)


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
    values = {field.name: getattr(thing, field.name) for field in fields(thing) if field.name != "file_key"}
    return {_PUBLISHED.get(name, name): iso(value) if name.endswith("_at") else value for name, value in values.items()}
