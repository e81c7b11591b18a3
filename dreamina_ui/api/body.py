"""Reading the body of a response: whole, bounded, and judged by its bytes rather than by its headers.

A JSON object says itself where it ends. So a length that is too large, or a last chunk that never comes, loses nothing,
and neither does a `Content-Encoding` over bytes that were never packed.
"""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

import brotli
from urllib3 import BaseHTTPResponse

_MAX_BODY_BYTES = 4_000_000
_STARTS = (b"{", b"[", b'"')


def read_body(response: BaseHTTPResponse, deadline: float) -> bytes:
    """Read a body within the size limit and the deadline; else a trickling response holds a thread forever.

    Returns:
        The body, unpacked; of a transfer that broke off, what came before if that is a whole JSON object.

    Raises:
        OverflowError: it is too large.
        TimeoutError: it is too slow.
        ValueError: it is packed, and that is damaged.
    """
    body, encoding = bytearray(), response.headers.get("Content-Encoding", "")
    try:
        # read1 gives what has arrived; read would wait for a full chunk, each byte with a timeout of its own.
        while chunk := response.read1(16_384, decode_content=False):
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise OverflowError("a response of more than 4 MB")
            if time.monotonic() > deadline:
                raise TimeoutError("a response that trickles")
    except OverflowError:
        raise
    except Exception:
        if not _is_object(bytes(body)):
            raise
    return _unpacked(bytes(body), encoding)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The bytes before a gateway packed them; the header counts only for what does not begin as JSON."""
    names = [name.strip().lower() for name in encoding.split(",")]
    if body.lstrip()[:1] in _STARTS:
        return body
    try:
        if body.startswith(b"\x1f\x8b"):
            return _inflated(zlib.decompressobj(31), body)
        if "deflate" in names:
            has_header = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
            return _inflated(zlib.decompressobj(15 if has_header else -15), body)
        if "br" in names:
            return _bounded(brotli.Decompressor().process(body, output_buffer_limit=_MAX_BODY_BYTES + 1))
    except (zlib.error, brotli.error) as exc:
        raise ValueError("a packed response that is damaged") from exc
    return body


def _inflated(inflater: Any, body: bytes) -> bytes:
    return _bounded(inflater.decompress(body, _MAX_BODY_BYTES + 1))


def _bounded(body: bytes) -> bytes:
    if len(body) > _MAX_BODY_BYTES:
        raise OverflowError("a response of more than 4 MB")
    return body
