"""Colors of images that were stored before anybody looked at them: some in each round of the housekeeping."""

from __future__ import annotations

import logging

from dreamina_ui.library.library import Library
from dreamina_ui.media.decoding.copies import ImageError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.formats import recognise
from dreamina_ui.media.store import MediaStore

MAX_IMAGES = 100
"""How many images one round looks at; their small copies are enough."""

log = logging.getLogger(__name__)


class LateColors:
    """Fills in what is missing."""

    def __init__(self, library: Library, media: MediaStore, decoder: DecodeWorkers) -> None:
        self._library = library
        self._media = media
        self._decoder = decoder

    def fill(self) -> int:
        """Look at the next images; returns how many. One whose copy cannot be read has no color.

        Raises:
            DiskError, OSError: the storage refuses; the rest waits for the next round.
            LedgerError: the ledger cannot be read or written.
            RuntimeError: the program is stopping.
        """
        images = self._library.without_colors(MAX_IMAGES)
        for job, output in images:
            self._library.set_colors(output, self._colors(job.job_id, output.index, output.sha256))
        return len(images)

    def _colors(self, job_id: str, index: int, sha256: str | None) -> int:
        thumbnail = self._media.find(job_id, index, "thumbnail", sha256)
        if thumbnail is None:
            return 0
        with thumbnail.open() as file:
            form = recognise(file.read(64))
            try:
                copies = self._decoder.make_copies(file, form, ["thumbnail"], is_background=True) if form else None
            except ImageError as exc:
                log.info("Job %s, output %d: no colors: %s", job_id[:8], index, exc)
                return 0
        return copies.colors or 0 if copies else 0
