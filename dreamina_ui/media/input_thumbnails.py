"""Where thumbnails of given files are stored: small WebP files by name, in a folder or in a bucket."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Protocol, cast

from dreamina_ui.errors import DiskError
from dreamina_ui.media.bucket import Bucket, storage_errors
from dreamina_ui.media.folder_store import stored_file
from dreamina_ui.media.partial_files import PartialFiles
from dreamina_ui.media.store import StoredFile

KEEP_THUMBNAILS = 2000
MISSING_TTL_S = 30.0
"""How long a bucket is not asked again for a thumbnail that it did not have: pages show many, and often."""

_FOLDER = "given"
_MAX_REMEMBERED = 20_000


class ThumbnailStore(Protocol):
    """Stores thumbnails. Safe to call from many threads; names are 32 hex digits."""

    def has(self, name: str) -> bool:
        """Whether there is one; False also if nobody can tell now."""
        ...

    def find(self, name: str) -> StoredFile | None:
        """The thumbnail; None if there is none. Raises DiskError if the storage refuses."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Store one, in one step; old ones go at some time. Raises OSError or DiskError if the storage refuses."""
        ...

    def scratch_file(self) -> contextlib.AbstractContextManager[BinaryIO]:
        """An empty file on the local disk, open for writing and reading; it is gone afterwards. Raises OSError."""
        ...

    def clean_up(self) -> None:
        """Remove what a kill left half-made; call it at start only."""
        ...


class FolderThumbnails:
    """Stores thumbnails in a folder, which is made when the first one is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partial_files = PartialFiles(folder)

    def has(self, name: str) -> bool:
        return self._path(name).exists()

    def find(self, name: str) -> StoredFile | None:
        return stored_file(self._path(name))

    def put(self, name: str, data: bytes) -> None:
        self._partial_files.put(self._path(name).name, data)
        for old in self._by_age()[:-KEEP_THUMBNAILS]:
            old.unlink(missing_ok=True)

    @contextlib.contextmanager
    def scratch_file(self) -> Iterator[BinaryIO]:
        self._folder.mkdir(exist_ok=True)
        with self._partial_files.scratch_file() as file:
            yield file

    def clean_up(self) -> None:
        self._partial_files.clean_up()

    def _by_age(self) -> list[Path]:
        return sorted(self._folder.glob("*.webp"), key=lambda path: path.stat().st_mtime)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.webp"


class BucketThumbnails:
    """Stores thumbnails in a bucket, under `given/`.

    Args:
        scratch: a folder on the local disk, of this program alone; made when it is needed.
        clock: gives a time in seconds that only grows.
    """

    def __init__(self, bucket: Bucket, scratch: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.bucket = bucket
        self._scratch = scratch
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, float | None] = {}  # None: it is there; else when it was missed

    def has(self, name: str) -> bool:
        with self._lock:
            known = self._known.get(name, 0.0)
        if known is None or (known and self._clock() - known < MISSING_TTL_S):
            return known is None
        try:
            return self.find(name) is not None
        except DiskError:
            return False

    def find(self, name: str) -> StoredFile | None:
        key = self._key(name)
        with storage_errors("find a thumbnail"):
            try:
                content = self.bucket.head(key)
            except FileNotFoundError:
                self._remember(name, self._clock())
                return None
        self._remember(name, None)
        return StoredFile(
            f"{name}.webp",
            content.size_bytes,
            content.modified_at,
            lambda start: self.bucket.open(key, content.size_bytes, start),
        )

    def put(self, name: str, data: bytes) -> None:
        self.bucket.put(self._key(name), data, "image/webp")
        self._remember(name, None)

    @contextlib.contextmanager
    def scratch_file(self) -> Iterator[BinaryIO]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._scratch) as file:
            yield cast(BinaryIO, file)

    def clean_up(self) -> None:
        """Nothing: the store of outputs cleans the local disk, and an object is whole or not there."""

    def remove_old(self) -> int:
        """Delete all but the newest; returns how many. Raises StorageError."""
        with storage_errors("delete old thumbnails"):
            by_age = sorted(self.bucket.list(_FOLDER), key=lambda item: item.modified_at)
            old = by_age[:-KEEP_THUMBNAILS]
            self.bucket.delete(item.key for item in old)
        with self._lock:
            self._known.clear()
        return len(old)

    def _remember(self, name: str, missed_at: float | None) -> None:
        with self._lock:
            self._known[name] = missed_at
            if len(self._known) > _MAX_REMEMBERED:
                del self._known[next(iter(self._known))]

    @staticmethod
    def _key(name: str) -> str:
        return f"{_FOLDER}/{name}.webp"
