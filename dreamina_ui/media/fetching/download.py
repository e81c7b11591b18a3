"""Download one file from outside: streamed, within limits of size and time, through the guard.

URLs may be pre-signed, which makes their query a secret: no message or traceback shows more of one than the host. The
token never travels here.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import ssl
import threading
import time
from collections.abc import Iterator
from itertools import chain
from types import TracebackType
from typing import BinaryIO

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from dreamina_ui import __version__
from dreamina_ui.errors import UrlError
from dreamina_ui.media.fetching.connection import GuardedConnection, default_certificates
from dreamina_ui.media.fetching.content_encoding import Decoder, EncodingError, Untouched, decoder_for
from dreamina_ui.media.fetching.line import Line
from dreamina_ui.media.fetching.proxies import Proxy
from dreamina_ui.media.fetching.ssrf_guard import Origin, UrlGuard
from dreamina_ui.media.fetching.urls import (
    browser_url,
    host_of,
    redirect_url,
    refresh_url,
    request_target,
    secure_url,
)
from dreamina_ui.media.formats import HEAD_BYTES, recognise
from dreamina_ui.media.store import CHUNK_BYTES

_MAX_REDIRECTS = 10
_MAX_RETRY_AFTER_S = 60.0
_MAX_COOKIE_BYTES = 4096
_COOKIE = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)=[!-:<-~]*")
_HEADERS = {
    "User-Agent": f"dreamina-ui/{__version__}",  # some hosts refuse the one of a Python library
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


class DownloadError(Exception):
    """This attempt brought no whole file.

    Attributes:
        rule: what is wrong in one word, such as `gone` or `slow`.
        retry_after_s: how long the host asked us to wait in seconds, at most 60; 0 if it did not.
        status_code: the HTTP status, if that is what is wrong.
        is_temporary: whether another attempt, now or in some minutes, may bring the file.
        received: the size in bytes and the SHA-256 in hex of what came nevertheless; None if that is not known.
    """

    def __init__(
        self,
        reason: str,
        rule: str = "cut",
        *,
        retry_after_s: float = 0,
        status_code: int | None = None,
        is_temporary: bool = True,
    ) -> None:
        super().__init__(reason)
        self.rule = rule
        self.retry_after_s = retry_after_s
        self.status_code = status_code
        self.is_temporary = is_temporary
        self.received: tuple[int, str] | None = None


class Downloader:
    """Downloads files of up to `max_bytes`; safe to use from many threads.

    Args:
        connect_timeout_s: until a connection is made, TLS included.
        read_timeout_s: bounds each silence of the host.
        idle_s: how long a connection stays open for the next file.
        certificates: what the certificates of hosts are verified with; None for those that `requests` brings.
        proxy: makes tunnels to the hosts; None for none.
    """

    def __init__(
        self,
        guard: UrlGuard,
        *,
        max_bytes: int,
        connect_timeout_s: float,
        read_timeout_s: float,
        idle_s: float = 0.0,
        certificates: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._idle_s = idle_s
        self._certificates = certificates or default_certificates()
        self._proxy = proxy
        self._idle: list[tuple[float, GuardedConnection]] = []  # since when, the newest last
        self._idle_lock = threading.Lock()
        self._line = Line()

    def validate_url(self, url: str) -> None:
        """Check that a URL may be fetched; raises UrlError."""
        with contextlib.suppress(OSError):  # a host that does not resolve now counts as a failed attempt later
            self._guard.ensure_allowed(self._upgraded(url))

    def probe(self, url: str, deadline_s: float) -> tuple[bytes, int]:
        """Read as little of a file as tells what it is and how large; all of it where the host gives no length.

        Args:
            deadline_s: when to give up, on the clock of `time.monotonic`.

        Returns:
            The file's beginning, at least 64 bytes if it has them, and its size in bytes.

        Raises:
            UrlError: the URL, or one it redirects to, must not be fetched.
            DownloadError: no file of up to `max_bytes` lies there; its rule says why.
        """
        with self._exchange(url, deadline_s, accepts_encoded=False) as (response, chunks):
            length = response.length_remaining
            head, size_bytes = b"", 0
            for chunk in chunks:
                size_bytes += len(chunk)
                head += chunk[: max(0, HEAD_BYTES - len(head))]
                if length is not None and len(head) == HEAD_BYTES:
                    return head, length
        return head, size_bytes

    def fetch(self, url: str, to: BinaryIO, deadline_s: float) -> tuple[int, str]:
        """Stream a file into another one; large files take turns, so that the first one is whole early.

        Args:
            to: an empty file, open for writing.
            deadline_s: when to give up, on the clock of `time.monotonic`.

        Returns:
            Its size in bytes and its SHA-256 in hex.

        Raises:
            UrlError: the URL, or one it redirects to, must not be fetched.
            DownloadError: no whole file came; `to` may hold a part of it.
            OSError: `to` refuses. The network's own errors have all become a DownloadError.
        """
        digest, size_bytes = hashlib.sha256(), 0
        try:
            with (
                self._exchange(self._upgraded(url), deadline_s) as (response, chunks),
                self._line.download(response.length_remaining, deadline_s) as wait_for_turn,
            ):
                wait_for_turn(0)
                for chunk in chunks:
                    size_bytes += len(chunk)
                    digest.update(chunk)
                    to.write(chunk)
                    wait_for_turn(len(chunk))
                if response.status == 206 and not _has_whole_range(response):
                    raise DownloadError("the host calls it a part of the file")
        except DownloadError as exc:
            exc.received = size_bytes, digest.hexdigest()
            if exc.rule == "size":
                to.seek(0)
                to.truncate()
            raise
        if not size_bytes:
            raise DownloadError("the file was empty")
        return size_bytes, digest.hexdigest()

    def _upgraded(self, url: str) -> str:
        """The same URL over https, unless its origin is exempt; raises UrlError if it is none."""
        url = browser_url(url)
        return url if self._guard.is_exempt(self._guard.parse(url)) else secure_url(url)

    @contextlib.contextmanager
    def _exchange(
        self, url: str, deadline_s: float, *, accepts_encoded: bool = True
    ) -> Iterator[tuple[BaseHTTPResponse, Iterator[bytes]]]:
        """The response to a GET request and its decoded chunks; at the deadline the connection ends."""
        url, cookies = browser_url(url), _Cookies()
        with _Cutoff(deadline_s) as cutoff:
            try:
                for _ in range(_MAX_REDIRECTS + 1):
                    connection, response = self._get(url, cutoff, cookies)
                    try:
                        if location := _location(response):
                            cookies.take(connection.origin, response)
                            url = self._follow(url, location)
                            continue
                        _raise_for_headers(response, None if accepts_encoded else self._max_bytes)
                        chunks = self._chunks(response, accepts_encoded)
                        first = next(chunks, b"")
                        if target := _refresh_target(url, response, first):
                            cookies.take(connection.origin, response)
                            url = self._follow(url, target)
                            continue
                        yield response, chain([first], chunks)
                        if time.monotonic() >= deadline_s:
                            raise DownloadError("the file came too slowly", "slow")
                        self._release(connection, response)
                        return
                    finally:
                        if not self._is_idle(connection):
                            connection.close()
                raise DownloadError(f"the file was behind more than {_MAX_REDIRECTS} redirects", "redirect")
            except DownloadError as exc:
                if time.monotonic() < deadline_s:
                    raise
                raise DownloadError("the file came too slowly", "slow") from exc

    def _get(self, url: str, cutoff: _Cutoff, cookies: _Cookies) -> tuple[GuardedConnection, BaseHTTPResponse]:
        origin = self._guard.parse(url)
        target, headers = request_target(url), _HEADERS | cookies.header(origin)
        if connection := self._take_idle(origin):
            cutoff.watch(connection)
            try:
                return connection, connection.get(target, headers)
            except (HTTPError, http.client.HTTPException, OSError):
                connection.close()  # the host closed it meanwhile: the request is repeated on a new one
        connection = self._open(origin)
        cutoff.watch(connection)
        try:
            with self._network_errors():
                return connection, connection.get(target, headers)
        except BaseException:
            connection.close()
            raise

    def _open(self, origin: Origin) -> GuardedConnection:
        return GuardedConnection(
            self._guard,
            origin,
            certificates=self._certificates,
            proxy=self._proxy,
            connect_timeout_s=self._connect_timeout_s,
            read_timeout_s=self._read_timeout_s,
        )

    def _follow(self, url: str, location: str) -> str:
        try:
            target = self._upgraded(redirect_url(url, location))
        except ValueError:
            raise UrlError(f"{host_of(url)} redirects to a URL that cannot be read.", "redirect") from None
        origin = self._guard.parse(target)
        if self._guard.is_exempt(origin) and not self._guard.is_exempt(self._guard.parse(url)):
            raise UrlError(f"{host_of(url)} redirects into the Model API's own origin; not followed.", "public")
        return target

    def _chunks(self, response: BaseHTTPResponse, accepts_encoded: bool) -> Iterator[bytes]:
        """The file in chunks, as it was before a host encoded it for the way; no more than `max_bytes`."""
        size_bytes, decoder = 0, None
        head = b""
        while True:
            chunk = self._next_chunk(response)
            if decoder is None:
                head += chunk
                if chunk and len(head) < HEAD_BYTES:
                    continue
                decoder, chunk_in = self._decoder(response, head), head
                if not (accepts_encoded or isinstance(decoder, Untouched)):
                    raise DownloadError("the file came compressed", "compressed")
            else:
                chunk_in = chunk
            try:
                for piece in decoder.decode(chunk_in, is_last=not chunk):
                    size_bytes += len(piece)
                    if size_bytes > self._max_bytes:
                        raise _too_large(self._max_bytes)
                    yield piece
            except EncodingError as exc:
                raise DownloadError(f"the file came compressed, and its data {exc}", "compressed") from exc
            if not chunk:
                return

    def _decoder(self, response: BaseHTTPResponse, head: bytes) -> Decoder:
        try:
            return decoder_for(response.headers.get("Content-Encoding", ""), head)
        except EncodingError as exc:
            raise DownloadError(f"the file came compressed {exc}", "compressed") from exc

    def _next_chunk(self, response: BaseHTTPResponse) -> bytes:
        with self._network_errors():
            # `read1` gives what is there; `read` waits for a full chunk, so that a trickle would escape the clock.
            chunk: bytes = response.read1(CHUNK_BYTES, decode_content=False)
        return chunk

    def _take_idle(self, origin: Origin) -> GuardedConnection | None:
        """A connection to this origin that was used a moment ago; those that idle for too long are closed."""
        oldest = time.monotonic() - self._idle_s
        with self._idle_lock:
            stale = [entry for entry in self._idle if entry[0] < oldest]
            match = next((entry for entry in reversed(self._idle) if entry[1].origin == origin), None)
            taken = None if match in stale else match
            self._idle = [entry for entry in self._idle if entry not in stale and entry is not taken]
        for _, connection in stale:
            connection.close()
        if taken and not taken[1].is_open:
            taken[1].close()
            return None
        return taken[1] if taken else None

    def _release(self, connection: GuardedConnection, response: BaseHTTPResponse) -> None:
        if self._idle_s > 0 and response.length_remaining in (0, None) and connection.is_open:
            with self._idle_lock:
                self._idle.append((time.monotonic(), connection))

    def _is_idle(self, connection: GuardedConnection) -> bool:
        with self._idle_lock:
            return any(entry[1] is connection for entry in self._idle)

    @contextlib.contextmanager
    def _network_errors(self) -> Iterator[None]:
        try:
            yield
        # OSError too: bare ones come out of sockets. No disk is touched in here.
        except (HTTPError, http.client.HTTPException, ValueError, OSError) as exc:
            # Not `from exc`: its text may hold the whole URL, query included, and would stand in every traceback.
            raise self._download_error(exc) from None

    def _download_error(self, exc: Exception) -> DownloadError:
        if isinstance(exc, NameResolutionError):
            return DownloadError("its name does not resolve", "unknown")
        if isinstance(exc, ConnectTimeoutError) and not isinstance(exc, NewConnectionError):
            return DownloadError(f"it could not be reached within {self._connect_timeout_s:g} seconds", "unreachable")
        if isinstance(exc, (SSLError, ssl.SSLError)):
            return DownloadError("its certificate was not accepted; is REQUESTS_CA_BUNDLE right?", "certificate")
        if isinstance(exc, ProxyError):
            return DownloadError("the proxy does not let us connect to it; is HTTPS_PROXY right?", "unreachable")
        if isinstance(exc, (ReadTimeoutError, TimeoutError)):
            return DownloadError(f"it was silent for {self._read_timeout_s:g} seconds", "slow")
        if isinstance(exc, (ProtocolError, http.client.HTTPException)):
            return DownloadError("the file was cut off", "cut")
        return DownloadError(f"the connection failed ({type(exc).__name__})", "unreachable")


class _Cookies:
    """The cookies that redirects set: some hosts send a request around until it brings theirs. Forgotten afterwards."""

    def __init__(self) -> None:
        self._by_origin: dict[Origin, dict[str, str]] = {}

    def take(self, origin: Origin, response: BaseHTTPResponse) -> None:
        for line in response.headers.getlist("Set-Cookie"):
            if pair := _COOKIE.match(line):
                self._by_origin.setdefault(origin, {})[pair["name"]] = pair[0]

    def header(self, origin: Origin) -> dict[str, str]:
        """The header for a request to an origin: only what it has set itself."""
        text = "; ".join(self._by_origin.get(origin, {}).values())
        return {"Cookie": text} if text and len(text) <= _MAX_COOKIE_BYTES else {}


class _Cutoff:
    """Cuts the connection that is in use at a deadline: a timeout bounds one silence, and a host may trickle."""

    def __init__(self, deadline_s: float) -> None:
        self._timer = threading.Timer(max(0.0, deadline_s - time.monotonic()), self._expire)
        self._timer.daemon = True
        self._connection: GuardedConnection | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def watch(self, connection: GuardedConnection) -> None:
        with self._lock:
            self._connection = connection
            if self._is_over:
                connection.cut()

    def __enter__(self) -> _Cutoff:
        try:
            self._timer.start()
        except RuntimeError as exc:
            raise DownloadError("no thread can be started now", "busy") from exc
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._timer.cancel()

    def _expire(self) -> None:
        with self._lock:
            self._is_over = True
            if self._connection:
                self._connection.cut()


def _location(response: BaseHTTPResponse) -> str | None:
    if response.status not in (301, 302, 303, 307, 308):
        return None
    return next(iter(response.headers.getlist("Location")), None)  # some proxies repeat it


def _refresh_target(url: str, response: BaseHTTPResponse, first: bytes) -> str | None:
    """Where a page that came instead of a file sends browsers, if it does."""
    header = response.headers.get("Refresh", "")
    is_page = first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"<svg" not in first
    if recognise(first[:HEAD_BYTES]) or not (is_page or (header and not first)):
        return None
    with contextlib.suppress(ValueError):
        return refresh_url(url, header, first)
    return None


def _raise_for_headers(response: BaseHTTPResponse, max_bytes: int | None) -> None:
    """Raise DownloadError if no file follows, or one that is larger by its header; None: its bytes decide."""
    status = response.status
    is_read = max_bytes is None and status == 206  # how much it is will be seen
    if status not in (200, 203) and not _has_whole_range(response) and not is_read:  # 203: a proxy changed a header
        reason, rule = f"it answered {status}", "status"
        if status in (404, 410):
            reason, rule = f"the file was gone ({status})", "gone"
        elif status in (401, 403):
            reason, rule = f"it refused the file ({status}); such URLs expire after a while", "login"
        raise DownloadError(reason, rule, retry_after_s=_retry_after_s(response), status_code=status)
    length = response.length_remaining
    if length is not None and max_bytes is not None and length > max_bytes:
        raise _too_large(max_bytes)


def _has_whole_range(response: BaseHTTPResponse) -> bool:
    """Whether a 206, which nobody asked for, has all of the file."""
    content_range = re.fullmatch(r"bytes 0-(\d+)/(\d+)", response.headers.get("Content-Range", "").strip())
    is_whole = content_range is not None and int(content_range[1]) + 1 == int(content_range[2])
    return response.status == 206 and is_whole


def _too_large(max_bytes: int) -> DownloadError:
    return DownloadError(f"the file was larger than {max_bytes} bytes", "size", is_temporary=False)


def _retry_after_s(response: BaseHTTPResponse) -> float:
    with contextlib.suppress(InvalidHeader, ValueError, OverflowError):
        return min(float(Retry().parse_retry_after(response.headers.get("Retry-After", ""))), _MAX_RETRY_AFTER_S)
    return 0.0
