"""Many visitors at once: how late each page learns that its job is completed, and how much CPU and memory that takes.

    python -m benchmarks.load visitors [--jobs 500] [--json]
    python -m benchmarks.load crowd [--jobs 500] [--json]
    python -m benchmarks.load tabs [--jobs 500] [--json]
    python -m benchmarks.load throttled [--jobs 100] [--json]

`app.py` and a mock service run as separate processes. Each visitor has opened the page, submits one job and reads the
event stream of the page over a plain socket. `visitors` first runs some jobs, so that the app knows the run times;
`throttled` does not, and the service refuses status calls beyond ten per second. In a `crowd` three visitors for each
job have only opened the page: with 500 jobs in flight, 2,000 pages keep Gradio's connection, and 500 of them read a
stream. With `tabs`, four pages of each visitor read the stream, and the last of the four counts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from benchmarks.app_processes import TOKEN, GradioApp, ManagedProcess
from benchmarks.audit import read_rows
from dreamina_ui.ledger.job import SETTLED

WARM_UP_JOBS = 30
WARM_UP_S = 3.0
ARRIVALS_S = 10.0
"""All visitors submit within this time."""

ALLOWED_PER_S = 10
FIXED_S = 2.0
"""The poll interval of the command line of the service; its mean lateness is half of it."""

TIMEOUT_S = 180.0
MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
INPUTS = {"width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": True}
VISITORS_TARGETS: dict[str, float] = {
    "lateness p95, s": 1.5, "peak memory, MB": 450, "CPU, cores": 1.3, "lost": 0, "submitted twice": 0,
}  # fmt: skip
CROWD_FACTOR = 4
"""How many pages are open for each job."""

PAGES_OPENED_AT_ONCE = 50
CROWD_TARGETS = VISITORS_TARGETS | {"peak memory, MB": 600, "CPU, cores": 1.5, "open pages that were closed": 0}
THROTTLED_TARGETS: dict[str, float] = {
    "lateness p95, s": 12,
    "429s in any later second": 1,
    "lost": 0,
    "submitted twice": 0,
}


class LoadServiceProcess(ManagedProcess):
    """`python -m benchmarks.load_service` on a free port."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            folder, "service", "-m", "benchmarks.load_service", "--port", str(port), "--token", TOKEN, *options
        )  # fmt: skip

    def counts(self) -> dict[str, Any]:
        """The counts, see `load_service.LoadCounts`; seconds are text."""
        figures_by_label: dict[str, Any] = requests.get(f"{self.url}/load/counts", timeout=30).json()
        return figures_by_label

    def _is_ready(self) -> bool:
        try:
            return bool(self.counts())
        except requests.ConnectionError:
            return False


class AppWithPage(GradioApp):
    """`app.py`, used through the routes of its page."""

    @property
    def url(self) -> str:
        return self._url

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid


@dataclass(frozen=True)
class StreamEnd:
    """The last event of a visitor's stream: the state of their job, and when, in seconds since 1970."""

    prompt: str
    state: str
    at: float


class Visitors:
    """Visitors of one page.

    Args:
        url: of the page.
        pages: how many of their pages read the stream.
    """

    def __init__(self, url: str, pages: int = 1) -> None:
        self._url_parts = urlsplit(url)
        self._pages = pages
        self.reopened = 0
        self.closed_pages = 0
        self._numbers = itertools.count(1)

    def open(self, pages: int) -> list[str]:
        """Open the page as `pages` visitors, a few at a time; returns their cookies."""

        async def everybody() -> list[str]:
            slots = asyncio.Semaphore(4)
            return await asyncio.gather(*(self._open(slots) for _ in range(pages)))

        return asyncio.run(everybody())

    def submit(self, cookies: Sequence[str], over_s: float, *, open_pages: int = 0) -> list[StreamEnd]:
        """Submit one job per visitor within `over_s` seconds, and wait until all know the end.

        Args:
            open_pages: how many pages, of these and further visitors, keep Gradio's connection meanwhile.
        """

        async def everybody() -> list[StreamEnd]:
            slots = asyncio.Semaphore(PAGES_OPENED_AT_ONCE)
            opened = [asyncio.Event() for _ in range(open_pages)]
            pages = [asyncio.create_task(self._stay(number, slots, event)) for number, event in enumerate(opened)]
            await asyncio.gather(*(event.wait() for event in opened))
            pause_s = over_s / len(cookies)
            ends = await asyncio.gather(*(self._wait_and_submit(pause_s * i, c) for i, c in enumerate(cookies)))
            self.closed_pages = sum(page.done() for page in pages)
            for page in pages:
                page.cancel()
            return ends

        return asyncio.run(everybody())

    async def _stay(self, number: int, slots: asyncio.Semaphore, opened: asyncio.Event) -> None:
        """Keep the connection of an open page until the server ends it."""
        try:
            await slots.acquire()
            async with self._request(f"/gradio_api/heartbeat/page{number}", f"dreamina_visitor={number:043}") as (
                _,
                response,
            ):
                slots.release()
                opened.set()
                await response.read()
        finally:
            opened.set()

    async def _open(self, slots: asyncio.Semaphore) -> str:
        async with slots:
            async with self._request("/", "") as (headers, response):
                await response.read()
            cookie = headers["set-cookie"].partition(";")[0]
            async with aclosing(self._events("/dreamina/events", cookie)) as stream:
                async for _ in stream:  # without a job it ends at once
                    pass
        return cookie

    async def _wait_and_submit(self, pause_s: float, cookie: str) -> StreamEnd:
        await asyncio.sleep(pause_s)
        prompt = f"request {next(self._numbers)}"
        try:
            return await asyncio.wait_for(self._submit_and_watch(cookie, prompt), TIMEOUT_S)
        except (OSError, asyncio.TimeoutError) as exc:
            return StreamEnd(prompt, type(exc).__name__, time.time())

    async def _submit_and_watch(self, cookie: str, prompt: str) -> StreamEnd:
        body = {"model_id": MODEL_ID, "inputs": INPUTS | {"prompt": prompt}}
        async with self._request("/dreamina/generate", cookie, body) as (_, response):
            reported = json.loads(await response.read())
        if "job_id" not in reported:
            return StreamEnd(prompt, f"refused: {reported}", time.time())
        ends = await asyncio.gather(*(self._watch(cookie, prompt) for _ in range(self._pages)))
        return max(ends, key=lambda end: end.at)

    async def _watch(self, cookie: str, prompt: str) -> StreamEnd:
        while True:
            async with aclosing(self._events("/dreamina/events", cookie)) as stream:
                async for cards in stream:
                    if cards and cards[0]["state"] in SETTLED:
                        return StreamEnd(prompt, cards[0]["state"], time.time())
            self.reopened += 1  # as a page does
            await asyncio.sleep(1.0)

    async def _events(self, path: str, cookie: str) -> AsyncGenerator[Any, None]:
        async with self._request(path, cookie) as (_, response):
            async for line in response:  # chunk sizes are separate lines
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    @asynccontextmanager
    async def _request(
        self, path: str, cookie: str, body: Any = None
    ) -> AsyncIterator[tuple[dict[str, str], asyncio.StreamReader]]:
        """Send one request on a new connection; yields the response headers and the body, still chunked."""
        content = b"" if body is None else json.dumps(body).encode()
        reader, writer = await asyncio.open_connection(self._url_parts.hostname, self._url_parts.port, limit=2**22)
        try:
            lines = [
                f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
                f"Host: {self._url_parts.netloc}",
                f"Cookie: {cookie}",
                "Connection: close",
                "Content-Type: application/json",
                f"Content-Length: {len(content)}",
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = [line.partition(": ") for line in head[1:] if line]
            yield {name.lower(): value for name, _, value in pairs}, reader
        finally:
            writer.close()


@dataclass(frozen=True)
class _CpuSample:
    """CPU seconds that a process has used, at a moment."""

    cpu_s: float
    at: float

    @classmethod
    def of(cls, pid: int) -> _CpuSample:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return cls((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), time.monotonic())

    def cores_since(self, earlier: _CpuSample) -> float:
        return (self.cpu_s - earlier.cpu_s) / (self.at - earlier.at)


def visitors(folder: Path, jobs: int, *, warm_up_jobs: int = WARM_UP_JOBS) -> dict[str, float]:
    """Run `jobs` visitors at once on an app that knows the run times; figures by label."""
    return _measure(folder, jobs, warm_up_jobs, ())


def crowd(folder: Path, jobs: int) -> dict[str, float]:
    """The same, while `CROWD_FACTOR` visitors for each job have the page open."""
    return _measure(folder, jobs, WARM_UP_JOBS, (), open_pages=CROWD_FACTOR * jobs)


def tabs(folder: Path, jobs: int) -> dict[str, float]:
    """The same, while `CROWD_FACTOR` pages of each visitor read the stream."""
    return _measure(folder, jobs, WARM_UP_JOBS, (), pages=CROWD_FACTOR)


def throttled(folder: Path, jobs: int) -> dict[str, float]:
    """Run `jobs` visitors on an app without known run times, while the service limits status calls."""
    return _measure(folder, jobs, 0, ("--allowed-per-s", str(ALLOWED_PER_S)))


def _measure(
    folder: Path, jobs: int, warm_up_jobs: int, options: Sequence[str], *, pages: int = 1, open_pages: int = 0
) -> dict[str, float]:
    load_before = os.getloadavg()[0]
    folder.mkdir(exist_ok=True)
    with LoadServiceProcess(folder, *options) as service, AppWithPage(folder, service.url) as app:
        for program in (service, app):
            program.start()
        for program in (service, app):
            program.wait_ready()
        crowd = Visitors(app.url, pages)
        before_s = float(_rss_mb(app.pid))
        if warm_up_jobs:
            crowd.submit(crowd.open(warm_up_jobs), WARM_UP_S)
        cookies = crowd.open(jobs)
        start = _CpuSample.of(app.pid)
        calls_before = sum(service.counts()["answered"].values())
        ends = crowd.submit(cookies, ARRIVALS_S, open_pages=open_pages)
        ended = _CpuSample.of(app.pid)
        counts = service.counts()
        figures = {
            **_lateness(folder / "data", ends, counts["requests"]),
            "status calls per job": (sum(counts["answered"].values()) - calls_before) / jobs,
            "CPU, cores": ended.cores_since(start),
            "streams opened again": crowd.reopened,
            "open pages that were closed": crowd.closed_pages,
            "memory before, MB": before_s,
            "peak memory, MB": _rss_mb(app.pid, "VmHWM"),
            **_refusals({int(second): number for second, number in counts["refused"].items()}),
        }
        app.stop()
    figures |= _lost_and_double(folder / "data", ends, counts["requests"])
    figures |= {"took, s": ended.at - start.at, "load of the machine before": load_before}
    return {label: round(value, 3) for label, value in figures.items()}


def _lateness(data: Path, ends: Sequence[StreamEnd], accepted: dict[str, Any]) -> dict[str, float]:
    """Time from `completed` at the service to the last event, and its parts."""
    completed_at = {facts["prompt"]: facts["completed_at"] for facts in accepted.values()}
    rows = {
        json.loads(row["inputs"])["prompt"]: row
        for row in read_rows(data, "SELECT inputs, completed_at, finished_at FROM jobs WHERE state = 'done'")
    }
    done = [visitor for visitor in ends if visitor.state == "done"]
    spans: dict[str, list[float]] = {
        "lateness": [visitor.at - completed_at[visitor.prompt] for visitor in done],
        "  until noticed": [rows[visitor.prompt]["completed_at"] - completed_at[visitor.prompt] for visitor in done],
        "  until saved": [
            rows[visitor.prompt]["finished_at"] - rows[visitor.prompt]["completed_at"] for visitor in done
        ],
        "  until reported": [visitor.at - rows[visitor.prompt]["finished_at"] for visitor in done],
    }
    figures_by_label: dict[str, float] = {}
    for label, values in spans.items():
        late_s = sorted(values)
        for part, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            figures_by_label[f"{label} {part}, s"] = late_s[round(share * (len(late_s) - 1))] if late_s else math.nan
    mean_s = statistics.fmean(spans["lateness"]) if done else math.nan
    return figures_by_label | {"lateness mean, s": mean_s, "to a fixed pause of 2 s": mean_s / (FIXED_S / 2)}


def _refusals(refused: dict[int, int]) -> dict[str, float]:
    if not refused:
        return {}
    first, *later = [refused[second] for second in sorted(refused)]
    return {
        "429s": sum(refused.values()), "429s in the first second": first,
        "429s in any later second": max(later, default=0),
    }  # fmt: skip


def _lost_and_double(data: Path, ends: Sequence[StreamEnd], accepted: dict[str, Any]) -> dict[str, float]:
    """Count visitors without their image, and jobs that exist twice, at the service or in the ledger."""
    submits = Counter(facts["prompt"] for facts in accepted.values())
    rows = Counter(json.loads(row["inputs"])["prompt"] for row in read_rows(data, "SELECT inputs FROM jobs"))
    done = read_rows(data, "SELECT request_id FROM jobs WHERE state = 'done'")
    without_end = sum(visitor.state != "done" for visitor in ends)
    not_done = len(accepted) - len({row["request_id"] for row in done} & set(accepted))
    return {
        "lost": max(without_end, not_done),
        "submitted twice": sum(number - 1 for counted in (submits, rows) for number in counted.values()),
    }


def _rss_mb(pid: int, name: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def missed(figures: dict[str, float], targets: dict[str, float]) -> list[str]:
    """One line for each missed target."""
    return [
        f"{label}: {figures.get(label, 'none')}, the target is at most {limit}"
        for label, limit in targets.items()
        if not figures.get(label, 0) <= limit
    ]


_KINDS: dict[str, tuple[Callable[[Path, int], dict[str, float]], dict[str, float], int]] = {
    "visitors": (visitors, VISITORS_TARGETS, 500),
    "crowd": (crowd, CROWD_TARGETS, 500),
    "tabs": (tabs, CROWD_TARGETS, 500),
    "throttled": (throttled, THROTTLED_TARGETS, 100),
}


def main() -> None:
    """Parse arguments, measure, print; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=tuple(_KINDS))
    parser.add_argument("--jobs", type=int, help="number of jobs (default: 500 visitors, or 100 throttled jobs)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    measure, targets, jobs = _KINDS[options.what]
    with tempfile.TemporaryDirectory(prefix="dreamina-load-") as folder:
        figures = measure(Path(folder), options.jobs or jobs)
    if options.json:
        print(json.dumps({"figures": figures, "targets": targets}))
    else:
        for label, value in figures.items():
            aim = f"at most {targets[label]:g}: {_verdict(value, targets[label])}" if label in targets else ""
            print(f"{label:<30}{value:>10.3f}   {aim}".rstrip())
    if misses := missed(figures, targets):
        sys.exit("\n".join(misses))


def _verdict(value: float, limit: float) -> str:
    return "met" if value <= limit else "MISSED"


if __name__ == "__main__":
    main()
