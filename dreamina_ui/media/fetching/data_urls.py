"""Files that are in their URL: `data:image/png;base64,...`."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from dreamina_ui.media.fetching.download import DownloadError

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
"""The other alphabet of base64, which needs no escapes in a URL."""


def is_data_url(url: str) -> bool:
    """Whether the file is in the URL itself."""
    return url.lstrip()[:5].lower() == "data:"


def write_data_url(url: str, file: BinaryIO, max_bytes: int) -> tuple[int, str]:
    """Write the file of a data URL; returns its size in bytes and its sha256.

    Raises:
        DownloadError: it is broken or too large.
    """
    head, comma, body = url.strip().partition(",")
    if not comma:
        raise DownloadError("the data: URL has no data", "shape", is_temporary=False)
    content = unquote_to_bytes(body.encode("utf-8", "replace"))  # a URL may hold a lone surrogate
    if head.lower().rstrip().endswith(";base64"):
        try:
            packed = b"".join(content.split()).translate(_URL_SAFE)
            content = base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
        except binascii.Error as exc:
            raise DownloadError("the data: URL is not valid base64", "shape", is_temporary=False) from exc
    if len(content) > max_bytes:
        raise DownloadError(f"the file was larger than {max_bytes} bytes", "size", is_temporary=False)
    file.write(content)
    return len(content), hashlib.sha256(content).hexdigest()
