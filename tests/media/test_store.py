"""Each media store keeps the promises of the protocol: in a folder, in memory, and in a bucket."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from dreamina_ui.errors import DiskError
from dreamina_ui.media.bucket import Bucket
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.media.object_store import ObjectStore
from dreamina_ui.media.store import TIERS, MediaStore, StoredFile
from tests.media.store_contract import MediaStoreContract

_Key = tuple[str, int]


class MemoryStore:
    """Outputs in memory: what a bucket would be, without its network."""

    def __init__(self) -> None:
        self._outputs: dict[_Key, dict[str, tuple[str, bytes]]] = {}
        self._damaged: dict[_Key, tuple[str, bytes]] = {}
        self._lock = threading.Lock()

    def prepare(self, job_id: str) -> None:
        _key(job_id, 0)

    def discard(self, job_id: str) -> None:
        _key(job_id, 0)

    @contextmanager
    def draft(self, job_id: str, index: int) -> Iterator[_MemoryDraft]:
        draft = _MemoryDraft(self, _key(job_id, index))
        try:
            yield draft
        except OSError as exc:
            raise DiskError("The memory is full.") from exc

    def find(self, job_id: str, index: int, tier: str, sha256: str | None = None) -> StoredFile | None:
        if tier not in TIERS:
            raise ValueError(f"no such tier: {tier!r}")
        key = _key(job_id, index)
        result = self._outputs.get(key, {}).get(tier)
        return self._stored(key, tier, *result) if result else None

    def add_copy(self, job_id: str, index: int, tier: str, data: bytes, sha256: str | None = None) -> None:
        files = self._outputs.get(_key(job_id, index))
        if files is None:
            raise DiskError("There is no such output.")
        files[tier] = f"{tier}.webp", data

    def find_damaged(self, job_id: str, index: int) -> StoredFile | None:
        result = self._damaged.get(_key(job_id, index))
        return StoredFile(result[0], len(result[1]), time.time(), lambda _: io.BytesIO(result[1])) if result else None

    def remove(self, job_id: str, index: int) -> None:
        self._outputs.pop(_key(job_id, index), None)

    def clean_up(self) -> int:
        return 0

    def put(self, key: _Key, files: dict[str, tuple[str, bytes]]) -> None:
        with self._lock:
            self._outputs[key] = files
            self._damaged.pop(key, None)

    def put_damaged(self, key: _Key, name: str, content: bytes) -> None:
        self._damaged[key] = name, content

    def _stored(self, key: _Key, tier: str, name: str, content: bytes) -> StoredFile:
        def open_again(start: int) -> io.BytesIO:
            if key not in self._outputs:
                raise FileNotFoundError(tier)
            stream = io.BytesIO(content)
            stream.seek(start)
            return stream

        return StoredFile(name, len(content), time.time(), open_again)


class _MemoryDraft:
    def __init__(self, store: MemoryStore, key: _Key) -> None:
        self.file = io.BytesIO()
        self._store = store
        self._key = key

    def sync(self) -> None:
        pass

    def store(self, extension: str, previews: Mapping[str, bytes], sha256: str | None = None) -> None:
        files = {tier: (f"{tier}.webp", data) for tier, data in previews.items()}
        self._store.put(self._key, files | {"original": (f"original.{extension}", self.file.getvalue())})

    def set_aside(self, extension: str) -> None:
        if self.file.getvalue():
            self._store.put_damaged(self._key, f"original.{extension}", self.file.getvalue())


def _key(job_id: str, index: int) -> _Key:
    if not re.fullmatch(r"[0-9a-f]{32}", job_id):
        raise ValueError("no job_id")
    if index < 0:
        raise ValueError("no such index")
    return job_id, index


class TestFolderStore(MediaStoreContract):
    def make(self, tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
        return FolderStore(tmp_path_factory.mktemp("store") / "media")


class TestMemoryStore(MediaStoreContract):
    def make(self, tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
        return MemoryStore()


class TestObjectStore(MediaStoreContract):
    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def make(self, tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
        return ObjectStore(self.bucket, tmp_path_factory.mktemp("store") / "scratch")


def test_no_path_stands_in_the_protocol() -> None:
    """A bucket has none."""
    source = Path(__file__).parents[2] / "dreamina_ui" / "media" / "store.py"
    assert "Path" not in source.read_text(encoding="utf-8")


def test_new_jobs_leave_some_of_the_disk_free(tmp_path: Path) -> None:
    """On a full disk the ledger and paid images have no room; strangers with a free sandbox could fill it."""
    free_bytes = 1_000_000_000
    store = FolderStore(tmp_path, min_free_bytes=500_000_000, free_bytes=lambda _: free_bytes)
    store.prepare("0" * 32)
    free_bytes = 499_999_999
    with pytest.raises(DiskError, match=r"0\.5 GB of disk space is left; new jobs need 0\.5 GB"):
        store.prepare("1" * 32)
    with store.draft("0" * 32, 0):
        pass  # what is paid for is stored all the same
    FolderStore(tmp_path).prepare("2" * 32)
