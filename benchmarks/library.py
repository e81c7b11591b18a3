"""The library with ten thousand jobs: time per page, bytes to the browser, memory, and start time.

    python -m benchmarks.library

`app.py` runs on a library of 10,000 jobs with 30,000 images, and at the same time on one of 100 jobs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import requests

from benchmarks.app_processes import GradioApp
from benchmarks.library_rows import RARE_WORD, SIZES, make_library
from dreamina_ui.library.library import PAGE_ENTRIES, Entry

PAGE_MS = 50.0
GROWTH = 1.2
BROWSER_KB = 300.0
MEMORY_MB = 20.0
"""Targets: time per page, its growth from the small to the large library, size of the first view, memory growth."""

NOWHERE = "http://127.0.0.1:9"
COOKIE = "a-visitor-of-the-benchmarks-with-a-long-cookie"
VISITOR_ID = hashlib.sha256(COOKIE.encode()).hexdigest()[:32]
FIRST = "the first page"
SCANS = ("a search for one old picture", "a search without a match", "how many files and bytes")
"""Queries that read every row: no index helps, so their time grows with the library; reported separately."""


@dataclass
class Figures:
    """Figures of one library; `took_ms` has the time of each request, by kind of page, in order."""

    jobs: int
    pictures: int
    made_s: float
    start_s: float = 0.0
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    walk_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)
    json_kb: float = 0.0
    browser_kb: float | None = None
    browser_files: int | None = None


class LibraryApp(GradioApp):
    """`app.py` on a library; it submits nothing, so no API is needed."""

    @property
    def url(self) -> str:
        return self._url

    def memory_mb(self) -> float:
        """Resident memory of the process."""
        assert self._process
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(folder: Path, job_counts: Sequence[int], rounds: int, with_browser: bool) -> list[Figures]:
    """Create a library of each size, start the app on each, and request pages in turns: a busy machine slows both.

    Args:
        folder: an empty folder.
        rounds: requests for each kind of page.
    """
    with ExitStack() as stack:
        libraries = [stack.enter_context(_RunningLibrary(folder / str(count), count)) for count in job_counts]
        for number in range(rounds + 3):
            for name in libraries[0].pages:
                for library in libraries[:: 1 if number % 2 else -1]:
                    library.ask(name, counts=number >= 3)  # the first requests open connections and fill caches
        for library in libraries:
            library.walk_twice()
            if with_browser:
                library.figures.browser_kb, library.figures.browser_files = _measure_browser(library.app.url)
        return [library.figures for library in libraries]


class _RunningLibrary:
    """A library and the app that runs on it."""

    def __init__(self, folder: Path, job_count: int) -> None:
        folder.mkdir()
        started_s = time.monotonic()
        self._entries = make_library(folder / "data", job_count, VISITOR_ID, NOWHERE)
        pictures = sum(bool(entry.output) for entry in self._entries)
        self.figures = Figures(job_count, pictures, time.monotonic() - started_s)
        self.pages = _pages(self._entries)
        self.app = LibraryApp(folder, NOWHERE)
        self._http = requests.Session()
        self._http.trust_env = False
        self.figures.took_ms = {name: [] for name in self.pages}

    def __enter__(self) -> _RunningLibrary:
        self.app.start()
        self.figures.start_s = self.app.wait_ready()
        return self

    def __exit__(self, *exc: object) -> None:
        self.app.kill()

    def ask(self, name: str, *, counts: bool) -> None:
        """Request a page once, and record the time if `counts`."""
        path, query, headers = self.pages[name]
        started_s = time.perf_counter()
        response = self._http.get(f"{self.app.url}/dreamina/{path}", params=query, headers=headers, timeout=60)
        took_ms = (time.perf_counter() - started_s) * 1000
        response.raise_for_status()
        if name == FIRST:
            self.figures.json_kb = len(response.content) / 1e3
        if counts:
            self.figures.took_ms[name].append(took_ms)

    def walk_twice(self) -> None:
        """Read the whole library page by page, twice; record the memory before and after each time."""
        self.figures.memory_mb.append(self.app.memory_mb())
        for _ in range(2):
            started_s = time.monotonic()
            count, after = 0, ""
            while after is not None:
                response = self._http.get(f"{self.app.url}/dreamina/library", params={"after": after}, timeout=60)
                page = response.json()
                count, after = count + len(page["entries"]), page["next"]
            self.figures.walk_s = time.monotonic() - started_s
            assert count == len(self._entries), f"{count} of {len(self._entries)} entries were read"
            self.figures.memory_mb.append(self.app.memory_mb())


def _pages(entries: Sequence[Entry]) -> dict[str, tuple[str, dict[str, str], dict[str, str]]]:
    """Path, query and headers of each kind of page."""
    oldest = entries[-1].job.created_at
    day = {"since": str(oldest), "until": str(oldest + 86_400)}
    stranger = {"X-Forwarded-For": "203.0.113.9", "Cookie": f"dreamina_visitor={COOKIE}"}
    return {
        FIRST: ("library", {}, {}),
        "a page in the middle": ("library", {"after": entries[len(entries) // 2].cursor}, {}),
        "the last page": ("library", {"after": entries[-PAGE_ENTRIES - 1].cursor}, {}),
        "a search for two words": ("library", {"text": "LAKE mountains"}, {}),
        "jobs that are done": ("library", {"state": "done"}, {}),
        "jobs that failed": ("library", {"state": "failed"}, {}),
        "one size": ("library", {"size": SIZES[0]}, {}),
        "favourites": ("library", {"favourites": "1"}, {}),
        "the oldest day": ("library", day, {}),
        "one visitor's own": ("library", {}, stranger),
        SCANS[0]: ("library", {"text": RARE_WORD}, {}),
        SCANS[1]: ("library", {"text": "no such word"}, {}),
        SCANS[2]: ("library/usage", {}, {}),
    }


def _measure_browser(url: str) -> tuple[float, int]:
    """Open the library in a Chromium window of 1280 x 900; returns kilobytes and number of all responses."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
        browser = tool.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.locator("#form[data-ready]").wait_for()
        page.wait_for_load_state("networkidle")
        ours: dict[str, str] = {}
        sizes: list[int] = []
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.requestWillBeSent", lambda seen: ours.update({seen["requestId"]: seen["request"]["url"]}))
        network.on("Network.loadingFinished", lambda seen: sizes.append(seen["encodedDataLength"]))
        page.get_by_role("tab", name="Library").click()
        page.locator("#library .wall img").first.wait_for()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1000)
        browser.close()
    return sum(sizes) / 1e3, len(sizes)


def p50_p95(took_ms: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    return statistics.median(took_ms), statistics.quantiles(took_ms, n=20)[-1]


def growth(large: Figures, small: Figures, name: str) -> float:
    """The time of the large library relative to the small one: the median of consecutive pairs."""
    return statistics.median(big / little for big, little in zip(large.took_ms[name], small.took_ms[name], strict=True))


def missed(large: Figures, small: Figures) -> list[str]:
    """One line for each missed target."""
    lines = []
    for name, took_ms in large.took_ms.items():
        if (p50_ms := p50_p95(took_ms)[0]) > PAGE_MS:
            lines.append(f"{name}: {p50_ms:.1f} ms, more than {PAGE_MS:.0f}")
        if (times := growth(large, small, name)) > GROWTH and name not in SCANS:
            lines.append(f"{name}: {times:.2f} times the time of {small.jobs} jobs, more than {GROWTH}")
    if large.browser_kb is not None and large.browser_kb > BROWSER_KB:
        lines.append(f"the browser gets {large.browser_kb:.0f} kB, more than {BROWSER_KB:.0f}")
    if large.memory_mb[-1] - large.memory_mb[0] > MEMORY_MB:
        lines.append(f"memory grows by {large.memory_mb[-1] - large.memory_mb[0]:.0f} MB, more than {MEMORY_MB:.0f}")
    return lines


def _table(large: Figures, small: Figures) -> str:
    rows = [f"{'':<34}{large.jobs:>10} jobs {small.jobs:>10} jobs    growth"]

    def add(label: str, unit: str, value: Callable[[Figures], float]) -> None:
        rows.append(f"{label:<34}{value(large):>10.1f} {unit:<4} {value(small):>10.1f} {unit:<4}".rstrip())

    for name in large.took_ms:
        shown = ["{:>5.1f} / {:>4.1f} ms".format(*p50_p95(figures.took_ms[name])) for figures in (large, small)]
        rows.append(f"{name:<34}  {shown[0]}   {shown[1]} {growth(large, small, name):>9.2f}")
    add("made in", "s", lambda figures: figures.made_s)
    add("start until the first response", "s", lambda figures: figures.start_s)
    add("reading all pages", "s", lambda figures: figures.walk_s)
    for index, name in enumerate(("before", "after one walk", "after two")):
        add(f"memory {name}", "MB", lambda figures, index=index: figures.memory_mb[index])  # type: ignore[misc]
    add("JSON of a page", "kB", lambda figures: figures.json_kb)
    if large.browser_kb is not None:
        add("first view in a browser", "kB", lambda figures: figures.browser_kb or 0)
        add("  in how many responses", "", lambda figures: figures.browser_files or 0)
    return "\n".join(rows)


def _as_json(large: Figures, small: Figures) -> dict[str, object]:
    results: dict[str, object] = {"missed": missed(large, small)}
    for label, figures in (("large", large), ("small", small)):
        facts = asdict(figures)
        times = {name: dict(zip(("p50", "p95"), p50_p95(took), strict=True)) for name, took in figures.took_ms.items()}
        results[label] = facts | {"took_ms": times}
    return results | {"growth": {name: growth(large, small, name) for name in large.took_ms}}


def main() -> None:
    """Parse arguments, measure, print; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs of the large library (default: 10000)")
    parser.add_argument("--small", type=int, default=100, help="jobs of the small one (default: 100)")
    parser.add_argument("--rounds", type=int, default=60, help="requests for each kind of page (default: 60)")
    parser.add_argument("--no-browser", action="store_true", help="leave Chromium out")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.rounds < 2 or min(options.jobs, options.small) < 20:
        parser.error("at least 2 rounds, and 20 jobs")
    folder = Path(tempfile.mkdtemp(prefix="dreamina-library-"))
    try:
        large, small = measure(folder, (options.jobs, options.small), options.rounds, not options.no_browser)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = missed(large, small)
    if options.json:
        print(json.dumps(_as_json(large, small), indent=2))
    else:
        print("\n".join([_table(large, small), "", *(lines or ["All targets are met."])]))
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
