"""One server for each data folder: the second one says who holds it, and stops."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from filelock import FileLock, Timeout

from dreamina_ui.errors import SettingsError

log = logging.getLogger(__name__)


class DataDir:
    """The folder that holds everything worth keeping, held by this process.

    Args:
        path: made if it is not there, readable for its owner only.

    Raises:
        SettingsError: it cannot be made or written, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        holder = self.path / "server.pid"
        self._lock = FileLock(self.path / "server.lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._close_to_others()
            self._lock.acquire()
            holder.write_text(f"{os.getpid()}\n")
        except Timeout:
            pid = holder.read_text().strip() if holder.exists() else "unknown"
            raise SettingsError(
                f"The data folder {self.path} is held by another server, process {pid}. "
                "Stop that one, or give this one another DREAMINA_DATA_DIR."
            ) from None
        except OSError as exc:
            raise SettingsError(
                f"The data folder {self.path} cannot be written: {exc.strerror or exc}. "
                "Choose another with DREAMINA_DATA_DIR."
            ) from exc

    def _close_to_others(self) -> None:
        if os.name == "nt" or not self.path.stat().st_mode & 0o077:
            return
        try:
            self.path.chmod(0o700)
        except PermissionError:
            log.warning("Others on this machine can read the data folder %s: it belongs to another user", self.path)
        else:
            log.warning("Others on this machine could read the data folder %s; now only its owner can", self.path)

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite3"

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def given(self) -> Path:
        return self.path / "given"

    @property
    def inputs(self) -> Path:
        return self.path / "inputs"

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    @property
    def links_secret(self) -> Path:
        return self.path / "links.secret"

    @property
    def sandbox(self) -> Path:
        return self.path / "sandbox"

    def release(self) -> None:
        """Let another server have it."""
        self._lock.release()
