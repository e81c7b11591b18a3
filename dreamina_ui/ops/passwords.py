"""Names and passwords: only hashes are kept, and a check takes as long for a name that is unknown.

A password that was right once is known by a quick hash in memory, too: the next sign-in with it waits for nobody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

from dreamina_ui.errors import SettingsError

SLOW, QUICK = "scrypt", "sha256"


class Logins:
    """Who may sign in.

    Args:
        stored: the hash of each name's password, by name.
    """

    def __init__(self, stored: Mapping[str, str]) -> None:
        self._stored = dict(stored)
        self.is_slow = any(item.startswith(SLOW) for item in stored.values())
        self._quick = {name: item for name, item in stored.items() if item.startswith(QUICK)}
        self._nobodys = hash_password(secrets.token_urlsafe(), SLOW if self.is_slow else QUICK)

    def __bool__(self) -> bool:
        return bool(self._stored)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def are_known(self, name: str, password: str) -> bool:
        """Whether this is the name's password, as far as that is known without a slow hash."""
        return name in self._quick and _is_hash_of(password, self._quick[name])

    def are_right(self, name: str, password: str) -> bool:
        """Whether this is the name's password; slow if `is_slow`, so ask on a thread then."""
        is_right = _is_hash_of(password, self._stored.get(name, self._nobodys)) and name in self._stored
        if is_right and name not in self._quick:
            self._quick[name] = hash_password(password, QUICK)
        return is_right


def hash_password(password: str, method: str = SLOW) -> str:
    """A hash such as `scrypt$salt$key`, for a file; the quick method is for what never leaves memory."""
    salt = secrets.token_bytes(16)
    return f"{method}${_text(salt)}${_text(_key(method, password, salt))}"


def read_logins(names_and_passwords: str, file: Path | None) -> Logins:
    """The logins of a list `name:password,name:password` and of a file of lines `name:hash`.

    Raises:
        SettingsError: a line or the file cannot be read; the message shows no password.
    """
    hashes: dict[str, str] = {}

    def add(variable: str, number: int, name: str, stored: str) -> None:
        if not name or not stored or name in hashes:
            raise SettingsError(f"{variable}: entry {number} is no name:password, or its name is there twice.")
        hashes[name] = stored

    entries = [entry for entry in names_and_passwords.split(",") if entry.strip()]
    for number, entry in enumerate(entries, 1):
        name, _, password = (part.strip() for part in entry.partition(":"))
        add("DREAMINA_AUTH", number, name, password and hash_password(password, QUICK))
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file else []
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"DREAMINA_AUTH_FILE: {file} cannot be read: {exc}") from exc
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            name, _, stored = (part.strip() for part in line.partition(":"))
            add("DREAMINA_AUTH_FILE", number, name, stored if _is_hash(stored) else "")
    if not hashes and (file or names_and_passwords):
        raise SettingsError(f"{'DREAMINA_AUTH_FILE' if file else 'DREAMINA_AUTH'}: there is no login in it.")
    return Logins(hashes)


def _is_hash(stored: str) -> bool:
    try:
        method, salt, key = stored.split("$")
        return method == SLOW and len(_bytes(salt)) >= 16 and len(_bytes(key)) == 32
    except ValueError:
        return False


def _is_hash_of(password: str, stored: str) -> bool:
    method, salt, key = stored.split("$")
    return hmac.compare_digest(_key(method, password, _bytes(salt)), _bytes(key))


def _key(method: str, password: str, salt: bytes) -> bytes:
    data = password.encode(errors="surrogatepass")
    if method == QUICK:
        return hashlib.sha256(salt + data).digest()
    # Source: OWASP Password Storage Cheat Sheet, scrypt: 16 MB and five rounds.
    return hashlib.scrypt(data, salt=salt, n=2**14, r=8, p=5, dklen=32)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, altchars=b"-_", validate=True)
