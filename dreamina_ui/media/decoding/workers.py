"""Images are decoded in processes of their own: an image can end one of them, and never the server.

A process that ends or takes too long is replaced, and the image is tried once more in the new one; after that it counts
as one of which no copy can be made. Processes start when they are needed and end when they are not.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

from dreamina_ui.media.decoding.copies import RESULT_BOUNDS, Bounds, Copies, ImageError, InputCopy
from dreamina_ui.media.formats import Format

COUNT = 2
MEMORY_BYTES = 225 * 10**6
"""On top of the 25 MB that a process has before its first image."""

IDLE_S = 20.0
_PROGRAM = "dreamina_ui.media.decoding.worker"
_ROOT = Path(__file__).parents[3]
_MAX_HEAD_BYTES = 10_000
_MAX_FILES_BYTES = 64 * 10**6
_INHERITED = (
    "PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE",
    "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV", "SYSTEMROOT", "USERPROFILE", "APPDATA",
    "TEMP", "TMP",
)  # fmt: skip
"""What Python needs to find its packages; nothing that is secret."""

log = logging.getLogger(__name__)


class DecodeWorkers:
    """Makes copies of images. Safe to call from many threads.

    Args:
        count: how many images are decoded at the same time.
        memory_bytes: how much memory one image may take.
        idle_s: after how long without an image a process ends.
    """

    def __init__(self, *, count: int = COUNT, memory_bytes: int = MEMORY_BYTES, idle_s: float = IDLE_S) -> None:
        self._count = count
        self._memory_bytes = memory_bytes
        self._idle_s = idle_s
        self._slots = threading.BoundedSemaphore(count)
        self._background = threading.Lock()
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._timer: threading.Timer | None = None
        self._expected = 0
        self._is_stopped = False

    def make_copies(
        self,
        file: BinaryIO,
        form: Format,
        tiers: Sequence[str],
        bounds: Bounds = RESULT_BOUNDS,
        *,
        is_background: bool = False,
        is_whole: bool = True,
    ) -> Copies:
        """Read an image to its very end and make its copies; blocks meanwhile.

        Args:
            file: open for reading, with all that was written to it flushed; its position may change.
            tiers: which copies, of those that an image of its size has; none to read only its size.
            is_background: whether a result that was paid for goes first. All such calls together use one process.
            is_whole: False for a JPEG of which only the beginning is there; the rest is shown gray or blurred.

        Raises:
            ImageError: it is damaged, cut off, or too large in any way.
            OSError: the file cannot be read.
            RuntimeError: `stop` was called.
        """
        request = {"format": form.name, "tiers": list(tiers), "is_input": False, "is_whole": is_whole}
        head, files = self._decode(file, request, bounds, is_background=is_background)
        return Copies(head["width"], head["height"], files, head["colors"])

    def make_input(self, file: BinaryIO, form: Format, bounds: Bounds) -> InputCopy:
        """Make of an image what the service gets; a background call. Arguments and errors as for `make_copies`."""
        request = {"format": form.name, "tiers": [], "is_input": True, "is_whole": True}
        head, files = self._decode(file, request, bounds, is_background=True)
        head.pop("sizes")
        return InputCopy(**head, data=files["data"], thumbnail=files["thumbnail"])

    def _decode(
        self, file: BinaryIO, request: dict[str, Any], bounds: Bounds, *, is_background: bool
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        with self._background if is_background else contextlib.nullcontext(), self._slots, _path_of(file) as path:
            request = {"path": path, **request, **bounds._asdict()}
            try:
                return self._ask(request, bounds.wall_s, is_new=False)
            except _WorkerError as exc:
                failure = exc
            if not failure.is_final:
                log.info("Decoding an image is tried again: %s", failure)
                try:
                    return self._ask(request, bounds.wall_s, is_new=True)
                except _WorkerError as exc:
                    failure = exc
            log.warning("No copies of an image (%s, %d bytes): %s", request["format"], os.path.getsize(path), failure)
            raise ImageError(str(failure), is_damage=False)

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """While an image is on its way: a process is started for it, unless there are enough."""
        with self._lock:
            self._expected += 1
            if len(self._workers) < min(self._expected, self._count):
                with contextlib.suppress(OSError, RuntimeError):  # it is tried again when the image is there
                    self._idle.append(self._start())
                    self._plan_end()
        try:
            yield
        finally:
            with self._lock:
                self._expected -= 1

    def stop(self) -> None:
        """End all processes; calls that wait for one raise RuntimeError."""
        with self._lock:
            self._is_stopped = True
            workers = list(self._workers)
            if self._timer:
                self._timer.cancel()
        for worker in workers:
            worker.end()

    def _ask(self, request: dict[str, Any], wall_s: float, *, is_new: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
        worker = self._take(is_new=is_new)
        try:
            response = worker.ask(request, wall_s)
        except (ImageError, OSError):
            self._give_back(worker)
            raise
        except BaseException:
            self._discard(worker)
            if self._is_stopped:
                raise RuntimeError("decoding has stopped") from None
            raise
        self._give_back(worker)
        return response

    def _take(self, *, is_new: bool) -> _Worker:
        with self._lock:
            if self._idle and not is_new:
                return self._idle.pop()
            while len(self._workers) >= self._count and self._idle:
                self._workers.discard(spare := self._idle.pop(0))
                spare.end()
            try:
                return self._start()
            except OSError as exc:
                raise _WorkerError(f"no decoding process could be started: {exc.strerror}") from exc

    def _start(self) -> _Worker:
        if self._is_stopped:
            raise RuntimeError("decoding has stopped")
        worker = _Worker(self._memory_bytes)
        self._workers.add(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)
            self._plan_end()

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.end()

    def _plan_end(self) -> None:
        """Begin the time without images anew."""
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_s, self._end_idle)
        self._timer.daemon = True
        self._timer.start()

    def _end_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
            self._workers.difference_update(idle)
        for worker in idle:
            worker.end()


class _WorkerError(Exception):
    """The process ended, took too long or lacked memory; the image may be to blame, or not.

    Attributes:
        is_final: whether a new process would do no better.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class _Worker:
    """One decoding process."""

    def __init__(self, memory_bytes: int) -> None:
        paths = (str(_ROOT), os.environ.get("PYTHONPATH", ""))
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # Not `multiprocessing`: it would import the server's main module again, and needs shared memory for its locks.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", _PROGRAM, str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "MALLOC_ARENA_MAX": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._is_late = False
        self._is_new = True

    def ask(self, request: dict[str, Any], wall_s: float) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Send a request and wait for its response: the facts, and the files.

        Raises:
            ImageError, OSError: what the process found.
            _WorkerError: it did not respond.
        """
        timer = threading.Timer(wall_s, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            self._pipe("stdin").write(json.dumps(request).encode() + b"\n")
            self._pipe("stdin").flush()
            head = json.loads(self._pipe("stdout").readline(_MAX_HEAD_BYTES))
            if "sizes" in head:
                self._is_new = False
                return head, self._read_files(head["sizes"])
        except (OSError, ValueError, TypeError, KeyError, EOFError) as exc:
            raise _WorkerError(self._reason()) from exc
        finally:
            timer.cancel()
        if "no_memory" in head:
            raise _WorkerError("the image needs too much memory to open", is_final=self._is_new)
        self._is_new = False
        if "errno" in head:
            raise OSError(head["errno"], head["error"])
        size = tuple(head["size"]) if head["size"] else None
        raise ImageError(head["error"], is_damage=head["is_damage"], size=size)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was not sent yet cannot be sent
                if pipe:
                    pipe.close()

    def _end_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _pipe(self, name: str) -> Any:
        return getattr(self._process, name)

    def _read_files(self, sizes: dict[str, int]) -> dict[str, bytes]:
        if min(sizes.values(), default=0) < 0 or sum(sizes.values()) > _MAX_FILES_BYTES:
            raise ValueError("too much")
        files = {tier: self._pipe("stdout").read(size_bytes) for tier, size_bytes in sizes.items()}
        if any(len(data) < sizes[tier] for tier, data in files.items()):
            raise EOFError
        return files

    def _reason(self) -> str:
        """Why there is no response."""
        self._process.kill()  # if it did end, this changes nothing
        code = self._process.wait()
        if self._is_late or code == -getattr(signal, "SIGXCPU", 0):
            return "the image takes too long to open"
        return f"the decoding process ended ({code})"


@contextlib.contextmanager
def _path_of(file: BinaryIO) -> Iterator[str]:
    """Where another process can read a file; one that has no path is copied."""
    name = getattr(file, "name", None)
    if isinstance(name, str):
        yield os.path.abspath(name)
        return
    with NamedTemporaryFile(delete=False) as copy:
        try:
            file.seek(0)
            shutil.copyfileobj(file, copy)
            copy.close()
            yield copy.name
        finally:
            os.unlink(copy.name)
