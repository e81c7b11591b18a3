"""Fetch an output into the store: download it, verify it, make its previews, and store all of it or nothing.

The original is the file as the service made it, byte for byte. URLs may be pre-signed: messages and log lines show
their host only.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from typing import BinaryIO

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay

from dreamina_ui.errors import DiskError, MediaError
from dreamina_ui.media.decoding.copies import RESULT_BOUNDS, Bounds, ImageError
from dreamina_ui.media.decoding.workers import COUNT, DecodeWorkers
from dreamina_ui.media.early_previews import EarlyPreviews
from dreamina_ui.media.fetching.data_urls import is_data_url, write_data_url
from dreamina_ui.media.fetching.download import Downloader, DownloadError
from dreamina_ui.media.fetching.proxies import Proxy
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.fetching.urls import host_of
from dreamina_ui.media.fetching.whole_files import is_whole
from dreamina_ui.media.formats import FORMATS, HEAD_BYTES, SVG, UNKNOWN, Format, recognise
from dreamina_ui.media.store import CHUNK_BYTES, TIERS, Draft, FileFacts, MediaStore, StoredFile

_KINDS = ("image", "video", "file")
_SAME_ATTEMPTS = 3
"""After so many attempts that bring the same bytes, a file that is whole by its format is stored though the host says
that more would come: a wrong length must not cost a file, and no retry would bring more."""

_UNENDED = ("cut", "slow", "compressed")
"""The rules of a DownloadError that say nothing of the bytes which came before."""

_TEXT_BYTES = 4096
"""A text up to this size says that there is no file; a larger one may be a 3D model or subtitles."""

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")

log = logging.getLogger(__name__)


class OutputFetcher:
    """Fetches outputs into a store. Safe to call from many threads.

    Args:
        guard: decides which URLs may be fetched.
        max_bytes: the largest file that is stored.
        attempts: how often one `fetch` requests the file.
        total_timeout_s: how long one `fetch` may take, all attempts and pauses together.
        idle_s: how long a connection stays open for the next file; hosts close theirs after 5 seconds or more.
        certificates: what the certificates of hosts are verified with; None for those that `requests` brings.
        proxy: makes tunnels to the hosts; None for none.
        decoder: makes the copies of images; None for one of its own.
        bounds: of what one image may take.
        pause: called with seconds between two attempts.

    Attributes:
        early_previews: those of the files that are arriving.
    """

    def __init__(
        self,
        store: MediaStore,
        guard: UrlGuard,
        *,
        max_bytes: int = 200 * 1024**2,
        attempts: int = 4,
        connect_timeout_s: float = 10,
        read_timeout_s: float = 30,
        total_timeout_s: float = 600,
        idle_s: float = 3.0,
        certificates: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        decoder: DecodeWorkers | None = None,
        bounds: Bounds = RESULT_BOUNDS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._downloader = Downloader(
            guard,
            max_bytes=max_bytes,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            idle_s=idle_s,
            certificates=certificates,
            proxy=proxy,
        )
        self._max_bytes = max_bytes
        self._attempts = attempts
        self._total_timeout_s = total_timeout_s
        self._decoder = decoder or DecodeWorkers()
        self.early_previews = EarlyPreviews(self._decoder, bounds)
        self._bounds = bounds
        self._decoding = ThreadPoolExecutor(COUNT, "decode")
        self._pause = pause

    def fetch(self, job_id: str, index: int, kind: str, url: str) -> FileFacts:
        """Fetch one output, verify it, make its previews and store all of it, or nothing; blocks meanwhile.

        The original is stored whatever it is; `kind` of the facts says what came. An output that is already there is
        replaced once the new one is whole.

        Args:
            index: which output of the job, from 0.
            kind: `image` or `video`, as the service calls it, or `file`.
            url: where the service put the file.

        Raises:
            UrlError: the URL, or one it redirects to, must not be fetched.
            DiskError: the storage refuses; nothing is said about the file.
            MediaError: no good file came in all attempts; a damaged one is set aside, see `MediaStore.find_damaged`.
                `is_temporary` says whether the file may still come.
            ValueError: a `job_id`, `index` or `kind` that cannot be.
        """
        if kind not in _KINDS:
            raise ValueError(f"no such kind: {kind!r}")
        self._store.find(job_id, index, "original")  # raises ValueError before anything is requested
        if not is_data_url(url):
            self._downloader.validate_url(url)
        started_s = time.monotonic()
        deadline_s = started_s + self._total_timeout_s
        attempts = Retrying(
            stop=stop_after_attempt(self._attempts) | stop_before_delay(self._total_timeout_s),
            wait=_pause_s,
            retry=retry_if_exception_type((DownloadError, ImageError)),
            sleep=self._pause,
            reraise=True,
        )
        try:
            with self._decoder.expecting() if kind == "image" else nullcontext():
                facts: FileFacts = attempts(self._fetch_once, job_id, index, kind, url, deadline_s, Counter())
        except (DownloadError, ImageError) as exc:
            raise self._media_error(exc, job_id, index, url, attempts.statistics["attempt_number"]) from exc
        took = f"{facts.size_bytes} bytes in {(time.monotonic() - started_s) * 1000:.0f} ms"
        log.debug("job %s output %d from %s: %s", job_id[:8], index, host_of(url), took)
        return facts

    def stored_facts(self, job_id: str, index: int) -> FileFacts | None:
        """Read the facts of an output back from the store; None if it is not there whole.

        Raises:
            DiskError: it cannot be read.
        """
        original = self._store.find(job_id, index, "original")
        if original is None:
            return None
        # The large copy of an older output is made when somebody asks for it.
        previews = [tier for tier in ("preview", "thumbnail") if self._store.find(job_id, index, tier)]
        if len(previews) == 1:  # somebody removed the other one
            return None
        try:
            return self._read_facts(original, bool(previews))
        except ImageError:
            return None
        except OSError as exc:
            reason = exc.strerror or type(exc).__name__
            raise DiskError(
                f"Cannot read output {index} of job {job_id[:8]}: {reason}. Fix permissions, then retry."
            ) from exc

    def _media_error(self, exc: Exception, job_id: str, index: int, url: str, attempts: int) -> MediaError:
        damaged = self._store.find_damaged(job_id, index)
        aside = f" The last file that came is set aside as {damaged.name}." if damaged else ""
        times = "once" if attempts == 1 else f"{attempts} times"
        return MediaError(
            f"Output {index} of job {job_id[:8]} could not be stored. {host_of(url)} was asked {times}; at "
            f"last {exc}.{aside} 'Fetch again' retries and costs nothing.",
            is_temporary=isinstance(exc, DownloadError) and exc.is_temporary,
        )

    def _fetch_once(
        self, job_id: str, index: int, kind: str, url: str, deadline_s: float, received: Counter[str]
    ) -> FileFacts:
        with self._store.draft(job_id, index) as draft:
            try:
                with self.early_previews.arriving(job_id, index, draft.file):
                    size_bytes, sha256 = self._download(url, draft.file, deadline_s, received)
                form = _identify(draft.file, kind, size_bytes)
                facts, previews = self._sync_with_previews(draft, form)
            except ImageError as exc:
                is_unfinished = exc.is_damage and form.is_common and not is_whole(draft.file, form)
                draft.set_aside(form.extension)
                if is_unfinished:  # the host may still be writing it
                    raise DownloadError(str(exc), "unfinished") from exc
                raise
            except DownloadError:
                damaged = recognise(_head(draft.file)) or UNKNOWN
                draft.set_aside(damaged.extension)
                raise
            draft.store(form.extension, previews, sha256)
        return replace(facts, size_bytes=size_bytes, sha256=sha256)

    def _download(self, url: str, file: BinaryIO, deadline_s: float, received: Counter[str]) -> tuple[int, str]:
        """The size and digest of a file that came; `received` counts the digests of those that seemed to be cut."""
        if is_data_url(url):
            return write_data_url(url, file, self._max_bytes)
        try:
            return self._downloader.fetch(url, file, deadline_s)
        except DownloadError as exc:
            if exc.rule not in _UNENDED or exc.received is None:
                raise
            size_bytes, sha256 = exc.received
            received[sha256] += 1
            form = recognise(_head(file))
            if received[sha256] < _SAME_ATTEMPTS or form is None or not is_whole(file, form):
                raise
            log.warning("A whole file from %s is stored, though %s each time", host_of(url), exc)
            return size_bytes, sha256

    def _sync_with_previews(self, draft: Draft, form: Format) -> tuple[FileFacts, Mapping[str, bytes]]:
        """The facts of a file, size and digest aside, and its previews, if any can be made."""
        if form.kind != "image":
            draft.sync()
            return _facts(form), {}
        draft.file.flush()
        decoding = self._decoding.submit(self._decoder.make_copies, draft.file, form, TIERS[1:], self._bounds)
        try:
            draft.sync()  # meanwhile: it waits for the disk alone
        finally:
            wait([decoding])
        try:
            copies = decoding.result()
        except ImageError as exc:
            if exc.is_damage and form.is_common:
                raise
            log.info("No preview was made: %s", exc)
            return replace(_facts(form, exc.size), kind="file"), {}
        return replace(_facts(form, (copies.width, copies.height)), colors=copies.colors), copies.files

    def _read_facts(self, original: StoredFile, has_previews: bool) -> FileFacts:
        digest, size_bytes = hashlib.sha256(), 0
        extension = original.name.rpartition(".")[2]
        with original.open() as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
            form = recognise(_head(file)) or next((form for form in FORMATS if form.extension == extension), UNKNOWN)
            facts = _facts(form)
            if form.kind == "image" and has_previews:
                size = self._decoder.make_copies(file, form, (), self._bounds)
                facts = _facts(form, (size.width, size.height))
            elif form.kind == "image":
                facts = replace(facts, kind="file")
        return replace(facts, size_bytes=size_bytes, sha256=digest.hexdigest())


def _pause_s(state: RetryCallState) -> float:
    """Seconds until the next attempt: growing and spread, or as long as the host asks for."""
    exc = state.outcome.exception() if state.outcome else None
    retry_after_s = exc.retry_after_s if isinstance(exc, DownloadError) else 0.0
    spread: float = random.SystemRandom().uniform(0.5, 1.5)
    return max(retry_after_s, 2.0 ** (state.attempt_number - 1) * spread)


def _facts(form: Format, size: tuple[int, int] | None = None) -> FileFacts:
    return FileFacts(
        kind=form.kind,
        file_name=f"original.{form.extension}",
        media_type=form.media_type,
        format=form.name,
        width=size[0] if size else None,
        height=size[1] if size else None,
        size_bytes=0,
        sha256="",
    )


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEAD_BYTES)


def _identify(file: BinaryIO, kind: str, size_bytes: int) -> Format:
    """What the file is; a DownloadError if it is the text or page of a host that has no file, or none yet."""
    form = recognise(_head(file))
    if form:
        return form
    file.seek(0)
    beginning = file.read(_TEXT_BYTES)
    wanted = {"image": "an image", "video": "a video"}.get(kind, "a file")
    if (start := beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()).startswith(b"<"):
        if b"<svg" in start:
            return SVG
        if size_bytes <= _TEXT_BYTES or b"<html" in start or b"<!doctype html" in start:
            raise DownloadError(f"a web page came instead of {wanted}", "page")
    if size_bytes <= _TEXT_BYTES and _is_text(beginning):
        raise DownloadError(f"a short text came instead of {wanted}", "page")
    is_word = size_bytes < HEAD_BYTES and not _CONTROL.search(beginning)  # in an older encoding
    if is_word or not any(beginning):
        raise DownloadError(f"it has not yet written {wanted}", "page")
    return UNKNOWN


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)
