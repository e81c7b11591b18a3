"""Where images are stored that visitors gave: two files of each by its key, in a folder or in a bucket.

Every method raises DiskError if the storage refuses.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Protocol, cast

from dreamina_ui.errors import DiskError
from dreamina_ui.media.bucket import Bucket, storage_errors
from dreamina_ui.media.folder_store import stored_file
from dreamina_ui.media.partial_files import PartialFiles
from dreamina_ui.media.store import StoredFile

MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

_FOLDER = "inputs"
_NAME = re.compile(r"[0-9a-f]{32}\.(?:png|jpg|webp)")


class InputStore(Protocol):
    """Stores given images. Safe to call from many threads; names are a key and an extension of `MEDIA_TYPES`.

    Names come from rows of a ledger, which may be from elsewhere: under any other name there is no file.
    """

    def find(self, name: str) -> StoredFile | None:
        """The file; None if there is none."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Store a file, in one step. Raises ValueError for a name that is none."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; nothing happens to those that are not there."""
        ...

    def scratch_file(self) -> contextlib.AbstractContextManager[BinaryIO]:
        """An empty file on the local disk, open for writing and reading; it is gone afterwards."""
        ...

    def clean_up(self) -> None:
        """Remove what a kill left half-made; call it at start only."""
        ...


class FolderInputs:
    """Stores given images in a folder, which is made when the first one is.

    Args:
        min_free_bytes: how much room the disk must have left for an image to be taken.
    """

    def __init__(self, folder: Path, *, min_free_bytes: int = 0) -> None:
        self._folder = folder
        self._partial_files = PartialFiles(folder)
        self._min_free_bytes = min_free_bytes

    def find(self, name: str) -> StoredFile | None:
        return stored_file(self._folder / name) if _NAME.fullmatch(name) else None

    def put(self, name: str, data: bytes) -> None:
        _ensure_name(name)
        with storage_errors("store a given image"):
            self._folder.mkdir(exist_ok=True, parents=True)
            self._partial_files.put(name, data)

    def remove(self, names: Iterable[str]) -> None:
        with storage_errors("remove a given image"):
            for name in filter(_NAME.fullmatch, names):
                (self._folder / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def scratch_file(self) -> Iterator[BinaryIO]:
        with storage_errors("take an upload"):
            self._folder.mkdir(exist_ok=True, parents=True)
            if shutil.disk_usage(self._folder).free < self._min_free_bytes:
                raise DiskError("The disk is almost full. Free up space, then retry.")
            with self._partial_files.scratch_file() as file:
                yield file

    def clean_up(self) -> None:
        self._partial_files.clean_up()


class BucketInputs:
    """Stores given images in a bucket, under `inputs/`.

    Args:
        scratch: a folder on the local disk, of this program alone; made when it is needed.
    """

    def __init__(self, bucket: Bucket, scratch: Path) -> None:
        self._bucket = bucket
        self._scratch = scratch

    def find(self, name: str) -> StoredFile | None:
        if not _NAME.fullmatch(name):
            return None
        key = f"{_FOLDER}/{name}"
        with storage_errors("find a given image"):
            try:
                content = self._bucket.head(key)
            except FileNotFoundError:
                return None
        return StoredFile(
            name,
            content.size_bytes,
            content.modified_at,
            lambda start: self._bucket.open(key, content.size_bytes, start),
        )

    def put(self, name: str, data: bytes) -> None:
        _ensure_name(name)
        with storage_errors("store a given image"):
            self._bucket.put(f"{_FOLDER}/{name}", data, MEDIA_TYPES[name.rpartition(".")[2]])

    def remove(self, names: Iterable[str]) -> None:
        with storage_errors("remove a given image"):
            self._bucket.delete(f"{_FOLDER}/{name}" for name in filter(_NAME.fullmatch, names))

    @contextlib.contextmanager
    def scratch_file(self) -> Iterator[BinaryIO]:
        with storage_errors("take an upload"):
            self._scratch.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._scratch) as file:
                yield cast(BinaryIO, file)

    def clean_up(self) -> None:
        """Nothing: the store of outputs cleans the local disk, and an object is whole or not there."""


def _ensure_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is no name of a given image")
