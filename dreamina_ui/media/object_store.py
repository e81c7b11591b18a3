"""A media store in a bucket: an output's files lie under `media/<job_id[:2]>/<job_id>/<index>/<sha256>/`.

The SHA-256 is the original's, so that no object is ever rewritten, and two programs that fetch the same output cannot
harm each other. The original is written last: without it nothing is there. What no row names is swept later.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, cast

from dreamina_ui.errors import StorageError
from dreamina_ui.media.bucket import Bucket, BucketObject, storage_errors
from dreamina_ui.media.formats import FORMATS
from dreamina_ui.media.presigned_urls import presigned_url
from dreamina_ui.media.store import CHUNK_BYTES, COPY_PX, TIERS, Draft, StoredFile

MEDIA = "media"
_JOB_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(
    rf"{MEDIA}/([0-9a-f]{{2}})/(\1[0-9a-f]{{30}})/(\d{{1,9}})(?:\.damaged|/([0-9a-f]{{64}}))/"
    rf"(original\.[a-z0-9]{{1,8}}|(?:{'|'.join(COPY_PX)})\.webp)"
)
_WEBP = "image/webp"


@dataclass(frozen=True)
class OutputObject:
    """An object that is one file of an output.

    Attributes:
        sha256: of the original that it belongs to; None if it is a damaged file that was set aside.
        name: such as `original.png`.
    """

    job_id: str
    index: int
    sha256: str | None
    name: str
    stored: BucketObject


class ObjectStore:
    """Stores outputs in a bucket; drafts are on the local disk.

    Args:
        scratch: a folder for drafts, of this program alone; made when it is needed.
    """

    def __init__(self, bucket: Bucket, scratch: Path) -> None:
        self.bucket = bucket
        self._scratch = scratch

    def prepare(self, job_id: str) -> None:
        _require_job_id(job_id)
        self.check_writable()

    def check_writable(self) -> None:
        """Prove that the bucket and the local disk take files; raises DiskError."""
        with storage_errors("take a file"):
            self.bucket.probe()
            with self._scratch_file() as file:
                file.write(bytes(4096))

    def discard(self, job_id: str) -> None:
        _require_job_id(job_id)  # nothing was written for it

    @contextlib.contextmanager
    def draft(self, job_id: str, index: int) -> Iterator[Draft]:
        folder = output_folder(job_id, index)
        with storage_errors(f"store output {index} of job {job_id[:8]}"):
            self.bucket.probe()  # before a file is fetched that would have to be fetched again
            with self._scratch_file() as file:
                yield _ObjectDraft(self.bucket, folder, file)

    def find(self, job_id: str, index: int, tier: str, sha256: str | None = None) -> StoredFile | None:
        if tier not in TIERS:
            raise ValueError(f"no such tier: {tier!r}")
        folder = output_folder(job_id, index)
        with storage_errors(f"find output {index} of job {job_id[:8]}"):
            if sha256 and _SHA256.fullmatch(sha256) and tier != "original":
                with contextlib.suppress(FileNotFoundError):
                    return self._stored(self.bucket.head(f"{folder}/{sha256}/{tier}.webp"))
                return None
            version = self._version(folder, sha256)
        return next((self._stored(item) for item in version if _tier_of(item) == tier), None)

    def add_copy(self, job_id: str, index: int, tier: str, data: bytes, sha256: str | None = None) -> None:
        folder = output_folder(job_id, index)
        with storage_errors(f"store a copy of output {index} of job {job_id[:8]}"):
            version = self._version(folder, sha256)
            if not version:
                raise StorageError(f"Output {index} of job {job_id[:8]} is not in the media store.")
            self.bucket.put(f"{version[0].key.rpartition('/')[0]}/{tier}.webp", data, _WEBP)

    def find_damaged(self, job_id: str, index: int) -> StoredFile | None:
        folder = _damaged_folder(output_folder(job_id, index))
        with storage_errors(f"find output {index} of job {job_id[:8]}"):
            newest = max(self.bucket.list(folder), key=lambda item: item.modified_at, default=None)
        return self._stored(newest, f"{folder.rpartition('/')[2]}/{_name_of(newest)}") if newest else None

    def remove(self, job_id: str, index: int) -> None:
        folder = output_folder(job_id, index)
        with storage_errors(f"remove output {index} of job {job_id[:8]}"):
            self.bucket.delete([item.key for item in self.bucket.list(folder)])

    def clean_up(self) -> int:
        """Remove the drafts that a crash left on the local disk. What it left in the bucket is swept later."""
        with storage_errors("clean up"):
            count = sum(1 for _ in self._scratch.glob("*"))
            shutil.rmtree(self._scratch, ignore_errors=True)
        return count

    # For programs that work on the bucket itself, such as `verify` and the sweep of orphans.

    def objects(self, job_id: str | None = None) -> Iterator[OutputObject]:
        """All files of a job, or of all jobs, in the order of their keys.

        Raises:
            StorageError: the bucket refuses, or cannot be reached.
        """
        folder = job_folder(job_id) if job_id else MEDIA
        with storage_errors("list its files"):
            for item in self.bucket.list(folder):
                match = _KEY.fullmatch(item.key)
                if match:
                    yield OutputObject(match[2], int(match[3]), match[4], match[5], item)

    def version_files(self, job_id: str, index: int, sha256: str | None) -> dict[str, StoredFile]:
        """All files of one version of an output by name; none if its original is not there. Raises StorageError."""
        folder = output_folder(job_id, index)
        with storage_errors(f"find output {index} of job {job_id[:8]}"):
            return {_name_of(item): self._stored(item) for item in self._version(folder, sha256)}

    def location(self, job_id: str, index: int, sha256: str | None, name: str) -> str:
        """Where a file of an output is, for people: a URL that begins with `s3://`."""
        return f"{self.bucket.name}/{output_folder(job_id, index)}/{sha256}/{name}"

    def delete(self, objects: Iterable[OutputObject]) -> None:
        """Delete files; raises StorageError."""
        with storage_errors("delete files"):
            self.bucket.delete(item.stored.key for item in objects)

    def _version(self, folder: str, sha256: str | None) -> list[BucketObject]:
        """The files of one version of an output, or of the newest that is whole; empty if it is not there."""
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            return []
        files = list(self.bucket.list(f"{folder}/{sha256}" if sha256 else folder))
        originals = [item for item in files if _tier_of(item) == "original"]
        newest = max(originals, key=lambda item: item.modified_at, default=None)
        if newest is None:
            return []
        version = newest.key.rpartition("/")[0]
        return [item for item in files if item.key.rpartition("/")[0] == version]

    def _stored(self, item: BucketObject, name: str | None = None) -> StoredFile:
        access = self.bucket.access
        signer = partial(self._sign, item.key) if access.key_id and access.secret else None
        opener = partial(self._open, item.key, item.size_bytes)
        return StoredFile(name or _name_of(item), item.size_bytes, item.modified_at, opener, signer)

    def _open(self, key: str, size_bytes: int, start: int) -> BinaryIO:
        return self.bucket.open(key, size_bytes, start)

    def _sign(self, key: str, headers: Mapping[str, str]) -> str:
        return presigned_url(self.bucket.access, key, time.time(), headers)

    @contextlib.contextmanager
    def _scratch_file(self) -> Iterator[BinaryIO]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._scratch) as file:
            yield cast(BinaryIO, file)


class _ObjectDraft:
    """A file on the local disk that becomes an object."""

    def __init__(self, bucket: Bucket, folder: str, file: BinaryIO) -> None:
        self._bucket = bucket
        self._folder = folder
        self._file = file

    @property
    def file(self) -> BinaryIO:
        return self._file

    def sync(self) -> None:
        self._file.flush()  # the bucket keeps it, and not this disk

    def store(self, extension: str, previews: Mapping[str, bytes], sha256: str | None = None) -> None:
        self._file.flush()
        folder = f"{self._folder}/{sha256 or self._sha256()}"
        for tier, data in previews.items():
            self._bucket.put(f"{folder}/{tier}.webp", data, _WEBP)
        self._put_original(folder, extension)
        self._bucket.delete([item.key for item in self._bucket.list(_damaged_folder(self._folder))])

    def set_aside(self, extension: str) -> None:
        self._file.flush()
        if self._file.seek(0, 2) == 0:
            return
        folder = _damaged_folder(self._folder)
        older = [item.key for item in self._bucket.list(folder)]
        key = self._put_original(folder, extension)
        self._bucket.delete(item for item in older if item != key)

    def _put_original(self, folder: str, extension: str) -> str:
        key = f"{folder}/original.{extension}"
        media_type = next((form.media_type for form in FORMATS if form.extension == extension), "")
        self._bucket.put(key, Path(self._file.name), media_type or "application/octet-stream")
        return key

    def _sha256(self) -> str:
        digest = hashlib.sha256()
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest()


def job_folder(job_id: str) -> str:
    """Where a job's files lie below the prefix; raises ValueError for what is no job_id."""
    _require_job_id(job_id)
    return f"{MEDIA}/{job_id[:2]}/{job_id}"


def output_folder(job_id: str, index: int) -> str:
    """Where an output's files lie below the prefix; raises ValueError for what is no job_id or index."""
    if type(index) is not int or index < 0:
        raise ValueError(f"no such index: {index!r}")
    return f"{job_folder(job_id)}/{index}"


def _require_job_id(job_id: str) -> None:
    # Every key is made of these checked parts, so that nothing from outside ever gets into one.
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise ValueError("a job_id has 32 characters out of 0-9a-f")


def _damaged_folder(folder: str) -> str:
    return f"{folder}.damaged"


def _name_of(item: BucketObject) -> str:
    return item.key.rpartition("/")[2]


def _tier_of(item: BucketObject) -> str:
    return _name_of(item).partition(".")[0]
