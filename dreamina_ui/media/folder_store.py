"""A media store in a folder: the files of one output lie under `folder/<job_id[:2]>/<job_id>/<index>/`.

An output is put together in a folder of its own, flushed to the disk and moved into place by one rename.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from dreamina_ui.errors import DiskError
from dreamina_ui.media.store import TIERS, StoredFile

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_ORIGINAL_NAME = re.compile(r"original\.[a-z0-9]{1,8}")
_PREVIEW_NAMES = {tier: f"{tier}.webp" for tier in TIERS[1:]}
_TIER_FILES = {"original": "original.*"} | _PREVIEW_NAMES


_CANNOT_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF)
"""What SMB shares, FUSE and the drives of WSL answer to a wish that they cannot fulfill."""

_CANNOT_OPEN = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.EINVAL, errno.ENOTSUP)
"""What some answer when a folder is opened, which nothing but its sync needs."""


class FolderStore:
    """Stores outputs in a folder, which is made when the first job is prepared.

    Args:
        min_free_bytes: how much of the disk new jobs leave free; what is already paid for may have it.
        free_bytes: gives what is free on the disk of a folder; None to ask the system.
    """

    def __init__(self, folder: Path, min_free_bytes: int = 0, free_bytes: Callable[[Path], int] | None = None) -> None:
        self.folder = folder
        self._min_free_bytes = min_free_bytes
        self._free_bytes = free_bytes or _free_bytes

    def prepare(self, job_id: str) -> None:
        folder = self.job_folder(job_id)
        with _disk_errors(f"files of job {job_id[:8]}"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._require_space()
            _make_job_folder(folder)
            probe = folder / _partial_name("probe")
            try:
                _write(probe, bytes(4096))
            finally:
                probe.unlink(missing_ok=True)

    def _require_space(self) -> None:
        free_bytes = self._free_bytes(self.folder) if self._min_free_bytes else 0
        if free_bytes < self._min_free_bytes:
            least = f"{self._min_free_bytes / 1e9:g} GB"
            raise DiskError(f"Only {free_bytes / 1e9:.1f} GB of disk space is left; new jobs need {least}.")

    def discard(self, job_id: str) -> None:
        with contextlib.suppress(OSError):
            self.job_folder(job_id).rmdir()

    @contextlib.contextmanager
    def draft(self, job_id: str, index: int) -> Iterator[_FolderDraft]:
        folder = self.output_folder(job_id, index)
        partial_folder = folder.with_name(_partial_name(folder.name))
        with _disk_errors(f"output {index} of job {job_id[:8]}"):
            try:
                try:
                    partial_folder.mkdir()
                except FileNotFoundError:  # the job's folder was empty at a start, and cleaned up
                    _make_job_folder(folder.parent)
                    partial_folder.mkdir()
                draft = _FolderDraft(partial_folder, folder)
                try:
                    yield draft
                finally:
                    draft.close()
            finally:
                shutil.rmtree(partial_folder, ignore_errors=True)

    def find(self, job_id: str, index: int, tier: str, sha256: str | None = None) -> StoredFile | None:
        path = self.path(job_id, index, tier)
        return stored_file(path) if path else None

    def add_copy(self, job_id: str, index: int, tier: str, data: bytes, sha256: str | None = None) -> None:
        folder = self.output_folder(job_id, index)
        partial_file = folder.with_name(_partial_name(folder.name))
        with _disk_errors(f"a copy of output {index} of job {job_id[:8]}"):
            try:
                _write(partial_file, data)
                partial_file.replace(folder / _PREVIEW_NAMES[tier])
            finally:
                partial_file.unlink(missing_ok=True)

    def find_damaged(self, job_id: str, index: int) -> StoredFile | None:
        path = next(_damaged_folder(self.output_folder(job_id, index)).glob("*"), None)
        return stored_file(path, f"{path.parent.name}/{path.name}") if path else None

    def remove(self, job_id: str, index: int) -> None:
        folder = self.output_folder(job_id, index)
        with _disk_errors(f"removing file {index} of job {job_id[:8]}"):
            if folder.exists():
                shutil.rmtree(folder)

    def clean_up(self) -> int:
        """Remove what a crash left half-made, and return how many. Call it at start only, before any draft.

        Empty folders of jobs go too: one made just before a crash may have no row. A draft makes its own again.
        """
        with _disk_errors("cleaning up"):
            leftovers = [path for path in self.folder.glob("??/*/*.partial-*") if _JOB_ID.fullmatch(path.parent.name)]
            for path in leftovers:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            for folder in self.folder.glob("??/*"):
                if _JOB_ID.fullmatch(folder.name) and folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        return len(leftovers)

    def can_sync_folders(self) -> bool:
        """Whether the file system syncs folders; if not, power loss may take the newest files.

        Raises:
            DiskError: the folder cannot be made or opened.
        """
        with _disk_errors("the folder of all files"):
            self.folder.mkdir(parents=True, exist_ok=True)
            return _flush_folder(self.folder)

    # For programs that work on the folder itself, such as `verify` and `export`.

    def job_folder(self, job_id: str) -> Path:
        """Where the files of a job lie, if there are any; raises ValueError for what is no job_id."""
        # Every path is made of these checked parts, so that nothing from outside ever gets into one.
        if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
            raise ValueError("a job_id has 32 characters out of 0-9a-f")
        return self.folder / job_id[:2] / job_id

    def output_folder(self, job_id: str, index: int) -> Path:
        """Where the files of an output lie, if there are any; raises ValueError for what is no job_id or index."""
        if type(index) is not int or index < 0:
            raise ValueError(f"no such index: {index!r}")
        return self.job_folder(job_id) / str(index)

    def path(self, job_id: str, index: int, tier: str) -> Path | None:
        """Where the file of a tier of an output lies; None if it is not there."""
        if tier not in _TIER_FILES:
            raise ValueError(f"no such tier: {tier!r}")
        return next(self.output_folder(job_id, index).glob(_TIER_FILES[tier]), None)

    def expected_paths(self, job_id: str, index: int, kind: str, file_name: str | None) -> list[Path]:
        """Where the files of a stored output must lie: the original first, then its copies if it is an image.

        Not the large copy: small images have none, and older ones get theirs when somebody asks for it.
        """
        folder = self.output_folder(job_id, index)
        previews = [name for tier, name in _PREVIEW_NAMES.items() if tier != "large"] if kind == "image" else ()
        # A ledger from elsewhere may name any file of this machine.
        name = file_name if file_name and _ORIGINAL_NAME.fullmatch(file_name) else "original"
        return [folder / name, *(folder / preview for preview in previews)]

    def large_path(self, job_id: str, index: int) -> Path:
        """Where the large copy of an output lies, if it has one."""
        return self.output_folder(job_id, index) / _PREVIEW_NAMES["large"]


class _FolderDraft:
    """A folder beside the output's, with the original open in it."""

    def __init__(self, partial_folder: Path, folder: Path) -> None:
        self._partial_folder = partial_folder
        self._folder = folder
        self._path = partial_folder / "fetched"
        self._file = cast(BinaryIO, self._path.open("w+b"))

    @property
    def file(self) -> BinaryIO:
        return self._file

    def sync(self) -> None:
        self._file.flush()
        _sync(self._file.fileno())

    def store(self, extension: str, previews: Mapping[str, bytes], sha256: str | None = None) -> None:
        self.close()
        for tier, data in previews.items():
            _write(self._partial_folder / _PREVIEW_NAMES[tier], data)
        self._path.rename(self._partial_folder / f"original.{extension}")
        _put_in_place(self._partial_folder, self._folder)

    def set_aside(self, extension: str) -> None:
        self.close()
        if self._path.stat().st_size == 0:
            return
        aside = _damaged_folder(self._folder)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(exist_ok=True)
        self._path.rename(aside / f"original.{extension}")

    def close(self) -> None:
        self._file.close()  # Windows renames no open file


def stored_file(path: Path, name: str | None = None) -> StoredFile | None:
    """A file on the disk as a store gives it; None if it is not there."""
    try:
        facts = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return StoredFile(name or path.name, facts.st_size, facts.st_mtime, partial(_open, path))


def _open(path: Path, start: int) -> BinaryIO:
    stream = path.open("rb")
    stream.seek(start)
    return stream


@contextlib.contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise DiskError(f"Cannot write {what}: {reason}. Free up space or fix permissions, then retry.") from exc


def _make_job_folder(folder: Path) -> None:
    # Not with `parents`: a folder of all media that is gone (a disk that was unplugged) must not come back empty.
    for part in (folder.parent, folder):
        with contextlib.suppress(FileExistsError):
            part.mkdir()
            _flush_folder(part.parent)


def _put_in_place(partial_folder: Path, folder: Path) -> None:
    _flush_folder(partial_folder)
    replaced = folder.with_name(_partial_name(folder.name))
    has_older = folder.exists()
    if has_older:
        folder.rename(replaced)
    partial_folder.rename(folder)
    _flush_folder(folder.parent)
    if has_older:
        shutil.rmtree(replaced, ignore_errors=True)
    shutil.rmtree(_damaged_folder(folder), ignore_errors=True)


def _damaged_folder(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.damaged")


def _partial_name(name: str) -> str:
    return f"{name}.partial-{secrets.token_hex(8)}"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with path.open("r+b") as file:  # Windows flushes only what may be written
        _sync(file.fileno())


def _flush_folder(folder: Path) -> bool:
    """Bring a folder to the disk; returns whether the file system can do that."""
    if os.name == "nt":  # Windows opens no folders.
        return True
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as exc:
        if exc.errno not in _CANNOT_OPEN:
            raise
        return False
    try:
        return _sync(handle)
    finally:
        os.close(handle)


def _sync(handle: int) -> bool:
    """Bring a file or a folder to the disk; returns whether the file system can do that."""
    try:
        os.fsync(handle)
    except OSError as exc:
        if exc.errno not in _CANNOT_SYNC:
            raise
        return False
    return True


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
