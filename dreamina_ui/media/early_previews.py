"""Previews of JPEGs that are still arriving, in the memory of the process that fetches them.

A JPEG can be decoded as far as it goes: the end of it is gray, or all of a progressive one is blurred. Other formats
show too little too late for what decoding them again and again costs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from dreamina_ui.media.decoding.copies import RESULT_BOUNDS, Bounds, ImageError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.formats import HEAD_BYTES, recognise

TIER = "thumbnail"
"""Small: each preview is sent to the page with the job."""

MIN_GROWTH = 1.25
"""By how much a file must have grown since the preview before: the work stays a few decodes for each file."""

MIN_BYTES, MAX_BYTES = 64 * 1024, 64 * 1024**2


@dataclass
class _Arriving:
    path: str
    seen_bytes: int = 0
    preview: bytes | None = None


class EarlyPreviews:
    """Knows the files that are being written and the previews of what they have so far. Safe to call from threads."""

    def __init__(self, decoder: DecodeWorkers, bounds: Bounds = RESULT_BOUNDS) -> None:
        self._decoder = decoder
        self._bounds = bounds
        self._lock = threading.Lock()
        self._files: dict[tuple[str, int], _Arriving] = {}

    @contextmanager
    def arriving(self, job_id: str, index: int, file: BinaryIO) -> Iterator[None]:
        """While an output is being written to `file`; one that has no path gets no preview."""
        path = getattr(file, "name", None)
        if not isinstance(path, str):
            yield
            return
        with self._lock:
            self._files[job_id, index] = _Arriving(path)
        try:
            yield
        finally:
            with self._lock:
                self._files.pop((job_id, index), None)

    def refresh(self, job_id: str) -> dict[int, int]:
        """Make previews of those files of a job that have grown; blocks meanwhile.

        Returns:
            How many bytes have come of each output that has a new preview, by index.
        """
        with self._lock:
            files = {index: file for (owner, index), file in self._files.items() if owner == job_id}
        return {index: file.seen_bytes for index, file in files.items() if self._make(file)}

    def find(self, job_id: str, index: int) -> bytes | None:
        """The newest preview of an output that is still arriving, a WebP file; None if there is none."""
        with self._lock:
            file = self._files.get((job_id, index))
            return file.preview if file else None

    def _make(self, file: _Arriving) -> bool:
        # The whole file is what counts: an early preview that cannot be made is none, and the next one may be.
        with suppress(OSError, ImageError, RuntimeError):
            size_bytes = os.path.getsize(file.path)
            if not max(MIN_BYTES, MIN_GROWTH * file.seen_bytes) <= size_bytes <= MAX_BYTES:
                return False
            file.seen_bytes = size_bytes
            with open(file.path, "rb") as content:  # a handle of its own: the writer's position must not change
                form = recognise(content.read(HEAD_BYTES))
                if form is None or form.name != "JPEG":
                    return False
                copies = self._decoder.make_copies(
                    content, form, (TIER,), self._bounds, is_background=True, is_whole=False
                )
            file.preview = copies.files[TIER]
            return True
        return False
