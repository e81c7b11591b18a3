"""Fetch an output into the store: download it, verify it, make its previews, and store all of it or nothing.

The original is the file as the service made it, byte for byte. URLs may be pre-signed: messages and log lines show
their host only.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import BinaryIO

from dreamina_ui.errors import DiskError, MediaError
from dreamina_ui.media.download import Downloader, DownloadError, host_of
from dreamina_ui.media.images import FORMATS, Format, ImageError, Previews, make_previews, read_size, recognise
from dreamina_ui.media.ssrf_guard import UrlGuard
from dreamina_ui.media.store import CHUNK_BYTES, Draft, FileFacts, MediaStore, StoredFile

_KINDS = ("image", "video")
_HEAD_BYTES = 64
_BY_FILE_NAME = {f"original.{form.extension}": form for form in FORMATS}

log = logging.getLogger(__name__)


class OutputFetcher:
    """Fetches outputs into a store. Safe to call from many threads.

    Args:
        guard: decides which URLs may be fetched.
        max_bytes: the largest file that is stored.
        max_pixels: the largest image that is decoded; Pillow itself begins to warn at 89 million.
        attempts: how often one `fetch` requests the file.
        total_timeout_s: how long one `fetch` may take, all attempts and pauses together.
        idle_s: how long a connection stays open for the next file; hosts close theirs after 5 seconds or more.
        decoders: how many images are decoded at the same time; a PNG of 16 megapixels takes 80 MB, a WebP 260.
        pause: called with seconds between two attempts.
    """

    def __init__(
        self,
        store: MediaStore,
        guard: UrlGuard,
        *,
        max_bytes: int = 200 * 1024**2,
        max_pixels: int = 80_000_000,
        attempts: int = 4,
        connect_timeout_s: float = 10,
        read_timeout_s: float = 30,
        total_timeout_s: float = 600,
        idle_s: float = 3.0,
        decoders: int = os.cpu_count() or 1,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._store = store
        self._downloader = Downloader(
            guard,
            max_bytes=max_bytes,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            idle_s=idle_s,
        )
        self._max_pixels = max_pixels
        self._attempts = attempts
        self._total_timeout_s = total_timeout_s
        # Threads of their own, not a semaphore: the allocator reserves for each thread what it once used, which on the
        # threads that fetch was 2.7 times as much memory (benchmarks/README.md).
        self._decoders = ThreadPoolExecutor(decoders, "decode")
        self._pause = pause

    def fetch(self, job_id: str, index: int, kind: str, url: str) -> FileFacts:
        """Fetch one output, verify it, make its previews and store all of it, or nothing; blocks meanwhile.

        An output that is already there is replaced once the new one is whole.

        Args:
            index: which output of the job, from 0.
            kind: `image` or `video`.
            url: where the service put the file.

        Raises:
            UrlError: the URL, or one it redirects to, must not be fetched.
            DiskError: the storage refuses; nothing is said about the file.
            MediaError: no good file came in all attempts; a damaged one is set aside, see `MediaStore.find_damaged`.
            ValueError: a `job_id`, `index` or `kind` that cannot be.
        """
        if kind not in _KINDS:
            raise ValueError(f"no such kind: {kind!r}")
        self._store.find(job_id, index, "original")  # raises ValueError before anything is requested
        self._downloader.check(url)
        started_s = time.monotonic()
        deadline_s = started_s + self._total_timeout_s
        reason, attempt = "", 0
        while attempt < self._attempts:
            attempt += 1
            try:
                facts = self._fetch_once(job_id, index, kind, url, deadline_s)
            except (DownloadError, ImageError) as exc:
                reason = str(exc)
                retry_after_s = exc.retry_after_s if isinstance(exc, DownloadError) else 0
                pause_s = max(retry_after_s, 2 ** (attempt - 1) * random.SystemRandom().uniform(0.5, 1.5))
            else:
                took = f"{facts.size_bytes} bytes in {(time.monotonic() - started_s) * 1000:.0f} ms"
                log.debug("job %s output %d from %s: %s", job_id[:8], index, host_of(url), took)
                return facts
            if attempt == self._attempts or time.monotonic() + pause_s > deadline_s:
                break
            self._pause(pause_s)
        damaged = self._store.find_damaged(job_id, index)
        aside = f" The last file that came is set aside as {damaged.name}." if damaged else ""
        raise MediaError(
            f"Output {index} of job {job_id[:8]} could not be stored. {host_of(url)} was asked {attempt} times; at "
            f"last {reason}.{aside} 'Fetch again' retries and costs nothing."
        )

    def stored_facts(self, job_id: str, index: int) -> FileFacts | None:
        """Read the facts of an output back from the store; None if it is not there whole.

        Raises:
            DiskError: it cannot be read.
        """
        original = self._store.find(job_id, index, "original")
        form = _BY_FILE_NAME.get(original.name) if original else None
        if original is None or form is None:
            return None
        if form.kind == "image" and not all(self._store.find(job_id, index, tier) for tier in ("preview", "thumbnail")):
            return None
        try:
            return _read_facts(original, form)
        except ImageError:
            return None
        except OSError as exc:
            reason = exc.strerror or type(exc).__name__
            raise DiskError(
                f"Cannot read output {index} of job {job_id[:8]}: {reason}. Fix permissions, then retry."
            ) from exc

    def _fetch_once(self, job_id: str, index: int, kind: str, url: str, deadline_s: float) -> FileFacts:
        with self._store.draft(job_id, index) as draft:
            try:
                size_bytes, sha256 = self._downloader.fetch(url, draft.file, deadline_s)
                form = _recognise_as(kind, _head(draft.file))
                previews = self._sync_with_previews(draft, form)
            except (DownloadError, ImageError):
                damaged = recognise(_head(draft.file))
                draft.set_aside(damaged.extension if damaged else "bin")
                raise
            tiers = {"preview": previews.preview, "thumbnail": previews.thumbnail} if previews else {}
            draft.store(form.extension, tiers)
        size = (previews.width, previews.height) if previews else (None, None)
        return _facts(form, size, size_bytes, sha256)

    def _sync_with_previews(self, draft: Draft, form: Format) -> Previews | None:
        if form.kind != "image":
            draft.sync()
            return None
        draft.file.flush()
        decoding = self._decoders.submit(make_previews, draft.file, form, self._max_pixels)
        try:
            draft.sync()  # meanwhile: it waits for the disk alone
        finally:
            wait([decoding])
        return decoding.result()


def _read_facts(original: StoredFile, form: Format) -> FileFacts:
    digest, size_bytes = hashlib.sha256(), 0
    with original.open() as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
        size = read_size(file, form) if form.kind == "image" else (None, None)
    return _facts(form, size, size_bytes, digest.hexdigest())


def _facts(form: Format, size: tuple[int, int] | tuple[None, None], size_bytes: int, sha256: str) -> FileFacts:
    return FileFacts(
        kind=form.kind,
        file_name=f"original.{form.extension}",
        media_type=form.media_type,
        format=form.name,
        width=size[0],
        height=size[1],
        size_bytes=size_bytes,
        sha256=sha256,
    )


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_HEAD_BYTES)


def _recognise_as(kind: str, head: bytes) -> Format:
    form = recognise(head)
    if form is None or form.kind != kind:
        wanted = "an image" if kind == "image" else "a video"
        came = "a web page" if head.lstrip().startswith(b"<") else form.name if form else "something unknown"
        raise ImageError(f"{came} came instead of {wanted}")
    return form
