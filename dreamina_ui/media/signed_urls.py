"""Signed URLs of pictures made here, for a service that must fetch one without a login.

A URL is good for one original and for a day. It is signed with a secret of the data folder: nobody can make one
up, and nothing has to be remembered. Without a public URL of the page there are none.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

LINK_S = 24 * 3600.0
"""How long a signed URL is good."""

FOLDER = "dreamina/inputs"
"""Where signed URLs lie below the page's URL; open to everybody who has one."""

SECRET_BYTES = 32
_PLACE = re.compile(r"([0-9]{1,12})/([0-9a-f]{64})/([^/?#]{1,100})/[^/?#]*")


class SignedUrls:
    """Makes and checks signed URLs.

    Args:
        public_url: the page's URL as the service reaches it, without a slash at the end; "" for none.
        secret: what only we know.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, public_url: str, secret: bytes, clock: Callable[[], float]) -> None:
        self.public_url = public_url
        self._secret = secret
        self._clock = clock

    def url_of(self, file_key: str, name: str) -> str:
        """The URL of one original for `LINK_S` seconds; `name` is for people and signed by nobody."""
        expires = int(self._clock() + LINK_S)
        return f"{self.public_url}/{FOLDER}/{expires}/{self._signature(file_key, expires)}/{file_key}/{name}"

    def file_key(self, path: str) -> tuple[str, float] | None:
        """Which file a signed URL is for.

        Args:
            path: the part of the URL after `FOLDER`.

        Returns:
            The file's key, and how many seconds the URL is still good: below 0 when it has run out. None if we did
            not sign it.
        """
        match = _PLACE.fullmatch(path)
        if not match:
            return None
        expires, signature, key = match.groups()
        good = hmac.compare_digest(signature, self._signature(key, int(expires)))
        return (key, int(expires) - self._clock()) if good else None

    def place_of(self, url: str) -> str | None:
        """The part of a URL behind `FOLDER`; None if it does not lie there on our public URL."""
        beginning = f"{self.public_url}/{FOLDER}/"
        return url.removeprefix(beginning) if self.public_url and url.startswith(beginning) else None

    def _signature(self, file_key: str, expires: int) -> str:
        text = f"{file_key}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


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
