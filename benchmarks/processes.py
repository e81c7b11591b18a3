"""What a process and its children take, read from `/proc`, and what a page takes, read from Chromium."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CHROMIUM_ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


class Tree:
    """A process and all below it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def cpu_s(self) -> float:
        """Seconds of processor time so far, ended children included."""
        return (
            sum(sum(map(int, _stat(pid)[11 : 15 if pid == self._pid else 13])) for pid in self._pids()) / _TICKS_PER_S
        )

    def memory_mb(self) -> float:
        """Memory in use, in 10^6 bytes."""
        return sum(_memory_mb(pid, "VmRSS") for pid in self._pids())

    def peak_mb(self) -> float:
        """The most memory in use since `forget_peak`, in 10^6 bytes; each process at its own worst moment."""
        return sum(_memory_mb(pid, "VmHWM") for pid in self._pids())

    def forget_peak(self) -> None:
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _pids(self) -> list[int]:
        children = defaultdict(list)
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    children[int(_stat(int(folder.name))[1])].append(int(folder.name))
                except (FileNotFoundError, ProcessLookupError):
                    continue
        found = [self._pid]
        for pid in found:
            found += children[pid]
        return found


def _stat(pid: int) -> list[str]:
    # The name in brackets may hold spaces; what follows begins with the state.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _memory_mb(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{key}:"))


class Wire:
    """Counts what a page gets over the network, in bytes as sent, headers included; begins anew with `forget`."""

    def __init__(self, page: Page) -> None:
        self._ended: dict[str, float] = {}
        self._running: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self.addresses: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._on_request)
        session.on("Network.dataReceived", self._on_data)
        session.on("Network.loadingFinished", self._on_end)
        session.on("Network.loadingFailed", lambda event: self._failed.add(event["requestId"]))
        session.send("Network.enable")

    @property
    def size_bytes(self) -> int:
        return round(sum(self.by_request().values()))

    def by_request(self) -> dict[str, float]:
        """Bytes by the request's number; an open stream counts with what has come of it."""
        return {**self._running, **self._ended}

    def unfinished(self) -> list[str]:
        """Numbers of the requests that are still open."""
        return [number for number in self.addresses if number not in self._ended and number not in self._failed]

    def forget(self) -> None:
        self._ended.clear()
        self._running.clear()
        self.addresses.clear()

    def _on_request(self, event: dict[str, Any]) -> None:
        self.addresses[event["requestId"]] = event["request"]["url"]

    def _on_data(self, event: dict[str, Any]) -> None:
        self._running[event["requestId"]] += event["encodedDataLength"]

    def _on_end(self, event: dict[str, Any]) -> None:
        self._ended[event["requestId"]] = event["encodedDataLength"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window: the one that `CHROMIUM` names, or else the system's or Playwright's own."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=list(_CHROMIUM_ARGS))
        yield browser
        browser.close()
