"""CPU and memory of a process tree, from `/proc`, and network traffic of a page, from Chromium."""

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


class ProcessTree:
    """A process and its descendants."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """CPU seconds so far, including those of ended children."""
        return sum(sum(map(int, _stat(pid)[11 : 15 if pid == self.pid else 13])) for pid in self._pids()) / _TICKS_PER_S

    def memory_mb(self) -> float:
        """Resident memory, in 10^6 bytes."""
        return sum(_memory_mb(pid, "VmRSS") for pid in self._pids())

    def peak_mb(self) -> float:
        """Peak resident memory since `reset_peak`, in 10^6 bytes; the sum of the peaks of all processes."""
        return sum(_memory_mb(pid, "VmHWM") for pid in self._pids())

    def memory_by_pid(self) -> dict[int, float]:
        """Resident memory of each process, in 10^6 bytes."""
        return {pid: _memory_mb(pid, "VmRSS") for pid in self._pids()}

    def peak_by_pid(self) -> dict[int, float]:
        """Peak resident memory of each running process since `reset_peak`, in 10^6 bytes."""
        return {pid: _memory_mb(pid, "VmHWM") for pid in self._pids()}

    def reset_peak(self) -> None:
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
        pids = [self.pid]
        for pid in pids:
            pids += children[pid]
        return pids


def _stat(pid: int) -> list[str]:
    # The process name in brackets may contain spaces; the fields after it start with the state.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _memory_mb(pid: int, key: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    sizes = (int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{key}:"))
    return next(sizes, 0.0)  # a process that has just ended has none


class NetworkCounter:
    """Counts the bytes a page receives, compressed and with headers; `reset` starts again."""

    def __init__(self, page: Page) -> None:
        self._ended: dict[str, float] = {}
        self._running: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self.urls: dict[str, str] = {}
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
        """Bytes by request number; an open stream counts with what it received so far."""
        return {**self._running, **self._ended}

    def unfinished(self) -> list[str]:
        """Numbers of open requests."""
        return [number for number in self.urls if number not in self._ended and number not in self._failed]

    def reset(self) -> None:
        self._ended.clear()
        self._running.clear()
        self.urls.clear()

    def _on_request(self, event: dict[str, Any]) -> None:
        self.urls[event["requestId"]] = event["request"]["url"]

    def _on_data(self, event: dict[str, Any]) -> None:
        self._running[event["requestId"]] += event["encodedDataLength"]

    def _on_end(self, event: dict[str, Any]) -> None:
        self._ended[event["requestId"]] = event["encodedDataLength"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium: from `CHROMIUM`, else the one of the system, else that of Playwright."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=list(_CHROMIUM_ARGS))
        yield browser
        browser.close()
