"""Signed URLs of images that visitors gave, for a service that must fetch one without a login.

A URL is for one image and for a day. What it names is encrypted: it holds no permanent key of the file, and nothing
that could be made up or changed. Nothing has to be remembered. Without a public URL of the page there are none.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

LINK_S = 24 * 3600.0
"""How long a signed URL is valid."""

FOLDER = "dreamina/inputs"
"""Where signed URLs lie below the page's URL; open to everybody who has one."""

SECRET_BYTES = 32
_PATH = re.compile(r"([0-9A-Za-z_-]{40,400})/[^/?#]{1,200}")


@dataclass(frozen=True)
class SignedFile:
    """What a signed URL is for.

    Attributes:
        key: of the image.
        left_s: for how many seconds it is still valid; below 0 when it has expired.
    """

    key: str
    left_s: float


class SignedUrls:
    """Makes and reads signed URLs.

    Args:
        public_url: the page's URL as the service reaches it, without a slash at the end; "" for none. A share link
            is known only after the start, and is set then.
        secret: what only we know.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, public_url: str, secret: bytes, clock: Callable[[], float]) -> None:
        self.public_url = public_url
        self._cipher = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"signed URLs" + secret).digest()))
        self._clock = clock

    def url_of(self, key: str, name: str) -> str:
        """The URL of one image for `LINK_S` seconds; `name` is for people, and anybody may change it."""
        token = self._cipher.encrypt_at_time(key.encode(), int(self._clock())).decode().rstrip("=")
        return f"{self.public_url}/{FOLDER}/{token}/{name}"

    def file(self, path: str) -> SignedFile | None:
        """Which file a signed URL is for; None if we did not sign it.

        Args:
            path: the part of the URL after `FOLDER`.
        """
        match = _PATH.fullmatch(path)
        if not match:
            return None
        token = match[1] + "=" * (-len(match[1]) % 4)
        try:
            content = self._cipher.decrypt(token).decode()
            left_s = self._cipher.extract_timestamp(token) + LINK_S - self._clock()
        except (InvalidToken, ValueError):
            return None
        return SignedFile(content, left_s)


def read_secret(path: Path) -> bytes:
    """The secret in a file that only its owner may read; made if it is not there or cut short.

    Raises:
        OSError: it can be neither read nor written.
    """
    secret = path.read_bytes() if path.exists() else b""
    if len(secret) < SECRET_BYTES:
        secret = secrets.token_bytes(SECRET_BYTES)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secret)
    return secret
