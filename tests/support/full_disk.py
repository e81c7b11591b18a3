"""A full or read-only disk: by mounts where this machine allows them, else by limits and modes."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path


class SmallDisk:
    """A folder with little free space: a small mounted disk, or else a limit on the size of each file we write."""

    def __init__(self, folder: Path, size_bytes: int = 8 * 1024**2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ballast = folder / "ballast"
        self._is_mounted = _mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder))

    def leave_free(self, free_bytes: int) -> None:
        """Leave so many bytes free; without a mount, in each file."""
        if self._is_mounted:
            free = os.statvfs(self._folder)
            self._ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - free_bytes)))
        else:
            _limit_files(free_bytes)

    def free_space(self) -> None:
        self._ballast.unlink(missing_ok=True)
        _limit_files(resource.RLIM_INFINITY)

    def close(self) -> None:
        self.free_space()
        if self._is_mounted:
            subprocess.run(["umount", "-l", self._folder], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only; where root cannot mount, the folder is moved away instead."""
    undo: Callable[[], object]
    if os.geteuid() != 0:
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        _set_modes(folders, 0o500)
        undo = partial(_set_modes, folders, 0o700)
    elif _mount("--bind", str(folder), str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        undo = partial(subprocess.run, ["umount", "-l", folder], check=True)
    else:
        moved = folder.rename(folder.with_name(f"{folder.name}-moved"))
        folder.write_text("in the way")
        undo = partial(_move_back, moved, folder)
    try:
        yield
    finally:
        undo()


def _move_back(moved: Path, folder: Path) -> None:
    folder.unlink()
    moved.rename(folder)


def _set_modes(folders: list[Path], mode: int) -> None:
    for folder in folders:
        folder.chmod(mode)


def _mount(*words: str) -> bool:
    try:
        return subprocess.run(["mount", *words], capture_output=True).returncode == 0
    except OSError:
        return False


def _limit_files(size_bytes: int) -> None:
    _, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (hard_limit if size_bytes == resource.RLIM_INFINITY else size_bytes, hard_limit)
    )
