"""Large copies of images that were stored before there were any: each is made when somebody first asks for it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from dreamina_ui.errors import DiskError
from dreamina_ui.media.decoding.copies import ImageError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.formats import recognise
from dreamina_ui.media.store import MediaStore, StoredFile

MAX_WAITING = 8
"""How many images wait at the same time; who asks for more sees previews meanwhile."""

_MAX_FAILURES = 1000

log = logging.getLogger(__name__)


class LateCopies:
    """Makes large copies, one after another, each once however many ask for it. Safe to call from many threads."""

    def __init__(self, store: MediaStore, decoder: DecodeWorkers) -> None:
        self._store = store
        self._decoder = decoder
        self._pool = ThreadPoolExecutor(1, "late-copy")
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, int], Future[StoredFile | None]] = {}
        self._failures: set[tuple[str, int]] = set()

    def request(self, job_id: str, index: int, sha256: str | None = None) -> Future[StoredFile | None] | None:
        """Begin to make the large copy of a stored image.

        Args:
            sha256: of its original, as in `MediaStore.find`.

        Returns:
            The copy to come, which is None if it could not be made; None if too many wait, or it failed before.
        """
        key = job_id, index
        with self._lock:
            if key in self._waiting:
                return self._waiting[key]
            if key in self._failures or len(self._waiting) >= MAX_WAITING:
                return None
            started = self._waiting[key] = self._pool.submit(self._make, key, sha256)
        started.add_done_callback(lambda _: self._forget(key))
        return started

    def stop(self) -> None:
        """Begin no further copy."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, key: tuple[str, int], sha256: str | None) -> StoredFile | None:
        try:
            original = self._store.find(*key, "original", sha256)
            if original is None:
                return None
            with original.open() as file:
                form = recognise(file.read(64))
                copies = self._decoder.make_copies(file, form, ["large"], is_background=True) if form else None
            if copies and "large" in copies.files:
                self._store.add_copy(*key, "large", copies.files["large"], sha256)
        except ImageError as exc:
            log.info("Job %s, output %d: no large copy: %s", key[0][:8], key[1], exc)
            with self._lock:
                if len(self._failures) < _MAX_FAILURES:
                    self._failures.add(key)
        except (DiskError, OSError, RuntimeError) as exc:
            log.info("Job %s, output %d: no large copy now: %s", key[0][:8], key[1], exc)
        try:
            return self._store.find(*key, "large", sha256)
        except DiskError:
            return None

    def _forget(self, key: tuple[str, int]) -> None:
        with self._lock:
            self._waiting.pop(key, None)
