"""Originals, previews and thumbnails on disk: an output is there whole, or not at all.

It is put together in a folder of its own, flushed to the disk and moved into place by one rename. The original is the
file as the service made it, byte for byte. Addresses may be pre-signed: messages and log lines show their host only.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from dreamina_ui.errors import DiskError, MediaError
from dreamina_ui.media.download import CHUNK_BYTES, Downloader, DownloadError, host_of
from dreamina_ui.media.images import FORMATS, Format, ImageError, make_previews, read_size, recognise
from dreamina_ui.media.ssrf_guard import UrlGuard

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_KINDS = ("image", "video")
_TIER_FILES = {"original": "original.*", "preview": "preview.webp", "thumbnail": "thumbnail.webp"}
_BY_FILE_NAME = {f"original.{form.extension}": form for form in FORMATS}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileFacts:
    """What is known about one original.

    Attributes:
        kind: `image` or `video`.
        file_name: its name on disk, such as `original.png`.
        media_type: such as `image/png`.
        format: such as `PNG`.
        width, height: of the stored picture in pixels, before any EXIF orientation; None for a video.
        size_bytes, sha256: of the file, byte for byte.
    """

    kind: str
    file_name: str
    media_type: str
    format: str
    width: int | None
    height: int | None
    size_bytes: int
    sha256: str


class MediaStore:
    """Fetches outputs and keeps them under `folder/<job_id[:2]>/<job_id>/<index>/`. Safe to call from many threads.

    Args:
        guard: says which addresses may be fetched.
        max_bytes: the largest file that is stored.
        max_pixels: the largest picture that is decoded; Pillow itself begins to warn at 89 million.
        attempts: how often one `keep` asks for the file.
        total_timeout_s: how long one `keep` may fetch, all tries and pauses together.
        idle_s: how long a connection is kept for the next file; hosts close theirs after 5 seconds or more.
        decoders: how many pictures are decoded at the same time; a PNG of 16 megapixels takes 80 MB, a WebP 260.
        pause: called with seconds between two tries.
    """

    def __init__(
        self,
        folder: Path,
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
        self._folder = folder
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
        # Threads of their own, not a semaphore: the allocator keeps for each thread what it used. Measured with eight
        # jobs of four PNGs at once, on 32 threads that fetch: 188 MB over idle, not 508.
        self._decoders = ThreadPoolExecutor(decoders, "decode")
        self._pause = pause

    def prepare(self, job_id: str) -> None:
        """Make a job's folder and prove by a small file that the disk takes it. Call it before money is spent.

        Raises:
            DiskError: the disk refuses.
        """
        folder = self._job_folder(job_id)
        with _disk_faults(f"files of job {job_id[:8]}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            _make_job_folder(folder)
            probe = folder / _partial_name("probe")
            try:
                _write(probe, bytes(4096))
            finally:
                probe.unlink(missing_ok=True)

    def keep(self, job_id: str, index: int, kind: str, url: str) -> FileFacts:
        """Fetch one output, check it, make its previews and put all of it in place, or nothing; blocks meanwhile.

        An output that is already there is replaced once the new one is whole.

        Args:
            index: which output of the job, from 0.
            kind: `image` or `video`.
            url: where the service put the file.

        Raises:
            AddressError: the address, or one it redirects to, must not be fetched.
            DiskError: our disk refuses; nothing is said about the file.
            MediaError: no good file came in all tries; a damaged one is kept aside, see `damaged_path`.
            ValueError: a `job_id`, `index` or `kind` that cannot be.
        """
        folder = self._output_folder(job_id, index)
        if kind not in _KINDS:
            raise ValueError(f"no such kind: {kind!r}")
        self._downloader.check(url)
        started_s = time.monotonic()
        deadline_s = started_s + self._total_timeout_s
        reason, tries = "", 0
        while tries < self._attempts:
            tries += 1
            try:
                facts = self._keep_once(folder, kind, url, deadline_s)
            except (DownloadError, ImageError) as exc:
                reason = str(exc)
                retry_after_s = exc.retry_after_s if isinstance(exc, DownloadError) else 0
                pause_s = max(retry_after_s, 2 ** (tries - 1) * random.SystemRandom().uniform(0.5, 1.5))
            else:
                took = f"{facts.size_bytes} bytes in {(time.monotonic() - started_s) * 1000:.0f} ms"
                log.debug("job %s output %d from %s: %s", job_id[:8], index, host_of(url), took)
                return facts
            if tries == self._attempts or time.monotonic() + pause_s > deadline_s:
                break
            self._pause(pause_s)
        aside = self.damaged_path(job_id, index)
        kept = f" The last file that came is kept aside as {aside.parent.name}/{aside.name}." if aside else ""
        raise MediaError(
            f"Output {index} of job {job_id[:8]} could not be kept. {host_of(url)} was asked {tries} times; at last "
            f"{reason}.{kept} 'Fetch again' asks anew and costs nothing."
        )

    def kept(self, job_id: str, index: int) -> FileFacts | None:
        """Read the facts of an output back from the disk; None if it is not there whole.

        Raises:
            DiskError: the disk cannot be read.
        """
        original = self.path(job_id, index, "original")
        form = _BY_FILE_NAME.get(original.name) if original else None
        if original is None or form is None:
            return None
        if form.kind == "image" and not all(self.path(job_id, index, tier) for tier in ("preview", "thumbnail")):
            return None
        digest, size_bytes = hashlib.sha256(), 0
        with _disk_faults(f"output {index} of job {job_id[:8]}"):
            with original.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size_bytes += len(chunk)
            try:
                size = read_size(original, form) if form.kind == "image" else (None, None)
            except ImageError:
                return None
        return _facts(form, size, size_bytes, digest.hexdigest())

    def path(self, job_id: str, index: int, tier: str) -> Path | None:
        """Where the `original`, `preview` or `thumbnail` of an output lies; None if it is not there."""
        if tier not in _TIER_FILES:
            raise ValueError(f"no such tier: {tier!r}")
        return next(self._output_folder(job_id, index).glob(_TIER_FILES[tier]), None)

    def damaged_path(self, job_id: str, index: int) -> Path | None:
        """Where the last damaged file of an output is kept aside; None if there is none."""
        return next(_damaged_folder(self._output_folder(job_id, index)).glob("*"), None)

    def discard(self, job_id: str) -> None:
        """Remove the empty folder that `prepare` made for a job that there will not be; what is in use stays."""
        with contextlib.suppress(OSError):
            self._job_folder(job_id).rmdir()

    def remove(self, job_id: str, index: int) -> None:
        """Remove an output's original and previews; nothing happens if they are not there.

        Raises:
            DiskError: the disk refuses.
        """
        folder = self._output_folder(job_id, index)
        with _disk_faults(f"removing file {index} of job {job_id[:8]}"):
            if folder.exists():
                shutil.rmtree(folder)

    def clean_up(self) -> int:
        """Remove what a crash left half-made, and say how many. Call it at start only: it knows no running `keep`.

        Folders of jobs with nothing in them go too: one made just before a crash may have no row. `keep` makes its own.

        Raises:
            DiskError: the disk refuses.
        """
        with _disk_faults("cleaning up"):
            leftovers = [path for path in self._folder.glob("??/*/*.partial-*") if _JOB_ID.fullmatch(path.parent.name)]
            for path in leftovers:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            for folder in self._folder.glob("??/*"):
                if _JOB_ID.fullmatch(folder.name) and folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        return len(leftovers)

    def _job_folder(self, job_id: str) -> Path:
        # Every path is made of these checked parts, so that nothing from outside ever gets into one.
        if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
            raise ValueError("a job_id has 32 characters out of 0-9a-f")
        return self._folder / job_id[:2] / job_id

    def _output_folder(self, job_id: str, index: int) -> Path:
        if type(index) is not int or index < 0:
            raise ValueError(f"no such index: {index!r}")
        return self._job_folder(job_id) / str(index)

    def _keep_once(self, folder: Path, kind: str, url: str, deadline_s: float) -> FileFacts:
        partial = folder.with_name(_partial_name(folder.name))
        raw = partial / "fetched"
        with _disk_faults(f"output {folder.name} of job {folder.parent.name[:8]}"):
            try:
                try:
                    partial.mkdir()
                except FileNotFoundError:  # the job's folder was empty at a start, and cleaned up
                    _make_job_folder(folder.parent)
                    partial.mkdir()
                try:
                    size_bytes, sha256 = self._downloader.fetch(url, raw, deadline_s)
                    form = _recognise_as(kind, raw)
                    size = self._flush_with_previews(raw, form)
                except (DownloadError, ImageError):
                    _set_aside(raw, folder)
                    raise
                raw.rename(partial / f"original.{form.extension}")
                _put_in_place(partial, folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return _facts(form, size, size_bytes, sha256)

    def _flush_with_previews(self, raw: Path, form: Format) -> tuple[int, int] | tuple[None, None]:
        if form.kind != "image":
            _flush(raw)
            return None, None
        making = self._decoders.submit(make_previews, raw, form, self._max_pixels)
        try:
            _flush(raw)  # meanwhile: it waits for the disk alone
        finally:
            wait([making])
        previews = making.result()
        _write(raw.with_name("preview.webp"), previews.preview)
        _write(raw.with_name("thumbnail.webp"), previews.thumbnail)
        return previews.width, previews.height


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


def _head(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(64)


def _recognise_as(kind: str, raw: Path) -> Format:
    head = _head(raw)
    form = recognise(head)
    if form is None or form.kind != kind:
        wanted = "a picture" if kind == "image" else "a video"
        came = "a web page" if head.lstrip().startswith(b"<") else form.name if form else "something unknown"
        raise ImageError(f"{came} came instead of {wanted}")
    return form


@contextlib.contextmanager
def _disk_faults(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise DiskError(f"The disk refuses {what}: {reason}. Make room or mend it, then try again.") from exc


def _make_job_folder(folder: Path) -> None:
    # Not with `parents`: a folder of all media that is gone (a disk that was unplugged) must not come back empty.
    for part in (folder.parent, folder):
        with contextlib.suppress(FileExistsError):
            part.mkdir()
            _flush_folder(part.parent)


def _put_in_place(partial: Path, folder: Path) -> None:
    _flush_folder(partial)
    replaced = folder.with_name(_partial_name(folder.name))
    has_older = folder.exists()
    if has_older:
        folder.rename(replaced)
    partial.rename(folder)
    _flush_folder(folder.parent)
    if has_older:
        shutil.rmtree(replaced, ignore_errors=True)
    shutil.rmtree(_damaged_folder(folder), ignore_errors=True)


def _set_aside(raw: Path, folder: Path) -> None:
    if not raw.exists() or raw.stat().st_size == 0:
        return
    form = recognise(_head(raw))
    aside = _damaged_folder(folder)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(exist_ok=True)
    raw.rename(aside / f"original.{form.extension if form else 'bin'}")


def _damaged_folder(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.damaged")


def _partial_name(name: str) -> str:
    return f"{name}.partial-{secrets.token_hex(8)}"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    _flush(path)


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
