"""What a `Content-Encoding` header means for a file that is stored byte for byte: only what its bytes confirm.

Hosts send this header over untouched bytes (an empty one; `aws-chunked`, left over from an upload; `gzip` for a file
that was never packed). So a file is unpacked only if it is packed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from dreamina_ui.media.formats import recognise

_PIECE_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_KNOWN = ("gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress")
"""As browsers do, other names are passed over: `identity`, `aws-chunked`, `none`, `utf-8`, or nothing at all."""


class EncodingError(ValueError):
    """The bytes cannot be decoded; the text continues a sentence that begins with `the file came compressed`."""


class Decoder(Protocol):
    """Turns what came over the network into the file."""

    def decode(self, data: bytes, *, is_last: bool) -> Iterator[bytes]:
        """The decoded pieces of these bytes, none much larger than a megabyte; raises EncodingError."""
        ...


def decoder_for(header: str, head: bytes) -> Decoder:
    """The decoder for a file, by the header and the file's first bytes.

    Raises:
        EncodingError: it is encoded in a way that cannot be undone here.
    """
    encodings = [name for name in (part.strip().lower() for part in header.split(",")) if name in _KNOWN]
    is_packed = head.startswith(_GZIP)
    if not encodings or (recognise(head) and not is_packed):
        return Untouched()
    if len(encodings) == 1 and encodings[0] in ("gzip", "x-gzip"):
        return _Inflater(31) if is_packed else Untouched()
    if encodings == ["deflate"]:
        has_zlib_header = len(head) >= 2 and head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
        return _Inflater(15 if has_zlib_header else -15)
    raise EncodingError(f"by a method that is not asked for ({', '.join(encodings)[:40]})")


class Untouched:
    """Gives the bytes as they came."""

    def decode(self, data: bytes, *, is_last: bool) -> Iterator[bytes]:
        if data:
            yield data


class _Inflater:
    """Inflates gzip or zlib data, in pieces, so that a small packed file cannot fill the memory."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflater = zlib.decompressobj(wbits)

    def decode(self, data: bytes, *, is_last: bool) -> Iterator[bytes]:
        try:
            while True:
                piece = self._inflater.decompress(data, _PIECE_BYTES)
                if piece:
                    yield piece
                data = self._inflater.unconsumed_tail
                if self._inflater.eof and (next_member := self._inflater.unused_data).startswith(_GZIP):
                    self._inflater, data = zlib.decompressobj(self._wbits), next_member
                    continue
                if not data and len(piece) < _PIECE_BYTES:
                    break
        except zlib.error as exc:
            raise EncodingError("is damaged") from exc
        if is_last and not self._inflater.eof:
            raise EncodingError("broke off")
