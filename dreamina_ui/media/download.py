"""Fetch one file from outside to the disk: streamed, within limits of size and time, under the guard's eyes.

Addresses may be pre-signed, which makes their query a secret: no message or traceback shows more of one than the host.
The token never travels here.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.util import parse_url

from dreamina_ui.errors import UrlError
from dreamina_ui.media.ssrf_guard import GuardedSession, UrlGuard
from dreamina_ui.media.store import CHUNK_BYTES

log = logging.getLogger(__name__)

_HEAD_BYTES = 64
_MAX_REDIRECTS = 5
_MAX_RETRY_AFTER_S = 60.0
_UNWATCHED_S = 10.0
"""How long the thread that watches deadlines waits for the next one."""


class DownloadError(Exception):
    """This try brought no whole file; another one may.

    Attributes:
        rule: what is wrong in one word, such as `gone` or `slow`.
        retry_after_s: how long the host asked us to wait in seconds, at most 60; 0 if it did not.
        status_code: what the host answered, if that is what is wrong.
    """

    def __init__(
        self, reason: str, rule: str = "cut", *, retry_after_s: float = 0, status_code: int | None = None
    ) -> None:
        super().__init__(reason)
        self.rule = rule
        self.retry_after_s = retry_after_s
        self.status_code = status_code


class Downloader:
    """Fetches files of up to `max_bytes`; `read_timeout_s` bounds each silence of the host, in seconds.

    A connection that is no longer idle than `idle_s` seconds carries the next file, too.
    """

    def __init__(
        self,
        guard: UrlGuard,
        *,
        max_bytes: int,
        connect_timeout_s: float,
        read_timeout_s: float,
        idle_s: float = 0.0,
    ) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._timeouts_s = (connect_timeout_s, read_timeout_s)
        self._idle_s = idle_s
        self._idle: list[tuple[float, GuardedSession]] = []  # since when, the newest last
        self._idle_lock = threading.Lock()
        self._deadlines = _Deadlines()

    def check(self, url: str, came_from: str | None = None) -> None:
        """Check that an address may be fetched.

        Raises:
            AddressError: it may not, or it is the exempt origin and another one redirects to it.
        """
        # A name that does not resolve now is met again by the fetch, which counts it as one of its tries.
        with contextlib.suppress(requests.ConnectionError):
            self._guard.check(url)
        if came_from is not None and self._guard.is_exempt(url) and not self._guard.is_exempt(came_from):
            raise UrlError(
                f"{host_of(came_from)} redirects into the Model API's own origin; this is not followed.", "public"
            )

    def look(self, url: str, deadline_s: float) -> tuple[bytes, int]:
        """Read as little of a file as tells what it is and how large; all of it where the host gives no length.

        Args:
            deadline_s: when to give up, on the clock of `time.monotonic`.

        Returns:
            The file's beginning, at least 64 bytes if it has them, and its size in bytes.

        Raises:
            AddressError: the address, or one it redirects to, must not be fetched.
            DownloadFault: no file of up to `max_bytes` lies there; its rule says why.
        """
        self.check(url)
        with self._asked(url, deadline_s) as response:
            _refuse_by_head(response, self._max_bytes)
            length = response.raw.length_remaining
            head, size_bytes = b"", 0
            while chunk := self._next_chunk(response):
                size_bytes += len(chunk)
                head += chunk[: max(0, _HEAD_BYTES - len(head))]
                if size_bytes > self._max_bytes:
                    raise DownloadError(f"the file was larger than {self._max_bytes} bytes", "size")
                if length is not None and len(head) == _HEAD_BYTES:
                    return head, length
        return head, size_bytes

    def fetch(self, url: str, to: BinaryIO, deadline_s: float) -> tuple[int, str]:
        """Stream a file to the disk, without flushing it there.

        Args:
            to: an empty file, open for writing.
            deadline_s: when to give up, on the clock of `time.monotonic`.

        Returns:
            Its size in bytes and its SHA-256 in hex.

        Raises:
            AddressError: the address, or one it redirects to, must not be fetched.
            DownloadFault: no whole file came; `to` may hold a part of it.
            OSError: the disk refuses. The network's own errors have all become a DownloadFault.
        """
        digest, size_bytes = hashlib.sha256(), 0
        with self._asked(url, deadline_s) as response:
            _refuse_by_head(response, self._max_bytes)
            while chunk := self._next_chunk(response):
                size_bytes += len(chunk)
                if size_bytes > self._max_bytes:
                    to.seek(0)
                    to.truncate()
                    raise DownloadError(f"the file was larger than {self._max_bytes} bytes", "size")
                digest.update(chunk)
                to.write(chunk)
        if not size_bytes:
            raise DownloadError("the file was empty")
        return size_bytes, digest.hexdigest()

    @contextlib.contextmanager
    def _asked(self, url: str, deadline_s: float) -> Iterator[requests.Response]:
        """The answer of an address; at the deadline its connections end, wherever they wait."""
        with self._session() as session:
            try:
                with self._deadlines.at(deadline_s, session.hang_up), self._ask(session, url) as response:
                    yield response
                    if time.monotonic() >= deadline_s:
                        raise DownloadError("the file came too slowly", "slow")
            except DownloadError as exc:
                if time.monotonic() < deadline_s:
                    raise
                raise DownloadError("the file came too slowly", "slow") from exc

    @contextlib.contextmanager
    def _session(self) -> Iterator[GuardedSession]:
        """A session for one file alone, with its connections from the file before if that was a moment ago."""
        session = self._take_idle() or self._guard.session()
        is_good = False
        try:
            yield session
            is_good = self._idle_s > 0 and not session.is_worn
        finally:
            if is_good:
                with self._idle_lock:
                    self._idle.append((time.monotonic(), session))
            else:
                session.close()

    def _take_idle(self) -> GuardedSession | None:
        oldest = time.monotonic() - self._idle_s
        with self._idle_lock:
            stale = [session for since, session in self._idle if since < oldest]
            del self._idle[: len(stale)]
            found = self._idle.pop()[1] if self._idle else None
        for session in stale:
            session.close()
        return found

    def _ask(self, session: requests.Session, url: str) -> requests.Response:
        for _ in range(_MAX_REDIRECTS + 1):
            with self._network_faults():
                response = session.get(
                    url,
                    stream=True,
                    timeout=self._timeouts_s,
                    allow_redirects=False,
                    headers={"Accept-Encoding": "identity"},
                )
            target = response.headers.get("Location")
            if response.status_code not in (301, 302, 303, 307, 308) or target is None:
                return response
            response.close()
            try:
                target = urljoin(url, target)
            except ValueError:
                raise UrlError(f"{host_of(url)} redirects to an address that cannot be read.") from None
            self.check(target, came_from=url)
            url = target
        raise DownloadError(f"the file was behind more than {_MAX_REDIRECTS} redirects", "redirect")

    def _next_chunk(self, response: requests.Response) -> bytes:
        with self._network_faults():
            # `read1` gives what is there; `read` waits for a full chunk, so that a trickle would escape the clock.
            chunk: bytes = response.raw.read1(CHUNK_BYTES, decode_content=False)
        return chunk

    @contextlib.contextmanager
    def _network_faults(self) -> Iterator[None]:
        try:
            yield
        # OSError too: bare ones come out of sockets. No disk is touched in here.
        except (requests.RequestException, HTTPError, http.client.HTTPException, ValueError, OSError) as exc:
            # Not `from fault`: its text holds the whole address, query included, and would stand in every traceback.
            raise DownloadError(*_network_reason(exc, self._timeouts_s)) from None


class _Deadlines:
    """Calls somebody when their time is over, from one thread for all: starting one costs as much as a small file."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._calls: dict[object, tuple[float, Callable[[], object]]] = {}
        self._next_s = math.inf
        self._is_watched = False

    @contextlib.contextmanager
    def at(self, deadline_s: float, call: Callable[[], object]) -> Iterator[None]:
        """Call `call` at a moment on the clock of `time.monotonic`, unless this context was left before."""
        mark = object()
        with self._news:
            if not self._is_watched:
                threading.Thread(target=self._run, name="deadlines", daemon=True).start()
                self._is_watched = True
            self._calls[mark] = deadline_s, call
            if deadline_s < self._next_s:
                self._news.notify()
        try:
            yield
        finally:
            with self._news:
                self._calls.pop(mark, None)

    def _run(self) -> None:
        while True:
            with self._news:
                self._next_s = min((deadline_s for deadline_s, _ in self._calls.values()), default=math.inf)
                had_news = self._news.wait(min(self._next_s - time.monotonic(), _UNWATCHED_S))
                if not (self._calls or had_news):
                    self._is_watched, self._next_s = False, math.inf
                    return
                now_s = time.monotonic()
                due = [mark for mark, (deadline_s, _) in self._calls.items() if deadline_s <= now_s]
                calls = [self._calls.pop(mark)[1] for mark in due]
            for call in calls:
                try:
                    call()
                except Exception:  # the other deadlines must be minded all the same
                    log.exception("A download whose time is over could not be ended")


def host_of(url: str) -> str:
    """The host of an address that passed the guard: all of it that may be shown."""
    return parse_url(url).host or "?"


def _refuse_by_head(response: requests.Response, max_bytes: int) -> None:
    status = response.status_code
    if status != 200:
        said, rule = f"it answered {status}", "status"
        if status in (404, 410):
            said, rule = f"the file was gone ({status})", "gone"
        elif status in (401, 403):
            said, rule = f"it refused the file ({status}); such addresses run out after a while", "login"
        retry_after_s = _retry_after_s(response) if status in (429, 503) else 0
        raise DownloadError(said, rule, retry_after_s=retry_after_s, status_code=status)
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise DownloadError("the file came compressed, so that its own bytes cannot be kept", "compressed")
    length = response.raw.length_remaining
    if length is not None and length > max_bytes:
        raise DownloadError(f"the file was larger than {max_bytes} bytes", "size")


def _retry_after_s(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return min(float(text), _MAX_RETRY_AFTER_S)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        wait_s = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        return min(max(wait_s, 0), _MAX_RETRY_AFTER_S)
    return 0


def _network_reason(exc: Exception, timeouts_s: tuple[float, float]) -> tuple[str, str]:
    """What happened on the network: as text, and as a rule."""
    if isinstance(exc, requests.ConnectTimeout):
        return f"it could not be reached within {timeouts_s[0]:g} seconds", "unreachable"
    if isinstance(exc, (requests.ReadTimeout, ReadTimeoutError)):
        return f"it fell silent for {timeouts_s[1]:g} seconds", "slow"
    if isinstance(exc, (ProtocolError, http.client.HTTPException)):
        return "the file was cut off", "cut"
    if isinstance(exc, requests.exceptions.SSLError):
        return "its certificate was not accepted", "certificate"
    rule = "unknown" if "does not resolve" in str(exc) else "unreachable"
    return f"the connection failed ({type(exc).__name__})", rule
