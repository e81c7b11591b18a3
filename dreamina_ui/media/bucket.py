"""A bucket of an S3-compatible service: the only module that knows `obstore`, which is optional.

No message shows what the service said beyond its error code: some services repeat the access key and what was signed.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dreamina_ui.errors import DiskError, SettingsError, StorageError

if TYPE_CHECKING:
    from obstore.store import S3Store

URL_FORM = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
"""What `BucketAccess.url` may be; the groups are the bucket and the prefix."""

PROBE_KEY = "probe"
"""Written to find out whether the bucket takes files; never read."""

PROBE_TTL_S = 5.0
"""How long a successful probe is believed."""

UNREACHABLE_S = 1.0
"""How long calls fail at once after one that found nobody: else each would hold a thread until its timeout."""

PART_BYTES = 16 * 1024**2
"""A file up to this size is one request, so that its checksum covers all of it; a larger one is sent in such parts."""

MIN_WINDOW_BYTES = 512 * 1024
MAX_WINDOW_BYTES = 4 * 1024**2
"""How much one request reads at first, and in a long file; a preview is one request."""

_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,80})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_PROBE = bytes(4096)


@dataclass(frozen=True)
class BucketAccess:
    """Where a bucket is, and what opens it.

    Attributes:
        url: `s3://bucket/prefix`.
        endpoint: the URL of the service; "" for Amazon's.
        region: as the service names it.
        key_id, secret, session_token: the access key; without one, `obstore` looks for the role of this machine.
    """

    url: str
    endpoint: str = ""
    region: str = "us-east-1"
    key_id: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    @property
    def bucket(self) -> str:
        return self._parts[0]

    @property
    def prefix(self) -> str:
        """What all keys begin with, without a slash at either end."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        match = URL_FORM.fullmatch(self.url)
        if match is None:
            raise SettingsError("DREAMINA_MEDIA_URL: must be a URL such as s3://bucket or s3://bucket/prefix")
        return match[1], (match[2] or "").strip("/")


class BucketError(OSError):
    """The service refused, or could not be reached.

    Attributes:
        is_refusal: whether it answered that this cannot be, as for a wrong key; then waiting does not help.
    """

    def __init__(self, reason: str, *, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.strerror = reason
        self.is_refusal = is_refusal


@dataclass(frozen=True)
class BucketObject:
    """One object: its key below the prefix, its size, and when it was written, in seconds since 1970."""

    key: str
    size_bytes: int
    modified_at: float


class Bucket:
    """Reads and writes objects by keys below the prefix. Safe to call from many threads.

    Methods raise BucketError, which is an OSError, and FileNotFoundError where a docstring says so.

    Args:
        clock: gives a time in seconds that only grows.

    Raises:
        SettingsError: `obstore` is not installed, or something in `access` cannot be.
    """

    def __init__(
        self, access: BucketAccess, *, timeout_s: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.access = access
        self._clock = clock
        self._lock = threading.Lock()
        self._probed_at: float | None = None
        self._unreachable_until = 0.0
        self._store = _connect(access, timeout_s)

    @property
    def name(self) -> str:
        """The URL, for people."""
        return self.access.url.rstrip("/")

    def put(self, key: str, content: bytes | Path, media_type: str) -> None:
        """Write an object, in one step; the service verifies a SHA-256 of each request."""
        import obstore

        with self._calling():
            obstore.put(
                self._store,
                key,
                content,
                attributes={"Content-Type": media_type, "Cache-Control": "private, max-age=31536000, immutable"},
                use_multipart=None if isinstance(content, Path) else False,
                chunk_size=PART_BYTES,
                max_concurrency=2,
            )

    def probe(self) -> None:
        """Prove that the bucket takes files, by writing a small one, unless that was proved just now."""
        with self._lock:
            now = self._clock()
            if self._probed_at is not None and now - self._probed_at < PROBE_TTL_S:
                return
        try:
            self.put(PROBE_KEY, _PROBE, "application/octet-stream")
        except FileNotFoundError:
            raise BucketError("NoSuchBucket", is_refusal=True) from None
        with self._lock:
            self._probed_at = now

    def head(self, key: str) -> BucketObject:
        """What there is to know about an object; raises FileNotFoundError."""
        import obstore

        with self._calling():
            return _object(obstore.head(self._store, key))

    def read(self, key: str, start: int, stop: int) -> bytes:
        """The bytes of an object from `start` up to `stop`; raises FileNotFoundError."""
        import obstore

        if start >= stop:
            return b""
        with self._calling():
            return bytes(obstore.get_range(self._store, key, start=start, end=stop))

    def open(self, key: str, size_bytes: int, start: int = 0) -> BinaryIO:
        """An object as a stream that can seek, at position `start`; raises FileNotFoundError."""
        raw = _ObjectStream(self, key, size_bytes, start)
        return cast(BinaryIO, io.BufferedReader(raw))

    def list(self, folder: str = "") -> Iterator[BucketObject]:
        """All objects whose keys begin with `folder` and a slash, in the order of their keys."""
        import obstore

        with self._calling():
            chunks = iter(obstore.list(self._store, folder or None))
        while True:
            with self._calling():
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield from map(_object, chunk)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; nothing happens to those that are not there."""
        import obstore

        paths = list(keys)
        if paths:
            with self._calling():
                obstore.delete(self._store, paths)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        if self._clock() < self._unreachable_until:
            raise BucketError(_NOBODY)
        try:
            yield
        except BaseError as exc:
            error = _translated(exc)
            if str(error) == _NOBODY:
                self._unreachable_until = self._clock() + UNREACHABLE_S
            if not isinstance(error, FileNotFoundError):
                self._probed_at = None
        else:
            return
        raise error from None  # or it would be logged with what the service said


_NOBODY = "it cannot be reached"
_REFUSALS = ("400", "401", "403", "404", "405", "411", "412", "501")


def _translated(exc: Exception) -> OSError:
    text = str(exc)
    code, status = _CODE.search(text), _STATUS.search(text)
    if code and code[1] == "NoSuchKey":
        return FileNotFoundError(2, "No such object")
    if code or status:
        reason = code[1] if code else f"HTTP status {status[1] if status else ''}"
        return BucketError(reason, is_refusal=bool(status) and status[1] in _REFUSALS)  # type: ignore[index]
    if "timed out" in text or "error sending request" in text or "HTTP error" in text:
        return BucketError(_NOBODY)
    return BucketError(type(exc).__name__)


def _connect(access: BucketAccess, timeout_s: float) -> S3Store:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError:
        raise SettingsError(
            "DREAMINA_MEDIA_URL needs the package obstore. Install it: pip install 'dreamina-ui[s3]'"
        ) from None
    options: dict[str, Any] = {"region": access.region, "checksum_algorithm": "sha256"}
    options |= {"endpoint": access.endpoint} if access.endpoint else {}
    keys = {
        "access_key_id": access.key_id, "secret_access_key": access.secret, "session_token": access.session_token
    }  # fmt: skip
    options |= {name: value for name, value in keys.items() if value}
    try:
        return S3Store(
            access.bucket,
            prefix=access.prefix or None,
            client_options={
                "allow_http": access.endpoint.startswith("http:"),
                "timeout": timedelta(seconds=timeout_s),
                "connect_timeout": timedelta(seconds=min(5.0, timeout_s)),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=timeout_s)},
            **options,
        )
    except (BaseError, ValueError) as exc:
        raise SettingsError(f"DREAMINA_MEDIA_URL cannot be opened: {type(exc).__name__}") from None


def _object(meta: Mapping[str, Any]) -> BucketObject:
    modified: datetime = meta["last_modified"]
    return BucketObject(meta["path"], meta["size"], modified.timestamp())


class _ObjectStream(io.RawIOBase):
    """Reads an object by ranges that grow: a slow reader holds no connection, and a jump wastes little."""

    def __init__(self, bucket: Bucket, key: str, size_bytes: int, start: int) -> None:
        self._bucket = bucket
        self._key = key
        self._size_bytes = size_bytes
        self._position = start
        self._window = memoryview(b"")
        self._window_start = start
        self._window_bytes = MIN_WINDOW_BYTES // 2
        self._fill()  # so that a missing object is known before the first byte is promised

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        if not 0 <= self._position - self._window_start < len(self._window):
            self._fill()
        begin = self._position - self._window_start
        piece = self._window[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _fill(self) -> None:
        is_next = self._position == self._window_start + len(self._window)
        self._window_bytes = min(self._window_bytes * 2, MAX_WINDOW_BYTES) if is_next else MIN_WINDOW_BYTES
        stop = min(self._position + self._window_bytes, self._size_bytes)
        self._window_start = self._position
        self._window = memoryview(self._bucket.read(self._key, self._position, stop))


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn an error of a bucket into a StorageError, and one of the disk that drafts are on into a DiskError.

    Args:
        what: was to be done, such as `store output 0 of job 0123abcd`.
    """
    try:
        yield
    except BucketError as exc:
        raise StorageError(f"The media store did not {what}: {exc}.") from exc
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise DiskError(
            f"The disk does not let us {what}: {reason}. Free up space or fix permissions, then retry."
        ) from exc
