"""Files of a folder that are not whole yet: each has a name of its own until it is, and none outlives a kill."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

_PARTIAL = "partial-"


class PartialFiles:
    """The half-made files of a folder, which must be there. Its methods raise OSError, except for `clean_up`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        """Write a file of the folder, in one step."""
        with self._path() as partial:
            partial.write_bytes(data)
            partial.replace(self._folder / name)

    @contextlib.contextmanager
    def scratch_file(self) -> Iterator[BinaryIO]:
        """An empty file, open for writing and reading; it is gone afterwards."""
        with self._path() as partial, partial.open("w+b") as file:
            yield cast(BinaryIO, file)

    def clean_up(self) -> None:
        """Remove what a kill left; call it at start only."""
        with contextlib.suppress(OSError):  # the next start tries again
            for partial in self._folder.glob(f"{_PARTIAL}*"):
                partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _path(self) -> Iterator[Path]:
        partial = self._folder / f"{_PARTIAL}{secrets.token_hex(8)}"
        try:
            yield partial
        finally:
            partial.unlink(missing_ok=True)
