"""A stored file as an HTTP response: with its size, validators and byte ranges, whatever store it comes from.

Source: RFC 9110, range requests; errors and headers are those of Starlette's `FileResponse`.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping
from email.utils import formatdate
from functools import wraps
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from dreamina_ui.errors import DiskError
from dreamina_ui.media.store import StoredFile, read_range

CHUNK_BYTES = 64 * 1024
MAX_RANGES = 100
"""A request for more ranges gets the whole file."""

ACCEL_PATH = "/dreamina-bucket"
"""Where nginx has the bucket, for itself only."""

REDIRECT_S = 3000
"""How long a browser may follow a redirect again without asking: less than its URL is valid."""

Signer = Callable[[Mapping[str, str]], str]
Handler = Callable[[Any, Request], Coroutine[Any, Any, Response]]

log = logging.getLogger(__name__)

_RANGE = re.compile(r"\s*(\d{0,20})\s*-\s*(\d{0,20})\s*", re.ASCII)

_Range = tuple[int, int]  # start, and the byte behind the last one


async def file_response(request: Request, file: StoredFile, headers: Mapping[str, str], media_type: str) -> Response:
    """The file, or the ranges of it that the request asks for; 404 if it was removed meanwhile.

    Args:
        headers: an `ETag` among them replaces the one made of time and size.
    """
    modified = f"{file.modified_at}-{file.size_bytes}".encode()
    all_headers = {
        "accept-ranges": "bytes",
        "last-modified": formatdate(file.modified_at, usegmt=True),
        "etag": f'"{hashlib.md5(modified, usedforsecurity=False).hexdigest()}"',
    } | {name.lower(): value for name, value in headers.items()}
    try:
        ranges = _requested_ranges(request, all_headers, file.size_bytes)
    except _BadRangeError as exc:
        return exc.response
    if len(ranges) > 1:
        parts = _Multipart(ranges, file.size_bytes, media_type)
        all_headers |= {"content-length": str(parts.size_bytes)}
        media_type = f"multipart/byteranges; boundary={parts.boundary}"
    else:
        start, stop = ranges[0] if ranges else (0, file.size_bytes)
        all_headers |= {"content-length": str(stop - start)}
        if ranges:
            all_headers |= {"content-range": f"bytes {start}-{stop - 1}/{file.size_bytes}"}
    status = 206 if ranges else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=all_headers, media_type=media_type)
    try:
        stream = await run_in_threadpool(file.open, ranges[0][0] if ranges else 0)
    except FileNotFoundError:
        return Response("No such file.", 404)
    except OSError as exc:
        return storage_refusal(exc)
    content = parts.read(stream) if len(ranges) > 1 else _read(stream, start, stop)
    return StreamingResponse(iterate_in_threadpool(content), status, all_headers, media_type)


def accel_response(signer: Signer, headers: Mapping[str, str], media_type: str) -> Response:
    """The word for an nginx in front to serve a file from the bucket, see deploy/nginx-bucket.conf.

    Args:
        headers: those of the file, `Cache-Control` and `Content-Disposition` among them.
    """
    url = urlsplit(signer(_signed_headers(headers, media_type)))
    all_headers = {"X-Accel-Redirect": f"{ACCEL_PATH}{url.path}?{url.query}", "X-Accel-Buffering": "yes"}
    others = {name: value for name, value in headers.items() if name != "ETag"}  # the bucket's own goes with its ranges
    return Response(headers=all_headers | others, media_type=media_type)


def redirect_response(signer: Signer, headers: Mapping[str, str], media_type: str) -> Response:
    """A redirect to the bucket, for `REDIRECT_S` if a browser may store the file; the URL is valid for an hour."""
    caching = headers["Cache-Control"]
    caching = f"private, max-age={REDIRECT_S}" if "immutable" in caching else caching
    all_headers = {"Location": signer(_signed_headers(headers, media_type)), "Cache-Control": caching}
    return Response(status_code=307, headers=all_headers)


def _signed_headers(headers: Mapping[str, str], media_type: str) -> dict[str, str]:
    names = ("Cache-Control", "Content-Disposition")
    return {"content-type": media_type} | {name.lower(): headers[name] for name in names}


def storage_refusal(exc: Exception) -> Response:
    """503 for a file that cannot be read now; browsers and programs may ask again."""
    log.warning("A file cannot be served now: %s", exc)
    return PlainTextResponse("The file cannot be read now.", 503, {"Cache-Control": "no-store", "Retry-After": "5"})


def refuses_unreadable(handler: Handler) -> Handler:
    """Make a route, a method, respond as `storage_refusal` does when the disk or the bucket refuses."""

    @wraps(handler)
    async def respond(routes: Any, request: Request) -> Response:
        try:
            return await handler(routes, request)
        except DiskError as exc:
            return storage_refusal(exc)

    return respond


class _Multipart:
    """Several ranges as one body."""

    def __init__(self, ranges: list[_Range], size_bytes: int, media_type: str) -> None:
        self.boundary = secrets.token_hex(13)
        self._parts = [
            (
                f"--{self.boundary}\r\nContent-Type: {media_type}\r\n"
                f"Content-Range: bytes {start}-{stop - 1}/{size_bytes}\r\n\r\n".encode("latin-1"),
                (start, stop),
            )
            for start, stop in ranges
        ]
        self._end = f"--{self.boundary}--".encode("latin-1")
        self.size_bytes = sum(len(head) + stop - start + 2 for head, (start, stop) in self._parts) + len(self._end)

    def read(self, stream: BinaryIO) -> Iterator[bytes]:
        with stream:
            for head, (start, stop) in self._parts:
                yield head
                yield from read_range(stream, start, stop, CHUNK_BYTES)
                yield b"\r\n"
            yield self._end


def _read(stream: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    with stream:
        yield from read_range(stream, start, stop, CHUNK_BYTES)


class _BadRangeError(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _requested_ranges(request: Request, headers: Mapping[str, str], size_bytes: int) -> list[_Range]:
    """What the request asks for, in order and without overlaps; none for the whole file."""
    text, condition = request.headers.get("range"), request.headers.get("if-range")
    if text is None or condition not in (None, headers["last-modified"], headers["etag"]):
        return []
    unit, equals, rest = text.partition("=")
    if not equals:
        raise _malformed("Malformed range header.")
    if unit.strip().lower() != "bytes":
        raise _malformed("Only support bytes range")
    if rest.count(",") >= MAX_RANGES:
        return []
    matches = map(_RANGE.fullmatch, rest.split(","))
    ranges = [_parse_range(match[1], match[2], size_bytes) for match in matches if match and (match[1] or match[2])]
    if not ranges:
        raise _malformed("Range header: range must be requested")
    if any(start >= size_bytes for start, _ in ranges):
        raise _BadRangeError(PlainTextResponse(status_code=416, headers={"Content-Range": f"bytes */{size_bytes}"}))
    if any(start >= stop for start, stop in ranges):
        raise _malformed("Range header: start must be less than end")
    return _merged(ranges)


def _parse_range(first: str, last: str, size_bytes: int) -> _Range:
    if first:
        return int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    return max(size_bytes - int(last), 0), size_bytes


def _merged(ranges: list[_Range]) -> list[_Range]:
    merged: list[_Range] = []
    for start, stop in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


def _malformed(message: str) -> _BadRangeError:
    return _BadRangeError(PlainTextResponse(message, 400))
